// How a run enters the store, and the small rows beside it.

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "coordinator/store/codec.h"
#include "coordinator/store/limits.h"
#include "coordinator/store/sql_commit.h"
#include "coordinator/store/sql_outbox.h"
#include "coordinator/store/sql_rows.h"

namespace picket {
namespace {

using V = SqlValue;

// Unambiguous: each part with its length.
std::string HistoryKey(const HistoryRow& row) {
  std::string key;
  for (const std::string* part :
       {&row.project, &row.suite, &row.test_id, &row.location, &row.baseline}) {
    absl::StrAppend(&key, part->size(), ":", *part);
  }
  return key;
}

}  // namespace

absl::Status SqlCommit::Apply(const AdmitRun& admit, Outcome& outcome) {
  const std::string& project = admit.run.run.project();
  const std::string& run_id = admit.run.run.run_id();
  ABSL_RETURN_IF_ERROR(driver_.Query(
      "SELECT " PICKET_RUN_COLUMNS " FROM runs WHERE project = $1 AND request_id = $2",
      {V::Text(project), V::Text(admit.run.request_id)}, [&](const SqlRow& row) {
        return ReadRun(row, outcome.run.emplace_back());
      }));
  if (!outcome.run.empty()) {
    const auto known = runs_.find(outcome.run[0].run.run_id());
    if (known != runs_.end()) outcome.run[0] = known->second.row;
    return absl::OkStatus();
  }
  auto facts = std::make_shared<RunFacts>();
  facts->project = project;
  facts->has_blocking = true;
  for (const TestRow& test : admit.tests) {
    facts->blocking.Add(test.first_execution, test.test.blocking());
  }
  facts_[run_id] = facts;
  ABSL_RETURN_IF_ERROR(InsertRun(admit, *facts));
  RunEntry& entry = runs_[run_id];
  entry.row = admit.run;
  for (const ShardRow& shard : admit.shards) {
    ShardEntry& stored = shards_[{run_id, shard.shard}];
    stored.row = shard;
    stored.whole = true;
  }
  outcome.committed = true;
  notify_ = true;
  if (entry.row.run.state() == v1::Run::SEALED) {
    outcome.sealed.push_back(entry.row);
    return InsertOutbox(driver_, outbox_, entry.row.run, now_);
  }
  if (entry.row.undecided == 0) return Seal(run_id, entry, v1::EndCause::COMPLETE, outcome);
  return absl::OkStatus();
}

absl::Status SqlCommit::InsertRun(const AdmitRun& admit, RunFacts& facts) {
  const RunRow& run = admit.run;
  const std::string& run_id = run.run.run_id();
  ABSL_RETURN_IF_ERROR(driver_.Exec(
      "INSERT INTO runs (project, run_id, sealed, seal_us, passed, results_kept, request_id, "
      "spec_digest, fail_fast, max_failures, priority, expect_agents, executions, shards, "
      "undecided, failed, failed_blocking, evidence_bytes, evidence_count, late_results, run) "
      "VALUES ($1, $2, $3, $4, $5, 1, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, 0, 0, 0, "
      "$17)",
      {V::Text(facts.project), V::Text(run_id), V::Int(run.run.state() == v1::Run::SEALED),
       V::Int(SealMicros(run.run)), V::Int(run.run.verdict() == v1::Verdict::PASSED),
       V::Text(run.request_id), V::Blob(run.spec_digest), V::Int(run.fail_fast),
       V::Int(run.max_failures), V::Int(run.priority), V::Int(run.expect_agents),
       V::Int(run.executions), V::Int(run.shards), V::Int(run.undecided), V::Int(run.failed),
       V::Int(run.failed_blocking), V::Blob(run.run.SerializeAsString())}));
  for (const TestRow& test : admit.tests) {
    ABSL_RETURN_IF_ERROR(driver_.Exec(
        "INSERT INTO run_tests (project, run_id, idx, first_execution, blocking, digest, test, "
        "data_rows) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        {V::Text(facts.project), V::Text(run_id), V::Int(test.index),
         V::Int(test.first_execution), V::Int(test.test.blocking()), V::Blob(test.digest),
         V::Blob(test.test.SerializeAsString()), V::Blob(test.rows.SerializeAsString())}));
  }
  for (const ShardRow& shard : admit.shards) {
    ABSL_RETURN_IF_ERROR(InsertShard(facts.project, shard));
  }
  return InsertBlobs(admit);
}

