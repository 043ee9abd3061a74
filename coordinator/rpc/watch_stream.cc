#include "coordinator/rpc/watch_stream.h"

#include <utility>

#include "common/rpc/status.h"

namespace picket {

grpc::ServerWriteReactor<v1::WatchRunResponse>* WatchStream::Start(
    Coordinator* coordinator, const v1::WatchRunRequest& request) {
  auto stream = std::make_shared<WatchStream>(coordinator);
  stream->self_ = stream;
  // gRPC calls no reaction before this function has returned.
  stream->watch_ = coordinator->WatchRun(
      request, [stream](const v1::WatchRunResponse& state) { stream->Update(state); },
      [stream](absl::Status status) { stream->End(std::move(status)); });
  return stream.get();
}

void WatchStream::Update(const v1::WatchRunResponse& state) {
  MutexLock lock(&mu_);
  if (finished_ || ended_.has_value()) return;
  waiting_ = state;
  Proceed();
}

void WatchStream::End(absl::Status status) {
  MutexLock lock(&mu_);
  if (finished_ || ended_.has_value()) return;
  ended_ = std::move(status);
  Proceed();
}

void WatchStream::Proceed() {
  if (writing_ || finished_) return;
  if (waiting_.has_value()) {
    with_grpc_ = *std::move(waiting_);
    waiting_.reset();
    writing_ = true;
    StartWrite(&with_grpc_);
    return;
  }
  if (ended_.has_value()) FinishOnce(*ended_);
}

void WatchStream::FinishOnce(const absl::Status& status) {
  if (finished_) return;
  finished_ = true;
  Finish(ToGrpc(status));
}

void WatchStream::OnWriteDone(bool ok) {
  MutexLock lock(&mu_);
  writing_ = false;
  if (!ok) {
    FinishOnce(absl::CancelledError("the client has gone"));
    return;
  }
  Proceed();
}

void WatchStream::OnCancel() {
  MutexLock lock(&mu_);
  FinishOnce(absl::CancelledError("the client has gone"));
}

void WatchStream::OnDone() {
  const std::shared_ptr<WatchStream> alive = std::move(self_);
  coordinator_->Unwatch(watch_);
}

}  // namespace picket
