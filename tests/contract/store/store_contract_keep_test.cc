// The second part of the contract: results, evidence, lists, history, retention.

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

TEST_P(StoreContract, ResultsComeBackInOrderOfArrivalWithinARange) {
  Admit(RunId(1), 6, {"eu-west"});
  WriteShard write;
  write.shard = Shard(RunId(1), 0);
  write.shard.ends[4] = kPassed;
  ResultRow first = MakeResult(RunId(1), 0, 4, v1::Outcome::FAILED);
  first.deciding = false;
  write.results = {first, MakeResult(RunId(1), 0, 1, v1::Outcome::PASSED)};
  ASSERT_TRUE(Put(write).committed);
  ASSERT_OK_AND_ASSIGN(std::vector<ResultRow> early, store().LoadResults(RunId(1), 0, 6));
  EXPECT_THAT(early, SizeIs(2));
  WriteShard more;
  more.shard = Shard(RunId(1), 0);
  more.results = {MakeResult(RunId(1), 0, 4, v1::Outcome::PASSED),
                  MakeResult(RunId(1), 0, 0, v1::Outcome::PASSED)};
  ASSERT_TRUE(Put(more).committed);

  ASSERT_OK_AND_ASSIGN(std::vector<ResultRow> rows, store().LoadResults(RunId(1), 1, 4));
  ASSERT_THAT(rows, SizeIs(3));
  EXPECT_EQ(rows[0].execution, 4u);
  EXPECT_FALSE(rows[0].deciding);
  EXPECT_TRUE(MessageDifferencer::Equals(rows[0].result, first.result));
  EXPECT_EQ(rows[1].execution, 1u);
  EXPECT_TRUE(rows[1].deciding);
  EXPECT_EQ(rows[2].execution, 4u);
  EXPECT_EQ(rows[2].run_id, RunId(1));
  EXPECT_EQ(rows[2].epoch, 1u);
  Reopen();
  ASSERT_OK_AND_ASSIGN(rows, store().LoadResults(RunId(1), 0, 0xffffffff));
  EXPECT_THAT(rows, SizeIs(4));
  ASSERT_OK_AND_ASSIGN(rows, store().LoadResults(RunId(1), 5, 1));
  EXPECT_THAT(rows, IsEmpty());
}

TEST_P(StoreContract, ManyResultsOfManyWritesAreAllFound) {
  constexpr uint32_t kTests = 700;
  Admit(RunId(1), kTests, {"eu-west", "us-east"});
  Admit(RunId(2), kTests, {"eu-west", "us-east"});
  for (uint32_t from = 0; from < kTests; from += 100) {
    std::vector<Proposal> batch;
    for (const std::string& id : {RunId(1), RunId(2)}) {
      for (uint32_t s = 0; s < 2; ++s) {
        WriteShard write;
        write.shard = Shard(id, s);
        for (uint32_t i = from; i < from + 100; ++i) {
          // A stride spreads neighbours over the whole range of executions.
          const uint32_t position = i * 211 % kTests;
          write.shard.ends[position] = kPassed;
          write.results.push_back(
              MakeResult(id, s, write.shard.executions[position], v1::Outcome::PASSED));
        }
        batch.emplace_back(std::move(write));
      }
    }
    ASSERT_OK(store().Commit(batch));
    ASSERT_OK(store().LoadResults(RunId(1), 0, 10));
  }
  Reopen();
  uint32_t next = 0;
  for (uint32_t from = 0; from < kTests * 2; from += 99) {
    ASSERT_OK_AND_ASSIGN(std::vector<ResultRow> rows, store().LoadResults(RunId(2), from, 99));
    std::set<uint32_t> numbers;
    for (const ResultRow& row : rows) numbers.insert(row.execution);
    for (const uint32_t number : numbers) EXPECT_EQ(number, next++);
    EXPECT_EQ(rows.size(), numbers.size());
  }
  EXPECT_EQ(next, kTests * 2);
  EXPECT_EQ(Run(RunId(2)).run.state(), v1::Run::SEALED);
}