absl::Status SqlCommit::InsertBlobs(const AdmitRun& admit) {
  if (admit.blobs.empty()) return absl::OkStatus();
  // Pruning deletes blobs of no run under the same name.
  ABSL_RETURN_IF_ERROR(driver_.LockName("picket blobs"));
  for (const v1::Blob& blob : admit.blobs) {
    ABSL_RETURN_IF_ERROR(
        driver_.Exec("INSERT INTO blobs (sha256, data) VALUES ($1, $2) ON CONFLICT DO NOTHING",
                     {V::Blob(blob.sha256()), V::Blob(blob.data())}));
    ABSL_RETURN_IF_ERROR(driver_.Exec(
        "INSERT INTO run_blobs (project, run_id, sha256) VALUES ($1, $2, $3) "
        "ON CONFLICT DO NOTHING",
        {V::Text(admit.run.run.project()), V::Text(admit.run.run.run_id()),
         V::Blob(blob.sha256())}));
  }
  return absl::OkStatus();
}

absl::Status SqlCommit::InsertShard(const std::string& project, const ShardRow& shard) {
  return driver_.Exec(
      "INSERT INTO shards (project, run_id, shard, location, priority, rev, epoch, expected_us, "
      "executions, ends, marks) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
      {V::Text(project), V::Text(shard.run_id), V::Int(shard.shard), V::Text(shard.location),
       V::Int(shard.priority), V::Int(static_cast<int64_t>(shard.rev)), V::Int(shard.epoch),
       V::Int(shard.expected_us), V::Blob(EncodeNumbers(shard.executions)),
       V::Blob(EndsAsBytes(shard.ends)), V::Blob(EncodeMarks(shard.leased, shard.marks))});
}

absl::Status SqlCommit::InsertLease(const std::string& project, const LeaseRow& lease) {
  return driver_.Exec(
      "INSERT INTO leases (project, run_id, shard, epoch, instance, spool, agent, location, "
      "positions, isolated, ended) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
      {V::Text(project), V::Text(lease.run_id), V::Int(lease.shard), V::Int(lease.epoch),
       V::Text(lease.instance), V::Text(lease.spool), V::Text(lease.agent),
       V::Text(lease.location), V::Blob(EncodeNumbers(lease.positions)),
       V::Int(lease.isolated), V::Int(lease.ended)});
}

absl::Status SqlCommit::AddHistory(RunFacts& facts, const std::vector<HistoryRow>& rows) {
  for (const HistoryRow& row : rows) {
    std::string key = HistoryKey(row);
    // One run cannot fill a key more than once over: what follows would only be written
    // to be overwritten.
    if (++facts.history[key] > DefaultStoreLimits().history_per_key) continue;
    history_[std::move(key)].push_back(row);
  }
  return absl::OkStatus();
}

