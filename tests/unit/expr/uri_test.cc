#include "common/expr/uri.h"

#include <gtest/gtest.h>

namespace picket {
namespace {

TEST(UriTest, TheExamplesOfRfc3986Resolve) {
  const struct {
    const char* reference;
    const char* resolved;
  } kCases[] = {
      {"g:h", "g:h"},
      {"g", "http://a/b/c/g"},
      {"./g", "http://a/b/c/g"},
      {"g/", "http://a/b/c/g/"},
      {"/g", "http://a/g"},
      {"//g", "http://g"},
      {"?y", "http://a/b/c/d;p?y"},
      {"g?y", "http://a/b/c/g?y"},
      {"", "http://a/b/c/d;p?q"},
      {".", "http://a/b/c/"},
      {"..", "http://a/b/"},
      {"../g", "http://a/b/g"},
      {"../../../g", "http://a/g"},
      {"/./g", "http://a/g"},
      {"/../g", "http://a/g"},
      {"g.", "http://a/b/c/g."},
      {"./g/.", "http://a/b/c/g/"},
      {"g/../h", "http://a/b/c/h"},
      {"g;x=1/./y", "http://a/b/c/g;x=1/y"},
  };
  for (const auto& c : kCases) {
    EXPECT_EQ(ResolveUri("http://a/b/c/d;p?q", c.reference).without_fragment, c.resolved)
        << c.reference;
  }
}

TEST(UriTest, TheFragmentIsDecodedAndApart) {
  const UriReference uri = ResolveUri("urn:x:y", "#/a%25b%zz");
  EXPECT_EQ(uri.without_fragment, "urn:x:y");
  EXPECT_EQ(uri.fragment, "/a%b%zz");
}

TEST(UriTest, WithoutABaseAReferenceStaysAsItIs) {
  EXPECT_EQ(ResolveUri("", "a/../b#c").without_fragment, "a/../b");
  EXPECT_EQ(ResolveUri("http://host", "x").without_fragment, "http://host/x");
}

}  // namespace
}  // namespace picket
