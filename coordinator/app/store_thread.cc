#include "coordinator/app/store_thread.h"

#include <utility>

namespace picket {

StoreThread::StoreThread(Store* store, Clock* clock, absl::AnyInvocable<void(Done)> done)
    : store_(store), clock_(clock), done_(std::move(done)), thread_([this] { Work(); }) {}

StoreThread::~StoreThread() {
  {
    MutexLock lock(&mu_);
    stopping_ = true;
    wake_.SignalAll();
  }
  thread_.join();
}

void StoreThread::Commit(std::vector<Proposal> proposals) {
  MutexLock lock(&mu_);
  batch_ = std::move(proposals);
  wake_.Signal();
}

void StoreThread::Work() {
  while (true) {
    std::vector<Proposal> batch;
    {
      MutexLock lock(&mu_);
      while (batch_.empty() && !stopping_) wake_.Wait(&mu_);
      if (batch_.empty()) return;
      batch = std::exchange(batch_, {});
    }
    Done done{.proposals = {}, .result = absl::UnknownError("not committed"), .started = clock_->Monotonic()};
    done.result = store_->Commit(batch);
    done.finished = clock_->Monotonic();
    done.proposals = std::move(batch);
    done_(std::move(done));
  }
}

}  // namespace picket
