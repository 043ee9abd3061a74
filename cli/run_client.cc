#include "cli/run_client.h"

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include <algorithm>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "common/policy/units.h"
#include "common/rpc/channel.h"
#include "common/rpc/status.h"
#include "picket/v1/plan_service.grpc.pb.h"
#include "picket/v1/run_service.grpc.pb.h"

namespace picket {
namespace {

constexpr absl::Duration kCallTimeout = absl::Seconds(30);
// How soon an interrupt is noticed while a connection is being made.
constexpr absl::Duration kInterruptLook = absl::Milliseconds(100);

// True for what the transport says, not a coordinator.
bool IsTransportError(const absl::Status& status) {
  if (absl::IsDeadlineExceeded(status)) return true;
  if (!absl::IsUnavailable(status)) return false;
  const absl::string_view message = status.message();
  for (absl::string_view sign :
       {"failed to connect", "DNS resolution", "Socket closed", "GOAWAY", "onnection re",
        "Broken pipe", "Endpoint closing", "backends failing", "keepalive", "Transport closed",
        "roken", "No route", "nreachable"}) {
    if (absl::StrContains(message, sign)) return true;
  }
  return message.empty();
}

// The part of gRPC's sentence that a person can use.
std::string TransportMessage(const absl::Status& status, absl::Duration timeout) {
  if (absl::IsDeadlineExceeded(status)) {
    return absl::StrCat("no answer within ", DurationText(absl::Ceil(timeout, absl::Milliseconds(10))));
  }
  absl::string_view message = status.message();
  const size_t last = message.rfind("last error: ");
  if (last != absl::string_view::npos) message.remove_prefix(last + 12);
  absl::ConsumePrefix(&message, "UNKNOWN: ");
  absl::ConsumePrefix(&message, "UNAVAILABLE: ");
  return message.empty() ? "the connection was closed" : std::string(message);
}

class GrpcRunClient : public RunClient {
 public:
  struct Target {
    std::string name;
    std::shared_ptr<grpc::ChannelInterface> channel;  // null until it is needed
    bool dialled = false;                             // the channel is ours, over a socket
    std::unique_ptr<v1::RunService::Stub> runs;
    std::unique_ptr<v1::FleetService::Stub> fleet;
    std::unique_ptr<v1::PlanService::Stub> plans;
  };

  explicit GrpcRunClient(std::vector<Target> targets) : targets_(std::move(targets)) {}

  absl::StatusOr<v1::CreateRunResponse> CreateRun(const v1::CreateRunRequest& request,
                                                  absl::Duration timeout) override {
    return Call<v1::CreateRunResponse>(timeout, [&](Target& t, auto* context, auto* response) {
      return t.runs->CreateRun(context, request, response);
    });
  }
  void SetConnectTimeout(absl::Duration timeout) override {
    connect_timeout_ = std::min(connect_timeout_, timeout);
  }
  absl::StatusOr<v1::PlanEstimate> EstimateRun(const v1::EstimateRunRequest& request,
                                               absl::Duration timeout) override {
    return Call<v1::PlanEstimate>(timeout, [&](Target& t, auto* context, auto* response) {
      return t.plans->EstimateRun(context, request, response);
    });
  }
  absl::StatusOr<v1::Run> GetRun(const std::string& run_id) override {
    v1::GetRunRequest request;
    request.set_run_id(run_id);
    return Call<v1::Run>(kCallTimeout, [&](Target& t, auto* context, auto* response) {
      return t.runs->GetRun(context, request, response);
    });
  }
  absl::StatusOr<v1::ListRunsResponse> ListRuns(const v1::ListRunsRequest& request) override {
    return Call<v1::ListRunsResponse>(kCallTimeout, [&](Target& t, auto* context, auto* response) {
      return t.runs->ListRuns(context, request, response);
    });
  }
  absl::StatusOr<v1::Run> CancelRun(const std::string& run_id, absl::Duration timeout) override {
    v1::CancelRunRequest request;
    request.set_run_id(run_id);
    return Call<v1::Run>(timeout, [&](Target& t, auto* context, auto* response) {
      return t.runs->CancelRun(context, request, response);
    });
  }
  absl::StatusOr<v1::ListExecutionsResponse> ListExecutions(
      const v1::ListExecutionsRequest& request) override {
    return Call<v1::ListExecutionsResponse>(
        kCallTimeout, [&](Target& t, auto* context, auto* response) {
          return t.runs->ListExecutions(context, request, response);
        });
  }
  absl::StatusOr<v1::Evidence> GetEvidence(const v1::GetEvidenceRequest& request) override {
    return Call<v1::Evidence>(kCallTimeout, [&](Target& t, auto* context, auto* response) {
      return t.runs->GetEvidence(context, request, response);
    });
  }
  absl::StatusOr<v1::Definition> GetDefinition(const v1::GetDefinitionRequest& request) override {
    return Call<v1::Definition>(kCallTimeout, [&](Target& t, auto* context, auto* response) {
      return t.runs->GetDefinition(context, request, response);
    });
  }
  absl::StatusOr<v1::ListAgentsResponse> ListAgents(const v1::ListAgentsRequest& request) override {
    return Call<v1::ListAgentsResponse>(kCallTimeout,
                                        [&](Target& t, auto* context, auto* response) {
                                          return t.fleet->ListAgents(context, request, response);
                                        });
  }
  absl::StatusOr<v1::Agent> DrainAgent(const v1::DrainAgentRequest& request) override {
    return Call<v1::Agent>(kCallTimeout, [&](Target& t, auto* context, auto* response) {
      return t.fleet->DrainAgent(context, request, response);
    });
  }

