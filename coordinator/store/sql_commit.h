// File: sql_commit.h
//
// One commit to an SQL store: rows are locked and read first, compared and changed in
// memory, and written once each at the end, however many proposals touched them.
//
// Locks are taken in one order (shards by run and number, then runs, then agents), so
// that transactions of several coordinators wait for each other and seldom meet head on.
//
// Thread rule: thread-compatible; RunFacts are shared under the caller's lock.

#ifndef COORDINATOR_STORE_SQL_COMMIT_H_
#define COORDINATOR_STORE_SQL_COMMIT_H_

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "coordinator/core/seal.h"
#include "coordinator/store/compare.h"
#include "coordinator/store/sql_driver.h"
#include "coordinator/store/store.h"

namespace picket {

// What never changes of a run, remembered between commits.
struct RunFacts {
  std::string project;
  bool has_blocking = false;  // `blocking` has been loaded
  BlockingIndex blocking;
  // Measurements of this run that this process has added to history, by key.
  absl::flat_hash_map<std::string, uint32_t> history;
};
using RunFactsCache = std::map<std::string, std::shared_ptr<RunFacts>>;

class SqlCommit {
 public:
  // REQUIRES: a transaction has begun at `now`. `facts` is kept up to date; `outbox` names
  // the targets that are told of a seal.
  SqlCommit(SqlDriver& driver, RunFactsCache& facts, const std::vector<std::string>& outbox,
            absl::Time now)
      : driver_(driver), facts_(facts), outbox_(outbox), now_(now) {}

  // Everything but the driver's Commit.
  absl::StatusOr<std::vector<Outcome>> Run(const std::vector<Proposal>& proposals);

 private:
  struct RunEntry {
    RunRow row;
    RunBudget budget;
    bool dirty = false;
    std::string packed;             // results not yet written
    std::vector<uint32_t> numbers;  // their executions
  };
  struct ShardEntry {
    ShardRow row;
    bool whole = false;  // marks and all are loaded
    bool dirty = false;
  };
  using ShardKey = std::pair<std::string, uint32_t>;

  absl::Status LockRows(const std::vector<Proposal>& proposals);
  absl::Status LockShards(const std::string& run_id, const std::vector<uint32_t>& shards);
  absl::Status LockRun(const std::string& run_id);
  // Null: there is no such run.
  absl::StatusOr<std::shared_ptr<RunFacts>> Facts(const std::string& run_id);
  absl::Status LoadBlocking(const std::string& run_id, RunFacts& facts);

  absl::Status Apply(const AdmitRun& admit, Outcome& outcome);
  absl::Status Apply(const WriteShard& write, Outcome& outcome);
  absl::Status Apply(const AppendResults& append, Outcome& outcome);
  absl::Status Apply(const EndRun& end, Outcome& outcome);
  absl::Status Apply(const PutAgent& put, Outcome& outcome);
  absl::Status Apply(const CloseAgent& close, Outcome& outcome);
  absl::Status Apply(const ExpireAgent& expire, Outcome& outcome);
  absl::Status Apply(const RenewAgents& renew, Outcome& outcome);

  absl::Status InsertRun(const AdmitRun& admit, RunFacts& facts);
  absl::Status InsertShard(const std::string& project, const ShardRow& shard);
  absl::Status InsertLease(const std::string& project, const LeaseRow& lease);
  absl::Status InsertBlobs(const AdmitRun& admit);
  absl::Status RefuseShard(const WriteShard& write, const RunEntry& run, ShardEntry& entry,
                           Outcome& outcome);
  absl::Status AppendResult(const std::string& project, RunEntry& run, const ResultRow& row);
  absl::Status FlushResults(const std::string& run_id, RunEntry& run);
  absl::Status Seal(const std::string& run_id, RunEntry& run, v1::EndCause::Value cause,
                    Outcome& outcome);
  absl::Status AddHistory(RunFacts& facts, const std::vector<HistoryRow>& rows);
  absl::Status FlushHistory();
  // Keeps or forgets what a run that is now sealed has measured.
  absl::Status SettleHistory(const std::string& run_id, HistoryKept kept);
  absl::Status Flush();
  absl::Status PutAgentRow(const AgentRow& row);
  absl::StatusOr<std::vector<AgentRow>> LockAgent(const std::string& instance);

  SqlDriver& driver_;
  RunFactsCache& facts_;
  const std::vector<std::string>& outbox_;
  const absl::Time now_;
  bool notify_ = false;
  std::map<std::string, RunEntry> runs_;
  std::map<ShardKey, ShardEntry> shards_;
  std::map<std::string, std::vector<HistoryRow>> history_;  // by key, in a total order
  std::map<std::string, HistoryKept> settled_;  // runs that this commit sealed
};

}  // namespace picket

#endif  // COORDINATOR_STORE_SQL_COMMIT_H_
