#include "common/policy/retry.h"

#include <gtest/gtest.h>

#include "common/policy/limits.h"

namespace picket {
namespace {

v1::Attempt Ended(v1::Outcome::Value outcome, v1::FailureReason::Value reason) {
  v1::Attempt attempt;
  attempt.set_outcome(outcome);
  attempt.set_reason(reason);
  return attempt;
}

v1::Retry Attempts(uint32_t n) {
  v1::Retry retry;
  retry.set_attempts(n);
  retry.set_backoff(1);
  return retry;
}

const v1::Attempt kFailed = Ended(v1::Outcome::FAILED, v1::FailureReason::assertion);
const v1::Attempt kRefused = Ended(v1::Outcome::FAILED, v1::FailureReason::connect_refused);
const v1::Attempt kUnknown = Ended(v1::Outcome::INCONCLUSIVE, v1::FailureReason::agent_error);
const v1::Attempt kPassed = Ended(v1::Outcome::PASSED, v1::FailureReason::none);

TEST(RetryTest, AttemptsIsTheTotal) {
  EXPECT_TRUE(RetryWanted(Attempts(2), kFailed, 1));
  EXPECT_FALSE(RetryWanted(Attempts(2), kFailed, 2));
  EXPECT_FALSE(RetryWanted(Attempts(0), kFailed, 1));
  EXPECT_FALSE(RetryWanted(Attempts(1'000'000), kFailed, DefaultLimits().attempts_most));
}

TEST(RetryTest, ByDefaultWhatFailedOrCouldNotTellIsTriedAgain) {
  EXPECT_TRUE(RetryWanted(Attempts(3), kFailed, 1));
  EXPECT_TRUE(RetryWanted(Attempts(3), kUnknown, 1));
  EXPECT_FALSE(RetryWanted(Attempts(3), kPassed, 1));
}

TEST(RetryTest, OnNetworkLeavesAssertionsAlone) {
  v1::Retry retry = Attempts(3);
  retry.add_on(v1::Retry::NETWORK);
  EXPECT_TRUE(RetryWanted(retry, kRefused, 1));
  EXPECT_FALSE(RetryWanted(retry, kFailed, 1));
  EXPECT_FALSE(RetryWanted(retry, Ended(v1::Outcome::FAILED, v1::FailureReason::extract), 1));
  EXPECT_FALSE(RetryWanted(retry, kUnknown, 1));
}

TEST(RetryTest, TheLadderIsClimbedRungByRungAndEndsOnTheLast) {
  v1::Retry retry = Attempts(5);
  EXPECT_EQ(RetryWhere(retry, 1), v1::Retry::SAME_AGENT);
  retry.add_where(v1::Retry::SAME_AGENT);
  retry.add_where(v1::Retry::SAME_LOCATION);
  EXPECT_EQ(RetryWhere(retry, 1), v1::Retry::SAME_AGENT);
  EXPECT_EQ(RetryWhere(retry, 2), v1::Retry::SAME_LOCATION);
  EXPECT_EQ(RetryWhere(retry, 4), v1::Retry::SAME_LOCATION);
}

TEST(RetryTest, DelayGrowsByBackoffUpToTheLimit) {
  v1::Retry retry = Attempts(100);
  retry.mutable_delay()->set_nanos(300'000'000);
  EXPECT_EQ(RetryDelay(retry, 3), absl::Milliseconds(300));
  retry.set_backoff(2);
  EXPECT_EQ(RetryDelay(retry, 1), absl::Milliseconds(300));
  EXPECT_EQ(RetryDelay(retry, 3), absl::Milliseconds(1200));
  EXPECT_EQ(RetryDelay(retry, 99), DefaultLimits().retry_delay_longest);
}

}  // namespace
}  // namespace picket
