#include "agent/engine/url.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/support/status_matchers.h"

namespace picket {
namespace {

using ::picket::testing_support::StatusIs;

TEST(UrlTest, ReadsEachPart) {
  ASSERT_OK_AND_ASSIGN(Url url, ParseUrl("HTTPS://u:p@Shop.Example:8443/a/b?x=1&y#top"));
  EXPECT_EQ(url.scheme, "https");
  EXPECT_EQ(url.userinfo, "u:p");
  EXPECT_EQ(url.host, "shop.example");
  EXPECT_EQ(url.port, 8443);
  EXPECT_EQ(url.path, "/a/b");
  EXPECT_EQ(url.query, "x=1&y");
  EXPECT_EQ(ToText(url), "https://shop.example:8443/a/b?x=1&y");
}

TEST(UrlTest, TheSchemesOwnPortIsNotWritten) {
  ASSERT_OK_AND_ASSIGN(Url url, ParseUrl("http://a:80"));
  EXPECT_EQ(ToText(url), "http://a/");
  ASSERT_OK_AND_ASSIGN(Url tls, ParseUrl("https://a:80/"));
  EXPECT_EQ(ToText(tls), "https://a:80/");
}

TEST(UrlTest, AnIpv6AddressKeepsItsBrackets) {
  ASSERT_OK_AND_ASSIGN(Url url, ParseUrl("http://[::1]:8080/x"));
  EXPECT_EQ(url.host, "::1");
  EXPECT_EQ(url.port, 8080);
  EXPECT_EQ(ToText(url), "http://[::1]:8080/x");
}

TEST(UrlTest, EncodesWhatNoUrlMayHold) {
  ASSERT_OK_AND_ASSIGN(Url url, ParseUrl("http://a/b c/\xC3\xA9?q=\"x\"&z=%41"));
  EXPECT_EQ(url.path, "/b%20c/%C3%A9");
  EXPECT_EQ(url.query, "q=%22x%22&z=%41");
}

TEST(UrlTest, RefusesWhatIsNoWebAddress) {
  for (const char* bad :
       {"", "shop.example/", "/path", "ftp://a/", "http://", "http://:80/", "http://a:0/",
        "http://a:65536/", "http://a:8x/", "http://a b/", "http://[::1/", "http://a\r\nHost: b/",
        "javascript:alert(1)", "http://%61/"}) {
    EXPECT_THAT(ParseUrl(bad), StatusIs(absl::StatusCode::kInvalidArgument)) << bad;
  }
}

TEST(UrlTest, ResolvesReferencesAsRfc3986Says) {
  ASSERT_OK_AND_ASSIGN(Url base, ParseUrl("http://a/b/c/d;p?q"));
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"g", "http://a/b/c/g"},
      {"./g", "http://a/b/c/g"},
      {"g/", "http://a/b/c/g/"},
      {"/g", "http://a/g"},
      {"//g", "http://g/"},
      {"?y", "http://a/b/c/d;p?y"},
      {"g?y", "http://a/b/c/g?y"},
      {"#s", "http://a/b/c/d;p?q"},
      {"g;x=1/../y", "http://a/b/c/y"},
      {"", "http://a/b/c/d;p?q"},
      {".", "http://a/b/c/"},
      {"..", "http://a/b/"},
      {"../g", "http://a/b/g"},
      {"../../../g", "http://a/g"},
      {"/./g", "http://a/g"},
      {"g.", "http://a/b/c/g."},
      {"https://x:9/y?z", "https://x:9/y?z"}};
  for (const auto& [reference, expected] : cases) {
    ASSERT_OK_AND_ASSIGN(Url url, ResolveUrl(base, reference));
    EXPECT_EQ(ToText(url), expected) << reference;
  }
  EXPECT_THAT(ResolveUrl(base, "mailto:x@y"), StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(ResolveUrl(base, "http:x"), StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST(UrlTest, SchemeHostAndPortMakeAnOrigin) {
  const auto url = [](const char* text) { return *ParseUrl(text); };
  EXPECT_TRUE(SameOrigin(url("http://A/x"), url("http://a:80/y?z")));
  EXPECT_FALSE(SameOrigin(url("http://a/"), url("https://a/")));
  EXPECT_FALSE(SameOrigin(url("http://a/"), url("http://a:81/")));
  EXPECT_FALSE(SameOrigin(url("http://a/"), url("http://b/")));
}

}  // namespace
}  // namespace picket
