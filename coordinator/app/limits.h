// File: limits.h
//
// The bounds of the coordinator's loop and of what it keeps for readers.

#ifndef COORDINATOR_APP_LIMITS_H_
#define COORDINATOR_APP_LIMITS_H_

#include <cstddef>

#include "absl/time/time.h"

namespace picket {

struct AppLimits {
  size_t mailbox_messages = 100'000;
  size_t mailbox_bytes = 256u << 20;   // roughly; of what agents sent
  int readers = 2;                     // threads that read the store
  size_t reader_queue = 1'024;         // reads that wait for one
  size_t plans_cached = 4;             // of runs that people page through
  size_t watches = 10'000;
  absl::Duration watch_interval = absl::Milliseconds(100);  // between two states of a run
  absl::Duration snapshot_interval = absl::Seconds(1);      // of gauges
  // After a commit with that many results the next one waits so long, from begin to begin:
  // one commit for many results costs less than one for a few.
  size_t commit_pace_results = 16;
  absl::Duration commit_pace = absl::Milliseconds(4);
  size_t free_elsewhere_results = 500;  // so many are freed by a reader
  absl::Duration prune_interval = absl::Minutes(1);
  absl::Duration first_prune = absl::Seconds(5);  // after the start
  size_t prune_rows = 10'000;          // of one transaction
  size_t poll_shards = 10'000;         // changed shards of one run in one poll
  size_t probe_series = 10'000;
  absl::Duration probe_age = absl::Minutes(15);
  size_t metric_locations = 200;       // further ones are counted as "other"
};

inline const AppLimits& DefaultAppLimits() {
  static const AppLimits limits;
  return limits;
}

}  // namespace picket

#endif  // COORDINATOR_APP_LIMITS_H_
