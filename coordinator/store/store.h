// File: store.h
//
// What is remembered. The store is the queue: shards, leases, results and verdicts
// live here, and a process may die at any time between two calls. The store
// compares and keeps; it decides nothing (what a run's end means is SealRun's word).
//
// Thread rule: a Store is safe to call from any thread; calls may block on disk or
// network. Commit is serialised by its one caller; reads may run beside it.
// Errors: Unavailable (try again later; nothing was changed), DataLoss (the file is
// damaged), FailedPrecondition (made by a newer version), NotFound.

#ifndef COORDINATOR_STORE_STORE_H_
#define COORDINATOR_STORE_STORE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/base/clock.h"
#include "coordinator/core/records.h"

namespace picket {

struct CommitResult {
  // The store's clock, read once in the transaction.
  absl::Time now;
  // One per proposal, in order.
  std::vector<Outcome> outcomes;
};

// Whether TestRow::rows is read along.
enum class DataRows { kLoad, kSkip };

class Store {
 public:
  virtual ~Store() = default;

  // All proposals in one durable transaction (it survives power loss once answered).
  // A refused proposal leaves no trace and does not hinder the others. On an error
  // nothing at all was changed - or, on a lost connection, that is unknown: proposals
  // are safe to repeat, since a row that moved on refuses them.
  virtual absl::StatusOr<CommitResult> Commit(const std::vector<Proposal>& proposals) = 0;

  // The store's clock.
  virtual absl::StatusOr<absl::Time> Now() = 0;

  // ---- What the loop polls ----

  // Runs that are not sealed, oldest first.
  virtual absl::StatusOr<std::vector<RunRow>> ListActiveRuns() = 0;
  // All tests of a run by index; all shards of a run by number. The rows of a million
  // executions are a hundred megabytes: who does not run them leaves them where they are.
  virtual absl::StatusOr<std::vector<TestRow>> LoadTests(const std::string& run_id,
                                                         DataRows rows) = 0;
  virtual absl::StatusOr<std::vector<ShardRow>> LoadShards(const std::string& run_id) = 0;
  // Shards of active runs whose rev is not the one given: (run, shard) -> rev as known.
  // Lets a coordinator follow what others write. At most `most` rows.
  virtual absl::StatusOr<std::vector<ShardRow>> LoadChangedShards(
      const std::string& run_id, const std::vector<uint64_t>& known_revs, size_t most) = 0;
  // Leases of active runs that have not ended.
  virtual absl::StatusOr<std::vector<LeaseRow>> LoadLeases(const std::string& run_id) = 0;
  // The lease row, ended or not, for results that come late.
  virtual absl::StatusOr<std::optional<LeaseRow>> FindLease(const std::string& run_id,
                                                            uint32_t shard, uint32_t epoch) = 0;
  virtual absl::StatusOr<std::vector<AgentRow>> LoadAgents() = 0;
  virtual absl::StatusOr<std::vector<v1::Blob>> LoadBlobs(
      const std::vector<std::string>& digests) = 0;
  // Expected duration per test of a run x location, microseconds, from history; 0 = unknown.
  struct DurationKey {
    std::string suite, test_id, location;
  };
  virtual absl::StatusOr<std::vector<uint32_t>> ExpectedDurations(
      const std::string& project, const std::vector<DurationKey>& keys) = 0;

  // ---- What readers ask ----

  virtual absl::StatusOr<RunRow> GetRun(const std::string& run_id) = 0;
  // Newest first, strictly before `before_run_id` (empty = from the newest).
  virtual absl::StatusOr<std::vector<RunRow>> ListRuns(const std::string& project,
                                                       const std::string& before_run_id,
                                                       size_t most) = 0;
  // All results of the executions [first, first + count), in order of arrival, without evidence.
  virtual absl::StatusOr<std::vector<ResultRow>> LoadResults(const std::string& run_id,
                                                             uint32_t first, uint32_t count) = 0;
  // NotFound if none was kept.
  virtual absl::StatusOr<v1::Evidence> GetEvidence(const std::string& run_id, uint32_t execution,
                                                   uint32_t attempt) = 0;
  // The last passing measurements for regression gates, newest first.
  virtual absl::StatusOr<std::vector<HistoryRow>> LoadHistory(const std::string& project,
                                                              const DurationKey& key,
                                                              const std::string& baseline,
                                                              size_t most) = 0;

  // ---- The outbox: what is still to be told of sealed runs ----

  // From now on every run that is sealed leaves one row a target, in the very transaction
  // that seals it. REQUIRES: called before the first Commit.
  virtual void KeepOutbox(std::vector<std::string> targets) = 0;
  // How much waits for each target that has something, by name.
  struct OutboxView {
    std::string target;
    size_t rows = 0;
    size_t due = 0;         // may be claimed now
    absl::Duration oldest;  // since the first of them was sealed
  };
  virtual absl::StatusOr<std::vector<OutboxView>> ViewOutbox() = 0;
  // At most `most` rows of the target that are due, the longest due first. Until `hold` has
  // passed nobody else claims them; `tries` counts the claims.
  virtual absl::StatusOr<std::vector<OutboxRow>> ClaimOutbox(const std::string& target,
                                                             absl::Duration hold, size_t most) = 0;
  // What became of claimed rows: told (or given up), or due again after a time, at most
  // StoreLimits::outbox_delay_longest. A row that was claimed again meanwhile stays as it is.
  struct OutboxEnd {
    int64_t id = 0;
    uint32_t tries = 0;
    std::optional<absl::Duration> again;  // nothing: it goes for good
  };
  virtual absl::Status SettleOutbox(const std::vector<OutboxEnd>& ends) = 0;

  // ---- Housekeeping ----

  // Deletes sealed runs beyond the newest `keep_runs` (0 = keep all) and results of
  // runs sealed before `results_before`; at most `most` rows a call. Returns how many went.
  // Besides, rows of the outbox that nobody took for StoreLimits::outbox_kept.
  virtual absl::StatusOr<size_t> Prune(size_t keep_runs, absl::Time results_before, size_t most) = 0;

  // True if no other coordinator can write to this store while it is open: then nobody
  // need follow what others write.
  virtual bool Exclusive() const { return false; }

  // Called, from any thread, when other coordinators may have written. A hint only.
  virtual void OnHint(absl::AnyInvocable<void()> hint) = 0;
};

// The fake: everything in memory, the same behaviour. `clock` is the store's clock.
std::unique_ptr<Store> MakeMemoryStore(Clock* clock);

// `uri` is sqlite:PATH or postgresql://... . Opens, migrates, locks where needed.
// FailedPrecondition names the schema version of a store that is newer than this
// binary, or the process that has an SQLite file open.
absl::StatusOr<std::unique_ptr<Store>> OpenStore(const std::string& uri, Clock* clock);

}  // namespace picket

#endif  // COORDINATOR_STORE_STORE_H_
