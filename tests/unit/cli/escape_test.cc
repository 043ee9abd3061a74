#include "common/report/escape.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "common/expr/json.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/cli/canned_run.h"

namespace picket {
namespace {

using testing_support::kHostile;

bool HasControl(const std::string& text) {
  return std::any_of(text.begin(), text.end(),
                     [](unsigned char c) { return c < 0x20 || c == 0x7f; });
}

TEST(EscapeTest, TerminalSeesControlsAsText) {
  EXPECT_EQ(EscapeTerminal("a\x1b[31mb\n\r\t\x7f"), "a\\x1b[31mb\\x0a\\x0d\\x09\\x7f");
  EXPECT_EQ(EscapeTerminal(absl::string_view("a\0b", 3)), "a\\x00b");
}

TEST(EscapeTest, TerminalSeesC1ControlsBrokenUtf8AndDirectionMarksAsText) {
  EXPECT_EQ(EscapeTerminal("\xc2\x9b"
                           "31m"),
            "\\x9b31m");
  EXPECT_EQ(EscapeTerminal("\xff\xc3(\xed\xa0\x80"), "\\xff\\xc3(\\xed\\xa0\\x80");
  EXPECT_EQ(EscapeTerminal("a\xe2\x80\xae"
                           "b"),
            "a\\u202eb");
  EXPECT_EQ(EscapeTerminal("Stühle 椅子 🪑"), "Stühle 椅子 🪑");
}

TEST(EscapeTest, GithubLogNeverBeginsWithACommand) {
  EXPECT_EQ(EscapeGithubLog("::error::x"), "\\x3a:error::x");
  EXPECT_EQ(EscapeGithubLog("  ::error::x"), "  \\x3a:error::x");
  EXPECT_EQ(EscapeGithubLog("a ##[error]b"), "a #\\x23[error]b");
  EXPECT_EQ(EscapeGithubLog("a::b"), "a::b");
  EXPECT_EQ(EscapeGithubLog("x\n::error::y"), "x\\x0a::error::y");
}

TEST(EscapeTest, GithubCommandsKeepTheirShape) {
  EXPECT_EQ(EscapeGithubData("50%\n::x"), "50%25\\x0a::x");
  EXPECT_EQ(EscapeGithubData("##[error]x"), "#\\x23[error]x");
  EXPECT_EQ(EscapeGithubProperty("a: b, c%"), "a%3A b%2C c%25");
}

TEST(EscapeTest, XmlHoldsNoForbiddenCharacterAndNoMarkup) {
  EXPECT_EQ(EscapeXml("<a b=\"c\">&'\x01]]>"), "&lt;a b=&quot;c&quot;&gt;&amp;&#39;\\x01]]&gt;");
  const std::string out = EscapeXml(kHostile);
  EXPECT_FALSE(HasControl(out));
  EXPECT_EQ(out.find('<'), std::string::npos);
  EXPECT_TRUE(IsValidUtf8(out));
}

TEST(EscapeTest, MarkdownHoldsNoLinkMentionCodeOrCell) {
  const std::string out = EscapeMarkdown(kHostile);
  for (const char c : std::string("<>|`*_[]@!\\\n")) {
    EXPECT_EQ(out.find(c), std::string::npos) << c << " in " << out;
  }
}

TEST(EscapeTest, TapDescriptionHoldsNoDirective) {
  EXPECT_EQ(EscapeTap("a # SKIP \\ b\n"), "a \\# SKIP \\\\ b\\\\x0a");
}

TEST(EscapeTest, JsonStringIsReadBackAsItWas) {
  const std::string text = "a\"\\\n\x01\x7f<\xe2\x80\xa8 椅";
  ASSERT_OK_AND_ASSIGN(const Json json, ParseJson(QuoteJson(text)));
  EXPECT_EQ(json.get<std::string>(), text);
  ASSERT_OK_AND_ASSIGN(const Json broken, ParseJson(QuoteJson("a\xff")));
  EXPECT_EQ(broken.get<std::string>(), "a\xef\xbf\xbd");
}

TEST(EscapeTest, CutsAtCharactersAndCountsWideOnesTwice) {
  EXPECT_EQ(CutToColumns("abcdef", 6), "abcdef");
  EXPECT_EQ(CutToColumns("abcdefg", 6), "abc...");
  EXPECT_EQ(CountColumns("椅子"), 4u);
  EXPECT_EQ(CutToColumns("椅子椅子", 6), "椅...");
  EXPECT_EQ(CutToBytes("äää", 5), "ä...");
  EXPECT_EQ(CutToBytes("äää", 6), "äää");
}

}  // namespace
}  // namespace picket
