// The store over an SQL database: one connection commits, one reads.

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/base/mutex.h"
#include "common/base/status_macros.h"
#include "coordinator/store/codec.h"
#include "coordinator/store/limits.h"
#include "coordinator/store/sql_commit.h"
#include "coordinator/store/sql_driver.h"
#include "coordinator/store/sql_outbox.h"
#include "coordinator/store/sql_prune.h"
#include "coordinator/store/sql_results.h"
#include "coordinator/store/sql_rows.h"
#include "coordinator/store/sql_schema.h"
#include "coordinator/store/store.h"

namespace picket {
namespace {

using V = SqlValue;

class SqlStore final : public Store {
 public:
  explicit SqlStore(SqlDatabase database) : database_(std::move(database)) {}

  absl::StatusOr<CommitResult> Commit(const std::vector<Proposal>& proposals) override {
    MutexLock lock(&write_mu_);
    absl::StatusOr<CommitResult> result = TryCommit(proposals);
    for (int tries = 1; absl::IsAborted(result.status()); ++tries) {
      if (tries >= DefaultStoreLimits().commit_tries) {
        return absl::UnavailableError(
            absl::StrCat("the store is too busy: ", result.status().message()));
      }
      result = TryCommit(proposals);
    }
    return result;
  }

  absl::StatusOr<absl::Time> Now() override {
    MutexLock lock(&read_mu_);
    return reader().Now();
  }

  absl::StatusOr<std::vector<RunRow>> ListActiveRuns() override {
    return Read<RunRow>(
        "SELECT " PICKET_RUN_COLUMNS " FROM runs WHERE sealed = 0 ORDER BY run_id", {},
        [](const SqlRow& row, RunRow& run) { return ReadRun(row, run); });
  }

  absl::StatusOr<std::vector<TestRow>> LoadTests(const std::string& run_id,
                                                 DataRows rows) override {
    MutexLock lock(&read_mu_);
    std::vector<TestRow> tests;
    ABSL_ASSIGN_OR_RETURN(const std::string project, ProjectOf(run_id));
    ABSL_RETURN_IF_ERROR(ReadAllTests(reader(), project, run_id, rows, tests));
    return tests;
  }

  absl::StatusOr<std::vector<ShardRow>> LoadShards(const std::string& run_id) override {
    MutexLock lock(&read_mu_);
    std::vector<ShardRow> shards;
    ABSL_ASSIGN_OR_RETURN(const std::string project, ProjectOf(run_id));
    ABSL_RETURN_IF_ERROR(ReadAllShards(reader(), project, run_id, shards));
    return shards;
  }

  absl::StatusOr<std::vector<ShardRow>> LoadChangedShards(const std::string& run_id,
                                                          const std::vector<uint64_t>& known_revs,
                                                          size_t most) override {
    MutexLock lock(&read_mu_);
    ABSL_ASSIGN_OR_RETURN(const std::string project, ProjectOf(run_id));
    std::vector<int64_t> changed;
    ABSL_RETURN_IF_ERROR(reader().Query(
        "SELECT s.shard, s.rev FROM shards s, runs r WHERE s.project = $1 AND s.run_id = $2 AND "
        "r.project = $1 AND r.run_id = $2 AND r.sealed = 0 ORDER BY s.shard",
        {V::Text(project), V::Text(run_id)}, [&](const SqlRow& row) {
          const size_t shard = static_cast<size_t>(row.Int(0));
          if (changed.size() < most && (shard >= known_revs.size() ||
                                        known_revs[shard] != static_cast<uint64_t>(row.Int(1)))) {
            changed.push_back(row.Int(0));
          }
          return absl::OkStatus();
        }));
    std::vector<ShardRow> shards;
    for (const int64_t shard : changed) {
      ABSL_RETURN_IF_ERROR(reader().Query(
          "SELECT " PICKET_SHARD_COLUMNS
          " FROM shards WHERE project = $1 AND run_id = $2 AND shard = $3",
          {V::Text(project), V::Text(run_id), V::Int(shard)},
          [&](const SqlRow& row) { return ReadShard(row, run_id, shards.emplace_back()); }));
    }
    return shards;
  }

  absl::StatusOr<std::vector<LeaseRow>> LoadLeases(const std::string& run_id) override {
    MutexLock lock(&read_mu_);
    ABSL_ASSIGN_OR_RETURN(const std::string project, ProjectOf(run_id));
    std::vector<LeaseRow> leases;
    ABSL_RETURN_IF_ERROR(reader().Query(
        "SELECT " PICKET_LEASE_COLUMNS
        " FROM leases WHERE project = $1 AND run_id = $2 AND ended = 0 ORDER BY shard, epoch",
        {V::Text(project), V::Text(run_id)},
        [&](const SqlRow& row) { return ReadLease(row, run_id, leases.emplace_back()); }));
    return leases;
  }

