#include "coordinator/rpc/rpc_server.h"

#include <grpcpp/support/server_callback.h>

#include <utility>

#include "common/base/status_macros.h"
#include "common/rpc/server.h"
#include "coordinator/rpc/agent_stream.h"
#include "coordinator/rpc/unary_call.h"
#include "coordinator/rpc/watch_stream.h"
#include "picket/v1/agent_service.grpc.pb.h"
#include "picket/v1/plan_service.grpc.pb.h"
#include "picket/v1/run_service.grpc.pb.h"

namespace picket {
namespace {

using grpc::CallbackServerContext;
using grpc::ServerUnaryReactor;

class RunServiceImpl final : public v1::RunService::CallbackService {
 public:
  explicit RunServiceImpl(Coordinator* coordinator) : coordinator_(coordinator) {}

  ServerUnaryReactor* CreateRun(CallbackServerContext*, const v1::CreateRunRequest* request,
                                v1::CreateRunResponse* response) override {
    return UnaryCall<v1::CreateRunResponse>::Start(coordinator_, &Coordinator::CreateRun, *request,
                                                   response);
  }
  ServerUnaryReactor* GetRun(CallbackServerContext*, const v1::GetRunRequest* request,
                             v1::Run* response) override {
    return UnaryCall<v1::Run>::Start(coordinator_, &Coordinator::GetRun, *request, response);
  }
  ServerUnaryReactor* ListRuns(CallbackServerContext*, const v1::ListRunsRequest* request,
                               v1::ListRunsResponse* response) override {
    return UnaryCall<v1::ListRunsResponse>::Start(coordinator_, &Coordinator::ListRuns, *request,
                                                  response);
  }
  ServerUnaryReactor* CancelRun(CallbackServerContext*, const v1::CancelRunRequest* request,
                                v1::Run* response) override {
    return UnaryCall<v1::Run>::Start(coordinator_, &Coordinator::CancelRun, *request, response);
  }
  grpc::ServerWriteReactor<v1::WatchRunResponse>* WatchRun(
      CallbackServerContext*, const v1::WatchRunRequest* request) override {
    return WatchStream::Start(coordinator_, *request);
  }
  ServerUnaryReactor* ListExecutions(CallbackServerContext*,
                                     const v1::ListExecutionsRequest* request,
                                     v1::ListExecutionsResponse* response) override {
    return UnaryCall<v1::ListExecutionsResponse>::Start(coordinator_, &Coordinator::ListExecutions,
                                                        *request, response);
  }
  ServerUnaryReactor* GetEvidence(CallbackServerContext*, const v1::GetEvidenceRequest* request,
                                  v1::Evidence* response) override {
    return UnaryCall<v1::Evidence>::Start(coordinator_, &Coordinator::GetEvidence, *request,
                                          response);
  }
  ServerUnaryReactor* GetDefinition(CallbackServerContext*,
                                    const v1::GetDefinitionRequest* request,
                                    v1::Definition* response) override {
    return UnaryCall<v1::Definition>::Start(coordinator_, &Coordinator::GetDefinition, *request,
                                            response);
  }

 private:
  Coordinator* const coordinator_;
};

class PlanServiceImpl final : public v1::PlanService::CallbackService {
 public:
  explicit PlanServiceImpl(Coordinator* coordinator) : coordinator_(coordinator) {}

  ServerUnaryReactor* EstimateRun(CallbackServerContext*, const v1::EstimateRunRequest* request,
                                  v1::PlanEstimate* response) override {
    return UnaryCall<v1::PlanEstimate>::Start(coordinator_, &Coordinator::EstimateRun, *request,
                                              response);
  }

 private:
  Coordinator* const coordinator_;
};

class FleetServiceImpl final : public v1::FleetService::CallbackService {
 public:
  explicit FleetServiceImpl(Coordinator* coordinator) : coordinator_(coordinator) {}

  ServerUnaryReactor* ListAgents(CallbackServerContext*, const v1::ListAgentsRequest* request,
                                 v1::ListAgentsResponse* response) override {
    return UnaryCall<v1::ListAgentsResponse>::Start(coordinator_, &Coordinator::ListAgents,
                                                    *request, response);
  }
  ServerUnaryReactor* DrainAgent(CallbackServerContext*, const v1::DrainAgentRequest* request,
                                 v1::Agent* response) override {
    return UnaryCall<v1::Agent>::Start(coordinator_, &Coordinator::DrainAgent, *request, response);
  }

 private:
  Coordinator* const coordinator_;
};

class AgentServiceImpl final : public v1::AgentService::CallbackService {
 public:
  explicit AgentServiceImpl(Coordinator* coordinator) : coordinator_(coordinator) {}

  grpc::ServerBidiReactor<v1::AgentMessage, v1::CoordinatorMessage>* Session(
      CallbackServerContext*) override {
    return AgentStream::Start(coordinator_);
  }

 private:
  Coordinator* const coordinator_;
};

class CoordinatorRpcImpl final : public CoordinatorRpc {
 public:
  explicit CoordinatorRpcImpl(Coordinator* coordinator)
      : runs_(coordinator), plans_(coordinator), fleet_(coordinator), agents_(coordinator) {}

  absl::Status Serve(const std::string& listen) {
    RpcServerOptions options;
    options.listen = listen;
    ABSL_ASSIGN_OR_RETURN(server_, RpcServer::Start(options, {&runs_, &plans_, &fleet_, &agents_}));
    return absl::OkStatus();
  }

  std::string address() const override { return server_->address(); }
  std::shared_ptr<grpc::Channel> InProcessChannel() override {
    return server_->InProcessChannel();
  }
  void SetServing(bool serving) override { server_->SetServing(serving); }
  void Shutdown(absl::Duration grace) override { server_->Shutdown(grace); }

 private:
  RunServiceImpl runs_;
  PlanServiceImpl plans_;
  FleetServiceImpl fleet_;
  AgentServiceImpl agents_;
  std::unique_ptr<RpcServer> server_;  // goes before the services
};

}  // namespace

absl::StatusOr<std::unique_ptr<CoordinatorRpc>> CoordinatorRpc::Start(const std::string& listen,
                                                                      Coordinator* coordinator) {
  auto rpc = std::make_unique<CoordinatorRpcImpl>(coordinator);
  ABSL_RETURN_IF_ERROR(rpc->Serve(listen));
  return std::unique_ptr<CoordinatorRpc>(std::move(rpc));
}

}  // namespace picket
