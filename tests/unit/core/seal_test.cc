#include "coordinator/core/seal.h"

#include <gtest/gtest.h>

#include "coordinator/core/planner.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/core/specs.h"

namespace picket {
namespace {

const absl::Time kNow = absl::FromUnixSeconds(1'700'000'000);

AdmitRun Plan(std::vector<v1::Test> tests) {
  PlanRequest request;
  request.run_id = "aaaaaaaaaaaaaaaa";
  request.spec = MakeSpec(std::move(tests));
  request.now = kNow;
  return PlanRun(std::move(request))->admit;
}

TEST(SealTest, ADeadlineTellsWhatWasLeasedFromWhatNeverWas) {
  AdmitRun run = Plan({MakeTest("a", {"eu"}), MakeTest("b", {"eu"}), MakeTest("c", {"eu"})});
  ShardRow& shard = run.shards[0];
  shard.ends[0] = MakeEnd(v1::End::PASSED);
  shard.leased = {false, true};
  SealRun(run.tests, v1::EndCause::DEADLINE, kNow, run.shards, run.run);
  EXPECT_EQ(EndOf(shard.ends[0]), v1::End::PASSED);
  EXPECT_EQ(EndOf(shard.ends[1]), v1::End::EXPIRED);
  EXPECT_EQ(EndOf(shard.ends[2]), v1::End::UNASSIGNED);
  EXPECT_EQ(run.run.run.verdict(), v1::Verdict::INCONCLUSIVE);
  EXPECT_EQ(run.run.run.ledger().expired(), 1u);
  EXPECT_EQ(run.run.run.ledger().unassigned(), 1u);
  EXPECT_EQ(run.run.undecided, 0u);
  EXPECT_EQ(shard.epoch, 1u);
  EXPECT_TRUE(shard.marks.empty());
}

TEST(SealTest, ACancelledRunWithAFailureIsFailed) {
  AdmitRun run = Plan({MakeTest("a", {"eu"}), MakeTest("b", {"eu"})});
  run.shards[0].ends[0] = MakeEnd(v1::End::FAILED);
  SealRun(run.tests, v1::EndCause::CANCELLED, kNow, run.shards, run.run);
  EXPECT_EQ(run.run.run.verdict(), v1::Verdict::FAILED);
  EXPECT_EQ(run.run.run.ledger().cancelled(), 1u);
  EXPECT_EQ(run.run.failed, 1u);
  EXPECT_EQ(run.run.failed_blocking, 1u);
}

TEST(SealTest, WhatWaitsForAProbeWasDecidedAndStaysSo) {
  for (const v1::EndCause::Value cause : {v1::EndCause::CANCELLED, v1::EndCause::DEADLINE}) {
    AdmitRun run = Plan({MakeTest("a", {"eu", "us"}), MakeTest("b", {"eu"})});
    for (ShardRow& shard : run.shards) {
      for (EndByte& end : shard.ends) end = MakeEnd(v1::End::PASSED);
    }
    run.shards[0].ends[0] = WithProbe(MakeEnd(v1::End::FAILED));
    run.shards[0].marks[0].attempts = 1;
    SealRun(run.tests, cause, kNow, run.shards, run.run);
    EXPECT_EQ(run.shards[0].ends[0], MakeEnd(v1::End::FAILED));
    EXPECT_TRUE(run.shards[0].marks.empty());
    EXPECT_EQ(run.run.run.verdict(), v1::Verdict::FAILED);
    EXPECT_EQ(run.run.run.ledger().failed(), 1u);
    EXPECT_EQ(run.run.run.ledger().cancelled() + run.run.run.ledger().expired(), 0u);
    EXPECT_EQ(run.shards[0].epoch, 1u);  // no lease of it lives on
  }
}

TEST(SealTest, RowsNeedNotBeLoadedToJudge) {
  v1::Test table = MakeTest("t", {"eu", "us"});
  AddRows(table, 30);
  AdmitRun run = Plan({table, MakeTest("u", {"us"})});
  for (TestRow& test : run.tests) test.rows.Clear();
  for (ShardRow& shard : run.shards) {
    for (EndByte& end : shard.ends) end = MakeEnd(v1::End::PASSED);
  }
  SealRun(run.tests, v1::EndCause::COMPLETE, kNow, run.shards, run.run);
  EXPECT_EQ(run.run.run.verdict(), v1::Verdict::PASSED);
  EXPECT_EQ(run.run.run.ledger().planned(), 61u);
  EXPECT_EQ(run.run.run.ledger().passed(), 61u);
  EXPECT_EQ(run.shards[0].epoch, 0u);  // nothing was left to take away
}

// How a run of `ends` seals, and what becomes of its measurements.
HistoryKept Kept(std::vector<EndByte> ends, v1::EndCause::Value cause = v1::EndCause::COMPLETE) {
  std::vector<v1::Test> tests;
  for (size_t i = 0; i < ends.size(); ++i) tests.push_back(MakeTest(absl::StrCat("t", i), {"eu"}));
  AdmitRun run = Plan(std::move(tests));
  run.shards[0].ends = ends;
  return SealRun(run.tests, cause, kNow, run.shards, run.run);
}

TEST(SealTest, MeasurementsOfAPassingRunAreKept) {
  EXPECT_EQ(Kept({MakeEnd(v1::End::PASSED), MakeEnd(v1::End::PASSED, false, true)}),
            HistoryKept::kAll);
  EXPECT_EQ(Kept({MakeEnd(v1::End::PASSED), MakeEnd(v1::End::FAILED)}), HistoryKept::kNone);
  EXPECT_EQ(Kept({MakeEnd(v1::End::PASSED), MakeEnd(v1::End::INCONCLUSIVE)}), HistoryKept::kNone);
}

TEST(SealTest, ARunThatOnlyLearnsKeepsWhatItLearns) {
  const EndByte learning = MakeEnd(v1::End::INCONCLUSIVE, false, true);
  EXPECT_EQ(Kept({learning}), HistoryKept::kLearning);
  EXPECT_EQ(Kept({learning, MakeEnd(v1::End::PASSED)}), HistoryKept::kLearning);
  EXPECT_EQ(Kept({learning, MakeEnd(v1::End::PASSED, false, true),
                  MakeEnd(v1::End::INCONCLUSIVE)}),
            HistoryKept::kNone);
  EXPECT_EQ(Kept({learning, MakeEnd(v1::End::FAILED)}), HistoryKept::kNone);
  EXPECT_EQ(Kept({learning, kUndecided}, v1::EndCause::CANCELLED), HistoryKept::kNone);
}

}  // namespace
}  // namespace picket