  absl::StatusOr<std::optional<LeaseRow>> FindLease(const std::string& run_id, uint32_t shard,
                                                    uint32_t epoch) override {
    MutexLock lock(&read_mu_);
    ABSL_ASSIGN_OR_RETURN(const std::string project, ProjectOf(run_id));
    std::optional<LeaseRow> lease;
    ABSL_RETURN_IF_ERROR(reader().Query(
        "SELECT " PICKET_LEASE_COLUMNS
        " FROM leases WHERE project = $1 AND run_id = $2 AND shard = $3 AND epoch = $4",
        {V::Text(project), V::Text(run_id), V::Int(shard), V::Int(epoch)},
        [&](const SqlRow& row) { return ReadLease(row, run_id, lease.emplace()); }));
    return lease;
  }

  absl::StatusOr<std::vector<AgentRow>> LoadAgents() override {
    return Read<AgentRow>("SELECT " PICKET_AGENT_COLUMNS " FROM agents ORDER BY instance", {},
                          ReadAgent);
  }

  absl::StatusOr<std::vector<v1::Blob>> LoadBlobs(
      const std::vector<std::string>& digests) override {
    MutexLock lock(&read_mu_);
    std::vector<v1::Blob> blobs;
    for (const std::string& digest : digests) {
      ABSL_RETURN_IF_ERROR(reader().Query("SELECT data FROM blobs WHERE sha256 = $1",
                                          {V::Blob(digest)}, [&](const SqlRow& row) {
                                            v1::Blob& blob = blobs.emplace_back();
                                            blob.set_sha256(digest);
                                            blob.set_data(row.String(0));
                                            return absl::OkStatus();
                                          }));
    }
    return blobs;
  }

  absl::StatusOr<std::vector<uint32_t>> ExpectedDurations(
      const std::string& project, const std::vector<DurationKey>& keys) override {
    MutexLock lock(&read_mu_);
    std::map<std::string, std::map<std::pair<std::string, std::string>, uint32_t>> suites;
    std::vector<uint32_t> expected;
    expected.reserve(keys.size());
    for (const DurationKey& key : keys) {
      const auto [suite, fresh] = suites.try_emplace(key.suite);
      if (fresh) {
        ABSL_RETURN_IF_ERROR(reader().Query(
            "SELECT test_id, location, expected_us FROM history_keys WHERE project = $1 AND "
            "suite = $2 ORDER BY measured",
            {V::Text(project), V::Text(key.suite)}, [&, &found = suite->second](const SqlRow& row) {
              found[{row.String(0), row.String(1)}] = static_cast<uint32_t>(row.Int(2));
              return absl::OkStatus();
            }));
      }
      const auto it = suite->second.find({key.test_id, key.location});
      expected.push_back(it == suite->second.end() ? 0 : it->second);
    }
    return expected;
  }

  absl::StatusOr<RunRow> GetRun(const std::string& run_id) override {
    ABSL_ASSIGN_OR_RETURN(
        std::vector<RunRow> rows,
        Read<RunRow>("SELECT " PICKET_RUN_COLUMNS " FROM runs WHERE run_id = $1",
                     {V::Text(run_id)},
                     [](const SqlRow& row, RunRow& run) { return ReadRun(row, run); }));
    if (rows.empty()) return absl::NotFoundError(absl::StrCat("no run ", run_id));
    return std::move(rows.front());
  }

  absl::StatusOr<std::vector<RunRow>> ListRuns(const std::string& project,
                                               const std::string& before_run_id,
                                               size_t most) override {
    // '~' sorts after every character of an id.
    return Read<RunRow>(
        "SELECT " PICKET_RUN_COLUMNS
        " FROM runs WHERE project = $1 AND run_id < $2 ORDER BY run_id DESC LIMIT $3",
        {V::Text(project), V::Text(before_run_id.empty() ? "~" : before_run_id),
         V::Int(static_cast<int64_t>(most))},
        [](const SqlRow& row, RunRow& run) { return ReadRun(row, run); });
  }

  absl::StatusOr<std::vector<ResultRow>> LoadResults(const std::string& run_id, uint32_t first,
                                                     uint32_t count) override {
    MutexLock lock(&read_mu_);
    ABSL_ASSIGN_OR_RETURN(const std::string project, ProjectOf(run_id));
    if (project.empty()) return std::vector<ResultRow>();
    return results_.Load(reader(), project, run_id, first, count);
  }

