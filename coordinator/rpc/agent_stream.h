// File: agent_stream.h
//
// One agent's Session stream, and the coordinator's peer for it.
//
// Thread rule: the reactor synchronises itself; gRPC, through self_, and the
// coordinator own it together.

#ifndef COORDINATOR_RPC_AGENT_STREAM_H_
#define COORDINATOR_RPC_AGENT_STREAM_H_

#include <grpcpp/support/server_callback.h>

#include <deque>
#include <memory>
#include <optional>

#include "absl/status/status.h"
#include "common/base/mutex.h"
#include "coordinator/app/coordinator.h"
#include "picket/v1/agent_service.pb.h"

namespace picket {

class AgentStream final
    : public grpc::ServerBidiReactor<v1::AgentMessage, v1::CoordinatorMessage>,
      public AgentPeer,
      public std::enable_shared_from_this<AgentStream> {
 public:
  // `coordinator` must outlive the stream.
  static grpc::ServerBidiReactor<v1::AgentMessage, v1::CoordinatorMessage>* Start(
      Coordinator* coordinator);
  explicit AgentStream(Coordinator* coordinator) : coordinator_(coordinator) {}

  // AgentPeer.
  void Send(v1::CoordinatorMessage message) override;
  // What is queued goes out first.
  void Close(absl::Status status) override;

  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

 private:
  void Proceed() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void FinishOnce(const absl::Status& status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Tells the coordinator, once, that nothing more will come.
  void TellClosed();

  Coordinator* const coordinator_;
  std::shared_ptr<AgentStream> self_;
  Coordinator::PeerId peer_ = 0;  // set before gRPC learns of the stream
  v1::AgentMessage incoming_;     // gRPC's between StartRead and OnReadDone

  Mutex mu_;
  bool writing_ ABSL_GUARDED_BY(mu_) = false;
  bool finished_ ABSL_GUARDED_BY(mu_) = false;
  bool told_closed_ ABSL_GUARDED_BY(mu_) = false;
  std::deque<v1::CoordinatorMessage> queue_ ABSL_GUARDED_BY(mu_);  // front: with gRPC
  std::optional<absl::Status> closing_ ABSL_GUARDED_BY(mu_);
};

}  // namespace picket

#endif  // COORDINATOR_RPC_AGENT_STREAM_H_
