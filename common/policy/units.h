// File: units.h
//
// How people write amounts of time and of data, in suite files, flags and config
// files alike.
//
// Thread rule: pure functions.

#ifndef COMMON_POLICY_UNITS_H_
#define COMMON_POLICY_UNITS_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace picket {

// `500ms`, `10s`, `1.5s`, `5m`, `1h`, `1h30m`, `0s`. Units: us ms s m h. No sign, no blanks, and
// a number never without its unit. InvalidArgument names what was found.
absl::StatusOr<absl::Duration> ParseDuration(absl::string_view text);

// The shortest text that ParseDuration reads back as `duration`, to the microsecond.
// REQUIRES: not negative, not infinite.
std::string DurationText(absl::Duration duration);

// Bytes: `512`, `512B`, `10kB`, `1.5MB`, `64KiB`, `1GiB`. k, M, G are powers of 1000; Ki, Mi,
// Gi of 1024; K is taken for k. InvalidArgument names what was found.
absl::StatusOr<uint64_t> ParseSize(absl::string_view text);

}  // namespace picket

#endif  // COMMON_POLICY_UNITS_H_