  absl::StatusOr<v1::Evidence> GetEvidence(const std::string& run_id, uint32_t execution,
                                           uint32_t attempt) override {
    MutexLock lock(&read_mu_);
    ABSL_ASSIGN_OR_RETURN(const std::string project, ProjectOf(run_id));
    std::optional<v1::Evidence> evidence;
    bool parsed = true;
    ABSL_RETURN_IF_ERROR(reader().Query(
        "SELECT e.data FROM evidence_refs r, evidence e WHERE r.project = $1 AND r.run_id = $2 "
        "AND r.execution = $3 AND r.attempt = $4 AND e.project = r.project AND "
        "e.run_id = r.run_id AND e.sha256 = r.sha256",
        {V::Text(project), V::Text(run_id), V::Int(execution), V::Int(attempt)},
        [&](const SqlRow& row) {
          parsed = evidence.emplace().ParseFromString(row.String(0));
          return absl::OkStatus();
        }));
    const std::string what =
        absl::StrCat("attempt ", attempt, " of execution ", execution, " of run ", run_id);
    if (!evidence.has_value()) {
      return absl::NotFoundError(absl::StrCat("no evidence is kept of ", what));
    }
    if (!parsed) return absl::DataLossError(absl::StrCat("the evidence of ", what, " is damaged"));
    return *std::move(evidence);
  }

  absl::StatusOr<std::vector<HistoryRow>> LoadHistory(const std::string& project,
                                                      const DurationKey& key,
                                                      const std::string& baseline,
                                                      size_t most) override {
    return Read<HistoryRow>(
        "SELECT h.run_id, h.time_us, h.total_us, h.measurement, h.learning FROM history_keys k "
        "JOIN history h ON h.key_id = k.id WHERE k.project = $1 AND k.suite = $2 AND k.test_id = $3 AND k.location = $4 AND "
        "k.baseline = $5 AND h.slot >= 0 ORDER BY h.sequence DESC LIMIT $6",
        {V::Text(project), V::Text(key.suite), V::Text(key.test_id), V::Text(key.location),
         V::Text(baseline), V::Int(static_cast<int64_t>(most))},
        [&](const SqlRow& row, HistoryRow& history) {
          history = {project, key.suite, key.test_id, key.location, baseline};
          history.run_id = row.String(0);
          history.time = TimeFromMicros(row.Int(1));
          history.total_us = static_cast<uint32_t>(row.Int(2));
          history.measurement = row.String(3);
          history.learning = row.Int(4) != 0;
          return absl::OkStatus();
        });
  }

  void KeepOutbox(std::vector<std::string> targets) override {
    MutexLock lock(&write_mu_);
    outbox_ = std::move(targets);
  }

  absl::StatusOr<std::vector<OutboxView>> ViewOutbox() override {
    MutexLock lock(&read_mu_);
    return ViewSqlOutbox(reader());
  }

  absl::StatusOr<std::vector<OutboxRow>> ClaimOutbox(const std::string& target,
                                                     absl::Duration hold, size_t most) override {
    std::vector<OutboxRow> rows;
    ABSL_RETURN_IF_ERROR(Write([&](SqlDriver& driver, absl::Time now) -> absl::Status {
      ABSL_ASSIGN_OR_RETURN(rows, ClaimSqlOutbox(driver, target, now, hold, most));
      return absl::OkStatus();
    }));
    return rows;
  }

  absl::Status SettleOutbox(const std::vector<OutboxEnd>& ends) override {
    return Write([&](SqlDriver& driver, absl::Time now) {
      return SettleSqlOutbox(driver, ends, now);
    });
  }

  absl::StatusOr<size_t> Prune(size_t keep_runs, absl::Time results_before, size_t most) override {
    absl::StatusOr<size_t> gone = TryPrune(keep_runs, results_before, most);
    if (gone.ok() && *gone > 0) {
      MutexLock lock(&read_mu_);
      results_.Forget();
      projects_.clear();
    }
    return gone;
  }

  void OnHint(absl::AnyInvocable<void()> hint) override {
    if (database_.on_hint != nullptr) database_.on_hint(std::move(hint));
  }

  bool Exclusive() const override { return database_.on_hint == nullptr; }

 private:
  SqlDriver& reader() ABSL_EXCLUSIVE_LOCKS_REQUIRED(read_mu_) { return *database_.reader; }

