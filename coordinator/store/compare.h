// File: compare.h
//
// What every store does alike: comparing a proposal with the rows as they are, and
// moving a run's counters after its ends. It compares and counts; it decides nothing.
//
// Thread rule: thread-compatible plain functions and values.

#ifndef COORDINATOR_STORE_COMPARE_H_
#define COORDINATOR_STORE_COMPARE_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/time/time.h"
#include "coordinator/core/records.h"

namespace picket {

// Which executions of a run are of blocking tests.
class BlockingIndex {
 public:
  // In plan order.
  void Add(uint32_t first_execution, bool blocking);
  bool IsBlocking(uint32_t execution) const;

 private:
  std::vector<uint32_t> firsts_;
  std::vector<bool> blocking_;
};

// How much evidence a run keeps (Limits::evidence_run_bytes, evidence_run_full) and how
// many late results (Limits::late_results_run).
struct RunBudget {
  uint64_t evidence_bytes = 0;
  uint64_t evidence_count = 0;
  uint64_t late_results = 0;

  // True, and counted, if one more fits.
  bool TakeEvidence(size_t bytes);
  bool TakeLateResult();
};

// Whether `proposed` may be written over `stored` in `run`.
bool MayWriteShard(const ShardRow& proposed, const ShardRow& stored, const RunRow& run);

// Writes `proposed` over `stored`: ends, marks, leased, epoch, rev + 1; moves the counters and
// the running ledger of `run` after the ends that changed.
// REQUIRES: MayWriteShard; no decided byte changes, but that its probe may be over.
void WriteShardOver(const ShardRow& proposed, const BlockingIndex& blocking, ShardRow& stored,
                    RunRow& run);

// QUEUED becomes RUNNING, if the write starts the run.
void StartRun(const WriteShard& write, absl::Time now, RunRow& run);

// The expected duration after one more measurement: an exponential average by 1/8.
// 0 = none yet.
uint32_t FoldDuration(uint32_t expected_us, uint32_t total_us);

// Whether the instance that holds this row keeps others from its name.
bool HoldsName(const AgentRow& agent);

// What a row becomes whose name another instance takes: DRAINING if its stream is open,
// else GONE.
void LoseName(AgentRow& agent);

// Times are kept in whole microseconds.
absl::Time WholeMicros(absl::Time time);

}  // namespace picket

#endif  // COORDINATOR_STORE_COMPARE_H_
