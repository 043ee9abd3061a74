// File: merge.h
//
// What a result does to its execution. A small algebra: ends only ever go from
// undecided to decided, joining two views of the same ends is associative,
// commutative and idempotent, and a ledger is a sum over disjoint ends.
//
// All functions are pure and thread-safe.

#ifndef COORDINATOR_CORE_MERGE_H_
#define COORDINATOR_CORE_MERGE_H_

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/policy/ends.h"
#include "coordinator/core/records.h"

namespace picket {

enum class Merge {
  kDecided,   // `end` was undecided and is not any more
  kAgain,     // an attempt on record; another follows
  kLate,      // decided already, or the same attempt once more: evidence only
};

struct MergeOutcome {
  Merge merge = Merge::kLate;
  // Late, and it would have decided otherwise.
  bool disagrees = false;
  // Decided, and `retry` asks for a probe elsewhere.
  bool probe = false;
};

// Folds `result`, which came from `instance`, into its execution. Attempts are told
// apart by their number: one that is on record is not counted again, whoever made it.
// Fills the result's outcome, flaky and reason. `mark` is the execution's (or a
// default one), and is default again once it is decided.
MergeOutcome MergeResult(const v1::Retry& retry, const v1::Policy& policy,
                         absl::string_view instance, absl::Time now, v1::ExecutionResult& result,
                         EndByte& end, Mark& mark);

// Two views of one execution's end as one: undecided yields to decided, waiting for a
// probe to not waiting. Of two different ends - which one store never holds - the greater.
EndByte JoinEnds(EndByte a, EndByte b);

// Sum of two ledgers over disjoint executions.
void AddLedger(const v1::Ledger& other, v1::Ledger& ledger);

// What losing a lease does to one undecided execution of it.
enum class Loss {
  kFree,      // may be leased again
  kWait,      // not repeatable and may have run: a late result may still decide it
  kAgentLost, // too many agents were lost over it: it ends
};
// `counted`: it can have been in flight when its agent fell silent.
Loss LoseLease(bool repeatable, bool counted, absl::Time now, Mark& mark);

// Whether it must run with nothing beside it on its agent.
bool RunsAlone(const Mark& mark);

// The result that stands for one that never came.
v1::ExecutionResult InventResult(uint32_t execution, const Mark& mark,
                                 v1::FailureReason::Value reason, absl::string_view message,
                                 absl::string_view location, absl::Time now);

}  // namespace picket

#endif  // COORDINATOR_CORE_MERGE_H_
