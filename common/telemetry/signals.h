// File: signals.h
//
// SIGTERM and SIGINT as calls of a function, on a thread of their own, instead of
// interruptions. SIGPIPE is ignored, as any program that writes to sockets must.
//
//   int main() {
//     SignalWatcher signals([&](int signal, int count) { ... });   // before any thread
//
// Thread rule: make it before the process starts other threads (they inherit the mask
// that keeps the signals for this one); one a process.

#ifndef COMMON_TELEMETRY_SIGNALS_H_
#define COMMON_TELEMETRY_SIGNALS_H_

#include <thread>

#include "absl/functional/any_invocable.h"

namespace picket {

class SignalWatcher {
 public:
  // `notify(signal, count)`: count is 1 for the first of them, 2 for the second, ...
  explicit SignalWatcher(absl::AnyInvocable<void(int signal, int count)> notify);
  // Joins the thread; the signals stay blocked.
  ~SignalWatcher();
  SignalWatcher(const SignalWatcher&) = delete;
  SignalWatcher& operator=(const SignalWatcher&) = delete;

 private:
  void Run();

  absl::AnyInvocable<void(int, int)> notify_;
  int signal_fd_ = -1;
  int stop_fd_ = -1;
  std::thread thread_;
};

// Raises the soft limit of open files to the hard one; returns the limit in force.
unsigned long RaiseFileLimit();

}  // namespace picket

#endif  // COMMON_TELEMETRY_SIGNALS_H_
