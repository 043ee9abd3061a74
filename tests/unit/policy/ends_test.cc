#include "common/policy/ends.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace picket {
namespace {

v1::ExecutionResult Attempts(std::vector<v1::Outcome::Value> outcomes) {
  v1::ExecutionResult result;
  for (v1::Outcome::Value outcome : outcomes) {
    v1::Attempt& attempt = *result.add_attempts();
    attempt.set_outcome(outcome);
    if (outcome == v1::Outcome::FAILED) attempt.set_reason(v1::FailureReason::assertion);
    if (outcome == v1::Outcome::INCONCLUSIVE) attempt.set_reason(v1::FailureReason::agent_error);
  }
  return result;
}

constexpr auto kPassed = v1::Outcome::PASSED;
constexpr auto kFailed = v1::Outcome::FAILED;
constexpr auto kInconclusive = v1::Outcome::INCONCLUSIVE;

TEST(EndByteTest, ByteKeepsEndAndFlakyMark) {
  for (int end = 0; end <= 7; ++end) {
    for (bool flaky : {false, true}) {
      const EndByte byte = MakeEnd(static_cast<v1::End::Value>(end), flaky);
      EXPECT_EQ(EndOf(byte), end);
      EXPECT_EQ(IsFlaky(byte), flaky);
    }
  }
}

TEST(DecideEndTest, FlakyPolicyDecidesWhatAPassAfterAFailureIs) {
  v1::Policy policy;
  policy.set_flaky(v1::Policy::FLAKY_PASS);
  EXPECT_EQ(DecideEnd(kPassed, true, policy), MakeEnd(v1::End::PASSED, true));
  policy.set_flaky(v1::Policy::FLAKY_FAIL);
  EXPECT_EQ(DecideEnd(kPassed, true, policy), MakeEnd(v1::End::FAILED, true));
  EXPECT_EQ(DecideEnd(kPassed, false, policy), MakeEnd(v1::End::PASSED));
  EXPECT_EQ(DecideEnd(kFailed, false, policy), MakeEnd(v1::End::FAILED));
  EXPECT_EQ(DecideEnd(kInconclusive, false, policy), MakeEnd(v1::End::INCONCLUSIVE));
}

TEST(DecideEndTest, OutcomeThatNobodyGaveNeverPasses) {
  EXPECT_EQ(DecideEnd(v1::Outcome::OUTCOME_UNSPECIFIED, false, v1::Policy()),
            MakeEnd(v1::End::INCONCLUSIVE));
}

struct FoldCase {
  bool failed_before;
  std::vector<v1::Outcome::Value> attempts;
  v1::Outcome::Value outcome;
  bool flaky;
};

TEST(FoldAttemptsTest, LastAttemptThatIsNotInconclusiveDecides) {
  const std::vector<FoldCase> cases = {
      {false, {kPassed}, kPassed, false},
      {false, {kFailed}, kFailed, false},
      {false, {kInconclusive}, kInconclusive, false},
      {false, {kFailed, kPassed}, kPassed, true},
      {false, {kFailed, kInconclusive}, kFailed, false},
      {false, {kFailed, kInconclusive, kPassed}, kPassed, true},
      {false, {kFailed, kPassed, kInconclusive}, kPassed, true},
      {false, {kInconclusive, kPassed}, kPassed, false},
      {false, {kInconclusive, kFailed}, kFailed, false},
      {false, {kFailed, kFailed}, kFailed, false},
      {false, {kPassed, kFailed}, kFailed, false},
      {true, {kPassed}, kPassed, true},
      {true, {kInconclusive}, kFailed, false},
      {true, {kFailed}, kFailed, false},
      {false, {}, kInconclusive, false},
  };
  for (size_t i = 0; i < cases.size(); ++i) {
    v1::ExecutionResult result = Attempts(cases[i].attempts);
    result.set_flaky(true);
    FoldAttempts(cases[i].failed_before, result);
    EXPECT_EQ(result.outcome(), cases[i].outcome) << "case " << i;
    EXPECT_EQ(result.flaky(), cases[i].flaky) << "case " << i;
  }
}

TEST(FoldAttemptsTest, ReasonIsThatOfTheDecidingAttempt) {
  v1::ExecutionResult result = Attempts({kFailed, kInconclusive});
  FoldAttempts(false, result);
  EXPECT_EQ(result.reason(), v1::FailureReason::assertion);
  result = Attempts({kInconclusive});
  FoldAttempts(false, result);
  EXPECT_EQ(result.reason(), v1::FailureReason::agent_error);
  result = Attempts({kFailed, kPassed});
  FoldAttempts(false, result);
  EXPECT_EQ(result.reason(), v1::FailureReason::none);
}

TEST(FoldAttemptsTest, ProbesNeverDecide) {
  v1::ExecutionResult result = Attempts({kFailed, kPassed});
  result.mutable_attempts(1)->set_probe(true);
  FoldAttempts(false, result);
  EXPECT_EQ(result.outcome(), kFailed);
  EXPECT_FALSE(result.flaky());
}

TEST(LedgerTest, EveryEndIsCountedOnceAndThePartsAddUp) {
  v1::Ledger ledger;
  for (int end = 1; end <= 7; ++end) {
    for (int times = 0; times < end; ++times) {
      AddToLedger(MakeEnd(static_cast<v1::End::Value>(end), end == 1), ledger);
    }
  }
  EXPECT_EQ(ledger.planned(), 28u);
  EXPECT_EQ(ledger.passed(), 1u);
  EXPECT_EQ(ledger.failed(), 2u);
  EXPECT_EQ(ledger.inconclusive(), 3u);
  EXPECT_EQ(ledger.skipped(), 4u);
  EXPECT_EQ(ledger.cancelled(), 5u);
  EXPECT_EQ(ledger.expired(), 6u);
  EXPECT_EQ(ledger.unassigned(), 7u);
  EXPECT_EQ(ledger.flaky(), 1u);
}

TEST(LedgerTest, UndecidedIsPlannedAlone) {
  v1::Ledger ledger;
  AddToLedger(kUndecided, ledger);
  EXPECT_EQ(ledger.planned(), 1u);
  EXPECT_EQ(ledger.passed() + ledger.failed() + ledger.inconclusive(), 0u);
}

}  // namespace
}  // namespace picket
