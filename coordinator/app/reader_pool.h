// File: reader_pool.h
//
// A few threads on which the store is read, so that no caller and not the loop waits
// for a disk. Bounded: what does not fit is refused, not queued.
//
// Thread rule: safe to call from any thread.

#ifndef COORDINATOR_APP_READER_POOL_H_
#define COORDINATOR_APP_READER_POOL_H_

#include <deque>
#include <thread>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "common/base/mutex.h"

namespace picket {

class ReaderPool {
 public:
  ReaderPool(int threads, size_t queue_most);
  // Runs what is queued, then joins.
  ~ReaderPool();
  ReaderPool(const ReaderPool&) = delete;
  ReaderPool& operator=(const ReaderPool&) = delete;

  // False, and `job` is dropped, when the queue is full or the pool is stopping.
  bool Submit(absl::AnyInvocable<void()> job);
  // No job is taken any more; those queued still run. Idempotent.
  void Stop();

 private:
  void Work();

  const size_t queue_most_;
  Mutex mu_;
  CondVar wake_;
  std::deque<absl::AnyInvocable<void()>> queue_ ABSL_GUARDED_BY(mu_);
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  std::vector<std::thread> threads_;
};

}  // namespace picket

#endif  // COORDINATOR_APP_READER_POOL_H_
