#include "coordinator/rpc/rpc_server.h"

#include <gmock/gmock.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <thread>

#include "picket/v1/agent_service.grpc.pb.h"
#include "picket/v1/run_service.grpc.pb.h"
#include "tests/support/fake_coordinator.h"
#include "tests/support/status_matchers.h"

namespace picket {
namespace {

using ::picket::testing_support::StatusIs;
using ::testing::HasSubstr;
using ::testing::SizeIs;

class RpcServerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    coordinator_.runs["r1"].set_run_id("r1");
    coordinator_.runs["r1"].set_suite("shop");
    auto rpc = CoordinatorRpc::Start("127.0.0.1:0", &coordinator_);
    ASSERT_OK(rpc);
    rpc_ = *std::move(rpc);
    channel_ = rpc_->InProcessChannel();
    runs_ = v1::RunService::NewStub(channel_);
    fleet_ = v1::FleetService::NewStub(channel_);
    agents_ = v1::AgentService::NewStub(channel_);
  }

  FakeCoordinator coordinator_;
  std::unique_ptr<CoordinatorRpc> rpc_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::RunService::Stub> runs_;
  std::unique_ptr<v1::FleetService::Stub> fleet_;
  std::unique_ptr<v1::AgentService::Stub> agents_;
};

TEST_F(RpcServerTest, EveryUnaryCallIsCarriedToTheCoordinatorAndBack) {
  grpc::ClientContext c1, c2, c3, c4, c5, c6, c7, c8, c9;
  v1::CreateRunRequest create;
  create.set_request_id("q");
  v1::CreateRunResponse created;
  ASSERT_TRUE(runs_->CreateRun(&c1, create, &created).ok());
  EXPECT_EQ(created.run().run_id(), "created");
  v1::GetRunRequest get;
  get.set_run_id("r1");
  v1::Run run;
  ASSERT_TRUE(runs_->GetRun(&c2, get, &run).ok());
  EXPECT_EQ(run.suite(), "shop");
  v1::ListRunsResponse listed;
  ASSERT_TRUE(runs_->ListRuns(&c3, {}, &listed).ok());
  EXPECT_THAT(listed.runs(), SizeIs(1));
  v1::CancelRunRequest cancel;
  cancel.set_run_id("r1");
  ASSERT_TRUE(runs_->CancelRun(&c4, cancel, &run).ok());
  v1::ListExecutionsResponse executions;
  ASSERT_TRUE(runs_->ListExecutions(&c5, {}, &executions).ok());
  EXPECT_EQ(executions.executions(0).test_id(), "home");
  v1::Evidence evidence;
  ASSERT_TRUE(runs_->GetEvidence(&c6, {}, &evidence).ok());
  EXPECT_THAT(evidence.curl(), HasSubstr("curl"));
  v1::Definition definition;
  ASSERT_TRUE(runs_->GetDefinition(&c9, {}, &definition).ok());
  EXPECT_EQ(definition.test().id(), "home");
  v1::ListAgentsResponse agents;
  ASSERT_TRUE(fleet_->ListAgents(&c7, {}, &agents).ok());
  EXPECT_EQ(agents.agents(0).name(), "web-1");
  v1::Agent agent;
  ASSERT_TRUE(fleet_->DrainAgent(&c8, {}, &agent).ok());
  EXPECT_EQ(agent.state(), v1::Agent::DRAINING);
}

TEST_F(RpcServerTest, AStatusCrossesTheWireAsItIs) {
  grpc::ClientContext context, second;
  v1::GetRunRequest get;
  get.set_run_id("nope");
  v1::Run run;
  const grpc::Status status = runs_->GetRun(&context, get, &run);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(status.error_message(), "no run nope");
  coordinator_.create_status = absl::ResourceExhaustedError("too many tests");
  v1::CreateRunResponse created;
  EXPECT_EQ(runs_->CreateRun(&second, {}, &created).error_code(),
            grpc::StatusCode::RESOURCE_EXHAUSTED);
}

TEST_F(RpcServerTest, ItServesATcpPortThatItNames) {
  EXPECT_THAT(rpc_->address(), HasSubstr("127.0.0.1:"));
  auto channel = grpc::CreateChannel(rpc_->address(), grpc::InsecureChannelCredentials());
  auto stub = v1::RunService::NewStub(channel);
  grpc::ClientContext context;
  v1::ListRunsResponse listed;
  EXPECT_TRUE(stub->ListRuns(&context, {}, &listed).ok());
  EXPECT_THAT(CoordinatorRpc::Start(rpc_->address(), &coordinator_),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr(rpc_->address())));
}

TEST_F(RpcServerTest, AWatchEndsWithTheLastStateAndTheStatus) {
  grpc::ClientContext context;
  v1::WatchRunRequest request;
  request.set_run_id("r1");
  auto reader = runs_->WatchRun(&context, request);
  coordinator_.WithWatch(1, [](FakeCoordinator::Watch& watch) {
    EXPECT_EQ(watch.run_id, "r1");
    v1::WatchRunResponse state;
    state.mutable_run()->set_state(v1::Run::SEALED);
    watch.update(state);
    watch.end(absl::OkStatus());
  });
  v1::WatchRunResponse last;
  v1::WatchRunResponse state;
  while (reader->Read(&state)) last = state;
  EXPECT_EQ(last.run().state(), v1::Run::SEALED);
  EXPECT_TRUE(reader->Finish().ok());
  coordinator_.AwaitUnwatched(1);
}

