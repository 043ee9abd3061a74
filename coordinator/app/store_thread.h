// File: store_thread.h
//
// The one thread that commits, so that a commit overlaps with the draining of the
// mailbox. At most one batch is with it at a time.
//
// Thread rule: Commit is called by the loop, when no batch is under way.

#ifndef COORDINATOR_APP_STORE_THREAD_H_
#define COORDINATOR_APP_STORE_THREAD_H_

#include <thread>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "coordinator/store/store.h"

namespace picket {

class StoreThread {
 public:
  struct Done {
    std::vector<Proposal> proposals;
    absl::StatusOr<CommitResult> result;
    absl::Duration started;  // Clock::Monotonic, before and after
    absl::Duration finished;
  };
  // `done` is called on this thread. All must outlive it.
  StoreThread(Store* store, Clock* clock, absl::AnyInvocable<void(Done)> done);
  // Lets a commit that is under way end, then joins.
  ~StoreThread();
  StoreThread(const StoreThread&) = delete;
  StoreThread& operator=(const StoreThread&) = delete;

  void Commit(std::vector<Proposal> proposals);

 private:
  void Work();

  Store* const store_;
  Clock* const clock_;
  absl::AnyInvocable<void(Done)> done_;
  Mutex mu_;
  CondVar wake_;
  std::vector<Proposal> batch_ ABSL_GUARDED_BY(mu_);
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  std::thread thread_;
};

}  // namespace picket

#endif  // COORDINATOR_APP_STORE_THREAD_H_
