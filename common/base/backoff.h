// File: backoff.h
//
// How long to wait before the next try. It only says; the caller waits.
//
// Thread rule: thread-compatible.

#ifndef COMMON_BASE_BACKOFF_H_
#define COMMON_BASE_BACKOFF_H_

#include "absl/time/time.h"
#include "common/base/random.h"

namespace picket {

struct BackoffOptions {
  absl::Duration first = absl::Milliseconds(100);
  absl::Duration longest = absl::Seconds(10);
  double factor = 2.0;
};

// Exponential backoff with full jitter: each delay is uniform in
// [ceiling/2, ceiling], and the ceiling grows by `factor` up to `longest`.
class Backoff {
 public:
  explicit Backoff(BackoffOptions options = {}) : options_(options), ceiling_(options.first) {}

  absl::Duration Next(Random& random);
  // After a success that really was one (a session established, a row stored).
  void Reset() { ceiling_ = options_.first; }

 private:
  BackoffOptions options_;
  absl::Duration ceiling_;
};

}  // namespace picket

#endif  // COMMON_BASE_BACKOFF_H_
