#include "common/expr/json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "tests/support/status_matchers.h"

namespace picket {
namespace {

using ::picket::testing_support::StatusIs;
using ::testing::HasSubstr;

Json Read(absl::string_view text) {
  auto value = ParseJson(text);
  EXPECT_TRUE(value.ok()) << text << ": " << value.status();
  return value.ok() ? *std::move(value) : Json();
}

TEST(JsonTest, MembersKeepTheOrderOfTheText) {
  EXPECT_EQ(ToText(Read(R"({ "z": 1, "a": [true, null, "x"], "m": {} })")),
            R"({"z":1,"a":[true,null,"x"],"m":{}})");
}

TEST(JsonTest, TheLastOfTwoEqualNamesStandsAtTheFirstPlace) {
  EXPECT_EQ(ToText(Read(R"({"a":1,"b":2,"a":{"c":3}})")), R"({"a":{"c":3},"b":2})");
}

TEST(JsonTest, EqualNamesAreFoundInLargeObjectsToo) {
  std::string text = "{";
  for (int i = 0; i < 200; ++i) absl::StrAppend(&text, "\"k", i % 100, "\":", i, ",");
  text.back() = '}';
  const Json value = Read(text);
  ASSERT_EQ(value.size(), 100u);
  EXPECT_EQ(*FindMember(value, "k7"), 107);
  EXPECT_EQ(*FindMember(value, "k99"), 199);
  EXPECT_EQ(FindMember(value, "k100"), nullptr);
}

TEST(JsonTest, AnObjectOfManyMembersIsReadInReasonableTime) {
  std::string text = "{";
  for (int i = 0; i < 100'000; ++i) absl::StrAppend(&text, "\"name", i, "\":", i, ",");
  text.back() = '}';
  EXPECT_EQ(Read(text).size(), 100'000u);
}

TEST(JsonTest, ErrorsNameTheByteOffset) {
  const struct {
    absl::string_view text;
    absl::string_view at;
  } kCases[] = {
      {"", "at byte 0:"},          {"{\"a\":tru}", "at byte 8:"}, {"[1,]", "at byte 3:"},
      {"[1] 2", "at byte 4:"},     {"// x\n1", "at byte 0:"},     {"[01]", "at byte 2:"},
      {"\"\x01\"", "at byte 1:"},  {"'a'", "at byte 0:"},         {"[1", "at byte 2:"},
      {"{\"a\" 1}", "at byte 5:"}, {"NaN", "at byte 0:"},
  };
  for (const auto& c : kCases) {
    EXPECT_THAT(ParseJson(c.text),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(std::string(c.at))))
        << c.text;
  }
}

TEST(JsonTest, BytesThatAreNotUtf8AreRefused) {
  for (absl::string_view text : {"\"\xff\"", "\"\xc0\xaf\"", "\"\xed\xa0\x80\"", "\"\xe2\x82\""}) {
    EXPECT_THAT(ParseJson(text), StatusIs(absl::StatusCode::kInvalidArgument));
  }
  EXPECT_THAT(ParseJson(R"("\ud800")"), StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_EQ(Read(R"("\ud83d\ude00é")"), "😀é");
}

TEST(JsonTest, ANumberTooLargeForADoubleIsRefused) {
  EXPECT_THAT(ParseJson("1e400"), StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_EQ(Read("1e308"), 1e308);
}

TEST(JsonTest, NestingIsBoundedBeforeATreeExists) {
  EXPECT_OK(ParseJson(std::string(64, '[') + std::string(64, ']')));
  EXPECT_THAT(ParseJson(std::string(65, '[') + std::string(65, ']')),
              StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("64 levels")));
  EXPECT_THAT(ParseJson(std::string(1'000'000, '[')),
              StatusIs(absl::StatusCode::kResourceExhausted));
  EXPECT_THAT(ParseJson("[[1]]", {.depth = 1}), StatusIs(absl::StatusCode::kResourceExhausted));
}

TEST(JsonTest, TheNumberOfValuesIsBounded) {
  EXPECT_OK(ParseJson("[1,2,{\"a\":3}]", {.nodes = 5}));
  EXPECT_THAT(ParseJson("[1,2,{\"a\":3}]", {.nodes = 4}),
              StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("4 values")));
  std::string text = "[";
  for (size_t i = 0; i < DefaultLimits().json_nodes; ++i) text += "0,";
  text.back() = ']';
  EXPECT_THAT(ParseJson(text), StatusIs(absl::StatusCode::kResourceExhausted));
}

TEST(JsonTest, NumbersCompareByMathematicalValue) {
  EXPECT_TRUE(JsonEquals(Read("1"), Read("1.0")));
  EXPECT_TRUE(JsonEquals(Read("0"), Read("-0.0")));
  EXPECT_TRUE(JsonEquals(Read("100"), Read("1e2")));
  EXPECT_FALSE(JsonEquals(Read("9007199254740993"), Read("9007199254740992.0")));
  EXPECT_FALSE(JsonEquals(Read("18446744073709551615"), Read("18446744073709551616")));
  EXPECT_FALSE(JsonEquals(Read("18446744073709551615"), Read("-1")));
  EXPECT_LT(CompareNumbers(Read("-1"), Read("18446744073709551615")), 0);
  EXPECT_LT(CompareNumbers(Read("-1.5"), Read("-1")), 0);
  EXPECT_GT(CompareNumbers(Read("-1"), Read("-1.5")), 0);
  EXPECT_LT(CompareNumbers(Read("9223372036854775807"), Read("1e19")), 0);
  EXPECT_GT(CompareNumbers(Read("-9223372036854775808"), Read("-1e19")), 0);
  EXPECT_LT(CompareNumbers(Read("1"), Read("1.25")), 0);
  EXPECT_EQ(CompareNumbers(Read("-9223372036854775808"), Read("-9223372036854775808.0")), 0);
}

TEST(JsonTest, ObjectsAreEqualInAnyOrderAndArraysAreNot) {
  EXPECT_TRUE(JsonEquals(Read(R"({"a":1,"b":[2]})"), Read(R"({"b":[2.0],"a":1})")));
  EXPECT_FALSE(JsonEquals(Read(R"({"a":1})"), Read(R"({"b":1})")));
  EXPECT_FALSE(JsonEquals(Read("[1,2]"), Read("[2,1]")));
  EXPECT_FALSE(JsonEquals(Read("\"1\""), Read("1")));
  EXPECT_FALSE(JsonEquals(Read("null"), Read("false")));
}

TEST(JsonTest, EqualValuesHaveEqualHashes) {
  EXPECT_EQ(JsonHash(Read(R"({"a":1,"b":-2})")), JsonHash(Read(R"({"b":-2.0,"a":1.0})")));
  EXPECT_NE(JsonHash(Read("[1,2]")), JsonHash(Read("[2,1]")));
  EXPECT_NE(JsonHash(Read("[1.5]")), JsonHash(Read("[1]")));
}

TEST(JsonTest, ComparingStopsWhenItsBudgetIsSpent) {
  const Json value = Read("[1,2,3,4,5,6,7,8]");
  size_t budget = 100;
  EXPECT_EQ(JsonEqualsWithin(value, value, &budget), true);
  EXPECT_EQ(budget, 91u);
  budget = 5;
  EXPECT_EQ(JsonEqualsWithin(value, value, &budget), std::nullopt);
  EXPECT_EQ(budget, 0u);
  budget = 5;
  JsonHashWithin(value, &budget);
  EXPECT_EQ(budget, 0u);
}

TEST(JsonTest, PlainTextIsWithoutQuotesForStringsOnly) {
  EXPECT_EQ(ToPlainText(Read("\"a\\nb\"")), "a\nb");
  EXPECT_EQ(ToPlainText(Read("1.50")), "1.5");
  EXPECT_EQ(ToPlainText(Read("null")), "null");
  EXPECT_EQ(ToPlainText(Read("[\"a\"]")), "[\"a\"]");
}

TEST(JsonTest, TextFromElsewhereNeverStopsTheWriter) {
  EXPECT_EQ(ToText(Json("a\xff")), "\"a\xef\xbf\xbd\"");
}

TEST(JsonTest, SmallQuestionsAreAnswered) {
  EXPECT_TRUE(IsIntegral(Read("1e3")));
  EXPECT_TRUE(IsIntegral(Read("-1")));
  EXPECT_FALSE(IsIntegral(Read("1.5")));
  EXPECT_FALSE(IsIntegral(Read("\"1\"")));
  EXPECT_EQ(CountCodePoints("aé😀"), 3u);
  EXPECT_TRUE(IsValidUtf8("aé😀"));
  EXPECT_FALSE(IsValidUtf8("\xf5\x80\x80\x80"));
  EXPECT_FALSE(IsValidUtf8("\xf0\x8f\xbf\xbf"));
  EXPECT_EQ(JsonDepth(Read("1")), 0);
  EXPECT_EQ(JsonDepth(Read("[{\"a\":[]}]")), 3);
  EXPECT_EQ(PointerToken("a/b~c"), "a~1b~0c");
  EXPECT_EQ(JsonTypeName(Read("1.5")), "number");
  EXPECT_EQ(FindMember(Read("[1]"), "a"), nullptr);
}

}  // namespace
}  // namespace picket
