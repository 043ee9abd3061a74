// File: limits.h
//
// The bounds of the store's own making; those that other rooms share are in
// common/policy/limits.h.

#ifndef COORDINATOR_STORE_LIMITS_H_
#define COORDINATOR_STORE_LIMITS_H_

#include <cstddef>

#include "absl/time/time.h"
#include "common/policy/limits.h"

namespace picket {

struct StoreLimits {
  // Measurements kept per test and location: as many as a gate may ask for.
  size_t history_per_key = DefaultLimits().regression_over_most;
  absl::Duration gone_agents_kept = absl::Hours(24);  // rows of agents that are gone
  size_t gone_agents_most = 1'000;                    // of them, the latest
  absl::Duration outbox_kept = absl::Hours(24 * 7);   // rows of targets that nobody serves
  // Longest until a row of the outbox is due again; one due later is due now, since the
  // clock must have been set back.
  absl::Duration outbox_delay_longest = absl::Hours(1);
  size_t result_chunk_bytes = 3500;                   // packed results of one row
  size_t memory_chunk_bytes = 256u << 10;             // packed results of one piece of memory
  size_t cached_runs = 16;                            // runs whose immutable facts are remembered
  size_t cached_result_indexes = 4;                   // runs whose results can be found by number
  int commit_tries = 10;                              // of a transaction that met another
  absl::Duration busy_timeout = absl::Seconds(5);     // for another process to let go of a file
  absl::Duration connect_timeout = absl::Seconds(5);
  absl::Duration lost_peer_timeout = absl::Seconds(10);  // unanswered bytes to a database
  size_t pipeline_statements = 64;                    // sent to a database before answers are read
  size_t quick_check_bytes = 16u << 20;               // files up to this are checked when opened
};

inline const StoreLimits& DefaultStoreLimits() {
  static const StoreLimits limits;
  return limits;
}

}  // namespace picket

#endif  // COORDINATOR_STORE_LIMITS_H_
