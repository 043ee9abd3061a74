#include "tests/contract/store/store_contract.h"

#include <gmock/gmock.h>
#include <google/protobuf/util/message_differencer.h>

#include <set>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/policy/limits.h"
#include "tests/support/status_matchers.h"

namespace picket {
namespace {

using ::google::protobuf::util::MessageDifferencer;
using ::picket::testing_support::StatusIs;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr EndByte kPassed = MakeEnd(v1::End::PASSED);
constexpr EndByte kFailed = MakeEnd(v1::End::FAILED);

LeaseRow MakeLease(const ShardRow& shard, uint32_t epoch, std::vector<uint32_t> positions) {
  LeaseRow lease;
  lease.run_id = shard.run_id;
  lease.shard = shard.shard;
  lease.epoch = epoch;
  lease.instance = "instance-1";
  lease.spool = "spool-1";
  lease.agent = "agent-1";
  lease.location = shard.location;
  lease.positions = std::move(positions);
  return lease;
}

TEST_P(StoreContract, AnAdmittedRunIsReadBackWholeAfterARestart) {
  AdmitRun admit = MakeAdmission(RunId(1), 3, {"eu-west", "us-east"});
  admit.tests[1].rows.add_columns("sku");
  admit.tests[1].rows.add_rows()->add_cells("\"a\"");
  Mark mark;
  mark.losses = 1;
  mark.attempts = 3;
  mark.failed_before = true;
  mark.started = true;
  mark.avoid_instance = "instance-9";
  mark.not_before = absl::FromUnixMicros(1'700'000'000'123'456);
  admit.shards[1].marks[2] = mark;
  admit.shards[1].leased = {false, true, true};
  ASSERT_TRUE(Put(admit).committed);
  Reopen();

  const RunRow run = Run(RunId(1));
  EXPECT_TRUE(MessageDifferencer::Equals(run.run, admit.run.run)) << run.run.DebugString();
  EXPECT_EQ(run.request_id, admit.run.request_id);
  EXPECT_EQ(run.spec_digest, admit.run.spec_digest);
  EXPECT_EQ(run.priority, -3);
  EXPECT_EQ(run.max_failures, 7u);
  EXPECT_TRUE(run.fail_fast);
  EXPECT_EQ(run.expect_agents, 2u);
  EXPECT_EQ(run.executions, 6u);
  EXPECT_EQ(run.undecided, 6u);
  EXPECT_EQ(run.shards, 2u);

  ASSERT_OK_AND_ASSIGN(std::vector<TestRow> tests, store().LoadTests(RunId(1), DataRows::kLoad));
  ASSERT_THAT(tests, SizeIs(3));
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(tests[i].index, i);
    EXPECT_EQ(tests[i].first_execution, admit.tests[i].first_execution);
    EXPECT_EQ(tests[i].digest, admit.tests[i].digest);
    EXPECT_TRUE(MessageDifferencer::Equals(tests[i].test, admit.tests[i].test));
    EXPECT_TRUE(MessageDifferencer::Equals(tests[i].rows, admit.tests[i].rows));
  }
  const ShardRow shard = Shard(RunId(1), 1);
  EXPECT_EQ(shard.run_id, RunId(1));
  EXPECT_EQ(shard.shard, 1u);
  EXPECT_EQ(shard.location, "us-east");
  EXPECT_EQ(shard.priority, -3);
  EXPECT_EQ(shard.expected_us, 1500u);
  EXPECT_THAT(shard.executions, ElementsAre(1, 3, 5));
  EXPECT_THAT(shard.ends, ElementsAre(kUndecided, kUndecided, kUndecided));
  ASSERT_EQ(shard.marks.size(), 1u);
  const Mark& kept = shard.marks.at(2);
  EXPECT_THAT(shard.leased, ElementsAre(false, true, true));
  EXPECT_EQ(kept.losses, 1u);
  EXPECT_EQ(kept.attempts, 3u);
  EXPECT_TRUE(kept.failed_before);
  EXPECT_TRUE(kept.started);
  EXPECT_EQ(kept.avoid_instance, "instance-9");
  EXPECT_EQ(kept.not_before, mark.not_before);
  EXPECT_EQ(kept.give_up, absl::InfiniteFuture());
}

TEST_P(StoreContract, ASecondAdmissionUnderOneRequestIdIsRefusedAndNamesTheFirst) {
  Admit(RunId(1), 2, {"eu-west"});
  AdmitRun again = MakeAdmission(RunId(2), 5, {"eu-west"});
  again.run.request_id = absl::StrCat("request-", RunId(1));
  const Outcome outcome = Put(again);
  EXPECT_FALSE(outcome.committed);
  ASSERT_THAT(outcome.run, SizeIs(1));
  EXPECT_EQ(outcome.run[0].run.run_id(), RunId(1));
  EXPECT_THAT(store().GetRun(RunId(2)), StatusIs(absl::StatusCode::kNotFound));
  ASSERT_OK_AND_ASSIGN(std::vector<ShardRow> shards, store().LoadShards(RunId(2)));
  EXPECT_THAT(shards, IsEmpty());
}

TEST_P(StoreContract, OneRequestIdInTwoProjectsIsTwoRuns) {
  Admit(RunId(1), 2, {"eu-west"});
  AdmitRun other = MakeAdmission(RunId(2), 2, {"eu-west"});
  other.run.request_id = absl::StrCat("request-", RunId(1));
  other.run.run.set_project("other");
  EXPECT_TRUE(Put(other).committed);
  EXPECT_EQ(Run(RunId(2)).run.project(), "other");
}

TEST_P(StoreContract, OneRequestIdTwiceInOneBatchIsOneRun) {
  AdmitRun first = MakeAdmission(RunId(1), 2, {"eu-west"});
  AdmitRun second = MakeAdmission(RunId(2), 2, {"eu-west"});
  second.run.request_id = first.run.request_id;
  ASSERT_OK_AND_ASSIGN(CommitResult result, store().Commit({first, second}));
  EXPECT_TRUE(result.outcomes[0].committed);
  EXPECT_FALSE(result.outcomes[1].committed);
  ASSERT_THAT(result.outcomes[1].run, SizeIs(1));
  EXPECT_EQ(result.outcomes[1].run[0].run.run_id(), RunId(1));
}

TEST_P(StoreContract, ARunWithNothingUndecidedIsSealedAsItIsAdmitted) {
  AdmitRun admit = MakeAdmission(RunId(1), 2, {"eu-west"});
  for (TestRow& test : admit.tests) test.test.set_skip("not today");
  admit.shards[0].ends = {MakeEnd(v1::End::SKIPPED), MakeEnd(v1::End::SKIPPED)};
  admit.run.undecided = 0;
  const Outcome outcome = Put(admit);
  ASSERT_THAT(outcome.sealed, SizeIs(1));
  EXPECT_EQ(outcome.sealed[0].run.verdict(), v1::Verdict::INCONCLUSIVE);
  EXPECT_EQ(Run(RunId(1)).run.state(), v1::Run::SEALED);
  EXPECT_EQ(Run(RunId(1)).run.ledger().skipped(), 2u);
}

TEST_P(StoreContract, AWriteUnderAnOldRevIsRefusedAndShowsTheRowAsItIs) {
  Admit(RunId(1), 3, {"eu-west"});
  WriteShard write;
  write.shard = Shard(RunId(1), 0);
  write.shard.epoch = 1;
  ASSERT_TRUE(Put(write).committed);

  WriteShard stale = write;
  stale.shard.ends[0] = kPassed;
  stale.results.push_back(MakeResult(RunId(1), 0, 0, v1::Outcome::PASSED));
  stale.grant.push_back(MakeLease(stale.shard, 2, {1}));
  const Outcome outcome = Put(stale);
  EXPECT_FALSE(outcome.committed);
  ASSERT_THAT(outcome.shard, SizeIs(1));
  EXPECT_EQ(outcome.shard[0].rev, write.shard.rev + 1);
  EXPECT_EQ(outcome.shard[0].epoch, 1u);
  EXPECT_THAT(outcome.shard[0].executions, ElementsAre(0, 1, 2));
  ASSERT_OK_AND_ASSIGN(std::vector<ResultRow> results, store().LoadResults(RunId(1), 0, 3));
  EXPECT_THAT(results, IsEmpty());
  ASSERT_OK_AND_ASSIGN(std::vector<LeaseRow> leases, store().LoadLeases(RunId(1)));
  EXPECT_THAT(leases, IsEmpty());
  EXPECT_EQ(Run(RunId(1)).undecided, 3u);
}

TEST_P(StoreContract, ARefusalDoesNotHinderItsNeighboursInTheBatch) {
  Admit(RunId(1), 2, {"eu-west", "us-east"});
  WriteShard stale;
  stale.shard = Shard(RunId(1), 0);
  stale.shard.rev += 5;
  WriteShard good;
  good.shard = Shard(RunId(1), 1);
  good.shard.ends[0] = kPassed;
  ASSERT_OK_AND_ASSIGN(CommitResult result, store().Commit({stale, good}));
  EXPECT_FALSE(result.outcomes[0].committed);
  EXPECT_TRUE(result.outcomes[1].committed);
  EXPECT_EQ(Run(RunId(1)).undecided, 3u);
}

TEST_P(StoreContract, TwoWritesOfOneShardInOneBatchFollowEachOther) {
  Admit(RunId(1), 2, {"eu-west"});
  WriteShard first;
  first.shard = Shard(RunId(1), 0);
  first.shard.ends[0] = kPassed;
  WriteShard second = first;
  second.shard.rev += 1;
  second.shard.ends[1] = kFailed;
  WriteShard late = first;
  ASSERT_OK_AND_ASSIGN(CommitResult result, store().Commit({first, second, late}));
  EXPECT_TRUE(result.outcomes[0].committed);
  EXPECT_TRUE(result.outcomes[1].committed);
  ASSERT_THAT(result.outcomes[1].sealed, SizeIs(1));
  EXPECT_FALSE(result.outcomes[2].committed);
  EXPECT_EQ(Run(RunId(1)).run.verdict(), v1::Verdict::FAILED);
}

TEST_P(StoreContract, CountersFollowTheEndsThatChanged) {
  AdmitRun admit = MakeAdmission(RunId(1), 4, {"eu-west"});
  admit.tests[2].test.set_blocking(false);
  ASSERT_TRUE(Put(admit).committed);
  WriteShard write;
  write.shard = Shard(RunId(1), 0);
  write.shard.ends = {kPassed, kFailed, kFailed, kUndecided};
  write.starts_run = true;
  ASSERT_TRUE(Put(write).committed);
  const RunRow run = Run(RunId(1));
  EXPECT_EQ(run.undecided, 1u);
  EXPECT_EQ(run.failed, 2u);
  EXPECT_EQ(run.failed_blocking, 1u);
  EXPECT_EQ(run.run.ledger().planned(), 4u);
  EXPECT_EQ(run.run.ledger().passed(), 1u);
  EXPECT_EQ(run.run.ledger().failed(), 2u);
  EXPECT_EQ(run.run.state(), v1::Run::RUNNING);
  EXPECT_TRUE(run.run.has_start_time());
}

TEST_P(StoreContract, DecidingTheLastByteSealsInTheSameCommit) {
  Admit(RunId(1), 1, {"eu-west", "us-east"});
  WriteShard first;
  first.shard = Shard(RunId(1), 0);
  first.shard.ends[0] = kPassed;
  first.grant.push_back(MakeLease(first.shard, 1, {0}));
  EXPECT_THAT(Put(first).sealed, IsEmpty());
  WriteShard last;
  last.shard = Shard(RunId(1), 1);
  last.shard.ends[0] = MakeEnd(v1::End::PASSED, /*flaky=*/true);
  const Outcome outcome = Put(last);
  ASSERT_THAT(outcome.sealed, SizeIs(1));
  EXPECT_EQ(outcome.sealed[0].run.verdict(), v1::Verdict::PASSED);
  EXPECT_EQ(outcome.sealed[0].run.end_cause(), v1::EndCause::COMPLETE);

  Reopen();
  const RunRow run = Run(RunId(1));
  EXPECT_EQ(run.run.state(), v1::Run::SEALED);
  EXPECT_EQ(run.run.verdict(), v1::Verdict::PASSED);
  EXPECT_EQ(run.run.ledger().planned(), 2u);
  EXPECT_EQ(run.run.ledger().passed(), 2u);
  EXPECT_EQ(run.run.ledger().flaky(), 1u);
  EXPECT_EQ(run.undecided, 0u);
  ASSERT_OK_AND_ASSIGN(std::vector<RunRow> active, store().ListActiveRuns());
  EXPECT_THAT(active, IsEmpty());
  ASSERT_OK_AND_ASSIGN(std::optional<LeaseRow> lease, store().FindLease(RunId(1), 0, 1));
  ASSERT_TRUE(lease.has_value());
  EXPECT_TRUE(lease->ended);
}

TEST_P(StoreContract, AnAwaitedProbeKeepsTheRunOpenAndItsEndCounts) {
  Admit(RunId(1), 2, {"eu-west"});
  WriteShard decided;
  decided.shard = Shard(RunId(1), 0);
  decided.shard.ends = {kPassed, WithProbe(kFailed)};
  Mark mark;
  mark.attempts = 1;
  mark.probed = {"us-east"};
  mark.give_up = absl::FromUnixMicros(1'700'000'000'123'456);
  decided.shard.marks[1] = mark;
  LeaseRow probe = MakeLease(decided.shard, 1, {1});
  probe.location = "ap-south";
  decided.shard.epoch = 1;
  decided.grant.push_back(probe);
  EXPECT_THAT(Put(decided).sealed, IsEmpty());
  Reopen();

  RunRow run = Run(RunId(1));
  EXPECT_NE(run.run.state(), v1::Run::SEALED);
  EXPECT_EQ(run.undecided, 1u);
  EXPECT_EQ(run.failed, 1u);
  EXPECT_EQ(run.run.ledger().failed(), 1u);
  ShardRow shard = Shard(RunId(1), 0);
  EXPECT_THAT(shard.ends, ElementsAre(kPassed, WithProbe(kFailed)));
  ASSERT_EQ(shard.marks.count(1), 1u);
  EXPECT_THAT(shard.marks.at(1).probed, ElementsAre("us-east"));
  EXPECT_EQ(shard.marks.at(1).give_up, mark.give_up);
  ASSERT_OK_AND_ASSIGN(std::vector<LeaseRow> leases, store().LoadLeases(RunId(1)));
  ASSERT_THAT(leases, SizeIs(1));
  EXPECT_EQ(leases[0].location, "ap-south");

  WriteShard over;
  over.shard = std::move(shard);
  over.shard.ends[1] = kFailed;
  over.shard.marks.clear();
  over.end_epochs = {1};
  ResultRow result = MakeResult(RunId(1), 0, 1, v1::Outcome::PASSED);
  result.deciding = false;
  result.result.mutable_attempts(0)->set_probe(true);
  over.results.push_back(std::move(result));
  const Outcome outcome = Put(over);
  ASSERT_THAT(outcome.sealed, SizeIs(1));
  run = outcome.sealed[0];
  EXPECT_EQ(run.run.verdict(), v1::Verdict::FAILED);
  EXPECT_EQ(run.undecided, 0u);
  EXPECT_EQ(run.failed, 1u);
  EXPECT_EQ(run.run.ledger().failed(), 1u);
  EXPECT_EQ(run.run.ledger().passed(), 1u);
}

TEST_P(StoreContract, EndingARunEarlyWaitsForNoProbe) {
  Admit(RunId(1), 2, {"eu-west"});
  WriteShard decided;
  decided.shard = Shard(RunId(1), 0);
  decided.shard.ends = {WithProbe(kFailed), kUndecided};
  decided.shard.marks[0].attempts = 1;
  ASSERT_TRUE(Put(decided).committed);
  const Outcome outcome = Put(EndRun{RunId(1), v1::EndCause::CANCELLED});
  ASSERT_THAT(outcome.sealed, SizeIs(1));
  EXPECT_EQ(outcome.sealed[0].run.ledger().failed(), 1u);
  EXPECT_EQ(outcome.sealed[0].run.ledger().cancelled(), 1u);
  EXPECT_EQ(outcome.sealed[0].failed, 1u);
  EXPECT_THAT(Shard(RunId(1), 0).ends, ElementsAre(kFailed, MakeEnd(v1::End::CANCELLED)));
}

TEST_P(StoreContract, NothingIsWrittenToASealedRun) {
  Admit(RunId(1), 1, {"eu-west"});
  WriteShard write;
  write.shard = Shard(RunId(1), 0);
  write.shard.ends[0] = kPassed;
  ASSERT_TRUE(Put(write).committed);
  WriteShard after;
  after.shard = Shard(RunId(1), 0);
  after.results.push_back(MakeResult(RunId(1), 0, 0, v1::Outcome::FAILED));
  const Outcome outcome = Put(after);
  EXPECT_FALSE(outcome.committed);
  ASSERT_THAT(outcome.shard, SizeIs(1));
  ASSERT_THAT(outcome.run, SizeIs(1));
  EXPECT_EQ(outcome.run[0].run.state(), v1::Run::SEALED);
  const Outcome end = Put(EndRun{.run_id = RunId(1), .cause = v1::EndCause::CANCELLED});
  EXPECT_FALSE(end.committed);
  ASSERT_THAT(end.run, SizeIs(1));
  EXPECT_EQ(end.run[0].run.verdict(), v1::Verdict::PASSED);
  EXPECT_EQ(Run(RunId(1)).run.end_cause(), v1::EndCause::COMPLETE);
}

TEST_P(StoreContract, EndingARunEarlyEndsEveryUndecidedByte) {
  Admit(RunId(1), 3, {"eu-west", "us-east"});
  WriteShard write;
  write.shard = Shard(RunId(1), 0);
  write.shard.ends[1] = kPassed;
  write.shard.epoch = 1;
  write.grant.push_back(MakeLease(write.shard, 1, {0, 1, 2}));
  ASSERT_TRUE(Put(write).committed);
  const uint64_t rev = Shard(RunId(1), 1).rev;
  const Outcome outcome = Put(EndRun{.run_id = RunId(1), .cause = v1::EndCause::CANCELLED});
  EXPECT_TRUE(outcome.committed);
  ASSERT_THAT(outcome.sealed, SizeIs(1));
  EXPECT_EQ(outcome.sealed[0].run.end_cause(), v1::EndCause::CANCELLED);
  EXPECT_EQ(outcome.sealed[0].run.ledger().cancelled(), 5u);
  EXPECT_EQ(outcome.sealed[0].run.ledger().passed(), 1u);
  Reopen();
  const EndByte cancelled = MakeEnd(v1::End::CANCELLED);
  EXPECT_THAT(Shard(RunId(1), 0).ends, ElementsAre(cancelled, kPassed, cancelled));
  EXPECT_THAT(Shard(RunId(1), 1).ends, ElementsAre(cancelled, cancelled, cancelled));
  EXPECT_GT(Shard(RunId(1), 0).epoch, 1u);
  EXPECT_GT(Shard(RunId(1), 1).rev, rev);
  EXPECT_EQ(Run(RunId(1)).undecided, 0u);
  ASSERT_OK_AND_ASSIGN(std::vector<LeaseRow> leases, store().LoadLeases(RunId(1)));
  EXPECT_THAT(leases, IsEmpty());
}

TEST_P(StoreContract, AWriteAfterAnEndInTheSameBatchIsRefused) {
  Admit(RunId(1), 2, {"eu-west"});
  WriteShard write;
  write.shard = Shard(RunId(1), 0);
  write.shard.ends = {kPassed, kPassed};
  ASSERT_OK_AND_ASSIGN(
      CommitResult result,
      store().Commit({EndRun{.run_id = RunId(1), .cause = v1::EndCause::DEADLINE}, write}));
  EXPECT_TRUE(result.outcomes[0].committed);
  EXPECT_FALSE(result.outcomes[1].committed);
  EXPECT_EQ(Run(RunId(1)).run.ledger().passed(), 0u);
}

TEST_P(StoreContract, WhatNamesAnUnknownRunIsRefusedWithoutARow) {
  WriteShard write;
  write.shard.run_id = RunId(404);
  Outcome outcome = Put(write);
  EXPECT_FALSE(outcome.committed);
  EXPECT_THAT(outcome.shard, IsEmpty());
  outcome = Put(EndRun{.run_id = RunId(404), .cause = v1::EndCause::CANCELLED});
  EXPECT_FALSE(outcome.committed);
  EXPECT_THAT(outcome.run, IsEmpty());
  EXPECT_THAT(store().GetRun(RunId(404)),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr(RunId(404))));
}

TEST_P(StoreContract, LeasesAreGrantedFoundAndEnded) {
  Admit(RunId(1), 4, {"eu-west"});
  WriteShard grant;
  grant.shard = Shard(RunId(1), 0);
  grant.shard.epoch = 2;
  grant.grant.push_back(MakeLease(grant.shard, 1, {3, 0}));
  grant.grant.push_back(MakeLease(grant.shard, 2, {1}));
  grant.grant.back().isolated = true;
  ASSERT_TRUE(Put(grant).committed);
  Reopen();
  ASSERT_OK_AND_ASSIGN(std::vector<LeaseRow> leases, store().LoadLeases(RunId(1)));
  ASSERT_THAT(leases, SizeIs(2));
  EXPECT_EQ(leases[0].run_id, RunId(1));
  EXPECT_EQ(leases[0].epoch, 1u);
  EXPECT_EQ(leases[0].instance, "instance-1");
  EXPECT_EQ(leases[0].spool, "spool-1");
  EXPECT_EQ(leases[0].agent, "agent-1");
  EXPECT_EQ(leases[0].location, "eu-west");
  EXPECT_THAT(leases[0].positions, ElementsAre(3, 0));
  EXPECT_FALSE(leases[0].isolated);
  EXPECT_TRUE(leases[1].isolated);

  WriteShard release;
  release.shard = Shard(RunId(1), 0);
  release.end_epochs = {1};
  ASSERT_TRUE(Put(release).committed);
  ASSERT_OK_AND_ASSIGN(leases, store().LoadLeases(RunId(1)));
  ASSERT_THAT(leases, SizeIs(1));
  EXPECT_EQ(leases[0].epoch, 2u);
  ASSERT_OK_AND_ASSIGN(std::optional<LeaseRow> ended, store().FindLease(RunId(1), 0, 1));
  ASSERT_TRUE(ended.has_value());
  EXPECT_TRUE(ended->ended);
  ASSERT_OK_AND_ASSIGN(std::optional<LeaseRow> none, store().FindLease(RunId(1), 0, 9));
  EXPECT_FALSE(none.has_value());
}

TEST_P(StoreContract, ALeaseMayBeGrantedAndEndedInOneWrite) {
  Admit(RunId(1), 2, {"eu-west"});
  WriteShard write;
  write.shard = Shard(RunId(1), 0);
  write.shard.epoch = 1;
  write.grant.push_back(MakeLease(write.shard, 1, {0}));
  write.end_epochs = {1};
  ASSERT_TRUE(Put(write).committed);
  ASSERT_OK_AND_ASSIGN(std::optional<LeaseRow> lease, store().FindLease(RunId(1), 0, 1));
  ASSERT_TRUE(lease.has_value());
  EXPECT_TRUE(lease->ended);
}

}  // namespace
}  // namespace picket
