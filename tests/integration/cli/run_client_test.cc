// The gRPC client against a server of its own service.

#include "cli/run_client.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <thread>

#include "common/rpc/server.h"
#include "picket/v1/run_service.grpc.pb.h"
#include "tests/support/status_matchers.h"

namespace picket {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using testing_support::StatusIs;

// Runs "known" and "endless" exist; creating takes for ever; the store is down for lists.
class Service : public v1::RunService::Service {
 public:
  grpc::Status GetRun(grpc::ServerContext*, const v1::GetRunRequest* request,
                      v1::Run* run) override {
    if (request->run_id() != "known") return {grpc::StatusCode::NOT_FOUND, "no run of that id"};
    run->set_run_id("known");
    return grpc::Status::OK;
  }
  grpc::Status ListRuns(grpc::ServerContext*, const v1::ListRunsRequest*,
                        v1::ListRunsResponse*) override {
    return {grpc::StatusCode::UNAVAILABLE, "the store cannot be written"};
  }
  grpc::Status CreateRun(grpc::ServerContext* context, const v1::CreateRunRequest*,
                         v1::CreateRunResponse*) override {
    WaitUntilCancelled(context);
    return grpc::Status::CANCELLED;
  }
  grpc::Status WatchRun(grpc::ServerContext* context, const v1::WatchRunRequest* request,
                        grpc::ServerWriter<v1::WatchRunResponse>* writer) override {
    v1::WatchRunResponse state;
    state.mutable_run()->set_run_id(request->run_id());
    for (int i = 0; i < 3; ++i) writer->Write(state);
    if (request->run_id() == "endless") WaitUntilCancelled(context);
    return grpc::Status::OK;
  }

 private:
  static void WaitUntilCancelled(grpc::ServerContext* context) {
    while (!context->IsCancelled()) std::this_thread::yield();
  }
};

class RunClientTest : public ::testing::Test {
 protected:
  RunClientTest() {
    auto server = RpcServer::Start({.listen = "127.0.0.1:0"}, {&service_});
    EXPECT_OK(server);
    server_ = *std::move(server);
    client_ = ConnectRunClient({server_->address()});
  }
  ~RunClientTest() override { server_->Shutdown(absl::ZeroDuration()); }

  Service service_;
  std::unique_ptr<RpcServer> server_;
  std::unique_ptr<RunClient> client_;
};

TEST_F(RunClientTest, AnswersAndRefusalsArriveAsTheyAre) {
  ASSERT_OK_AND_ASSIGN(const v1::Run run, client_->GetRun("known"));
  EXPECT_EQ(run.run_id(), "known");
  EXPECT_THAT(client_->GetRun("other"),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("no run of that id")));
}

TEST_F(RunClientTest, NobodyThereIsSaidWithTheAddress) {
  const auto client = ConnectRunClient({"127.0.0.1:1"});
  EXPECT_THAT(client->GetRun("known"),
              StatusIs(absl::StatusCode::kUnavailable,
                       AllOf(HasSubstr("cannot reach the coordinator at 127.0.0.1:1: "),
                             HasSubstr("refused"))));
}

TEST_F(RunClientTest, AnotherCoordinatorIsTriedWhenOneCannotBeReached) {
  const auto client = ConnectRunClient({"127.0.0.1:1", server_->address()});
  EXPECT_OK(client->GetRun("known"));
  EXPECT_OK(client->GetRun("known"));
}

TEST_F(RunClientTest, ACoordinatorThatCannotWriteHasBeenReached) {
  EXPECT_THAT(client_->ListRuns({}), StatusIs(absl::StatusCode::kUnavailable,
                                              AllOf(HasSubstr("the store cannot be written"),
                                                    Not(HasSubstr("cannot reach")))));
}

TEST_F(RunClientTest, NoAnswerInTimeIsUnreachable) {
  EXPECT_THAT(client_->CreateRun({}, absl::Milliseconds(50)),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("no answer within 50ms")));
}

TEST_F(RunClientTest, AWatchEndsWhenItsReaderHasSeenEnough) {
  int states = 0;
  EXPECT_OK(client_->WatchRun("endless", absl::InfiniteDuration(),
                              [&](const v1::WatchRunResponse&) { return ++states < 2; }));
  EXPECT_EQ(states, 2);
}

TEST_F(RunClientTest, AWatchBringsAllStates) {
  int states = 0;
  EXPECT_OK(client_->WatchRun("known", absl::Seconds(60), [&](const v1::WatchRunResponse& state) {
    EXPECT_EQ(state.run().run_id(), "known");
    ++states;
    return true;
  }));
  EXPECT_EQ(states, 3);
}

TEST_F(RunClientTest, InterruptEndsWhatRunsAndWhatFollowsUntilResume) {
  std::thread signal;
  const absl::Status status =
      client_->WatchRun("endless", absl::InfiniteDuration(), [&](const v1::WatchRunResponse&) {
        if (!signal.joinable()) signal = std::thread([&] { client_->Interrupt(); });
        return true;
      });
  signal.join();
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kCancelled));
  EXPECT_THAT(client_->GetRun("known"), StatusIs(absl::StatusCode::kCancelled));
  client_->Resume();
  EXPECT_OK(client_->GetRun("known"));
}

}  // namespace
}  // namespace picket
