// File: rpc_server.h
//
// gRPC in and out of a coordinator: RunService, FleetService and AgentService over its
// façade. Reactors are postmen: convert, post, return.
//
// Thread rule: safe to call from any thread.

#ifndef COORDINATOR_RPC_RPC_SERVER_H_
#define COORDINATOR_RPC_RPC_SERVER_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "coordinator/app/coordinator.h"

namespace grpc {
class Channel;
}

namespace picket {

class CoordinatorRpc {
 public:
  // Serves when it returns. `listen` is "host:port", port 0 = any free; empty = in-process
  // only. `coordinator` must outlive it. FailedPrecondition: the address cannot be bound.
  static absl::StatusOr<std::unique_ptr<CoordinatorRpc>> Start(const std::string& listen,
                                                               Coordinator* coordinator);
  // Shuts down with no grace if that has not been done.
  virtual ~CoordinatorRpc() = default;

  // "host:port" with the port that was taken; empty if in-process only.
  virtual std::string address() const = 0;
  // A channel to it that uses no socket.
  virtual std::shared_ptr<grpc::Channel> InProcessChannel() = 0;
  // What the health service says.
  virtual void SetServing(bool serving) = 0;
  // Takes no new calls, waits up to `grace` for those that run, then cancels them.
  // Returns when all have ended; the coordinator may be stopped then.
  virtual void Shutdown(absl::Duration grace) = 0;
};

}  // namespace picket

#endif  // COORDINATOR_RPC_RPC_SERVER_H_
