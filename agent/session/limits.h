// File: limits.h
//
// The session's own bounds, with units and defaults. What it shares with the
// coordinator is in common/policy/limits.h.

#ifndef AGENT_SESSION_LIMITS_H_
#define AGENT_SESSION_LIMITS_H_

#include <cstddef>
#include <cstdint>

#include "absl/time/time.h"

namespace picket {

struct SessionLimits {
  // The link.
  absl::Duration welcome_timeout = absl::Seconds(10);  // from dialling to Welcome
  absl::Duration ack_timeout = absl::Seconds(30);      // results without any acknowledgement
  absl::Duration backoff_first = absl::Milliseconds(100);
  absl::Duration backoff_longest = absl::Seconds(2);
  absl::Duration goodbye_timeout = absl::Seconds(5);  // from Goodbye to the stream's end

  // Results.
  // A batch waits for company, if one is out or many checks are in flight; what is not told
  // yet waits no longer to be written to the spool.
  absl::Duration flush_delay = absl::Milliseconds(4);
  uint32_t batch_results = 512;                        // results of one batch
  size_t unacknowledged_bytes = 8u << 20;              // on the wire, not yet acknowledged

  // Work.
  uint32_t window_factor = 2;  // window while durations are unknown
  // With this many checks in flight the loop takes a turn at most every turn_pace: one
  // turn for many ends costs less than a turn for each.
  uint32_t turn_pace_in_flight = 16;
  absl::Duration turn_pace = absl::Microseconds(300);
  absl::Duration prefetch_work = absl::Milliseconds(50);  // beyond two round trips
  // Serialised tests and files of one session; then a new one.
  size_t definition_bytes = 256u << 20;
  uint32_t compiled_tests = 4'096;  // kept ready beyond those in use

  // Draining.
  absl::Duration drain_delay_longest = absl::Seconds(10);  // of a retry's delay
  absl::Duration drain_offline = absl::Seconds(30);        // without a coordinator, then give up

  // The spool.
  size_t segment_bytes = 8u << 20;
  size_t record_bytes = 4u << 20;         // one record; larger lengths on disk are corruption
  size_t spool_reserve_bytes = 4u << 20;  // of each bound, kept for what is in flight
};

inline const SessionLimits& DefaultSessionLimits() {
  static const SessionLimits limits;
  return limits;
}

}  // namespace picket

#endif  // AGENT_SESSION_LIMITS_H_
