#include "agent/engine/markup.h"

#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "agent/engine/xpath.h"
#include "tests/support/status_matchers.h"

namespace picket {
namespace {

size_t Html(absl::string_view body) { return MostAttributes(body, MarkupKind::kHtml, 1000); }
size_t Xml(absl::string_view body) { return MostAttributes(body, MarkupKind::kXml, 1000); }

TEST(MarkupTest, CountsTheAttributesOfTheFullestTag) {
  EXPECT_EQ(Html(""), 0u);
  EXPECT_EQ(Html("no tag, a = b"), 0u);
  EXPECT_EQ(Html("<p a=1 b='x y' c=\"<q r s t u>\" d>text e=1</p f=2>"), 4u);
  EXPECT_EQ(Html("<p a=1><q a=1 b=2 c=3><r a=1>"), 3u);
  EXPECT_EQ(Html("<p\n a\n=\n'x'b='y'/>"), 2u);
  EXPECT_EQ(Xml("<p \xc3\xa9='x y z' b='1'/>"), 2u);
}

TEST(MarkupTest, NothingHidesAttributes) {
  // What a careless reader takes for quoted, and the parser does not.
  EXPECT_GE(Html("<p = \" a b c \" d>"), 4u);
  EXPECT_GE(Html("<p a\xc3\xa9=\"x b=1 c=1 d=1\">"), 4u);
  EXPECT_GE(Html("<script>'<!--</script><p a b c d>"), 4u);
  EXPECT_GE(Html(absl::string_view("<p a=1\0b=2\0c d>", 15)), 4u);
  EXPECT_GE(Html("<q x='<p a b c d>'>"), 4u);
  EXPECT_GE(Xml(absl::string_view("<\0p\0 \0a\0=\0'\0'\0 \0b\0=\0'\0'\0/\0>\0", 28)), 2u);
}

TEST(MarkupTest, WhatIsLeftOfALongNameIsAnAttributeToo) {
  const std::string name(950, 'x');
  for (const std::string& tag :
       {absl::StrCat("<p ", name, ">"), absl::StrCat("<p a='' ", name, "=1 b>"),
        absl::StrCat("<", name, ">")}) {
    SCOPED_TRACE(tag.substr(0, 10));
    ASSERT_OK_AND_ASSIGN(const auto document, XPathDocument::Parse(tag, "text/html"));
    ASSERT_OK_AND_ASSIGN(const auto attributes, XPath::Compile("count(//@*)"));
    ASSERT_OK_AND_ASSIGN(const auto found, attributes->Evaluate(*document));
    const double parsed = std::get<double>(found.value);
    EXPECT_GE(parsed, 1);
    EXPECT_GE(static_cast<double>(Html(tag)), parsed);
    EXPECT_GE(Html(tag), 9u);
  }
  EXPECT_EQ(Html(absl::StrCat("<p ", std::string(100, 'x'), ">")), 1u);
  EXPECT_EQ(Xml(absl::StrCat("<p ", name, "='1'/>")), 1u);
}

TEST(MarkupTest, CountingStopsWhereItIsEnough) {
  std::string body = "<p";
  for (int i = 0; i < 5000; ++i) absl::StrAppend(&body, " a", i);
  EXPECT_EQ(MostAttributes(body, MarkupKind::kHtml, 7), 7u);
  EXPECT_EQ(MostAttributes(body, MarkupKind::kXml, 10'000), 5000u);
}

TEST(MarkupTest, KindsGoByTypeAndBeginning) {
  EXPECT_EQ(MarkupKindOf("<a/>", "image/svg+xml"), MarkupKind::kXml);
  EXPECT_EQ(MarkupKindOf("", "text/xml; charset=utf-8"), MarkupKind::kXml);
  EXPECT_EQ(MarkupKindOf("<?xml version='1.0'?><a/>", ""), MarkupKind::kXml);
  EXPECT_EQ(MarkupKindOf("<a/>", "application/xhtml+xml"), MarkupKind::kHtml);
  EXPECT_EQ(MarkupKindOf("<!doctype html>", ""), MarkupKind::kHtml);
  EXPECT_EQ(MarkupKindOf("words", "TEXT/HTML"), MarkupKind::kNone);
  EXPECT_EQ(MarkupKindOf("words <br>", "TEXT/HTML"), MarkupKind::kHtml);
  EXPECT_EQ(MarkupKindOf("words <br>", "text/plain"), MarkupKind::kNone);
}

TEST(MarkupTest, EncodingsThatHideAsciiAreNotTaken) {
  EXPECT_EQ(HtmlEncodingOf("x", "text/html; charset=Shift_JIS"), "shift_jis");
  EXPECT_EQ(HtmlEncodingOf("x", "text/html; charset=utf-7"), "UTF-8");
  EXPECT_EQ(HtmlEncodingOf("x", "text/html"), "UTF-8");
  EXPECT_EQ(HtmlEncodingOf("\xff", "text/html"), "ISO-8859-1");
}

}  // namespace
}  // namespace picket
