#include "cli/interrupts.h"

#include <utility>

#include "common/base/clock.h"

namespace picket {

bool Interrupts::Raise(int signal) {
  MutexLock lock(&mu_);
  const bool heard = listener_ != nullptr;
  if (signal_ != 0) return heard;
  signal_ = signal;
  changed_.SignalAll();
  if (heard) listener_();
  return heard;
}

int Interrupts::signal() {
  MutexLock lock(&mu_);
  return signal_;
}

void Interrupts::SetListener(absl::AnyInvocable<void()> listener) {
  MutexLock lock(&mu_);
  listener_ = std::move(listener);
  if (listener_ && signal_ != 0) listener_();
}

bool Interrupts::Wait(absl::Duration time) {
  const absl::Duration end = Clock::Real()->Monotonic() + time;
  MutexLock lock(&mu_);
  while (signal_ == 0) {
    const absl::Duration left = end - Clock::Real()->Monotonic();
    if (left <= absl::ZeroDuration()) break;
    changed_.WaitWithTimeout(&mu_, left);
  }
  return signal_ != 0;
}

void PauseFor(absl::Duration time) {
  Interrupts never;
  never.Wait(time);
}

}  // namespace picket