TEST_P(StoreContract, LateResultsAreKeptUpToALimitAndChangeNothing) {
  Admit(RunId(1), 1, {"eu-west"});
  WriteShard write;
  write.shard = Shard(RunId(1), 0);
  write.shard.ends[0] = kPassed;
  ASSERT_TRUE(Put(write).committed);
  AppendResults append;
  for (size_t i = 0; i < DefaultLimits().late_results_run + 20; ++i) {
    append.results.push_back(MakeResult(RunId(1), 0, 0, v1::Outcome::FAILED));
    append.results.back().deciding = false;
    append.results.back().late = true;
  }
  append.results.push_back(MakeResult(RunId(404), 0, 0, v1::Outcome::FAILED));
  EXPECT_TRUE(Put(append).committed);
  EXPECT_TRUE(Put(append).committed);
  ASSERT_OK_AND_ASSIGN(std::vector<ResultRow> rows, store().LoadResults(RunId(1), 0, 1));
  ASSERT_THAT(rows, SizeIs(DefaultLimits().late_results_run));
  EXPECT_TRUE(rows[0].late);
  EXPECT_EQ(Run(RunId(1)).run.verdict(), v1::Verdict::PASSED);
}

TEST_P(StoreContract, EvidenceIsKeptByAttempt) {
  Admit(RunId(1), 2, {"eu-west"});
  v1::Evidence evidence;
  evidence.set_request("GET / HTTP/1.1");
  WriteShard write;
  write.shard = Shard(RunId(1), 0);
  for (uint32_t execution : {0u, 1u}) {
    ResultRow row = MakeResult(RunId(1), 0, execution, v1::Outcome::FAILED);
    row.evidence.push_back(
        {.attempt = 2, .digest = std::string(32, 'e'), .bytes = evidence.SerializeAsString()});
    write.results.push_back(row);
  }
  ASSERT_TRUE(Put(write).committed);
  Reopen();
  ASSERT_OK_AND_ASSIGN(v1::Evidence kept, store().GetEvidence(RunId(1), 1, 2));
  EXPECT_EQ(kept.request(), "GET / HTTP/1.1");
  EXPECT_OK(store().GetEvidence(RunId(1), 0, 2));
  EXPECT_THAT(store().GetEvidence(RunId(1), 0, 1), StatusIs(absl::StatusCode::kNotFound));
}

TEST_P(StoreContract, EvidenceOfARunIsBounded) {
  const uint32_t count = static_cast<uint32_t>(DefaultLimits().evidence_run_full) + 10;
  Admit(RunId(1), count, {"eu-west"});
  WriteShard write;
  write.shard = Shard(RunId(1), 0);
  for (uint32_t i = 0; i < count; ++i) {
    ResultRow row = MakeResult(RunId(1), 0, i, v1::Outcome::FAILED);
    v1::Evidence evidence;
    evidence.set_curl(absl::StrCat("curl ", i));
    std::string digest(32, 'x');
    digest.replace(0, 4, absl::StrCat(1000 + i));
    row.evidence.push_back(
        {.attempt = 1, .digest = digest, .bytes = evidence.SerializeAsString()});
    write.results.push_back(std::move(row));
  }
  ASSERT_TRUE(Put(write).committed);
  EXPECT_OK(store().GetEvidence(RunId(1), count - 11, 1));
  EXPECT_THAT(store().GetEvidence(RunId(1), count - 1, 1), StatusIs(absl::StatusCode::kNotFound));
  ASSERT_OK_AND_ASSIGN(std::vector<ResultRow> rows, store().LoadResults(RunId(1), 0, count));
  EXPECT_THAT(rows, SizeIs(count));
}