TEST_F(RpcServerTest, ASlowWatcherGetsTheLatestStateAndNoBacklog) {
  grpc::ClientContext context;
  auto reader = runs_->WatchRun(&context, {});
  constexpr uint32_t kStates = 20'000;
  coordinator_.WithWatch(1, [](FakeCoordinator::Watch& watch) {
    for (uint32_t i = 1; i <= kStates; ++i) {
      v1::WatchRunResponse state;
      state.set_failure_count(i);
      watch.update(state);
    }
    watch.end(absl::UnavailableError("the coordinator stops"));
  });
  v1::WatchRunResponse state;
  uint32_t read = 0, last = 0;
  while (reader->Read(&state)) {
    ++read;
    EXPECT_GT(state.failure_count(), last);
    last = state.failure_count();
  }
  EXPECT_EQ(last, kStates);
  EXPECT_LT(read, kStates / 2);
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(RpcServerTest, AWatcherThatGoesIsForgotten) {
  {
    grpc::ClientContext context;
    auto reader = runs_->WatchRun(&context, {});
    coordinator_.WithWatch(1, [](FakeCoordinator::Watch&) {});
    context.TryCancel();
    EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::CANCELLED);
  }
  coordinator_.AwaitUnwatched(1);
}

TEST_F(RpcServerTest, ASessionCarriesMessagesBothWaysInOrder) {
  grpc::ClientContext context;
  auto stream = agents_->Session(&context);
  v1::AgentMessage hello;
  hello.mutable_hello()->set_name("web-1");
  ASSERT_TRUE(stream->Write(hello));
  const auto peer = coordinator_.AwaitPeer(1);
  EXPECT_EQ(coordinator_.AwaitMessages(1)[0].hello().name(), "web-1");
  for (uint64_t i = 1; i <= 100; ++i) {
    v1::CoordinatorMessage message;
    message.mutable_ack()->set_through(i);
    peer->Send(message);
  }
  v1::CoordinatorMessage received;
  for (uint64_t i = 1; i <= 100; ++i) {
    ASSERT_TRUE(stream->Read(&received));
    EXPECT_EQ(received.ack().through(), i);
  }
  stream->WritesDone();
  EXPECT_FALSE(stream->Read(&received));
  EXPECT_TRUE(stream->Finish().ok());
  coordinator_.AwaitClosed(1);
  EXPECT_THAT(coordinator_.closed(), ::testing::ElementsAre(1));
}

TEST_F(RpcServerTest, ARefusedAgentLearnsWhyAfterWhatWasQueued) {
  grpc::ClientContext context;
  auto stream = agents_->Session(&context);
  const auto peer = coordinator_.AwaitPeer(1);
  v1::CoordinatorMessage message;
  message.mutable_drain()->set_reason("another took the name");
  peer->Send(message);
  peer->Close(absl::AlreadyExistsError("web-1 is held by i1"));
  peer->Send(message);
  v1::CoordinatorMessage received;
  ASSERT_TRUE(stream->Read(&received));
  EXPECT_EQ(received.drain().reason(), "another took the name");
  EXPECT_FALSE(stream->Read(&received));
  const grpc::Status status = stream->Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::ALREADY_EXISTS);
  EXPECT_EQ(status.error_message(), "web-1 is held by i1");
  coordinator_.AwaitClosed(1);
}

TEST_F(RpcServerTest, AnAgentThatVanishesIsClosedOnce) {
  {
    grpc::ClientContext context;
    auto stream = agents_->Session(&context);
    coordinator_.AwaitPeer(1);
    context.TryCancel();
    EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::CANCELLED);
  }
  coordinator_.AwaitClosed(1);
  rpc_->Shutdown(absl::ZeroDuration());
  EXPECT_THAT(coordinator_.closed(), SizeIs(1));
}

TEST_F(RpcServerTest, ShutdownEndsCallsThatWillNeverBeAnswered) {
  coordinator_.never_answers_cancel = true;
  grpc::Status status;
  std::thread client([&] {
    grpc::ClientContext context;
    v1::Run run;
    status = runs_->CancelRun(&context, {}, &run);
  });
  grpc::ClientContext context;
  auto stream = agents_->Session(&context);
  coordinator_.AwaitPeer(1);
  while (coordinator_.requests().empty()) std::this_thread::yield();
  rpc_->Shutdown(absl::ZeroDuration());
  client.join();
  EXPECT_FALSE(status.ok());
  v1::CoordinatorMessage received;
  EXPECT_FALSE(stream->Read(&received));
  EXPECT_FALSE(stream->Finish().ok());
  coordinator_.AwaitClosed(1);
}

}  // namespace
}  // namespace picket
