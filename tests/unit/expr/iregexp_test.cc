#include "common/expr/iregexp.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/support/status_matchers.h"

namespace picket {
namespace {

using ::picket::testing_support::StatusIs;
using ::testing::HasSubstr;

bool Full(absl::string_view pattern, absl::string_view text) {
  const auto regex = CompileIRegexp(pattern);
  EXPECT_TRUE(regex.ok()) << pattern << ": " << regex.status();
  return regex.ok() && (*regex)->FullMatch(text);
}

TEST(IRegexpTest, TheDotIsAnyCharacterButLineEnds) {
  EXPECT_TRUE(Full("a.b", "a😀b"));
  EXPECT_TRUE(Full("a.b", "a\u2028b"));
  EXPECT_FALSE(Full("a.b", "a\nb"));
  EXPECT_FALSE(Full("a.b", "a\rb"));
  EXPECT_FALSE(Full("a[.]b", "axb"));
  EXPECT_FALSE(Full("a\\.b", "axb"));
}

TEST(IRegexpTest, GroupsBranchesAndQuantifiersWork) {
  EXPECT_TRUE(Full("(ab|c){2,3}", "abcab"));
  EXPECT_FALSE(Full("(ab|c){2,3}", "ab"));
  EXPECT_TRUE(Full("a{2}b{1,}c?d*e+", "aabbe"));
  EXPECT_TRUE(Full("|a", ""));
  EXPECT_TRUE(Full("()", ""));
}

TEST(IRegexpTest, ClassesHoldRangesEscapesAndCategories) {
  EXPECT_TRUE(Full("[a-cX-]+", "abcX-"));
  EXPECT_TRUE(Full("[-a]+", "a-"));
  EXPECT_TRUE(Full("[^a-c]", "d"));
  EXPECT_FALSE(Full("[^a-c]", "b"));
  EXPECT_TRUE(Full("[\\]\\[\\^\\-]+", "][^-"));
  EXPECT_TRUE(Full("[a^]+", "^a"));
  EXPECT_TRUE(Full("[\\p{Lu}0-9]+", "ÀB7"));
  EXPECT_TRUE(Full("[à-ü]", "é"));
  EXPECT_TRUE(Full("\\p{L}\\P{L}", "é1"));
  EXPECT_TRUE(Full("[ -,]+", "#&+"));
  EXPECT_TRUE(Full("[:alpha:]+", "alpha:"));
}

TEST(IRegexpTest, UnassignedCharactersHaveCategoryC) {
  EXPECT_TRUE(Full("\\p{Cn}", "\u0378"));
  EXPECT_FALSE(Full("\\p{Cn}", "a"));
  EXPECT_TRUE(Full("\\p{C}", "\u0378"));
  EXPECT_TRUE(Full("[x\\p{Cn}]+", "x\u0378"));
  EXPECT_FALSE(Full("[^\\p{Cn}]", "\u0378"));
  EXPECT_TRUE(Full("[\\P{C}]", "a"));
}

TEST(IRegexpTest, WhatTheRfcLeavesOutIsRefused) {
  for (absl::string_view pattern :
       {"\\d",    "\\w+",    "(?:a)",       "(?i)a", "a**",     "a+?", "a{,2}", "a{2",
        "*a",     "a|*",     "(a",          "a)",    "[",       "[]",  "[a",    "[a-",
        "[a--b]", "[a[b]",   "]",           "}",     "{2}",     "\\",  "\\$",   "\\p",
        "\\p{",   "\\p{Xx}", "\\p{Letter}", "[\\d]", "\\u0041", "\\b", "\xff"}) {
    EXPECT_THAT(TranslateIRegexp(pattern),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("at character")))
        << pattern;
  }
}

TEST(IRegexpTest, DeepNestingDoesNotExhaustTheStack) {
  const std::string deep = std::string(2000, '(') + "a" + std::string(2000, ')');
  EXPECT_OK(TranslateIRegexp(deep));
  const auto compiled = CompileIRegexp(deep);
  if (!compiled.ok()) {
    EXPECT_THAT(compiled, StatusIs(absl::StatusCode::kInvalidArgument));
  } else {
    EXPECT_TRUE((*compiled)->FullMatch("a"));
  }
}

}  // namespace
}  // namespace picket
