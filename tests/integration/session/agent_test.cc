// A whole agent over gRPC against a scripted coordinator.

#include "agent/session/agent.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "absl/strings/str_cat.h"
#include "agent/session/grpc_session.h"
#include "common/rpc/channel.h"
#include "common/telemetry/metrics.h"
#include "tests/integration/session/scripted_coordinator.h"
#include "tests/support/status_matchers.h"

namespace picket {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// Waits for a state that OnChange tells of.
class Watch {
 public:
  // REQUIRES: this outlives the agent.
  void Attach(Agent* agent) {
    agent->OnChange([this](const AgentStatus& status) {
      MutexLock lock(&mu_);
      status_ = status;
      changed_.SignalAll();
    });
  }
  AgentStatus Until(const std::function<bool(const AgentStatus&)>& holds) {
    MutexLock lock(&mu_);
    while (!holds(status_)) changed_.Wait(&mu_);
    return status_;
  }

 private:
  Mutex mu_;
  CondVar changed_;
  AgentStatus status_ ABSL_GUARDED_BY(mu_);
};

AgentOptions Options(const std::string& spool = "") {
  AgentOptions options;
  options.name = "a1";
  options.location = "eu-west";
  options.capacity = 10;
  options.spool_directory = spool;
  return options;
}

std::unique_ptr<Agent> StartAgent(AgentOptions options, SessionDialer* dialer,
                                  std::unique_ptr<Engine> engine) {
  auto agent = Agent::Start(std::move(options), dialer, std::move(engine));
  EXPECT_OK(agent);
  return *std::move(agent);
}

TEST(AgentTest, RunsWhatItIsLeasedAndReports) {
  ScriptedCoordinator coordinator;
  auto dialer = MakeDialer(coordinator.Channel());
  Metrics metrics("test", absl::UnixEpoch());
  AgentOptions options = Options();
  options.metrics = &metrics;
  auto agent = StartAgent(options, dialer.get(), std::make_unique<ScriptedEngine>());
  const v1::Hello hello = coordinator.Welcome();
  EXPECT_EQ(hello.name(), "a1");
  EXPECT_GT(hello.clock_time().seconds(), 1'700'000'000);
  EXPECT_FALSE(hello.instance().empty());
  std::vector<uint32_t> numbers(1000);
  for (uint32_t i = 0; i < 1000; ++i) numbers[i] = i;
  coordinator.Lease("r", numbers);
  const auto results = coordinator.Results(1000);
  ASSERT_THAT(results, SizeIs(1000));
  for (uint32_t i = 0; i < 1000; ++i) ASSERT_EQ(results[i].execution(), i);
  EXPECT_THAT(metrics.Text(),
              HasSubstr("picket_agent_checks_total{outcome=\"passed\",reason=\"none\"} 1000\n"));
  EXPECT_THAT(metrics.Text(), HasSubstr("picket_agent_connected 1\n"));
}

TEST(AgentTest, ATestThatCannotBeCompiledEndsInconclusiveAndSaysWhy) {
  ScriptedCoordinator coordinator;
  auto dialer = MakeDialer(coordinator.Channel());
  auto agent = StartAgent(Options(), dialer.get(), std::make_unique<ScriptedEngine>());
  coordinator.Welcome();
  v1::CoordinatorMessage test;
  test.mutable_test()->set_digest("bad");
  test.mutable_test()->mutable_test()->add_steps()->mutable_http()->set_url("{{ open");
  coordinator.Say(test);
  v1::CoordinatorMessage grant;
  grant.mutable_grant()->mutable_lease()->set_run_id("r");
  grant.mutable_grant()->add_executions()->set_digest("bad");
  coordinator.Say(grant);
  const auto results = coordinator.Results(1);
  EXPECT_EQ(results[0].outcome(), v1::Outcome::INCONCLUSIVE);
  EXPECT_EQ(results[0].reason(), v1::FailureReason::agent_error);
  EXPECT_THAT(results[0].attempts(0).message(), HasSubstr("cannot run the test"));
}

TEST(AgentTest, AfterACutItPresentsWhatItHoldsAndSendsAgainWhatWasNotAcknowledged) {
  ScriptedCoordinator coordinator;
  auto dialer = MakeDialer(coordinator.Channel());
  auto owned = std::make_unique<ScriptedEngine>(/*hold=*/true);
  ScriptedEngine* engine = owned.get();
  auto agent = StartAgent(Options(), dialer.get(), std::move(owned));
  const v1::Hello first = coordinator.Welcome();
  coordinator.Lease("r", {1, 2});
  engine->AwaitJobs(2);
  coordinator.Cut();
  const v1::Hello second = coordinator.Welcome();
  EXPECT_EQ(second.instance(), first.instance());
  ASSERT_THAT(second.held(), SizeIs(1));
  EXPECT_THAT(second.held(0).executions(), ElementsAre(1, 2));
  engine->EndAll(v1::Outcome::PASSED);
  EXPECT_THAT(coordinator.Results(2, /*acknowledge=*/false), SizeIs(2));
  coordinator.Cut();
  coordinator.Welcome();
  EXPECT_THAT(coordinator.Results(2), SizeIs(2));
}

TEST(AgentTest, ARefusalIsFinalAndNamed) {
  Watch watch;
  ScriptedCoordinator coordinator;
  coordinator.Refuse(absl::AlreadyExistsError("a1 is held by instance 7"));
  auto dialer = MakeDialer(coordinator.Channel());
  auto agent = StartAgent(Options(), dialer.get(), std::make_unique<ScriptedEngine>());
  watch.Attach(agent.get());
  const AgentStatus status = watch.Until([](const AgentStatus& s) { return !s.refused.ok(); });
  EXPECT_THAT(status.refused,
              testing_support::StatusIs(absl::StatusCode::kAlreadyExists, HasSubstr("instance 7")));
}

TEST(AgentTest, DrainsToTheLastAcknowledgement) {
  Watch watch;
  ScriptedCoordinator coordinator;
  auto dialer = MakeDialer(coordinator.Channel());
  auto owned = std::make_unique<ScriptedEngine>(/*hold=*/true);
  ScriptedEngine* engine = owned.get();
  AgentOptions options = Options();
  options.capacity = 1;
  auto agent = StartAgent(options, dialer.get(), std::move(owned));
  watch.Attach(agent.get());
  coordinator.Welcome();
  coordinator.Lease("r", {1, 2, 3});
  engine->AwaitJobs(1);
  agent->Drain();
  EXPECT_THAT(coordinator.Next(v1::AgentMessage::kLeaseReturn).lease_return().executions(),
              ElementsAre(2, 3));
  EXPECT_FALSE(agent->Status().drained);
  engine->EndAll(v1::Outcome::PASSED);
  coordinator.Results(1);
  EXPECT_EQ(coordinator.Next(v1::AgentMessage::kGoodbye).goodbye().reason(), "drained");
  const AgentStatus status = watch.Until([](const AgentStatus& s) { return s.drained; });
  EXPECT_EQ(status.held, 0u);
  EXPECT_EQ(status.spool_bytes, 0u);
}

TEST(AgentTest, TheNextAgentOnASpoolDeliversWhatTheLastOneCouldNot) {
  const std::string directory = absl::StrCat(::testing::TempDir(), "/agent-spool-", getpid());
  std::filesystem::remove_all(directory);
  ScriptedCoordinator coordinator;
  auto dialer = MakeDialer(coordinator.Channel());
  auto agent = StartAgent(Options(directory), dialer.get(), std::make_unique<ScriptedEngine>());
  const v1::Hello first = coordinator.Welcome();
  coordinator.Lease("r", {1, 2, 3});
  coordinator.Results(3, /*acknowledge=*/false);
  agent.reset();
  agent = StartAgent(Options(directory), dialer.get(), std::make_unique<ScriptedEngine>());
  const v1::Hello second = coordinator.Welcome();
  EXPECT_NE(second.instance(), first.instance());
  EXPECT_EQ(second.spool(), first.spool());
  EXPECT_THAT(second.held(), IsEmpty());
  const v1::AgentMessage again = coordinator.Next(v1::AgentMessage::kResults);
  EXPECT_EQ(again.results().results(0).instance(), first.instance());
  EXPECT_THAT(again.results().results(0).results(), SizeIs(3));
  agent.reset();
  std::filesystem::remove_all(directory);
}

TEST(AgentTest, ADirectoryInUseIsRefusedAtStart) {
  const std::string directory = absl::StrCat(::testing::TempDir(), "/agent-lock-", getpid());
  ScriptedCoordinator coordinator;
  auto dialer = MakeDialer(coordinator.Channel());
  auto agent = StartAgent(Options(directory), dialer.get(), std::make_unique<ScriptedEngine>());
  EXPECT_THAT(
      Agent::Start(Options(directory), dialer.get(), std::make_unique<ScriptedEngine>()),
      testing_support::StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr(directory)));
  agent.reset();
  std::filesystem::remove_all(directory);
}

TEST(AgentTest, TriesTheNextCoordinatorOfItsListWhenOneIsDead) {
  Watch watch;
  ScriptedCoordinator coordinator("127.0.0.1:0");
  std::string dead;
  {
    ScriptedCoordinator gone("127.0.0.1:0");
    dead = gone.address();
  }
  auto dialer = MakeDialer({MakeChannel(dead), MakeChannel(coordinator.address())}, /*first=*/0);
  auto agent = StartAgent(Options(), dialer.get(), std::make_unique<ScriptedEngine>());
  coordinator.Welcome();
  coordinator.Cut();
  coordinator.Welcome();  // and stays with the one that answered
  watch.Attach(agent.get());
  EXPECT_TRUE(watch.Until([](const AgentStatus& s) { return s.connected; }).connected);
}

TEST(AgentTest, StopsAtOnceInTheMiddleOfItsWork) {
  ScriptedCoordinator coordinator;
  auto dialer = MakeDialer(coordinator.Channel());
  auto owned = std::make_unique<ScriptedEngine>(/*hold=*/true);
  ScriptedEngine* engine = owned.get();
  auto agent = StartAgent(Options(), dialer.get(), std::move(owned));
  coordinator.Welcome();
  coordinator.Lease("r", {1, 2, 3});
  engine->AwaitJobs(3);
  agent.reset();
  const auto next = MakeDialer(coordinator.Channel());
  agent = StartAgent(Options(), next.get(), std::make_unique<ScriptedEngine>());
  EXPECT_THAT(coordinator.Welcome().held(), IsEmpty()) << "another instance holds nothing";
}

}  // namespace
}  // namespace picket
