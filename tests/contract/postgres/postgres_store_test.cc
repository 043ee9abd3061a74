// The contract, held by PostgreSQL, and what is PostgreSQL's own: several coordinators
// on one database, and a database that goes away.

#include <gmock/gmock.h>

#include <atomic>
#include <set>
#include <thread>

#include "absl/strings/str_cat.h"
#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "coordinator/store/sql_schema.h"
#include "tests/contract/postgres/cluster.h"
#include "tests/contract/store/store_contract.h"
#include "tests/support/status_matchers.h"

namespace picket {
namespace {

using ::picket::testing_support::StatusIs;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

std::string NewSchema() {
  static std::atomic<int> count{0};
  return absl::StrCat("t", ++count);
}

class PostgresFixture : public StoreFixture {
 public:
  explicit PostgresFixture(PostgresCluster* cluster) : uri_(cluster->Uri(NewSchema())) {
    Reopen();
  }
  Store& store() override { return *store_; }
  void Reopen() override {
    store_.reset();
    auto store = OpenStore(uri_, Clock::Real());
    ASSERT_OK(store);
    store_ = *std::move(store);
  }

 private:
  const std::string uri_;
  std::unique_ptr<Store> store_;
};

INSTANTIATE_TEST_SUITE_P(
    Postgres, StoreContract,
    ::testing::Values(StoreKind{"postgres",
                                [](std::string& reason) -> std::unique_ptr<StoreFixture> {
                                  PostgresCluster* cluster = PostgresCluster::Shared(reason);
                                  if (cluster == nullptr) return nullptr;
                                  return std::make_unique<PostgresFixture>(cluster);
                                }}),
    [](const auto& info) { return info.param.name; });

class PostgresStoreTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string reason;
    cluster_ = PostgresCluster::Shared(reason);
    if (cluster_ == nullptr) GTEST_SKIP() << reason;
    schema_ = NewSchema();
    uri_ = cluster_->Uri(schema_);
  }
  std::unique_ptr<Store> Open() {
    auto store = OpenStore(uri_, Clock::Real());
    EXPECT_OK(store);
    return store.ok() ? *std::move(store) : nullptr;
  }

  PostgresCluster* cluster_ = nullptr;
  std::string schema_, uri_;
};

constexpr EndByte kPassed = MakeEnd(v1::End::PASSED);

