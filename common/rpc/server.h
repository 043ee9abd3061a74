// File: server.h
//
// A gRPC server as every coordinator runs it: sizes and keepalive that channel.h's
// clients count on, health v1 and reflection on, a port that nobody else shares.
//
// Thread rule: safe to call from any thread.

#ifndef COMMON_RPC_SERVER_H_
#define COMMON_RPC_SERVER_H_

#include <grpcpp/channel.h>
#include <grpcpp/impl/codegen/service_type.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace picket {

struct RpcServerOptions {
  // "host:port", port 0 = any free; empty = in-process only.
  std::string listen;
  // Clients may ping as often as this.
  absl::Duration keepalive_permit = absl::Seconds(10);
  // The server's own pings, which find dead agents behind a silent link.
  absl::Duration keepalive = absl::Seconds(30);
};

class RpcServer {
 public:
  // Serves when it returns. The services must outlive it. FailedPrecondition: the
  // address cannot be bound; named.
  static absl::StatusOr<std::unique_ptr<RpcServer>> Start(
      RpcServerOptions options, const std::vector<grpc::Service*>& services);
  // Shuts down with no grace if that has not been done.
  virtual ~RpcServer() = default;

  // "host:port" with the port that was taken; empty if in-process only.
  virtual std::string address() const = 0;
  // A channel to it that uses no socket.
  virtual std::shared_ptr<grpc::Channel> InProcessChannel() = 0;
  // What the health service says of the whole server.
  virtual void SetServing(bool serving) = 0;
  // Takes no new calls, waits up to `grace` for those that run, then cancels them.
  // Returns when all have ended.
  virtual void Shutdown(absl::Duration grace) = 0;
};

}  // namespace picket

#endif  // COMMON_RPC_SERVER_H_
