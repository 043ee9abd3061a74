// File: gateway.h
//
// HTTP in and out of a coordinator, over the same façade as gRPC: JSON for programs,
// gates for pipelines, /metrics, /probes and health. The routes are in docs/PROTOCOL.md.
// JSON is protobuf's own mapping with original field names and every field printed.
//
// Thread rule: safe to call from any thread. Handlers wait on the HTTP server's threads,
// never on the coordinator's.

#ifndef COORDINATOR_GATEWAY_GATEWAY_H_
#define COORDINATOR_GATEWAY_GATEWAY_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/telemetry/http_server.h"
#include "coordinator/app/coordinator.h"

namespace picket {

struct GatewayOptions {
  std::string listen = "127.0.0.1:0";
  std::vector<std::string> hosts;  // further names that Host may bear
  Metrics* metrics = nullptr;      // must outlive the gateway
};

class Gateway {
 public:
  // Serves when it returns. `coordinator` must outlive it. Errors as HttpServer::Start.
  static absl::StatusOr<std::unique_ptr<Gateway>> Start(GatewayOptions options,
                                                        Coordinator* coordinator);
  // "GET /v1/runs/{run_id}" and so on: every route but /metrics, /healthz and /readyz, which
  // every process has.
  static std::vector<std::string> Routes();
  // Ends streams and waiting requests, closes.
  virtual ~Gateway() = default;

  // "127.0.0.1:41812".
  virtual std::string address() const = 0;
};

}  // namespace picket

#endif  // COORDINATOR_GATEWAY_GATEWAY_H_
