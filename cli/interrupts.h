// File: interrupts.h
//
// SIGINT and SIGTERM as a state that commands can ask for, wait on and be told of.
//
// Thread rule: safe to call from any thread.

#ifndef CLI_INTERRUPTS_H_
#define CLI_INTERRUPTS_H_

#include "absl/functional/any_invocable.h"
#include "absl/time/time.h"
#include "common/base/mutex.h"

namespace picket {

class Interrupts {
 public:
  // The first signal counts; later ones change nothing. Calls the listener. False: there is
  // none, so nothing is under way that should be ended in order.
  bool Raise(int signal);
  // 0 = none yet.
  int signal();
  bool raised() { return signal() != 0; }

  // `listener` is called once, on Raise - or now, if it has been raised. It must not
  // call this object. Null: no listener; none runs once this has returned.
  void SetListener(absl::AnyInvocable<void()> listener);

  // Waits `time`, or less if a signal comes. Returns true if one has come.
  bool Wait(absl::Duration time);

 private:
  Mutex mu_;
  CondVar changed_;
  int signal_ ABSL_GUARDED_BY(mu_) = 0;
  absl::AnyInvocable<void()> listener_ ABSL_GUARDED_BY(mu_);
};

// Waits, whatever comes.
void PauseFor(absl::Duration time);

}  // namespace picket

#endif  // CLI_INTERRUPTS_H_
