#include "common/base/clock.h"

#include <time.h>

namespace picket {
namespace {

class RealClock : public Clock {
 public:
  absl::Time TimeNow() override {
    timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    return absl::TimeFromTimespec(ts);
  }
  absl::Duration Monotonic() override {
    timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return absl::DurationFromTimespec(ts);
  }
};

}  // namespace

Clock* Clock::Real() {
  static RealClock* const clock = new RealClock();
  return clock;
}

absl::Time SimulatedClock::TimeNow() {
  MutexLock lock(&mu_);
  return wall_;
}

absl::Duration SimulatedClock::Monotonic() {
  MutexLock lock(&mu_);
  return monotonic_;
}

void SimulatedClock::Advance(absl::Duration by) {
  MutexLock lock(&mu_);
  wall_ += by;
  monotonic_ += by;
}

void SimulatedClock::JumpWall(absl::Duration by) {
  MutexLock lock(&mu_);
  wall_ += by;
}

}  // namespace picket
