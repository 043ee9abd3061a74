#include "common/base/steady_wall_clock.h"

#include <time.h>

#include <utility>

#include "common/base/log.h"

namespace picket {
namespace {

// What a disciplined clock may drift in weeks is not told; a clock that was set is.
constexpr absl::Duration kWorthTelling = absl::Seconds(10);

}  // namespace

SteadyWallClock::SteadyWallClock(Clock* machine, absl::AnyInvocable<absl::Duration()> elapsed)
    : machine_(machine), elapsed_(std::move(elapsed)) {
  MutexLock lock(&mu_);
  start_ = machine_->TimeNow() - elapsed_();
}

std::unique_ptr<SteadyWallClock> SteadyWallClock::Real() {
  return std::make_unique<SteadyWallClock>(Clock::Real(), [] {
    timespec ts;
    clock_gettime(CLOCK_BOOTTIME, &ts);
    return absl::DurationFromTimespec(ts);
  });
}

absl::Time SteadyWallClock::TimeNow() {
  const absl::Time machine = machine_->TimeNow();
  MutexLock lock(&mu_);
  const absl::Time now = start_ + elapsed_();
  const absl::Duration ahead = machine - now;
  if (absl::AbsDuration(ahead - ahead_) >= kWorthTelling) {
    ahead_ = ahead;
    Log(LogLevel::kWarning,
        "the machine's clock was set; runs go on by the time of before until this process "
        "starts anew",
        {{"ahead", absl::FormatDuration(absl::Trunc(ahead, absl::Seconds(1)))}});
  }
  return now;
}

absl::Duration SteadyWallClock::ahead() {
  MutexLock lock(&mu_);
  return ahead_;
}

}  // namespace picket
