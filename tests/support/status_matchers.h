// File: status_matchers.h
//
// Matchers for Status and StatusOr, with upstream Abseil's names and semantics.
// There is no NotOk: expect the specific code.

#ifndef TESTS_SUPPORT_STATUS_MATCHERS_H_
#define TESTS_SUPPORT_STATUS_MATCHERS_H_

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ostream>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace picket::testing_support {

inline const absl::Status& GetStatus(const absl::Status& status) { return status; }
template <typename T>
const absl::Status& GetStatus(const absl::StatusOr<T>& status_or) {
  return status_or.status();
}

MATCHER(IsOk, "is ok") {
  *result_listener << GetStatus(arg).ToString();
  return GetStatus(arg).ok();
}

MATCHER_P(StatusIs, code, std::string("has code ") + absl::StatusCodeToString(code)) {
  *result_listener << GetStatus(arg).ToString();
  return GetStatus(arg).code() == code;
}

MATCHER_P2(StatusIs, code, message_matcher,
           std::string("has code ") + absl::StatusCodeToString(code) + " and a matching message") {
  *result_listener << GetStatus(arg).ToString();
  return GetStatus(arg).code() == code &&
         ::testing::Matches(message_matcher)(std::string(GetStatus(arg).message()));
}

MATCHER_P(IsOkAndHolds, value_matcher, "is ok and holds a matching value") {
  *result_listener << arg.status().ToString();
  return arg.ok() && ::testing::ExplainMatchResult(value_matcher, *arg, result_listener);
}

}  // namespace picket::testing_support

#define EXPECT_OK(expr) EXPECT_THAT((expr), ::picket::testing_support::IsOk())
#define ASSERT_OK(expr) ASSERT_THAT((expr), ::picket::testing_support::IsOk())
#define ASSERT_OK_AND_ASSIGN(lhs, rexpr) \
  ASSERT_OK_AND_ASSIGN_IMPL_(PICKET_TEST_CONCAT_(picket_so_, __LINE__), lhs, rexpr)
#define PICKET_TEST_CONCAT_INNER_(a, b) a##b
#define PICKET_TEST_CONCAT_(a, b) PICKET_TEST_CONCAT_INNER_(a, b)
#define ASSERT_OK_AND_ASSIGN_IMPL_(tmp, lhs, rexpr) \
  auto tmp = (rexpr);                               \
  ASSERT_THAT(tmp, ::picket::testing_support::IsOk()); \
  lhs = *std::move(tmp)

#endif  // TESTS_SUPPORT_STATUS_MATCHERS_H_
