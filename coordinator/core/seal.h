// File: seal.h
//
// How a run ends, as a pure function. The store calls it inside the transaction that
// seals, so that what is judged is exactly what is stored.

#ifndef COORDINATOR_CORE_SEAL_H_
#define COORDINATOR_CORE_SEAL_H_

#include <vector>

#include "absl/time/time.h"
#include "coordinator/core/records.h"

namespace picket {

// Which of a run's measurements are kept for the gates and estimates of later runs.
enum class HistoryKept {
  kNone,
  // Those with HistoryRow::learning: nothing failed, the run came to its end, and what is
  // inconclusive merely learns. Else a suite of nothing but gates would never learn.
  kLearning,
  kAll,  // the run PASSED
};

// Gives every undecided execution the end that `cause` asks for (CANCELLED for
// CANCELLED, FAIL_FAST and MAX_FAILURES; EXPIRED or UNASSIGNED for DEADLINE, by
// Mark::leases; nothing is undecided for COMPLETE), waits for no probe any more, bumps
// the epochs of the shards
// that changed, counts the ledger, judges, and seals `run`.
// The run row's undecided, failed and failed_blocking follow.
// REQUIRES: `tests` are all tests of the run by index, `shards` all its shards.
// TestRow::rows is not looked at (it may be left empty): how many rows a test has
// follows from the next test's first_execution.
HistoryKept SealRun(const std::vector<TestRow>& tests, v1::EndCause::Value cause, absl::Time now,
                    std::vector<ShardRow>& shards, RunRow& run);

}  // namespace picket

#endif  // COORDINATOR_CORE_SEAL_H_