  absl::StatusOr<CommitResult> TryCommit(const std::vector<Proposal>& proposals)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(write_mu_) {
    SqlDriver& driver = *database_.writer;
    CommitResult result;
    if (proposals.empty()) {
      ABSL_ASSIGN_OR_RETURN(result.now, driver.Now());
      return result;
    }
    if (facts_.size() > DefaultStoreLimits().cached_runs) facts_.clear();
    ABSL_ASSIGN_OR_RETURN(result.now, driver.Begin());
    absl::StatusOr<std::vector<Outcome>> outcomes =
        SqlCommit(driver, facts_, outbox_, result.now).Run(proposals);
    if (!outcomes.ok()) {
      driver.Rollback();
      facts_.clear();  // of what was not admitted after all
      return outcomes.status();
    }
    const absl::Status committed = driver.Commit();
    if (!committed.ok()) {
      facts_.clear();
      return committed;
    }
    result.outcomes = *std::move(outcomes);
    return result;
  }

  // One transaction of a few statements beside the commits. Aborted: it met another one.
  absl::Status Write(absl::FunctionRef<absl::Status(SqlDriver&, absl::Time)> job) {
    MutexLock lock(&write_mu_);
    SqlDriver& driver = *database_.writer;
    ABSL_ASSIGN_OR_RETURN(const absl::Time now, driver.Begin());
    const absl::Status status = job(driver, now);
    if (!status.ok()) {
      driver.Rollback();
      return status;
    }
    return driver.Commit();
  }

  absl::StatusOr<size_t> TryPrune(size_t keep_runs, absl::Time results_before, size_t most) {
    size_t gone = 0;
    const absl::Status status =
        Write([&](SqlDriver& driver, absl::Time now) -> absl::Status {
          ABSL_ASSIGN_OR_RETURN(gone, PruneSql(driver, keep_runs, results_before, now, most));
          return absl::OkStatus();
        });
    // It met another transaction: next time.
    if (absl::IsAborted(status)) return size_t{0};
    ABSL_RETURN_IF_ERROR(status);
    if (gone > 0) {
      MutexLock lock(&write_mu_);
      facts_.clear();
    }
    return gone;
  }

  // Empty: there is no such run.
  absl::StatusOr<std::string> ProjectOf(const std::string& run_id)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(read_mu_) {
    const auto known = projects_.find(run_id);
    if (known != projects_.end()) return known->second;
    std::string project;
    ABSL_RETURN_IF_ERROR(reader().Query("SELECT project FROM runs WHERE run_id = $1",
                                        {V::Text(run_id)}, [&](const SqlRow& row) {
                                          project = row.String(0);
                                          return absl::OkStatus();
                                        }));
    if (projects_.size() > DefaultStoreLimits().cached_runs) projects_.clear();
    if (!project.empty()) projects_[run_id] = project;
    return project;
  }

  template <typename Row>
  absl::StatusOr<std::vector<Row>> Read(
      const char* sql, const SqlValues& values,
      absl::FunctionRef<absl::Status(const SqlRow&, Row&)> read) {
    MutexLock lock(&read_mu_);
    std::vector<Row> rows;
    ABSL_RETURN_IF_ERROR(reader().Query(
        sql, values, [&](const SqlRow& row) { return read(row, rows.emplace_back()); }));
    return rows;
  }

  Mutex write_mu_;
  Mutex read_mu_;
  SqlDatabase database_;  // writer under write_mu_, reader under read_mu_
  RunFactsCache facts_ ABSL_GUARDED_BY(write_mu_);
  std::vector<std::string> outbox_ ABSL_GUARDED_BY(write_mu_);  // its targets
  SqlResults results_ ABSL_GUARDED_BY(read_mu_);
  std::map<std::string, std::string> projects_ ABSL_GUARDED_BY(read_mu_);
};

}  // namespace

absl::StatusOr<std::unique_ptr<Store>> OpenStore(const std::string& uri, Clock* clock) {
  absl::string_view rest = uri;
  SqlDatabase database;
  if (absl::ConsumePrefix(&rest, "sqlite:")) {
    ABSL_ASSIGN_OR_RETURN(database, OpenSqlite(std::string(rest), clock));
  } else if (absl::StartsWith(uri, "postgresql://") || absl::StartsWith(uri, "postgres://")) {
    ABSL_ASSIGN_OR_RETURN(database, OpenPostgres(uri));
  } else {
    return absl::InvalidArgumentError(
        absl::StrCat("a store is sqlite:PATH or postgresql://HOST/DATABASE, not '", uri.substr(0, uri.find(':')), "'"));
  }
  ABSL_RETURN_IF_ERROR(Migrate(database));
  return std::unique_ptr<Store>(std::make_unique<SqlStore>(std::move(database)));
}

}  // namespace picket
