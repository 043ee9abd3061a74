// File: regression_limits.h
//
// The bounds of the latency gate's rule that no other room looks at; the others are in
// limits.h.

#ifndef COMMON_POLICY_REGRESSION_LIMITS_H_
#define COMMON_POLICY_REGRESSION_LIMITS_H_

#include "absl/time/time.h"

namespace picket {

struct RegressionLimits {
  // A smaller slowdown is none: it is what an agent's own measurements may be off by at the
  // 99th percentile (tests/bench, timing-truth) before they call themselves poor.
  absl::Duration least_slowdown = absl::Milliseconds(1);
};

inline const RegressionLimits& DefaultRegressionLimits() {
  static const RegressionLimits limits;
  return limits;
}

}  // namespace picket

#endif  // COMMON_POLICY_REGRESSION_LIMITS_H_
