// File: coordinator.h
//
// The façade of a coordinator: gRPC reactors, HTTP handlers and `picket run --local`
// convert, call this, and return. Behind it one loop drains the mailbox, asks the
// core, commits, and only then tells.
//
// Thread rule: safe to call from any thread; no call blocks. A callback runs once, on
// one of the coordinator's threads, and must return at once.

#ifndef COORDINATOR_APP_COORDINATOR_H_
#define COORDINATOR_APP_COORDINATOR_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/clock.h"
#include "coordinator/store/store.h"
#include "picket/v1/agent_service.pb.h"
#include "picket/v1/plan_service.pb.h"
#include "picket/v1/run_service.pb.h"

namespace picket {

class Metrics;

struct CoordinatorOptions {
  std::string id;  // of this process; empty = drawn at start
  absl::Duration heartbeat_interval = absl::Seconds(2);
  absl::Duration lease_time = absl::Seconds(10);
  absl::Duration agent_grace = absl::Seconds(60);
  absl::Duration poll_interval = absl::Milliseconds(200);
  size_t keep_runs = 0;                                     // 0 = all
  absl::Duration keep_results = absl::InfiniteDuration();
  std::function<void()> on_sealed;  // after a run was sealed here; must return at once
};

// The coordinator's side of one agent session.
class AgentPeer {
 public:
  virtual ~AgentPeer() = default;
  // Queues a message; never blocks. After Close: dropped.
  virtual void Send(v1::CoordinatorMessage message) = 0;
  // Ends the stream with this status.
  virtual void Close(absl::Status status) = 0;
};

template <typename T>
using Callback = absl::AnyInvocable<void(absl::StatusOr<T>)>;

class Coordinator {
 public:
  // Starts the loop. `store` and `clock` must outlive it; `metrics` may be null.
  static std::unique_ptr<Coordinator> Start(CoordinatorOptions options, Store* store, Clock* clock,
                                            Metrics* metrics);
  // Answers what waits with Unavailable, closes sessions, joins.
  virtual ~Coordinator() = default;

  virtual void CreateRun(v1::CreateRunRequest request, Callback<v1::CreateRunResponse> done) = 0;
  virtual void EstimateRun(v1::EstimateRunRequest request, Callback<v1::PlanEstimate> done) = 0;
  virtual void GetRun(v1::GetRunRequest request, Callback<v1::Run> done) = 0;
  virtual void ListRuns(v1::ListRunsRequest request, Callback<v1::ListRunsResponse> done) = 0;
  virtual void CancelRun(v1::CancelRunRequest request, Callback<v1::Run> done) = 0;
  virtual void ListExecutions(v1::ListExecutionsRequest request,
                              Callback<v1::ListExecutionsResponse> done) = 0;
  virtual void GetEvidence(v1::GetEvidenceRequest request, Callback<v1::Evidence> done) = 0;
  virtual void GetDefinition(v1::GetDefinitionRequest request, Callback<v1::Definition> done) = 0;
  virtual void ListAgents(v1::ListAgentsRequest request, Callback<v1::ListAgentsResponse> done) = 0;
  virtual void DrainAgent(v1::DrainAgentRequest request, Callback<v1::Agent> done) = 0;

  // States of a run, whole at once and then on change (<= 10/s), until Unwatch. `end` is
  // called once, after the sealed state (ok) or an error.
  using WatchId = uint64_t;
  virtual WatchId WatchRun(v1::WatchRunRequest request,
                           absl::AnyInvocable<void(const v1::WatchRunResponse&)> update,
                           absl::AnyInvocable<void(absl::Status)> end) = 0;
  // No call of `update` or `end` begins after this returns.
  virtual void Unwatch(WatchId id) = 0;

  // An agent's stream. `peer` is kept until AgentClosed returns the favour: no call of
  // it begins after AgentClosed(id), but for one that was about to.
  using PeerId = uint64_t;
  virtual PeerId AgentOpened(std::shared_ptr<AgentPeer> peer) = 0;
  virtual void AgentSent(PeerId id, v1::AgentMessage message) = 0;
  virtual void AgentClosed(PeerId id) = 0;

  // Whether the store answers.
  virtual bool Ready() = 0;
  // The latest decided execution per suite x test x location, in the Prometheus text
  // format, under the series budget. For /probes.
  virtual std::string ProbesText() = 0;
};

}  // namespace picket

#endif  // COORDINATOR_APP_COORDINATOR_H_