TEST_F(PostgresStoreTest, CoordinatorsThatRaceDecideEachByteOnceAndSealOnce) {
  constexpr uint32_t kTests = 40;
  constexpr int kRuns = 3, kCoordinators = 3;
  std::vector<std::unique_ptr<Store>> stores;
  for (int i = 0; i < kCoordinators; ++i) stores.push_back(Open());
  std::vector<Proposal> admissions;
  for (int run = 1; run <= kRuns; ++run) {
    admissions.emplace_back(MakeAdmission(RunId(run), kTests, {"a", "b"}));
  }
  ASSERT_OK(stores[0]->Commit(admissions));
  std::atomic<int> seals{0}, commits{0}, refusals{0};
  std::vector<std::thread> threads;
  for (int c = 0; c < kCoordinators; ++c) {
    threads.emplace_back([&, c] {
      Store& store = *stores[static_cast<size_t>(c)];
      // Each tries to decide every byte of every run, two bytes of different runs in
      // one commit, in an order of its own.
      for (uint32_t i = 0; i < kTests; ++i) {
        for (uint32_t s = 0; s < 2; ++s) {
          bool open = true;
          while (open) {
            open = false;
            std::vector<Proposal> batch;
            for (int run = 0; run < kRuns; ++run) {
              const std::string id = RunId((run + c) % kRuns + 1);
              auto shards = store.LoadShards(id);
              ASSERT_OK(shards);
              WriteShard write;
              write.shard = (*shards)[s];
              const uint32_t position = c == 0 ? i : kTests - 1 - i;
              if (write.shard.ends[position] != kUndecided) continue;
              write.shard.ends[position] = kPassed;
              write.results.push_back(MakeResult(id, s, write.shard.executions[position],
                                                 v1::Outcome::PASSED));
              batch.emplace_back(std::move(write));
            }
            if (batch.empty()) break;
            auto result = store.Commit(batch);
            ASSERT_OK(result);
            for (const Outcome& outcome : result->outcomes) {
              (outcome.committed ? commits : refusals)++;
              seals += static_cast<int>(outcome.sealed.size());
              open = open || !outcome.committed;
            }
          }
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(seals, kRuns);
  EXPECT_EQ(commits, kRuns * 2 * static_cast<int>(kTests));
  for (int run = 1; run <= kRuns; ++run) {
    ASSERT_OK_AND_ASSIGN(const RunRow row, stores[1]->GetRun(RunId(run)));
    EXPECT_EQ(row.run.verdict(), v1::Verdict::PASSED);
    EXPECT_EQ(row.run.ledger().passed(), kTests * 2);
    ASSERT_OK_AND_ASSIGN(const auto results, stores[2]->LoadResults(RunId(run), 0, kTests * 2));
    EXPECT_EQ(results.size(), kTests * 2);
  }
}

TEST_F(PostgresStoreTest, OneRequestAdmittedByTwoCoordinatorsAtOnceIsOneRun) {
  auto first = Open(), second = Open();
  for (int round = 0; round < 20; ++round) {
    AdmitRun mine = MakeAdmission(RunId(round * 2 + 1), 3, {"a"});
    AdmitRun theirs = MakeAdmission(RunId(round * 2 + 2), 3, {"a"});
    mine.run.request_id = theirs.run.request_id = absl::StrCat("request-", round);
    int committed = 0;
    absl::StatusOr<CommitResult> answer;
    std::thread other([&] { answer = second->Commit({theirs}); });
    ASSERT_OK_AND_ASSIGN(const CommitResult result, first->Commit({mine}));
    other.join();
    ASSERT_OK(answer);
    committed = result.outcomes[0].committed + answer->outcomes[0].committed;
    EXPECT_EQ(committed, 1);
    const Outcome& refused =
        result.outcomes[0].committed ? answer->outcomes[0] : result.outcomes[0];
    ASSERT_EQ(refused.run.size(), 1u);
    EXPECT_EQ(refused.run[0].request_id, mine.run.request_id);
  }
}

TEST_F(PostgresStoreTest, OneNameSaidByTwoAgentsAtOnceIsHeldByOne) {
  auto first = Open(), second = Open();
  for (int round = 0; round < 20; ++round) {
    const std::string name = absl::StrCat("web-", round);
    absl::StatusOr<CommitResult> answer;
    std::thread other([&] {
      answer = second->Commit({PutAgent{MakeAgent(absl::StrCat("x", round), name, "a", "c2")}});
    });
    ASSERT_OK_AND_ASSIGN(const CommitResult result,
                         first->Commit({PutAgent{
                             MakeAgent(absl::StrCat("y", round), name, "a", "c1")}}));
    other.join();
    ASSERT_OK(answer);
    EXPECT_EQ(result.outcomes[0].committed + answer->outcomes[0].committed, 1);
  }
}

TEST_F(PostgresStoreTest, AConnectionThatWasCutIsMadeAgain) {
  auto store = Open();
  ASSERT_OK(store->Commit({AdmitRun(MakeAdmission(RunId(1), 2, {"a"}))}));
  ASSERT_OK(store->GetRun(RunId(1)));
  cluster_->Sql(
      "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
      "WHERE application_name = 'picket-coordinator'");
  EXPECT_OK(store->GetRun(RunId(1)));
  EXPECT_OK(store->Commit({AdmitRun(MakeAdmission(RunId(2), 2, {"a"}))}));
  EXPECT_OK(store->GetRun(RunId(2)));
}

TEST_F(PostgresStoreTest, ADatabaseThatIsAwayIsUnavailableUntilItIsBack) {
  auto store = Open();
  ASSERT_OK(store->Commit({AdmitRun(MakeAdmission(RunId(1), 2, {"a"}))}));
  cluster_->Stop();
  EXPECT_THAT(store->Commit({AdmitRun(MakeAdmission(RunId(2), 2, {"a"}))}),
              StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_THAT(store->GetRun(RunId(1)), StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_THAT(OpenStore(uri_, Clock::Real()), StatusIs(absl::StatusCode::kUnavailable));
  ASSERT_TRUE(cluster_->Start());
  EXPECT_OK(store->GetRun(RunId(1)));
  EXPECT_OK(store->Commit({AdmitRun(MakeAdmission(RunId(2), 2, {"a"}))}));
  EXPECT_OK(store->GetRun(RunId(2)));
}

TEST_F(PostgresStoreTest, OthersAreWokenWhenARunIsAdmitted) {
  auto first = Open(), second = Open();
  Mutex mu;
  CondVar changed;
  int hints = 0;
  second->OnHint([&] {
    MutexLock lock(&mu);
    ++hints;
    changed.SignalAll();
  });
  // The listener connects by itself; admissions are repeated until it has.
  bool woken = false;
  for (int run = 1; run <= 200 && !woken; ++run) {
    ASSERT_OK(first->Commit({AdmitRun(MakeAdmission(RunId(run), 1, {"a"}))}));
    MutexLock lock(&mu);
    if (hints == 0) changed.WaitWithTimeout(&mu, absl::Milliseconds(100));
    woken = hints > 0;
  }
  EXPECT_TRUE(woken);
  second->OnHint([] {});
}

TEST_F(PostgresStoreTest, CoordinatorsThatRaceClaimEachRowOfTheOutboxOnce) {
  constexpr int kRuns = 60, kCoordinators = 3;
  std::vector<std::unique_ptr<Store>> stores;
  for (int i = 0; i < kCoordinators; ++i) stores.push_back(Open());
  stores[0]->KeepOutbox({"deploys"});
  std::vector<Proposal> admissions;
  for (int run = 1; run <= kRuns; ++run) admissions.emplace_back(MakeAdmission(RunId(run), 0, {}));
  ASSERT_OK(stores[0]->Commit(admissions));
  Mutex mu;
  std::multiset<std::string> told;
  std::vector<std::thread> threads;
  for (const auto& store : stores) {
    threads.emplace_back([&, s = store.get()] {
      while (true) {
        auto rows = s->ClaimOutbox("deploys", absl::Minutes(5), 4);
        if (absl::IsAborted(rows.status())) continue;
        ASSERT_OK(rows);
        if (rows->empty()) return;
        std::vector<Store::OutboxEnd> ends;
        for (const OutboxRow& row : *rows) {
          MutexLock lock(&mu);
          told.insert(row.run.run_id());
          ends.push_back({.id = row.id, .tries = row.tries, .again = std::nullopt});
        }
        absl::Status settled = s->SettleOutbox(ends);
        while (absl::IsAborted(settled)) settled = s->SettleOutbox(ends);
        ASSERT_OK(settled);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(told.size(), static_cast<size_t>(kRuns));
  for (int run = 1; run <= kRuns; ++run) EXPECT_EQ(told.count(RunId(run)), 1u);
}

TEST_F(PostgresStoreTest, OthersMayWriteToIt) { EXPECT_FALSE(Open()->Exclusive()); }

TEST_F(PostgresStoreTest, ANewerStoreIsRefusedAndBothVersionsAreNamed) {
  Open();
  cluster_->Sql(absl::StrCat("INSERT INTO ", schema_, ".picket_schema VALUES (4242)"));
  EXPECT_THAT(OpenStore(uri_, Clock::Real()),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       AllOf(HasSubstr("4242"), HasSubstr(absl::StrCat("knows schema version ", LatestSchema())))));
}

TEST_F(PostgresStoreTest, APasswordIsNotInMessages) {
  EXPECT_THAT(OpenStore("postgresql://jo:secret@127.0.0.1:1/none", Clock::Real()),
              StatusIs(absl::StatusCode::kUnavailable,
                       AllOf(HasSubstr("127.0.0.1:1/none"), Not(HasSubstr("secret")))));
}

TEST_F(PostgresStoreTest, SeveralCoordinatorsMayOpenAnEmptyDatabaseAtOnce) {
  std::vector<std::thread> threads;
  std::atomic<int> opened{0};
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] { opened += OpenStore(uri_, Clock::Real()).ok(); });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(opened, 4);
}

}  // namespace
}  // namespace picket
