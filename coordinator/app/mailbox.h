// File: mailbox.h
//
// What waits for the loop: events for the core and small jobs of its own. Bounded by
// number and, roughly, by bytes; what the coordinator itself needs to go on (answers of
// the store) always fits.
//
// Thread rule: safe to call from any thread; Take is the loop's.

#ifndef COORDINATOR_APP_MAILBOX_H_
#define COORDINATOR_APP_MAILBOX_H_

#include <cstddef>
#include <utility>
#include <variant>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/time/time.h"
#include "common/base/mutex.h"
#include "coordinator/core/event.h"

namespace picket {

class Mailbox {
 public:
  using Job = absl::AnyInvocable<void()>;
  using Mail = std::variant<Event, Job>;

  Mailbox(size_t messages_most, size_t bytes_most)
      : messages_most_(messages_most), bytes_most_(bytes_most) {}

  // False when it is full or closed.
  bool Post(Mail mail, size_t bytes = 0) {
    MutexLock lock(&mu_);
    if (closed_ || mails_.size() >= messages_most_ || bytes_ + bytes > bytes_most_) return false;
    bytes_ += bytes;
    mails_.push_back(std::move(mail));
    wake_.Signal();
    return true;
  }
  // Never refused but when closed.
  void PostAlways(Mail mail) {
    MutexLock lock(&mu_);
    if (closed_) return;
    mails_.push_back(std::move(mail));
    wake_.Signal();
  }
  // All there is, at once when there is something, else after `timeout` at the latest.
  std::vector<Mail> Take(absl::Duration timeout) {
    MutexLock lock(&mu_);
    if (mails_.empty() && !closed_ && timeout > absl::ZeroDuration()) {
      wake_.WaitWithTimeout(&mu_, timeout);
    }
    bytes_ = 0;
    return std::exchange(mails_, {});
  }
  // Nothing is taken any more.
  void Close() {
    MutexLock lock(&mu_);
    closed_ = true;
    wake_.SignalAll();
  }
  bool closed() {
    MutexLock lock(&mu_);
    return closed_;
  }
  size_t size() {
    MutexLock lock(&mu_);
    return mails_.size();
  }

 private:
  const size_t messages_most_;
  const size_t bytes_most_;
  Mutex mu_;
  CondVar wake_;
  std::vector<Mail> mails_ ABSL_GUARDED_BY(mu_);
  size_t bytes_ ABSL_GUARDED_BY(mu_) = 0;
  bool closed_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace picket

#endif  // COORDINATOR_APP_MAILBOX_H_