TEST_P(StoreContract, RunsAreListedNewestFirstByPage) {
  for (int i = 1; i <= 5; ++i) Admit(RunId(i), 1, {"eu-west"});
  AdmitRun other = MakeAdmission(RunId(6), 1, {"eu-west"});
  other.run.run.set_project("other");
  ASSERT_TRUE(Put(other).committed);
  ASSERT_OK_AND_ASSIGN(std::vector<RunRow> page, store().ListRuns("default", "", 2));
  ASSERT_THAT(page, SizeIs(2));
  EXPECT_EQ(page[0].run.run_id(), RunId(5));
  EXPECT_EQ(page[1].run.run_id(), RunId(4));
  ASSERT_OK_AND_ASSIGN(page, store().ListRuns("default", RunId(4), 10));
  ASSERT_THAT(page, SizeIs(3));
  EXPECT_EQ(page[2].run.run_id(), RunId(1));
  ASSERT_OK_AND_ASSIGN(page, store().ListRuns("default", RunId(1), 10));
  EXPECT_THAT(page, IsEmpty());
  ASSERT_OK_AND_ASSIGN(std::vector<RunRow> active, store().ListActiveRuns());
  ASSERT_THAT(active, SizeIs(6));
  EXPECT_EQ(active[0].run.run_id(), RunId(1));
  EXPECT_EQ(active[5].run.run_id(), RunId(6));
}

TEST_P(StoreContract, OnlyShardsThatMovedAreLoadedAgain) {
  Admit(RunId(1), 2, {"a", "b", "c"});
  WriteShard write;
  write.shard = Shard(RunId(1), 1);
  write.shard.ends[0] = kPassed;
  ASSERT_TRUE(Put(write).committed);
  const uint64_t rev = write.shard.rev;
  ASSERT_OK_AND_ASSIGN(std::vector<ShardRow> moved,
                       store().LoadChangedShards(RunId(1), {rev, rev, rev}, 10));
  ASSERT_THAT(moved, SizeIs(1));
  EXPECT_EQ(moved[0].shard, 1u);
  EXPECT_EQ(moved[0].ends[0], kPassed);
  ASSERT_OK_AND_ASSIGN(moved, store().LoadChangedShards(RunId(1), {rev, rev + 1}, 10));
  ASSERT_THAT(moved, SizeIs(1));
  EXPECT_EQ(moved[0].shard, 2u);
  ASSERT_OK_AND_ASSIGN(moved, store().LoadChangedShards(RunId(1), {}, 2));
  EXPECT_THAT(moved, SizeIs(2));
}

TEST_P(StoreContract, BlobsAreSharedByDigest) {
  AdmitRun admit = MakeAdmission(RunId(1), 1, {"eu-west"});
  v1::Blob blob;
  blob.set_sha256(std::string(32, 'b'));
  blob.set_data(std::string("\0binary", 7));
  admit.blobs = {blob};
  ASSERT_TRUE(Put(admit).committed);
  AdmitRun second = MakeAdmission(RunId(2), 1, {"eu-west"});
  second.blobs = {blob};
  ASSERT_TRUE(Put(second).committed);
  ASSERT_OK_AND_ASSIGN(std::vector<v1::Blob> blobs,
                       store().LoadBlobs({std::string(32, 'b'), std::string(32, 'c')}));
  ASSERT_THAT(blobs, SizeIs(1));
  EXPECT_EQ(blobs[0].data(), blob.data());
}

TEST_P(StoreContract, TheCommitSaysWhatTimeTheStoreHas) {
  ASSERT_OK_AND_ASSIGN(const absl::Time before, store().Now());
  ASSERT_OK_AND_ASSIGN(CommitResult result, store().Commit({}));
  ASSERT_OK_AND_ASSIGN(const absl::Time after, store().Now());
  EXPECT_LE(before, result.now);
  EXPECT_LE(result.now, after);
  EXPECT_THAT(result.outcomes, IsEmpty());
}

