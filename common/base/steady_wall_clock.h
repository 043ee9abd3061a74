// File: steady_wall_clock.h
//
// Wall time that does not jump: the machine's wall time at the start, and from then on what
// has passed. Deadlines that are kept as wall times, because they outlive the process, would
// else pass at once or hours late when somebody sets the machine's clock.
//
// Thread rule: safe to call from any thread.

#ifndef COMMON_BASE_STEADY_WALL_CLOCK_H_
#define COMMON_BASE_STEADY_WALL_CLOCK_H_

#include <memory>

#include "absl/functional/any_invocable.h"
#include "absl/time/time.h"
#include "common/base/clock.h"
#include "common/base/mutex.h"

namespace picket {

class SteadyWallClock : public Clock {
 public:
  // `elapsed` never goes back; it should count while the machine sleeps. `machine` outlives
  // this object.
  SteadyWallClock(Clock* machine, absl::AnyInvocable<absl::Duration()> elapsed);

  // Over the machine's real clock; counts while it sleeps (CLOCK_BOOTTIME).
  static std::unique_ptr<SteadyWallClock> Real();

  // Logs once each time that the machine's clock is found to have been set.
  absl::Time TimeNow() override;
  absl::Duration Monotonic() override { return machine_->Monotonic(); }

  // How far the machine's clock is ahead of TimeNow, as of the last look.
  absl::Duration ahead();

 private:
  Clock* const machine_;
  Mutex mu_;
  absl::AnyInvocable<absl::Duration()> elapsed_ ABSL_GUARDED_BY(mu_);
  absl::Time start_ ABSL_GUARDED_BY(mu_);  // wall time when elapsed_ was zero
  absl::Duration ahead_ ABSL_GUARDED_BY(mu_);
};

}  // namespace picket

#endif  // COMMON_BASE_STEADY_WALL_CLOCK_H_
