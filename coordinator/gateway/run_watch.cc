#include "coordinator/gateway/run_watch.h"

#include <utility>

namespace picket {

RunWatch::RunWatch(Coordinator* coordinator, const std::string& run_id)
    : coordinator_(coordinator) {
  v1::WatchRunRequest request;
  request.set_run_id(run_id);
  id_ = coordinator_->WatchRun(
      request,
      [shared = shared_](const v1::WatchRunResponse& state) {
        MutexLock lock(&shared->mu);
        shared->state = state;
        shared->changed.SignalAll();
      },
      [shared = shared_](absl::Status status) {
        MutexLock lock(&shared->mu);
        shared->ended = std::move(status);
        shared->changed.SignalAll();
      });
}

RunWatch::~RunWatch() { coordinator_->Unwatch(id_); }

std::optional<v1::WatchRunResponse> RunWatch::Take() {
  MutexLock lock(&shared_->mu);
  return std::exchange(shared_->state, std::nullopt);
}

std::optional<absl::Status> RunWatch::Ended() {
  MutexLock lock(&shared_->mu);
  if (shared_->state.has_value()) return std::nullopt;
  return shared_->ended;
}

void RunWatch::Wait(absl::Duration longest) {
  MutexLock lock(&shared_->mu);
  if (shared_->state.has_value() || shared_->ended.has_value()) return;
  shared_->changed.WaitWithTimeout(&shared_->mu, longest);
}

}  // namespace picket
