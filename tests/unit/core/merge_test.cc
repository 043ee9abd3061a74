#include "coordinator/core/merge.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "common/base/random.h"
#include "common/policy/limits.h"

namespace picket {
namespace {

const absl::Time kNow = absl::FromUnixSeconds(1'700'000'000);

v1::ExecutionResult Result(std::vector<v1::Outcome::Value> outcomes, uint32_t before = 0) {
  v1::ExecutionResult result;
  for (v1::Outcome::Value outcome : outcomes) {
    v1::Attempt* attempt = result.add_attempts();
    attempt->set_number(before + static_cast<uint32_t>(result.attempts_size()));
    attempt->set_outcome(outcome);
    if (outcome != v1::Outcome::PASSED) attempt->set_reason(v1::FailureReason::assertion);
  }
  return result;
}

v1::Retry Elsewhere(uint32_t attempts) {
  v1::Retry retry;
  retry.set_attempts(attempts);
  retry.set_backoff(1);
  retry.mutable_delay()->set_seconds(2);
  retry.add_on(v1::Retry::FAILED);
  retry.add_on(v1::Retry::INCONCLUSIVE);
  retry.add_where(v1::Retry::SAME_LOCATION);
  return retry;
}

v1::Policy FlakyFails() {
  v1::Policy policy;
  policy.set_flaky(v1::Policy::FLAKY_FAIL);
  return policy;
}

TEST(MergeTest, AResultDecidesWhatIsUndecidedAndClearsItsMark) {
  EndByte end = kUndecided;
  Mark mark{.losses = 1};
  v1::ExecutionResult result = Result({v1::Outcome::PASSED});
  EXPECT_EQ(MergeResult({}, {}, "i", kNow, result, end, mark).merge, Merge::kDecided);
  EXPECT_EQ(end, MakeEnd(v1::End::PASSED));
  EXPECT_TRUE(mark.IsDefault());
}

TEST(MergeTest, TheSameResultAgainChangesNothing) {
  EndByte end = kUndecided;
  Mark mark;
  v1::ExecutionResult result = Result({v1::Outcome::FAILED});
  MergeResult({}, {}, "i", kNow, result, end, mark);
  const EndByte decided = end;
  const MergeOutcome again = MergeResult({}, {}, "i", kNow, result, end, mark);
  EXPECT_EQ(again.merge, Merge::kLate);
  EXPECT_FALSE(again.disagrees);
  EXPECT_EQ(end, decided);
}

TEST(MergeTest, ALateResultThatDisagreesIsToldApart) {
  EndByte end = MakeEnd(v1::End::PASSED);
  Mark mark;
  v1::ExecutionResult result = Result({v1::Outcome::FAILED});
  const MergeOutcome late = MergeResult({}, {}, "i", kNow, result, end, mark);
  EXPECT_EQ(late.merge, Merge::kLate);
  EXPECT_TRUE(late.disagrees);
  EXPECT_EQ(end, MakeEnd(v1::End::PASSED));
}

TEST(MergeTest, AFailedAttemptIsKeptAndTriedAgainElsewhereAfterItsDelay) {
  EndByte end = kUndecided;
  Mark mark;
  v1::ExecutionResult result = Result({v1::Outcome::FAILED});
  EXPECT_EQ(MergeResult(Elsewhere(2), {}, "first", kNow, result, end, mark).merge,
            Merge::kAgain);
  EXPECT_EQ(end, kUndecided);
  EXPECT_EQ(mark.attempts, 1u);
  EXPECT_TRUE(mark.failed_before);
  EXPECT_EQ(mark.avoid_instance, "first");
  EXPECT_EQ(mark.not_before, kNow + absl::Seconds(2));

  v1::ExecutionResult second = Result({v1::Outcome::PASSED}, 1);
  EXPECT_EQ(MergeResult(Elsewhere(2), FlakyFails(), "second", kNow, second, end, mark).merge,
            Merge::kDecided);
  EXPECT_EQ(end, MakeEnd(v1::End::FAILED, true));
}

TEST(MergeTest, AnAttemptThatIsSentTwiceCountsOnce) {
  EndByte end = kUndecided;
  Mark mark;
  v1::ExecutionResult result = Result({v1::Outcome::FAILED});
  MergeResult(Elsewhere(3), {}, "i", kNow, result, end, mark);
  v1::ExecutionResult again = Result({v1::Outcome::FAILED});
  EXPECT_EQ(MergeResult(Elsewhere(3), {}, "i", kNow, again, end, mark).merge, Merge::kLate);
  EXPECT_EQ(mark.attempts, 1u);
}

TEST(MergeTest, OfTwoLeasesThatMadeTheSameAttemptsOnlyNewOnesCount) {
  EndByte end = kUndecided;
  Mark mark;
  v1::ExecutionResult one = Result({v1::Outcome::FAILED});
  MergeResult(Elsewhere(3), {}, "i", kNow, one, end, mark);
  v1::ExecutionResult other =
      Result({v1::Outcome::FAILED, v1::Outcome::FAILED, v1::Outcome::PASSED});
  EXPECT_EQ(MergeResult(Elsewhere(3), {}, "j", kNow, other, end, mark).merge, Merge::kDecided);
  EXPECT_EQ(end, MakeEnd(v1::End::PASSED, true));
  ASSERT_EQ(other.attempts_size(), 2);
  EXPECT_EQ(other.attempts(0).number(), 2u);
}

TEST(MergeTest, TheLastAttemptDecidesWhateverItIs) {
  EndByte end = kUndecided;
  Mark mark;
  v1::ExecutionResult result = Result({v1::Outcome::INCONCLUSIVE});
  MergeResult(Elsewhere(2), {}, "i", kNow, result, end, mark);
  v1::ExecutionResult second = Result({v1::Outcome::INCONCLUSIVE}, 1);
  MergeResult(Elsewhere(2), {}, "i", kNow, second, end, mark);
  EXPECT_EQ(end, MakeEnd(v1::End::INCONCLUSIVE));
}

TEST(MergeTest, AProbeIsAskedForOnceTheExecutionIsDecided) {
  v1::Retry retry = Elsewhere(3);
  retry.clear_where();
  retry.add_where(v1::Retry::SAME_LOCATION);
  retry.add_where(v1::Retry::ANYWHERE);
  EndByte end = kUndecided;
  Mark mark;
  v1::ExecutionResult first = Result({v1::Outcome::FAILED});
  MergeOutcome merged = MergeResult(retry, {}, "i", kNow, first, end, mark);
  EXPECT_EQ(merged.merge, Merge::kAgain);
  EXPECT_FALSE(merged.probe);
  v1::ExecutionResult second = Result({v1::Outcome::FAILED}, 1);
  merged = MergeResult(retry, {}, "j", kNow, second, end, mark);
  EXPECT_EQ(merged.merge, Merge::kDecided);
  EXPECT_TRUE(merged.probe);
  EXPECT_EQ(end, MakeEnd(v1::End::FAILED));

  end = kUndecided;
  v1::ExecutionResult passed = Result({v1::Outcome::PASSED});
  EXPECT_FALSE(MergeResult(retry, {}, "i", kNow, passed, end, mark).probe);
  EXPECT_EQ(end, MakeEnd(v1::End::PASSED));
}

TEST(MergeTest, JoiningViewsIsAssociativeCommutativeAndIdempotent) {
  Random random(7);
  const auto draw = [&] {
    const EndByte end = MakeEnd(static_cast<v1::End::Value>(random.Below(8)), random.Chance(0.2));
    return EndOf(end) != v1::End::UNDECIDED && random.Chance(0.3) ? WithProbe(end) : end;
  };
  for (int i = 0; i < 10'000; ++i) {
    const EndByte a = draw(), b = draw(), c = draw();
    EXPECT_EQ(JoinEnds(a, a), a);
    if (EndOf(a) == v1::End::UNDECIDED || EndOf(b) == v1::End::UNDECIDED) {
      if (EndOf(a) != EndOf(b)) {
        EXPECT_EQ(JoinEnds(a, b), JoinEnds(b, a));
      }
    } else {
      EXPECT_EQ(JoinEnds(a, b), JoinEnds(b, a));
    }
    EXPECT_EQ(EndOf(JoinEnds(JoinEnds(a, b), c)), EndOf(JoinEnds(a, JoinEnds(b, c))));
    // That a probe is over is never forgotten.
    EXPECT_EQ(JoinEnds(a, WithoutProbe(a)), WithoutProbe(a));
  }
}

TEST(MergeTest, LedgersOfPartsAddUpInAnyOrder) {
  Random random(11);
  std::vector<v1::Ledger> parts(20);
  v1::Ledger whole;
  for (int i = 0; i < 5000; ++i) {
    const EndByte end = MakeEnd(static_cast<v1::End::Value>(1 + random.Below(7)));
    AddToLedger(end, whole);
    AddToLedger(end, parts[random.Below(parts.size())]);
  }
  for (int order = 0; order < 10; ++order) {
    for (size_t i = parts.size() - 1; i > 0; --i) std::swap(parts[i], parts[random.Below(i + 1)]);
    v1::Ledger sum;
    for (const v1::Ledger& part : parts) AddLedger(part, sum);
    EXPECT_EQ(sum.SerializeAsString(), whole.SerializeAsString());
  }
}

TEST(LossTest, AnUncountedLossOnlyFreesTheExecution) {
  Mark mark;
  for (int i = 0; i < 10; ++i) EXPECT_EQ(LoseLease(true, false, kNow, mark), Loss::kFree);
  EXPECT_EQ(mark.losses, 0u);
  EXPECT_FALSE(RunsAlone(mark));
}

TEST(LossTest, AfterTwoCountedLossesItRunsAloneAndAfterFourItEnds) {
  Mark mark;
  EXPECT_EQ(LoseLease(true, true, kNow, mark), Loss::kFree);
  EXPECT_FALSE(RunsAlone(mark));
  EXPECT_EQ(LoseLease(true, true, kNow, mark), Loss::kFree);
  EXPECT_TRUE(RunsAlone(mark));
  EXPECT_EQ(LoseLease(true, true, kNow, mark), Loss::kFree);
  EXPECT_EQ(LoseLease(true, true, kNow, mark), Loss::kAgentLost);
}

TEST(LossTest, WhatMustNotRunTwiceAndMayHaveRunWaitsForALateResult) {
  Mark mark{.started = true};
  EXPECT_EQ(LoseLease(false, true, kNow, mark), Loss::kWait);
  EXPECT_EQ(mark.give_up, kNow + DefaultLimits().late_decision_grace);
  // A second loss does not prolong the wait.
  EXPECT_EQ(LoseLease(false, true, kNow + absl::Seconds(5), mark), Loss::kWait);
  EXPECT_EQ(mark.give_up, kNow + DefaultLimits().late_decision_grace);
}

TEST(LossTest, WhatMustNotRunTwiceAndHasNotStartedIsFree) {
  Mark mark;
  EXPECT_EQ(LoseLease(false, true, kNow, mark), Loss::kFree);
}

}  // namespace
}  // namespace picket
