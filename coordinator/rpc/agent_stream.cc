#include "coordinator/rpc/agent_stream.h"

#include <utility>

#include "common/rpc/status.h"
#include "coordinator/rpc/limits.h"

namespace picket {

grpc::ServerBidiReactor<v1::AgentMessage, v1::CoordinatorMessage>* AgentStream::Start(
    Coordinator* coordinator) {
  auto stream = std::make_shared<AgentStream>(coordinator);
  stream->self_ = stream;
  // gRPC calls no reaction before this function has returned.
  stream->peer_ = coordinator->AgentOpened(stream);
  stream->StartRead(&stream->incoming_);
  return stream.get();
}

void AgentStream::Send(v1::CoordinatorMessage message) {
  MutexLock lock(&mu_);
  if (finished_ || closing_.has_value()) return;
  if (queue_.size() >= DefaultRpcLimits().session_queue_messages) {
    FinishOnce(absl::ResourceExhaustedError(
        "the agent does not read what it is sent; reconnect and present what is held"));
    return;
  }
  queue_.push_back(std::move(message));
  Proceed();
}

void AgentStream::Close(absl::Status status) {
  MutexLock lock(&mu_);
  if (finished_ || closing_.has_value()) return;
  closing_ = std::move(status);
  Proceed();
}

void AgentStream::Proceed() {
  if (writing_ || finished_) return;
  if (!queue_.empty()) {
    writing_ = true;
    StartWrite(&queue_.front());
    return;
  }
  if (closing_.has_value()) FinishOnce(*closing_);
}

void AgentStream::FinishOnce(const absl::Status& status) {
  if (finished_) return;
  finished_ = true;
  Finish(ToGrpc(status));
}

void AgentStream::OnReadDone(bool ok) {
  if (ok) {
    coordinator_->AgentSent(peer_, std::move(incoming_));
    incoming_ = v1::AgentMessage();
    StartRead(&incoming_);
    return;
  }
  // The agent has said its last word, or the stream is finished.
  TellClosed();
  Close(absl::OkStatus());
}

void AgentStream::OnWriteDone(bool ok) {
  MutexLock lock(&mu_);
  writing_ = false;
  queue_.pop_front();
  if (!ok) {
    FinishOnce(absl::CancelledError("the agent has gone"));
    return;
  }
  Proceed();
}

void AgentStream::OnCancel() {
  {
    MutexLock lock(&mu_);
    FinishOnce(absl::CancelledError("the agent has gone"));
  }
  TellClosed();
}

void AgentStream::OnDone() {
  const std::shared_ptr<AgentStream> alive = std::move(self_);
  TellClosed();
}

void AgentStream::TellClosed() {
  {
    MutexLock lock(&mu_);
    if (told_closed_) return;
    told_closed_ = true;
  }
  coordinator_->AgentClosed(peer_);
}

}  // namespace picket
