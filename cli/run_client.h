// File: run_client.h
//
// What commands ask of a coordinator. One implementation speaks gRPC; tests have
// another. Every call blocks, with a time limit of its own.
//
// Errors are the statuses of run_service.proto; Unavailable also when no coordinator
// can be reached or answers in time: "cannot reach the coordinator at HOST:PORT: ...".
// Cancelled after Interrupt.
//
// Thread rule: one thread calls; Interrupt may be called from any other.

#ifndef CLI_RUN_CLIENT_H_
#define CLI_RUN_CLIENT_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "picket/v1/plan_service.pb.h"
#include "picket/v1/run_service.pb.h"

namespace grpc {
class ChannelInterface;
}

namespace picket {

class RunClient {
 public:
  virtual ~RunClient() = default;

  virtual absl::StatusOr<v1::CreateRunResponse> CreateRun(const v1::CreateRunRequest& request,
                                                          absl::Duration timeout) = 0;
  // Bounds one attempt to connect, beside the time limit of a call: a peer that takes the
  // connection and says nothing is given up by then.
  virtual void SetConnectTimeout(absl::Duration) {}

  virtual absl::StatusOr<v1::PlanEstimate> EstimateRun(const v1::EstimateRunRequest& request,
                                                       absl::Duration timeout) = 0;
  virtual absl::StatusOr<v1::Run> GetRun(const std::string& run_id) = 0;
  virtual absl::StatusOr<v1::ListRunsResponse> ListRuns(const v1::ListRunsRequest& request) = 0;
  virtual absl::StatusOr<v1::Run> CancelRun(const std::string& run_id, absl::Duration timeout) = 0;
  virtual absl::StatusOr<v1::ListExecutionsResponse> ListExecutions(
      const v1::ListExecutionsRequest& request) = 0;
  virtual absl::StatusOr<v1::Evidence> GetEvidence(const v1::GetEvidenceRequest& request) = 0;
  virtual absl::StatusOr<v1::Definition> GetDefinition(const v1::GetDefinitionRequest& request) = 0;
  virtual absl::StatusOr<v1::ListAgentsResponse> ListAgents(
      const v1::ListAgentsRequest& request) = 0;
  virtual absl::StatusOr<v1::Agent> DrainAgent(const v1::DrainAgentRequest& request) = 0;

  // Calls `update` with each state until the stream ends or `update` returns false, at
  // most for `timeout`; returns why it ended. Ok does not promise that the run was sealed.
  virtual absl::Status WatchRun(const std::string& run_id, absl::Duration timeout,
                                absl::FunctionRef<bool(const v1::WatchRunResponse&)> update) = 0;

  // Ends the call that is under way, and all later ones until Resume, with Cancelled.
  virtual void Interrupt() = 0;
  virtual void Resume() = 0;

  // Where it speaks to, for messages: "127.0.0.1:7700".
  virtual std::string target() const = 0;
};

// `targets`: HOST:PORT each; when one cannot be reached the next is tried.
// REQUIRES: !targets.empty().
std::unique_ptr<RunClient> ConnectRunClient(const std::vector<std::string>& targets);

// Over a channel that exists, such as one inside this process.
std::unique_ptr<RunClient> MakeRunClient(std::shared_ptr<grpc::ChannelInterface> channel,
                                         const std::string& target);

}  // namespace picket

#endif  // CLI_RUN_CLIENT_H_