absl::Status SqlCommit::FlushHistory() {
  for (const auto& [key, rows] : history_) {
    const HistoryRow& first = rows.front();
    const SqlValues names = {V::Text(first.project), V::Text(first.suite), V::Text(first.test_id),
                             V::Text(first.location), V::Text(first.baseline)};
    int64_t id = -1, measured = 0, expected = 0;
    ABSL_RETURN_IF_ERROR(driver_.Query(
        "SELECT id, measured, expected_us FROM history_keys WHERE project = $1 AND suite = $2 "
        "AND test_id = $3 AND location = $4 AND baseline = $5 FOR UPDATE",
        names, [&](const SqlRow& row) {
          id = row.Int(0);
          measured = row.Int(1);
          expected = row.Int(2);
          return absl::OkStatus();
        }));
    if (id < 0) {
      ABSL_RETURN_IF_ERROR(driver_.Query(
          "INSERT INTO history_keys (project, suite, test_id, location, baseline, measured, "
          "expected_us) VALUES ($1, $2, $3, $4, $5, 0, 0) RETURNING id",
          names, [&](const SqlRow& row) {
            id = row.Int(0);
            return absl::OkStatus();
          }));
    }
    for (const HistoryRow& row : rows) {
      expected = FoldDuration(static_cast<uint32_t>(expected), row.total_us);
      ABSL_RETURN_IF_ERROR(driver_.Exec(
          "INSERT INTO history (key_id, slot, run_id, sequence, time_us, total_us, measurement, "
          "learning) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
          {V::Int(id), V::Int(-1 - measured), V::Text(row.run_id), V::Int(measured),
           V::Int(TimeToMicros(row.time)), V::Int(row.total_us), V::Blob(row.measurement),
           V::Int(row.learning)}));
      ++measured;
    }
    ABSL_RETURN_IF_ERROR(
        driver_.Exec("UPDATE history_keys SET measured = $2, expected_us = $3 WHERE id = $1",
                     {V::Int(id), V::Int(measured), V::Int(expected)}));
  }
  return absl::OkStatus();
}

// The slots from 0 are a ring of the measurements that are kept; `kept` counts all that ever
// were. Those of an unsealed run wait below 0.
absl::Status SqlCommit::SettleHistory(const std::string& run_id, HistoryKept kept) {
  const V run = V::Text(run_id);
  if (kept != HistoryKept::kAll) {
    const V least = V::Int(kept == HistoryKept::kLearning ? 1 : 2);
    ABSL_RETURN_IF_ERROR(driver_.Exec(
        "DELETE FROM history WHERE run_id = $1 AND slot < 0 AND learning < $2", {run, least}));
    if (kept == HistoryKept::kNone) return absl::OkStatus();
  }
  const V slots = V::Int(static_cast<int64_t>(DefaultStoreLimits().history_per_key));
  // Runs that seal at once on several coordinators take turns, in one order.
  ABSL_RETURN_IF_ERROR(driver_.Query(
      "SELECT id FROM history_keys WHERE id IN (SELECT key_id FROM history WHERE run_id = $1 AND "
      "slot < 0) ORDER BY id FOR UPDATE",
      {run}, [](const SqlRow&) { return absl::OkStatus(); }));
  // Of one key more than the ring holds: the oldest go.
  ABSL_RETURN_IF_ERROR(driver_.Exec(
      "DELETE FROM history WHERE (key_id, slot) IN (SELECT key_id, slot FROM (SELECT key_id, slot, "
      "ROW_NUMBER() OVER (PARTITION BY key_id ORDER BY sequence DESC) AS newest FROM history "
      "WHERE run_id = $1 AND slot < 0) AS waiting WHERE newest > $2)",
      {run, slots}));
  ABSL_RETURN_IF_ERROR(driver_.Exec(
      "UPDATE history_keys SET kept = kept + (SELECT COUNT(*) FROM history WHERE "
      "history.key_id = history_keys.id AND history.run_id = $1 AND history.slot < 0) WHERE id IN "
      "(SELECT key_id FROM history WHERE run_id = $1 AND slot < 0)",
      {run}));
#define PICKET_HISTORY_MOVES                                                           \
  "(SELECT h.key_id AS key_id, h.slot AS slot, k.kept - ROW_NUMBER() OVER (PARTITION " \
  "BY h.key_id ORDER BY h.sequence DESC) AS place FROM history h JOIN history_keys k " \
  "ON k.id = h.key_id WHERE h.run_id = $1 AND h.slot < 0) AS moves"
  ABSL_RETURN_IF_ERROR(driver_.Exec(
      "DELETE FROM history WHERE (key_id, slot) IN (SELECT moves.key_id, moves.place % $2 "
      "FROM " PICKET_HISTORY_MOVES ")",
      {run, slots}));
  return driver_.Exec(
      "UPDATE history SET slot = moves.place % $2, sequence = moves.place FROM " PICKET_HISTORY_MOVES
      " WHERE history.key_id = moves.key_id AND history.slot = moves.slot",
      {run, slots});
#undef PICKET_HISTORY_MOVES
}

}  // namespace picket
