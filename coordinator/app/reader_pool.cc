#include "coordinator/app/reader_pool.h"

#include <utility>

namespace picket {

ReaderPool::ReaderPool(int threads, size_t queue_most) : queue_most_(queue_most) {
  for (int i = 0; i < threads; ++i) threads_.emplace_back([this] { Work(); });
}

ReaderPool::~ReaderPool() {
  Stop();
  for (std::thread& thread : threads_) thread.join();
}

void ReaderPool::Stop() {
  MutexLock lock(&mu_);
  stopping_ = true;
  wake_.SignalAll();
}

bool ReaderPool::Submit(absl::AnyInvocable<void()> job) {
  MutexLock lock(&mu_);
  if (stopping_ || queue_.size() >= queue_most_) return false;
  queue_.push_back(std::move(job));
  wake_.Signal();
  return true;
}

void ReaderPool::Work() {
  while (true) {
    absl::AnyInvocable<void()> job;
    {
      MutexLock lock(&mu_);
      while (queue_.empty() && !stopping_) wake_.Wait(&mu_);
      if (queue_.empty()) return;
      job = std::move(queue_.front());
      queue_.pop_front();
    }
    job();
  }
}

}  // namespace picket
