#include "agent/engine/xpath.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <thread>

#include "absl/strings/str_cat.h"
#include "tests/support/status_matchers.h"

namespace picket {
namespace {

using ::picket::testing_support::StatusIs;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

absl::StatusOr<XPathValue> Find(const std::string& expression, const std::string& text,
                                const std::string& type = "text/html") {
  auto document = XPathDocument::Parse(text, type);
  if (!document.ok()) return document.status();
  auto xpath = XPath::Compile(expression);
  if (!xpath.ok()) return xpath.status();
  return (*xpath)->Evaluate(**document);
}

std::vector<std::string> Nodes(const absl::StatusOr<XPathValue>& value) {
  EXPECT_OK(value);
  if (!value.ok()) return {"error"};
  return std::get<std::vector<std::string>>(value->value);
}

constexpr char kPage[] =
    "<!doctype html><html><head><title>Shop</title><body><ul><li>a<li class=x>b &amp; c</ul>"
    "<p>unclosed";

TEST(XPathTest, FindsNodesInForgivingHtml) {
  EXPECT_THAT(Nodes(Find("//title", kPage)), ElementsAre("Shop"));
  EXPECT_THAT(Nodes(Find("//li", kPage)), ElementsAre("a", "b & c"));
  EXPECT_THAT(Nodes(Find("//li/@class", kPage)), ElementsAre("x"));
  EXPECT_THAT(Nodes(Find("//table", kPage)), IsEmpty());
}

TEST(XPathTest, YieldsNumbersTextsAndTruths) {
  EXPECT_EQ(std::get<double>(Find("count(//li)", kPage)->value), 2);
  EXPECT_EQ(std::get<std::string>(Find("string(//title)", kPage)->value), "Shop");
  EXPECT_EQ(std::get<bool>(Find("boolean(//p)", kPage)->value), true);
}

TEST(XPathTest, ReadsXmlStrictly) {
  EXPECT_THAT(Nodes(Find("/a/b", "<a><b>1</b></a>", "application/xml; charset=utf-8")),
              ElementsAre("1"));
  EXPECT_THAT(Nodes(Find("/x:a/x:b", "<x:a xmlns:x='urn:x'><x:b>1</x:b></x:a>", "text/xml")),
              ElementsAre("1"));
  EXPECT_THAT(Find("/a", "<a><b></a>", "text/xml"), StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(Find("/a", "", "text/xml"), StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST(XPathTest, NoEntityIsExpandedAndNoFileIsRead) {
  const std::string bomb =
      "<?xml version='1.0'?><!DOCTYPE a [<!ENTITY x 'ha'><!ENTITY y '&x;&x;&x;'>]><a>&y;</a>";
  auto found = Find("string(/a)", bomb, "text/xml");
  if (found.ok()) {
    EXPECT_EQ(std::get<std::string>(found->value), "");
  }
  const std::string external =
      "<?xml version='1.0'?><!DOCTYPE a [<!ENTITY x SYSTEM 'file:///etc/hostname'>]><a>&x;</a>";
  found = Find("string(/a)", external, "text/xml");
  if (found.ok()) {
    EXPECT_EQ(std::get<std::string>(found->value), "");
  }
}

TEST(XPathTest, RefusesABadExpression) {
  for (const char* bad : {"", "//[", "a b", "//x[", "$"}) {
    EXPECT_THAT(XPath::Compile(bad), StatusIs(absl::StatusCode::kInvalidArgument)) << bad;
  }
  EXPECT_THAT(Find("nosuch()", kPage), StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST(XPathTest, WorkIsBounded) {
  std::string page = "<html><body>";
  for (int i = 0; i < 3000; ++i) page += "<i>x</i>";
  EXPECT_THAT(Find("//i[count(//i[count(//i) > 1]) > 1]", page),
              StatusIs(absl::StatusCode::kResourceExhausted));
}

TEST(XPathTest, APageThatIsNotReadWholeProvesNothing) {
  std::string deep, wide = "<p";
  for (int i = 0; i < 2000; ++i) deep += "<div>";
  for (int i = 0; i < 1001; ++i) wide += absl::StrCat(" a", i, "=1");
  const std::string long_text = absl::StrCat("<p>", std::string(11'000'000, 'x'), "</p>");
  for (const auto& [page, type] : {std::pair(deep, "text/html"), std::pair(deep, "text/xml"),
                                   std::pair(long_text, "text/html")}) {
    EXPECT_THAT(Find("//table", page + "<table>", type),
                StatusIs(absl::StatusCode::kResourceExhausted))
        << type << " " << page.substr(0, 20);
  }
  EXPECT_THAT(Find("//table", wide + "><table>"), StatusIs(absl::StatusCode::kResourceExhausted));
}

TEST(XPathTest, ANulDoesNotEndAPage) {
  const std::string page = absl::StrCat("<p>a</p>", absl::string_view("\0", 1), "<i>x</i>");
  EXPECT_THAT(Nodes(Find("//i", page)), ElementsAre("x"));
  EXPECT_THAT(Find("//i", page, "text/xml"), StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST(XPathTest, WhatIsNoMarkupIsRefused) {
  for (const char* body : {"{\"a\": \"<b>\"}", "502 Bad Gateway", "a < b", "<", "< p>", "[1]"}) {
    for (const char* type : {"", "application/json", "text/plain", "application/octet-stream"}) {
      EXPECT_THAT(Find("//x", body, type), StatusIs(absl::StatusCode::kInvalidArgument))
          << body << " as " << type;
    }
  }
  EXPECT_THAT(Find("//x", "502 Bad Gateway", "text/html"),
              StatusIs(absl::StatusCode::kInvalidArgument));
  // What begins with a tag is markup whatever it is called; a page may begin with words.
  EXPECT_THAT(Nodes(Find("//b", "\n<b>1</b>", "text/plain")), ElementsAre("1"));
  EXPECT_THAT(Nodes(Find("//b", "\xef\xbb\xbf<b>1</b>", "")), ElementsAre("1"));
  EXPECT_THAT(Nodes(Find("//b", "Hello <b>1</b>", "text/html; charset=utf-8")), ElementsAre("1"));
}

TEST(XPathTest, ReadsThePagesOwnCharset) {
  EXPECT_THAT(Nodes(Find("//p", "<p>caf\xe9</p>", "text/html; charset=\"ISO-8859-1\"")),
              ElementsAre("caf\xc3\xa9"));
  EXPECT_THAT(Nodes(Find("//p", "<p>caf\xe9</p>", "text/html")), ElementsAre("caf\xc3\xa9"));
  EXPECT_THAT(Nodes(Find("//p", "<p>caf\xc3\xa9</p>", "text/html")), ElementsAre("caf\xc3\xa9"));
}

TEST(XPathTest, XmlThatNamesNoCharsetHasThatOfItsContentType) {
  const char* latin = "application/xml; charset=iso-8859-1";
  EXPECT_THAT(Nodes(Find("//p", "<p>caf\xe9</p>", latin)), ElementsAre("caf\xc3\xa9"));
  EXPECT_THAT(Nodes(Find("//p", "<?xml version='1.0'?><p>caf\xe9</p>", latin)),
              ElementsAre("caf\xc3\xa9"));
  EXPECT_THAT(Nodes(Find("//p", "<p>caf\xc3\xa9</p>", latin)), ElementsAre("caf\xc3\xa9"));
  // What the body says of itself stands.
  EXPECT_THAT(Nodes(Find("//p", "<?xml version='1.0' encoding='iso-8859-5'?><p>\xd0</p>", latin)),
              ElementsAre("\xd0\xb0"));
  for (const char* type :
       {"application/xml", "application/xml; charset=utf-8", "application/xml; charset=x-own"}) {
    EXPECT_FALSE(Find("//p", "<p>caf\xe9</p>", type).ok()) << type;
  }
}

TEST(XPathTest, OneExpressionServesManyThreads) {
  ASSERT_OK_AND_ASSIGN(auto xpath, XPath::Compile("//li"));
  std::vector<std::thread> threads;
  std::atomic<int> good{0};
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 200; ++i) {
        auto document = XPathDocument::Parse(kPage, "");
        auto value = xpath->Evaluate(**document);
        good += std::get<std::vector<std::string>>(value->value).size() == 2;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(good.load(), 800);
}

}  // namespace
}  // namespace picket
