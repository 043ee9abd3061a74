#include "coordinator/store/sql_commit.h"

#include <algorithm>

#include "common/base/status_macros.h"
#include "coordinator/core/seal.h"
#include "coordinator/store/codec.h"
#include "coordinator/store/limits.h"
#include "coordinator/store/sql_outbox.h"
#include "coordinator/store/sql_rows.h"

namespace picket {
namespace {

using V = SqlValue;

// How many shards one statement locks; short lists are filled up by repetition.
constexpr size_t kShardsPerLock = 8;

}  // namespace

absl::StatusOr<std::vector<Outcome>> SqlCommit::Run(const std::vector<Proposal>& proposals) {
  ABSL_RETURN_IF_ERROR(LockRows(proposals));
  std::vector<Outcome> outcomes(proposals.size());
  for (size_t i = 0; i < proposals.size(); ++i) {
    ABSL_RETURN_IF_ERROR(
        std::visit([&](const auto& proposal) { return Apply(proposal, outcomes[i]); },
                   proposals[i]));
  }
  ABSL_RETURN_IF_ERROR(Flush());
  return outcomes;
}

absl::StatusOr<std::shared_ptr<RunFacts>> SqlCommit::Facts(const std::string& run_id) {
  const auto known = facts_.find(run_id);
  if (known != facts_.end()) return known->second;
  std::shared_ptr<RunFacts> facts;
  ABSL_RETURN_IF_ERROR(driver_.Query("SELECT project FROM runs WHERE run_id = $1",
                                     {V::Text(run_id)}, [&](const SqlRow& row) {
                                       facts = std::make_shared<RunFacts>();
                                       facts->project = row.String(0);
                                       return absl::OkStatus();
                                     }));
  if (facts != nullptr) facts_[run_id] = facts;
  return facts;
}

absl::Status SqlCommit::LoadBlocking(const std::string& run_id, RunFacts& facts) {
  if (facts.has_blocking) return absl::OkStatus();
  BlockingIndex blocking;
  ABSL_RETURN_IF_ERROR(driver_.Query(
      "SELECT first_execution, blocking FROM run_tests WHERE project = $1 AND run_id = $2 "
      "ORDER BY idx",
      {V::Text(facts.project), V::Text(run_id)}, [&](const SqlRow& row) {
        blocking.Add(static_cast<uint32_t>(row.Int(0)), row.Int(1) != 0);
        return absl::OkStatus();
      }));
  facts.blocking = std::move(blocking);
  facts.has_blocking = true;
  return absl::OkStatus();
}

absl::Status SqlCommit::LockRows(const std::vector<Proposal>& proposals) {
  std::map<std::string, std::set<uint32_t>> written;
  std::set<std::string> ended;
  std::set<std::string> runs;
  for (const Proposal& proposal : proposals) {
    if (const auto* write = std::get_if<WriteShard>(&proposal)) {
      written[write->shard.run_id].insert(write->shard.shard);
      runs.insert(write->shard.run_id);
    } else if (const auto* end = std::get_if<EndRun>(&proposal)) {
      ended.insert(end->run_id);
      runs.insert(end->run_id);
    } else if (const auto* append = std::get_if<AppendResults>(&proposal)) {
      for (const ResultRow& row : append->results) runs.insert(row.run_id);
    }
  }
  for (const std::string& run_id : runs) {
    ABSL_ASSIGN_OR_RETURN(const auto facts, Facts(run_id));
    if (facts == nullptr) continue;
    if (ended.contains(run_id)) {
      ABSL_RETURN_IF_ERROR(driver_.Query(
          "SELECT " PICKET_SHARD_COLUMNS
          " FROM shards WHERE project = $1 AND run_id = $2 ORDER BY shard FOR UPDATE",
          {V::Text(facts->project), V::Text(run_id)}, [&](const SqlRow& row) {
            ShardRow shard;
            ABSL_RETURN_IF_ERROR(ReadShard(row, run_id, shard));
            ShardEntry& entry = shards_[{run_id, shard.shard}];
            entry.whole = true;
            entry.row = std::move(shard);
            return absl::OkStatus();
          }));
    } else if (written.contains(run_id)) {
      const std::set<uint32_t>& numbers = written[run_id];
      ABSL_RETURN_IF_ERROR(LockShards(run_id, {numbers.begin(), numbers.end()}));
    }
  }
  for (const std::string& run_id : runs) ABSL_RETURN_IF_ERROR(LockRun(run_id));
  return absl::OkStatus();
}

absl::Status SqlCommit::LockShards(const std::string& run_id,
                                   const std::vector<uint32_t>& shards) {
  const std::string& project = facts_.at(run_id)->project;
  const auto take = [&](const SqlRow& row) {
    const uint32_t number = static_cast<uint32_t>(row.Int(0));
    ShardRow& shard = shards_[{run_id, number}].row;
    shard.run_id = run_id;
    shard.shard = number;
    shard.rev = static_cast<uint64_t>(row.Int(1));
    shard.epoch = static_cast<uint32_t>(row.Int(2));
    shard.expected_us = static_cast<uint32_t>(row.Int(3));
    const absl::string_view ends = row.Bytes(4);
    shard.ends.assign(ends.begin(), ends.end());
    return absl::OkStatus();
  };
  // A list, however short, costs SQLite a table of its own, and most commits write one shard.
  if (shards.size() <= 2) {
    for (const uint32_t shard : shards) {
      ABSL_RETURN_IF_ERROR(driver_.Query(
          "SELECT shard, rev, epoch, expected_us, ends FROM shards WHERE project = $1 AND "
          "run_id = $2 AND shard = $3 FOR UPDATE",
          {V::Text(project), V::Text(run_id), V::Int(shard)}, take));
    }
    return absl::OkStatus();
  }
  for (size_t first = 0; first < shards.size(); first += kShardsPerLock) {
    SqlValues values = {V::Text(project), V::Text(run_id)};
    for (size_t i = 0; i < kShardsPerLock; ++i) {
      values.push_back(V::Int(shards[std::min(first + i, shards.size() - 1)]));
    }
    ABSL_RETURN_IF_ERROR(driver_.Query(
        "SELECT shard, rev, epoch, expected_us, ends FROM shards WHERE project = $1 AND "
        "run_id = $2 AND shard IN ($3, $4, $5, $6, $7, $8, $9, $10) ORDER BY shard FOR UPDATE",
        values, take));
  }
  return absl::OkStatus();
}

absl::Status SqlCommit::LockRun(const std::string& run_id) {
  const auto facts = facts_.find(run_id);
  if (facts == facts_.end()) return absl::OkStatus();
  bool found = false;
  ABSL_RETURN_IF_ERROR(driver_.Query(
      "SELECT " PICKET_RUN_COLUMNS " FROM runs WHERE project = $1 AND run_id = $2 FOR UPDATE",
      {V::Text(facts->second->project), V::Text(run_id)}, [&](const SqlRow& row) {
        found = true;
        RunEntry& entry = runs_[run_id];
        return ReadRun(row, entry.row, &entry.budget);
      }));
  if (!found) facts_.erase(run_id);  // deleted meanwhile
  return absl::OkStatus();
}

absl::Status SqlCommit::RefuseShard(const WriteShard& write, const RunEntry& run,
                                    ShardEntry& entry, Outcome& outcome) {
  const std::string& run_id = write.shard.run_id;
  outcome.run.push_back(run.row);
  if (!entry.whole) {
    ShardRow stored;
    ABSL_RETURN_IF_ERROR(driver_.Query(
        "SELECT " PICKET_SHARD_COLUMNS
        " FROM shards WHERE project = $1 AND run_id = $2 AND shard = $3",
        {V::Text(facts_.at(run_id)->project), V::Text(run_id), V::Int(write.shard.shard)},
        [&](const SqlRow& row) { return ReadShard(row, run_id, stored); }));
    if (entry.dirty) {
      stored.rev = entry.row.rev;
      stored.epoch = entry.row.epoch;
      stored.expected_us = entry.row.expected_us;
      stored.ends = entry.row.ends;
      stored.marks = entry.row.marks;
      stored.leased = entry.row.leased;
    }
    entry.row = std::move(stored);
    entry.whole = true;
  }
  outcome.shard.push_back(entry.row);
  return absl::OkStatus();
}

absl::Status SqlCommit::Apply(const WriteShard& write, Outcome& outcome) {
  const std::string& run_id = write.shard.run_id;
  const auto run = runs_.find(run_id);
  const auto shard = shards_.find({run_id, write.shard.shard});
  if (run == runs_.end() || shard == shards_.end()) return absl::OkStatus();
  RunEntry& entry = run->second;
  if (!MayWriteShard(write.shard, shard->second.row, entry.row)) {
    return RefuseShard(write, entry, shard->second, outcome);
  }
  outcome.committed = true;
  const std::shared_ptr<RunFacts> facts = facts_.at(run_id);
  if (!shard->second.whole) shard->second.row.executions = write.shard.executions;
  const auto failed = [](EndByte end) { return EndOf(end) == v1::End::FAILED; };
  if (std::any_of(write.shard.ends.begin(), write.shard.ends.end(), failed)) {
    ABSL_RETURN_IF_ERROR(LoadBlocking(run_id, *facts));
  }
  const uint32_t undecided = entry.row.undecided;
  const v1::Run::State state = entry.row.run.state();
  WriteShardOver(write.shard, facts->blocking, shard->second.row, entry.row);
  shard->second.dirty = true;
  for (const LeaseRow& lease : write.grant) {
    ABSL_RETURN_IF_ERROR(InsertLease(facts->project, lease));
  }
  for (const uint32_t epoch : write.end_epochs) {
    ABSL_RETURN_IF_ERROR(driver_.Exec(
        "UPDATE leases SET ended = 1 WHERE project = $1 AND run_id = $2 AND shard = $3 AND "
        "epoch = $4",
        {V::Text(facts->project), V::Text(run_id), V::Int(write.shard.shard), V::Int(epoch)}));
  }
  for (const ResultRow& row : write.results) {
    ABSL_RETURN_IF_ERROR(AppendResult(facts->project, entry, row));
  }
  ABSL_RETURN_IF_ERROR(AddHistory(*facts, write.history));
  StartRun(write, now_, entry.row);
  entry.dirty =
      entry.dirty || entry.row.undecided != undecided || entry.row.run.state() != state;
  if (entry.row.undecided == 0) return Seal(run_id, entry, v1::EndCause::COMPLETE, outcome);
  return absl::OkStatus();
}

absl::Status SqlCommit::Apply(const AppendResults& append, Outcome& outcome) {
  outcome.committed = true;
  for (const ResultRow& row : append.results) {
    const auto run = runs_.find(row.run_id);
    if (run == runs_.end()) continue;
    ABSL_RETURN_IF_ERROR(AppendResult(facts_.at(row.run_id)->project, run->second, row));
  }
  return absl::OkStatus();
}

absl::Status SqlCommit::Apply(const EndRun& end, Outcome& outcome) {
  const auto run = runs_.find(end.run_id);
  if (run == runs_.end()) return absl::OkStatus();
  if (run->second.row.run.state() == v1::Run::SEALED) {
    outcome.run.push_back(run->second.row);
    return absl::OkStatus();
  }
  outcome.committed = true;
  return Seal(end.run_id, run->second, end.cause, outcome);
}

absl::Status SqlCommit::Seal(const std::string& run_id, RunEntry& run, v1::EndCause::Value cause,
                             Outcome& outcome) {
  const std::string& project = facts_.at(run_id)->project;
  std::vector<TestRow> tests;
  ABSL_RETURN_IF_ERROR(ReadAllTests(driver_, project, run_id, DataRows::kSkip, tests));
  std::vector<ShardRow> shards;
  ABSL_RETURN_IF_ERROR(ReadAllShards(driver_, project, run_id, shards));
  for (ShardRow& shard : shards) {
    const auto entry = shards_.find({run_id, shard.shard});
    if (entry == shards_.end() || !entry->second.dirty) continue;
    shard.rev = entry->second.row.rev;
    shard.epoch = entry->second.row.epoch;
    shard.expected_us = entry->second.row.expected_us;
    shard.ends = entry->second.row.ends;
    shard.marks = entry->second.row.marks;
    shard.leased = entry->second.row.leased;
  }
  std::vector<std::pair<uint32_t, std::vector<EndByte>>> before;
  if (run.row.undecided > 0) {
    for (const ShardRow& shard : shards) before.emplace_back(shard.epoch, shard.ends);
  }
  settled_[run_id] = SealRun(tests, cause, now_, shards, run.row);
  run.dirty = true;
  notify_ = true;
  for (size_t i = 0; i < before.size(); ++i) {
    if (shards[i].epoch == before[i].first && shards[i].ends == before[i].second) continue;
    ++shards[i].rev;
    ShardEntry& entry = shards_[{run_id, shards[i].shard}];
    entry.row = std::move(shards[i]);
    entry.whole = true;
    entry.dirty = true;
  }
  outcome.sealed.push_back(run.row);
  ABSL_RETURN_IF_ERROR(InsertOutbox(driver_, outbox_, run.row.run, now_));
  return driver_.Exec(
      "UPDATE leases SET ended = 1 WHERE project = $1 AND run_id = $2 AND ended = 0",
      {V::Text(project), V::Text(run_id)});
}

absl::Status SqlCommit::AppendResult(const std::string& project, RunEntry& run,
                                     const ResultRow& row) {
  if (row.late) {
    if (!run.budget.TakeLateResult()) return absl::OkStatus();
    run.dirty = true;
  }
  run.numbers.push_back(row.execution);
  picket::AppendResult(row, run.packed);
  for (const ResultRow::EvidenceRow& evidence : row.evidence) {
    if (!run.budget.TakeEvidence(evidence.bytes.size())) continue;
    run.dirty = true;
    ABSL_RETURN_IF_ERROR(driver_.Exec(
        "INSERT INTO evidence (project, run_id, sha256, data) VALUES ($1, $2, $3, $4) "
        "ON CONFLICT DO NOTHING",
        {V::Text(project), V::Text(row.run_id), V::Blob(evidence.digest),
         V::Blob(evidence.bytes)}));
    ABSL_RETURN_IF_ERROR(driver_.Exec(
        "INSERT INTO evidence_refs (project, run_id, execution, attempt, sha256) "
        "VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
        {V::Text(project), V::Text(row.run_id), V::Int(row.execution), V::Int(evidence.attempt),
         V::Blob(evidence.digest)}));
  }
  if (run.packed.size() < DefaultStoreLimits().result_chunk_bytes) return absl::OkStatus();
  return FlushResults(row.run_id, run);
}

absl::Status SqlCommit::FlushResults(const std::string& run_id, RunEntry& run) {
  if (run.numbers.empty()) return absl::OkStatus();
  ABSL_RETURN_IF_ERROR(driver_.Exec(
      "INSERT INTO results (project, run_id, executions, data) VALUES ($1, $2, $3, $4)",
      {V::Text(facts_.at(run_id)->project), V::Text(run_id), V::Blob(EncodeNumbers(run.numbers)),
       V::Blob(run.packed)}));
  run.numbers.clear();
  run.packed.clear();
  return absl::OkStatus();
}

absl::Status SqlCommit::Flush() {
  for (auto& [run_id, run] : runs_) {
    ABSL_RETURN_IF_ERROR(FlushResults(run_id, run));
    if (!run.dirty) continue;
    const bool sealed = run.row.run.state() == v1::Run::SEALED;
    ABSL_RETURN_IF_ERROR(driver_.Exec(
        "UPDATE runs SET sealed = $3, seal_us = $4, passed = $5, undecided = $6, failed = $7, "
        "failed_blocking = $8, evidence_bytes = $9, evidence_count = $10, late_results = $11, "
        "run = $12 WHERE project = $1 AND run_id = $2",
        {V::Text(facts_.at(run_id)->project), V::Text(run_id), V::Int(sealed),
         V::Int(SealMicros(run.row.run)), V::Int(run.row.run.verdict() == v1::Verdict::PASSED),
         V::Int(run.row.undecided), V::Int(run.row.failed), V::Int(run.row.failed_blocking),
         V::Int(static_cast<int64_t>(run.budget.evidence_bytes)),
         V::Int(static_cast<int64_t>(run.budget.evidence_count)),
         V::Int(static_cast<int64_t>(run.budget.late_results)),
         V::Blob(run.row.run.SerializeAsString())}));
  }
  for (const auto& [key, entry] : shards_) {
    if (!entry.dirty) continue;
    ABSL_RETURN_IF_ERROR(driver_.Exec(
        "UPDATE shards SET rev = $4, epoch = $5, expected_us = $6, ends = $7, marks = $8 "
        "WHERE project = $1 AND run_id = $2 AND shard = $3",
        {V::Text(facts_.at(key.first)->project), V::Text(key.first), V::Int(key.second),
         V::Int(static_cast<int64_t>(entry.row.rev)), V::Int(entry.row.epoch),
         V::Int(entry.row.expected_us), V::Blob(EndsAsBytes(entry.row.ends)),
         V::Blob(EncodeMarks(entry.row.leased, entry.row.marks))}));
  }
  ABSL_RETURN_IF_ERROR(FlushHistory());
  for (const auto& [run_id, kept] : settled_) {
    ABSL_RETURN_IF_ERROR(SettleHistory(run_id, kept));
  }
  return notify_ ? driver_.Notify() : absl::OkStatus();
}

}  // namespace picket
