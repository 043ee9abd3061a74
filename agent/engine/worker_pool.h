// File: worker_pool.h
//
// A few threads for work that would hold up an event loop, with a bounded queue.
//
// Thread rule: safe to call from any thread.

#ifndef AGENT_ENGINE_WORKER_POOL_H_
#define AGENT_ENGINE_WORKER_POOL_H_

#include <cstddef>
#include <deque>
#include <thread>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "common/base/mutex.h"

namespace picket {

class WorkerPool {
 public:
  WorkerPool(int threads, size_t queue_most);
  // Runs what is queued, then joins.
  ~WorkerPool();

  // False, with nothing taken, when the queue is full.
  bool Submit(absl::AnyInvocable<void()> work);

 private:
  void Run();

  const size_t queue_most_;
  std::vector<std::thread> threads_;

  Mutex mu_;
  CondVar changed_;
  std::deque<absl::AnyInvocable<void()>> queue_ ABSL_GUARDED_BY(mu_);
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace picket

#endif  // AGENT_ENGINE_WORKER_POOL_H_