  absl::Status WatchRun(const std::string& run_id, absl::Duration timeout,
                        absl::FunctionRef<bool(const v1::WatchRunResponse&)> update) override {
    v1::WatchRunRequest request;
    request.set_run_id(run_id);
    return Try(timeout, [&](Target& t, grpc::ClientContext* context) {
      auto reader = t.runs->WatchRun(context, request);
      v1::WatchRunResponse state;
      while (reader->Read(&state)) {
        if (update(state)) continue;
        context->TryCancel();
        while (reader->Read(&state)) continue;
        reader->Finish();
        return grpc::Status::OK;
      }
      return reader->Finish();
    });
  }

  void Interrupt() override {
    MutexLock lock(&mu_);
    interrupted_ = true;
    if (context_ != nullptr) context_->TryCancel();
  }

  void Resume() override {
    MutexLock lock(&mu_);
    interrupted_ = false;
  }

  std::string target() const override {
    return absl::StrJoin(targets_, ",", [](std::string* out, const Target& t) { *out += t.name; });
  }

 private:
  // One call at each target, from the one that answered last, until one can be reached.
  template <typename Attempt>
  absl::Status Try(absl::Duration timeout, Attempt attempt) {
    absl::Status status;
    for (size_t i = 0; i < targets_.size(); ++i) {
      Target& target = targets_[current_];
      Connect(target);
      grpc::ClientContext context;
      if (timeout < absl::InfiniteDuration()) {
        context.set_deadline(absl::ToChronoTime(Clock::Real()->TimeNow() + timeout));
      }
      if (!Begin(&context)) return absl::CancelledError("interrupted");
      absl::Cleanup end = [this] { End(); };
      if (!Answers(target)) {
        status = absl::UnavailableError(absl::StrCat(
            "cannot reach the coordinator at ", target.name, ": no answer within ",
            DurationText(connect_timeout_)));
        current_ = (current_ + 1) % targets_.size();
        continue;
      }
      status = FromGrpc(attempt(target, &context));
      if (!IsTransportError(status)) return status;
      // Callers pace their tries; a channel that failed would sit out a pause of its own.
      if (target.dialled) Disconnect(target);
      status = absl::UnavailableError(absl::StrCat("cannot reach the coordinator at ", target.name,
                                                   ": ", TransportMessage(status, timeout)));
      current_ = (current_ + 1) % targets_.size();
    }
    return status;
  }

  template <typename Response, typename Attempt>
  absl::StatusOr<Response> Call(absl::Duration timeout, Attempt attempt) {
    Response response;
    const absl::Status status = Try(timeout, [&](Target& t, grpc::ClientContext* context) {
      response.Clear();
      return attempt(t, context, &response);
    });
    if (!status.ok()) return status;
    return response;
  }

  // False while the peer takes the connection and does not say that it speaks HTTP/2: a call
  // would wait for it longer than the user wants. One that refuses is left to the call, which
  // says why.
  bool Answers(Target& target) {
    if (!target.dialled) return true;
    const absl::Time until = Clock::Real()->TimeNow() + connect_timeout_;
    while (true) {
      const grpc_connectivity_state state = target.channel->GetState(/*try_to_connect=*/true);
      if (state != GRPC_CHANNEL_IDLE && state != GRPC_CHANNEL_CONNECTING) return true;
      const absl::Time now = Clock::Real()->TimeNow();
      if (now >= until || interrupted()) {
        Disconnect(target);
        return false;
      }
      target.channel->WaitForStateChange(
          state, absl::ToChronoTime(std::min(until, now + kInterruptLook)));
    }
  }

  // The next call dials anew.
  static void Disconnect(Target& target) {
    target.runs = nullptr;
    target.fleet = nullptr;
    target.plans = nullptr;
    target.channel = nullptr;
  }

  bool interrupted() {
    MutexLock lock(&mu_);
    return interrupted_;
  }

  void Connect(Target& target) const {
    if (target.channel == nullptr) {
      target.channel = MakeChannel(target.name);
      target.dialled = true;
    }
    if (target.runs == nullptr) {
      target.runs = v1::RunService::NewStub(target.channel);
      target.fleet = v1::FleetService::NewStub(target.channel);
      target.plans = v1::PlanService::NewStub(target.channel);
    }
  }

  bool Begin(grpc::ClientContext* context) {
    MutexLock lock(&mu_);
    if (interrupted_) return false;
    context_ = context;
    return true;
  }
  void End() {
    MutexLock lock(&mu_);
    context_ = nullptr;
  }

  std::vector<Target> targets_;
  absl::Duration connect_timeout_ = absl::Seconds(5);  // of one try
  size_t current_ = 0;

  Mutex mu_;
  bool interrupted_ ABSL_GUARDED_BY(mu_) = false;
  grpc::ClientContext* context_ ABSL_GUARDED_BY(mu_) = nullptr;
};

}  // namespace

std::unique_ptr<RunClient> ConnectRunClient(const std::vector<std::string>& targets) {
  std::vector<GrpcRunClient::Target> list(targets.size());
  for (size_t i = 0; i < targets.size(); ++i) list[i].name = targets[i];
  return std::make_unique<GrpcRunClient>(std::move(list));
}

std::unique_ptr<RunClient> MakeRunClient(std::shared_ptr<grpc::ChannelInterface> channel,
                                         const std::string& target) {
  std::vector<GrpcRunClient::Target> list(1);
  list[0].name = target;
  list[0].channel = std::move(channel);
  return std::make_unique<GrpcRunClient>(std::move(list));
}

}  // namespace picket
