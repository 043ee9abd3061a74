#include "agent/session/grpc_session.h"

#include <grpcpp/client_context.h>
#include <grpcpp/support/client_callback.h>

#include <atomic>
#include <deque>
#include <utility>

#include "common/base/check.h"
#include "common/base/mutex.h"
#include "common/rpc/status.h"
#include "picket/v1/agent_service.grpc.pb.h"

namespace picket {
namespace {

// Which of several coordinators is tried next. Shared by a dialer and its streams.
struct Rotation {
  std::atomic<size_t> next{0};
};

// One stream. All writes go through one queue; one write is out at a time. A hold keeps
// the call alive while writes may still be started from outside a reaction; it is given
// up once, when reading has ended or writing is done with.
class Reactor : public grpc::ClientBidiReactor<v1::AgentMessage, v1::CoordinatorMessage> {
 public:
  Reactor(std::shared_ptr<grpc::Channel> channel, SessionSink* sink,
          std::shared_ptr<Rotation> rotation, size_t turn)
      : stub_(v1::AgentService::NewStub(channel)),
        sink_(sink),
        rotation_(std::move(rotation)),
        turn_(turn) {
    stub_->async()->Session(&context_, this);
    AddHold();
    StartRead(&incoming_);
    StartCall();
  }

  void Send(v1::AgentMessage message) {
    MutexLock lock(&mu_);
    if (ended_ || closing_) return;
    queue_.push_back(std::move(message));
    WriteNext();
  }

  void Close() {
    MutexLock lock(&mu_);
    if (ended_ || closing_) return;
    closing_ = true;
    WriteNext();
  }

  // Cancels, and waits until the sink has had its last call.
  void Finish() {
    context_.TryCancel();
    MutexLock lock(&mu_);
    while (!done_) done_changed_.Wait(&mu_);
  }

  void OnReadDone(bool ok) override {
    if (ok) {
      rotation_->next = turn_;
      sink_->OnMessage(std::move(incoming_));
      incoming_.Clear();
      StartRead(&incoming_);
      return;
    }
    MutexLock lock(&mu_);
    End();
  }

  void OnWriteDone(bool ok) override {
    MutexLock lock(&mu_);
    writing_ = false;
    if (!ok) return End();  // reading ends too, and says why
    queue_.pop_front();
    WriteNext();
  }

  void OnWritesDoneDone(bool) override {}

  void OnDone(const grpc::Status& status) override {
    sink_->OnClosed(FromGrpc(status));
    MutexLock lock(&mu_);
    done_ = true;
    done_changed_.SignalAll();
  }

 private:
  void WriteNext() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    if (writing_ || ended_) return;
    if (!queue_.empty()) {
      writing_ = true;
      StartWrite(&queue_.front());
    } else if (closing_ && !half_closed_) {
      half_closed_ = true;
      StartWritesDone();
    }
  }
  // Nothing more is written.
  void End() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    if (std::exchange(ended_, true)) return;
    RemoveHold();
  }

  const std::unique_ptr<v1::AgentService::Stub> stub_;
  SessionSink* const sink_;
  const std::shared_ptr<Rotation> rotation_;
  const size_t turn_;
  grpc::ClientContext context_;
  v1::CoordinatorMessage incoming_;  // of the one read that is out

  Mutex mu_;
  CondVar done_changed_;
  std::deque<v1::AgentMessage> queue_ ABSL_GUARDED_BY(mu_);  // front is out while writing_
  bool writing_ ABSL_GUARDED_BY(mu_) = false;
  bool closing_ ABSL_GUARDED_BY(mu_) = false;
  bool half_closed_ ABSL_GUARDED_BY(mu_) = false;
  bool ended_ ABSL_GUARDED_BY(mu_) = false;
  bool done_ ABSL_GUARDED_BY(mu_) = false;
};

class Stream : public SessionStream {
 public:
  explicit Stream(std::unique_ptr<Reactor> reactor) : reactor_(std::move(reactor)) {}
  ~Stream() override { reactor_->Finish(); }
  void Send(v1::AgentMessage message) override { reactor_->Send(std::move(message)); }
  void Close() override { reactor_->Close(); }

 private:
  const std::unique_ptr<Reactor> reactor_;
};

class Dialer : public SessionDialer {
 public:
  Dialer(std::vector<std::shared_ptr<grpc::Channel>> channels, size_t first)
      : channels_(std::move(channels)), rotation_(std::make_shared<Rotation>()) {
    PICKET_CHECK(!channels_.empty());
    rotation_->next = first % channels_.size();
  }

  std::unique_ptr<SessionStream> Dial(SessionSink* sink) override {
    const size_t turn = rotation_->next % channels_.size();
    // The next in turn, unless this one answers.
    rotation_->next = (turn + 1) % channels_.size();
    return std::make_unique<Stream>(
        std::make_unique<Reactor>(channels_[turn], sink, rotation_, turn));
  }

 private:
  const std::vector<std::shared_ptr<grpc::Channel>> channels_;
  const std::shared_ptr<Rotation> rotation_;
};

}  // namespace

std::unique_ptr<SessionDialer> MakeDialer(std::shared_ptr<grpc::Channel> channel) {
  return std::make_unique<Dialer>(std::vector{std::move(channel)}, 0);
}

std::unique_ptr<SessionDialer> MakeDialer(std::vector<std::shared_ptr<grpc::Channel>> channels,
                                          size_t first) {
  return std::make_unique<Dialer>(std::move(channels), first);
}

}  // namespace picket
