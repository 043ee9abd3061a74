// File: limits.h
//
// The bounds of the HTTP door; those that other rooms share are in
// common/policy/limits.h.

#ifndef COORDINATOR_GATEWAY_LIMITS_H_
#define COORDINATOR_GATEWAY_LIMITS_H_

#include <cstddef>

#include "absl/time/time.h"

namespace picket {

struct GatewayLimits {
  // For the coordinator to answer a plain request; then 504.
  absl::Duration answer_timeout = absl::Seconds(30);
  // Longest `wait=`.
  absl::Duration wait_longest = absl::Minutes(30);
  // Requests that wait (`wait=`, watch) at once; more are answered 503.
  int held_most = 128;
  // Reports that are written at once, of the above; executions read at a time for one; and
  // what is gathered before it is sent.
  int reports_most = 8;
  int report_page = 200;
  size_t report_piece_bytes = 64u << 10;
  // How often a watched run is looked at, and how often a silent stream is kept alive.
  absl::Duration watch_interval = absl::Milliseconds(100);
  absl::Duration keep_alive = absl::Seconds(15);
};

inline const GatewayLimits& DefaultGatewayLimits() {
  static const GatewayLimits limits;
  return limits;
}

}  // namespace picket

#endif  // COORDINATOR_GATEWAY_LIMITS_H_
