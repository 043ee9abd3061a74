// File: clock.h
//
// The door through which time comes in. Pure code takes `absl::Time now` as an
// argument; loops and shells hold a Clock. Only this file's RealClock asks the
// machine.

#ifndef COMMON_BASE_CLOCK_H_
#define COMMON_BASE_CLOCK_H_

#include "absl/time/time.h"
#include "common/base/mutex.h"

namespace picket {

// Thread rule: implementations are safe to call from any thread.
class Clock {
 public:
  virtual ~Clock() = default;

  // Wall time: for people and for comparing with other machines. May jump.
  virtual absl::Time TimeNow() = 0;

  // Time since an arbitrary start that never goes back: for deadlines and durations.
  virtual absl::Duration Monotonic() = 0;

  // The process-wide real clock. Never deleted.
  static Clock* Real();
};

// A clock that moves only when told to.
class SimulatedClock : public Clock {
 public:
  explicit SimulatedClock(absl::Time start = absl::FromUnixSeconds(1'700'000'000))
      : wall_(start) {}

  absl::Time TimeNow() override;
  absl::Duration Monotonic() override;

  // Moves both wall and monotonic time forward. REQUIRES: `by` >= 0.
  void Advance(absl::Duration by);
  // Moves wall time alone, in either direction, as an operator or NTP would.
  void JumpWall(absl::Duration by);

 private:
  Mutex mu_;
  absl::Time wall_ ABSL_GUARDED_BY(mu_);
  absl::Duration monotonic_ ABSL_GUARDED_BY(mu_) = absl::ZeroDuration();
};

}  // namespace picket

#endif  // COMMON_BASE_CLOCK_H_
