#include "common/policy/regex.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "common/policy/limits.h"
#include "tests/support/status_matchers.h"

namespace picket {
namespace {

using ::picket::testing_support::StatusIs;
using ::testing::HasSubstr;

TEST(RegexTest, SearchFindsAPartAndFullMatchWantsTheWhole) {
  ASSERT_OK_AND_ASSIGN(const auto regex, Regex::Compile("b+"));
  EXPECT_TRUE(regex->Search("abbc"));
  EXPECT_FALSE(regex->Search("ac"));
  EXPECT_TRUE(regex->FullMatch("bb"));
  EXPECT_FALSE(regex->FullMatch("abb"));
}

TEST(RegexTest, GroupsOfTheFirstMatchAreRead) {
  ASSERT_OK_AND_ASSIGN(const auto regex, Regex::Compile("(\\w+)=(\\d+)?(x)?"));
  EXPECT_EQ(regex->groups(), 3);
  EXPECT_EQ(regex->Group("a=1; b=2", 0), "a=1");
  EXPECT_EQ(regex->Group("a=1; b=2", 1), "a");
  EXPECT_EQ(regex->Group("a=1; b=2", 2), "1");
  EXPECT_EQ(regex->Group("a=1; b=2", 3), std::nullopt);
  EXPECT_EQ(regex->Group("nothing", 1), std::nullopt);
}

TEST(RegexTest, AnEmptyGroupIsNotAnAbsentOne) {
  ASSERT_OK_AND_ASSIGN(const auto regex, Regex::Compile("a(b*)"));
  EXPECT_EQ(regex->Group("a", 1), "");
}

TEST(RegexTest, CharactersAreCodePoints) {
  ASSERT_OK_AND_ASSIGN(const auto regex, Regex::Compile("^.$"));
  EXPECT_TRUE(regex->FullMatch("é"));
  EXPECT_FALSE(regex->FullMatch("éé"));
}

TEST(RegexTest, ABadPatternIsAnErrorThatQuotesIt) {
  EXPECT_THAT(Regex::Compile("a(b"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("'a(b'")));
  EXPECT_THAT(Regex::Compile("(?=a)"), StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(Regex::Compile("(a)\\1"), StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST(RegexTest, ThePatternsSizeIsBounded) {
  const size_t most = DefaultLimits().regex_bytes;
  EXPECT_OK(Regex::Compile(std::string(most, 'a')));
  EXPECT_THAT(Regex::Compile(std::string(most + 1, 'a')),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("4096")));
}

TEST(RegexTest, TheProgramsSizeIsBounded) {
  EXPECT_THAT(Regex::Compile("((((a{100}){100}){100}))"),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST(RegexTest, APatternMadeToExplodeIsLinear) {
  ASSERT_OK_AND_ASSIGN(const auto regex, Regex::Compile("(a*)*b"));
  EXPECT_FALSE(regex->Search(std::string(100'000, 'a')));
}

}  // namespace
}  // namespace picket
