// File: limits.h
//
// The bounds of what is sent to webhooks.

#ifndef COORDINATOR_NOTIFY_LIMITS_H_
#define COORDINATOR_NOTIFY_LIMITS_H_

#include <cstddef>
#include <cstdint>

#include "absl/time/time.h"

namespace picket {

struct NotifyLimits {
  size_t targets = 16;
  size_t in_flight = 4;  // requests at once to one target
  size_t url_bytes = 2'000;
  size_t secret_file_bytes = 64u << 10;
  // Of an answer's head and body; what is beyond is not read, its status counts.
  size_t answer_bytes = 64u << 10;
  absl::Duration connect_timeout = absl::Seconds(5);
  // Between two tries: `first_delay`, and then `delay_factor` times the last one, up to
  // StoreLimits::outbox_delay_longest.
  absl::Duration first_delay = absl::Seconds(1);
  double delay_factor = 3;
  // How often a quiet outbox is looked at, for what another coordinator left behind.
  absl::Duration poll_interval = absl::Seconds(1);
  // A claim outlives its request by this much.
  absl::Duration claim_margin = absl::Seconds(20);
};

inline const NotifyLimits& DefaultNotifyLimits() {
  static const NotifyLimits limits;
  return limits;
}

}  // namespace picket

#endif  // COORDINATOR_NOTIFY_LIMITS_H_