HistoryRow MakeHistory(const std::string& run_id, uint32_t total_us) {
  return {.project = "default",
          .suite = "shop",
          .test_id = "test-0",
          .location = "eu-west",
          .baseline = "main",
          .run_id = run_id,
          .time = absl::FromUnixSeconds(1'700'000'000),
          .total_us = total_us,
          .measurement = absl::StrCat("m", total_us)};
}

TEST_P(StoreContract, HistoryIsOfPassingRunsNewestFirst) {
  const Store::DurationKey key{"shop", "test-0", "eu-west"};
  Admit(RunId(1), 1, {"eu-west"});
  Admit(RunId(2), 1, {"eu-west"});
  WriteShard passing;
  passing.shard = Shard(RunId(1), 0);
  passing.history = {MakeHistory(RunId(1), 800), MakeHistory(RunId(1), 800)};
  ASSERT_TRUE(Put(passing).committed);
  ASSERT_OK_AND_ASSIGN(std::vector<HistoryRow> rows,
                       store().LoadHistory("default", key, "main", 10));
  EXPECT_THAT(rows, IsEmpty()) << "the run is not sealed yet";
  passing.shard = Shard(RunId(1), 0);
  passing.history = {MakeHistory(RunId(1), 1600)};
  passing.shard.ends[0] = kPassed;
  ASSERT_TRUE(Put(passing).committed);
  WriteShard failing;
  failing.shard = Shard(RunId(2), 0);
  failing.shard.ends[0] = kFailed;
  failing.history = {MakeHistory(RunId(2), 9000)};
  ASSERT_TRUE(Put(failing).committed);
  Reopen();
  ASSERT_OK_AND_ASSIGN(rows, store().LoadHistory("default", key, "main", 2));
  ASSERT_THAT(rows, SizeIs(2));
  EXPECT_EQ(rows[0].total_us, 1600u);
  EXPECT_EQ(rows[0].measurement, "m1600");
  EXPECT_EQ(rows[0].run_id, RunId(1));
  EXPECT_EQ(rows[0].time, absl::FromUnixSeconds(1'700'000'000));
  EXPECT_EQ(rows[0].baseline, "main");
  EXPECT_EQ(rows[1].total_us, 800u);
  ASSERT_OK_AND_ASSIGN(rows, store().LoadHistory("default", key, "release", 2));
  EXPECT_THAT(rows, IsEmpty());
  ASSERT_OK_AND_ASSIGN(
      std::vector<uint32_t> expected,
      store().ExpectedDurations("default", {{"shop", "test-0", "us-east"}, key}));
  ASSERT_THAT(expected, SizeIs(2));
  EXPECT_EQ(expected[0], 0u);
  EXPECT_GE(expected[1], 800u);
  EXPECT_LE(expected[1], 9000u);
}

TEST_P(StoreContract, RunsThatDoNotPassPushNothingOut) {
  const Store::DurationKey key{"shop", "test-0", "eu-west"};
  Admit(RunId(1), 1, {"eu-west"});
  WriteShard passing;
  passing.shard = Shard(RunId(1), 0);
  passing.shard.ends[0] = kPassed;
  passing.history = {MakeHistory(RunId(1), 800)};
  ASSERT_TRUE(Put(passing).committed);
  for (int run = 2; run <= 4; ++run) {
    Admit(RunId(run), 1, {"eu-west"});
    WriteShard failing;
    failing.shard = Shard(RunId(run), 0);
    failing.shard.ends[0] = kFailed;
    failing.history.assign(150, MakeHistory(RunId(run), 9000));
    ASSERT_TRUE(Put(failing).committed);
  }
  Reopen();
  ASSERT_OK_AND_ASSIGN(std::vector<HistoryRow> rows,
                       store().LoadHistory("default", key, "main", 1000));
  ASSERT_THAT(rows, SizeIs(1));
  EXPECT_EQ(rows[0].total_us, 800u);
}

TEST_P(StoreContract, HistoryOutlivesItsRun) {
  const Store::DurationKey key{"shop", "test-0", "eu-west"};
  for (int run = 1; run <= 3; ++run) {
    Admit(RunId(run), 1, {"eu-west"});
    WriteShard write;
    write.shard = Shard(RunId(run), 0);
    write.shard.ends[0] = kPassed;
    write.history = {MakeHistory(RunId(run), static_cast<uint32_t>(run))};
    ASSERT_TRUE(Put(write).committed);
  }
  while (true) {
    ASSERT_OK_AND_ASSIGN(const size_t gone, store().Prune(1, absl::InfinitePast(), 100));
    if (gone == 0) break;
  }
  ASSERT_OK_AND_ASSIGN(std::vector<HistoryRow> rows,
                       store().LoadHistory("default", key, "main", 1000));
  ASSERT_THAT(rows, SizeIs(3));
  EXPECT_EQ(rows[0].total_us, 3u);
}

TEST_P(StoreContract, ARunThatOnlyLearnsKeepsWhatLearns) {
  const Store::DurationKey key{"shop", "test-0", "eu-west"};
  Admit(RunId(1), 1, {"eu-west"});
  Admit(RunId(2), 1, {"eu-west"});
  WriteShard learning;
  learning.shard = Shard(RunId(1), 0);
  learning.shard.ends[0] = MakeEnd(v1::End::INCONCLUSIVE, false, true);
  learning.history = {MakeHistory(RunId(1), 800), MakeHistory(RunId(1), 900)};
  learning.history[1].learning = true;
  ASSERT_TRUE(Put(learning).committed);
  WriteShard unable;
  unable.shard = Shard(RunId(2), 0);
  unable.shard.ends[0] = MakeEnd(v1::End::INCONCLUSIVE);
  unable.history = {MakeHistory(RunId(2), 7000)};
  unable.history[0].learning = true;
  ASSERT_TRUE(Put(unable).committed);
  ASSERT_OK_AND_ASSIGN(std::vector<HistoryRow> rows,
                       store().LoadHistory("default", key, "main", 1000));
  ASSERT_THAT(rows, SizeIs(1));
  EXPECT_EQ(rows[0].total_us, 900u);
  EXPECT_TRUE(rows[0].learning);
}

TEST_P(StoreContract, HistoryKeepsTheLastTwoHundredMeasurements) {
  const Store::DurationKey key{"shop", "test-0", "eu-west"};
  for (int run = 1; run <= 3; ++run) {
    Admit(RunId(run), 1, {"eu-west"});
    WriteShard write;
    write.shard = Shard(RunId(run), 0);
    write.shard.ends[0] = kPassed;
    for (uint32_t i = 0; i < 90; ++i) {
      write.history.push_back(MakeHistory(RunId(run), static_cast<uint32_t>(run) * 1000 + i));
    }
    ASSERT_TRUE(Put(write).committed);
  }
  ASSERT_OK_AND_ASSIGN(std::vector<HistoryRow> rows,
                       store().LoadHistory("default", key, "main", 1000));
  ASSERT_THAT(rows, SizeIs(200));
  EXPECT_EQ(rows.front().total_us, 3089u);
  EXPECT_EQ(rows.back().total_us, 1070u);
}

TEST_P(StoreContract, PruningKeepsTheNewestSealedRunsAndAllThatStillRun) {
  for (int i = 1; i <= 4; ++i) {
    AdmitRun admit = MakeAdmission(RunId(i), 1, {"eu-west"});
    v1::Blob blob;
    blob.set_sha256(std::string(32, static_cast<char>('0' + i)));
    blob.set_data("pem");
    admit.blobs = {blob};
    ASSERT_TRUE(Put(admit).committed);
    if (i == 2) continue;
    WriteShard write;
    write.shard = Shard(RunId(i), 0);
    write.shard.ends[0] = kPassed;
    write.results = {MakeResult(RunId(i), 0, 0, v1::Outcome::PASSED)};
    ASSERT_TRUE(Put(write).committed);
  }
  for (int calls = 0; calls < 100; ++calls) {
    ASSERT_OK_AND_ASSIGN(const size_t gone, store().Prune(1, absl::InfinitePast(), 1));
    if (gone == 0) break;
  }
  EXPECT_THAT(store().GetRun(RunId(1)), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_OK(store().GetRun(RunId(2)));
  EXPECT_THAT(store().GetRun(RunId(3)), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_OK(store().GetRun(RunId(4)));
  ASSERT_OK_AND_ASSIGN(std::vector<ResultRow> rows, store().LoadResults(RunId(1), 0, 10));
  EXPECT_THAT(rows, IsEmpty());
  ASSERT_OK_AND_ASSIGN(rows, store().LoadResults(RunId(4), 0, 10));
  EXPECT_THAT(rows, SizeIs(1));
  ASSERT_OK_AND_ASSIGN(std::vector<v1::Blob> blobs,
                       store().LoadBlobs({std::string(32, '1'), std::string(32, '2')}));
  ASSERT_THAT(blobs, SizeIs(1));
  EXPECT_EQ(blobs[0].sha256(), std::string(32, '2'));
  // Its request id is free again.
  AdmitRun again = MakeAdmission(RunId(9), 1, {"eu-west"});
  again.run.request_id = absl::StrCat("request-", RunId(1));
  EXPECT_TRUE(Put(again).committed);
}

TEST_P(StoreContract, PruningResultsLeavesTheVerdict) {
  Admit(RunId(1), 2, {"eu-west"});
  WriteShard write;
  write.shard = Shard(RunId(1), 0);
  write.shard.ends = {kPassed, kPassed};
  write.results = {MakeResult(RunId(1), 0, 0, v1::Outcome::PASSED),
                   MakeResult(RunId(1), 0, 1, v1::Outcome::PASSED)};
  ASSERT_TRUE(Put(write).committed);
  ASSERT_OK(store().LoadResults(RunId(1), 0, 2));
  ASSERT_OK_AND_ASSIGN(size_t gone, store().Prune(0, absl::UnixEpoch(), 100));
  EXPECT_EQ(gone, 0u);
  ASSERT_OK_AND_ASSIGN(const absl::Time now, store().Now());
  ASSERT_OK_AND_ASSIGN(gone, store().Prune(0, now + absl::Hours(1), 100));
  EXPECT_GT(gone, 0u);
  ASSERT_OK_AND_ASSIGN(std::vector<ResultRow> rows, store().LoadResults(RunId(1), 0, 2));
  EXPECT_THAT(rows, IsEmpty());
  EXPECT_EQ(Run(RunId(1)).run.verdict(), v1::Verdict::PASSED);
  ASSERT_OK_AND_ASSIGN(gone, store().Prune(0, now + absl::Hours(1), 100));
  EXPECT_EQ(gone, 0u);
}

TEST_P(StoreContract, ReadersRunBesideTheWriter) {
  Admit(RunId(1), 400, {"eu-west"});
  std::thread reader([&] {
    for (int i = 0; i < 60; ++i) {
      EXPECT_OK(store().GetRun(RunId(1)));
      EXPECT_OK(store().LoadResults(RunId(1), 0, 400));
      EXPECT_OK(store().ListRuns("default", "", 10));
    }
  });
  ShardRow shard = Shard(RunId(1), 0);
  for (uint32_t i = 0; i < 400; ++i) {
    WriteShard write;
    write.shard = shard;
    write.shard.ends[i] = kPassed;
    write.results = {MakeResult(RunId(1), 0, i, v1::Outcome::PASSED)};
    ASSERT_TRUE(Put(write).committed);
    shard.ends[i] = kPassed;
    ++shard.rev;
  }
  reader.join();
  ASSERT_OK_AND_ASSIGN(std::vector<ResultRow> rows, store().LoadResults(RunId(1), 0, 400));
  EXPECT_THAT(rows, SizeIs(400));
}

}  // namespace
}  // namespace picket
