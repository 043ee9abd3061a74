#include "coordinator/app/coordinator.h"

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/base/ids.h"
#include "coordinator/store/store.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/app/coordinator_fixture.h"
#include "tests/unit/core/specs.h"

namespace picket {
namespace {

using ::testing::HasSubstr;
using testing_support::StatusIs;

TEST_F(CoordinatorTest, ARunOverTwoLocationsEndsInAVerdict) {
  StartAgent("a1", "eu", AllPass());
  StartAgent("b1", "us", AllPass());
  v1::Test table = MakeTest("table", {"eu"});
  AddRows(table, 100);
  const v1::Run run = RunToEnd(MakeSpec({MakeTest("home", {"eu", "us"}), table}));
  EXPECT_EQ(run.state(), v1::Run::SEALED);
  EXPECT_EQ(run.verdict(), v1::Verdict::PASSED);
  EXPECT_EQ(run.end_cause(), v1::EndCause::COMPLETE);
  EXPECT_EQ(run.ledger().planned(), 102u);
  EXPECT_EQ(run.ledger().passed(), 102u);
}

TEST_F(CoordinatorTest, AFailureFailsTheRunAndIsShownToWatchers) {
  StartAgent("a1", "eu", [](const v1::LeasedExecution& e) {
    return MakeResult(e.execution(),
                      e.execution() == 1 ? v1::Outcome::FAILED : v1::Outcome::PASSED);
  });
  ASSERT_OK_AND_ASSIGN(
      const v1::CreateRunResponse created,
      Create(Request(MakeSpec({MakeTest("home", {"eu"}), MakeTest("cart", {"eu"})}))));
  absl::Status status;
  const auto states = WatchToEnd(created.run().run_id(), &status);
  ASSERT_OK(status);
  const v1::WatchRunResponse& last = states.back();
  EXPECT_EQ(last.run().verdict(), v1::Verdict::FAILED);
  ASSERT_EQ(last.failures_size(), 1);
  EXPECT_EQ(last.failures(0).test_id(), "cart");
  EXPECT_EQ(last.failures(0).reason(), v1::FailureReason::assertion);
  EXPECT_EQ(last.failure_count(), 1u);

  v1::ListExecutionsRequest request;
  request.set_run_id(created.run().run_id());
  request.set_only_failures(true);
  ASSERT_OK_AND_ASSIGN(const v1::ListExecutionsResponse failures, List(request));
  ASSERT_EQ(failures.executions_size(), 1);
  EXPECT_EQ(failures.executions(0).attempts(0).agent(), "a1");
}

TEST_F(CoordinatorTest, AttachingToASealedRunTellsItsFinalStateOnce) {
  StartAgent("a1", "eu", AllPass());
  const v1::Run run = RunToEnd(MakeSpec({MakeTest("home", {"eu"})}));
  absl::Status status;
  const auto states = WatchToEnd(run.run_id(), &status);
  ASSERT_OK(status);
  ASSERT_EQ(states.size(), 1u);
  EXPECT_EQ(states[0].run().verdict(), v1::Verdict::PASSED);
  ASSERT_EQ(states[0].locations_size(), 1);
  EXPECT_EQ(states[0].locations(0).ledger().passed(), 1u);
}

TEST_F(CoordinatorTest, WatchingARunThatIsNotThereEndsNotFound) {
  absl::Status status;
  EXPECT_TRUE(WatchToEnd("aaaaaaaaaaaaaaaa", &status).empty());
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kNotFound, HasSubstr("aaaaaaaaaaaaaaaa")));
}

TEST_F(CoordinatorTest, TheSameRequestIsTheSameRunAndAnotherSpecIsRefused) {
  v1::CreateRunRequest request = Request(MakeSpec({MakeTest("home", {"eu"})}));
  ASSERT_OK_AND_ASSIGN(const v1::CreateRunResponse first, Create(request));
  ASSERT_OK_AND_ASSIGN(const v1::CreateRunResponse again, Create(request));
  EXPECT_FALSE(first.existed());
  EXPECT_TRUE(again.existed());
  EXPECT_EQ(first.run().run_id(), again.run().run_id());
  request.mutable_spec()->set_priority(5);
  EXPECT_THAT(Create(request).status(), StatusIs(absl::StatusCode::kAlreadyExists,
                                                 HasSubstr(first.run().run_id())));
}

TEST_F(CoordinatorTest, AnInvalidSpecIsRefusedBeforeAnythingIsStored) {
  v1::RunSpec spec = MakeSpec({MakeTest("home", {"eu"})});
  spec.mutable_suites(0)->mutable_tests(0)->clear_id();
  EXPECT_THAT(Create(Request(spec)).status(), StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("")));
  ASSERT_OK_AND_ASSIGN(const std::vector<RunRow> runs, store_->ListRuns("default", "", 10));
  EXPECT_TRUE(runs.empty());
}

TEST_F(CoordinatorTest, ARunOfSkippedTestsIsSealedInconclusiveAtOnce) {
  v1::Test test = MakeTest("home", {"eu"});
  test.set_skip("not today");
  ASSERT_OK_AND_ASSIGN(const v1::CreateRunResponse created, Create(Request(MakeSpec({test}))));
  EXPECT_EQ(created.run().state(), v1::Run::SEALED);
  EXPECT_EQ(created.run().verdict(), v1::Verdict::INCONCLUSIVE);
  EXPECT_EQ(created.run().ledger().skipped(), 1u);
  v1::ListExecutionsRequest request;
  request.set_run_id(created.run().run_id());
  ASSERT_OK_AND_ASSIGN(const v1::ListExecutionsResponse listed, List(request));
  ASSERT_EQ(listed.executions_size(), 1);
  EXPECT_EQ(listed.executions(0).skip_reason(), "not today");
}

TEST_F(CoordinatorTest, CancelSealsWithTheRestCancelled) {
  ASSERT_OK_AND_ASSIGN(const v1::CreateRunResponse created,
                       Create(Request(MakeSpec({MakeTest("home", {"nowhere"})}))));
  v1::CancelRunRequest request;
  request.set_run_id(created.run().run_id());
  const auto cancel = [&] {
    return Await<v1::Run>([&](auto done) { coordinator_->CancelRun(request, std::move(done)); });
  };
  ASSERT_OK_AND_ASSIGN(const v1::Run run, cancel());
  EXPECT_EQ(run.state(), v1::Run::SEALED);
  EXPECT_EQ(run.end_cause(), v1::EndCause::CANCELLED);
  EXPECT_EQ(run.ledger().cancelled(), 1u);
  ASSERT_OK_AND_ASSIGN(const v1::Run again, cancel());
  EXPECT_EQ(again.seal_time().seconds(), run.seal_time().seconds());
}

TEST_F(CoordinatorTest, AnAgentThatDiesCostsNothingButTime) {
  options_.lease_time = absl::Seconds(1);
  Restart();
  auto dead = StartAgent("dead", "eu", nullptr);
  ASSERT_OK_AND_ASSIGN(const v1::CreateRunResponse created,
                       Create(Request(MakeSpec({MakeTest("home", {"eu"})}))));
  ASSERT_EQ(dead->WaitForGrants(1).size(), 1u);
  dead->Die();
  StartAgent("alive", "eu", AllPass());
  absl::Status status;
  const auto states = WatchToEnd(created.run().run_id(), &status);
  ASSERT_OK(status);
  EXPECT_EQ(states.back().run().verdict(), v1::Verdict::PASSED);
}

TEST_F(CoordinatorTest, ARestartedCoordinatorGoesOn) {
  ASSERT_OK_AND_ASSIGN(const v1::CreateRunResponse created,
                       Create(Request(MakeSpec({MakeTest("home", {"eu"})}))));
  Restart();
  StartAgent("a1", "eu", AllPass());
  absl::Status status;
  const auto states = WatchToEnd(created.run().run_id(), &status);
  ASSERT_OK(status);
  EXPECT_EQ(states.back().run().verdict(), v1::Verdict::PASSED);
}

TEST_F(CoordinatorTest, ASecondLiveAgentOfOneNameIsRefusedAndTheFirstIsNamed) {
  auto first = StartAgent("twin", "eu", AllPass());
  ASSERT_OK_AND_ASSIGN(const v1::Run run, absl::StatusOr<v1::Run>(RunToEnd(MakeSpec({MakeTest("home", {"eu"})}))));
  ASSERT_EQ(run.verdict(), v1::Verdict::PASSED);
  auto second = StartAgent("twin", "eu", nullptr);
  EXPECT_THAT(second->WaitForClose(),
              StatusIs(absl::StatusCode::kAlreadyExists, HasSubstr(first->instance())));
}

TEST_F(CoordinatorTest, ADrainedAgentIsToldAndListed) {
  auto agent = StartAgent("a1", "eu", nullptr);
  ASSERT_TRUE(agent->WaitFor(v1::CoordinatorMessage::kWelcome).has_welcome());
  v1::DrainAgentRequest request;
  request.set_agent("eu/a1");
  ASSERT_OK_AND_ASSIGN(const v1::Agent drained, Await<v1::Agent>([&](auto done) {
                         coordinator_->DrainAgent(request, std::move(done));
                       }));
  EXPECT_EQ(drained.state(), v1::Agent::DRAINING);
  EXPECT_TRUE(agent->WaitFor(v1::CoordinatorMessage::kDrain).has_drain());
  ASSERT_OK_AND_ASSIGN(const v1::ListAgentsResponse agents,
                       Await<v1::ListAgentsResponse>([&](auto done) {
                         coordinator_->ListAgents({}, std::move(done));
                       }));
  ASSERT_EQ(agents.agents_size(), 1);
  EXPECT_EQ(agents.agents(0).state(), v1::Agent::DRAINING);
}

TEST_F(CoordinatorTest, ResultsAreAcknowledgedByTheSpoolsSequence) {
  auto agent = StartAgent("a1", "eu", nullptr);
  ASSERT_OK(Create(Request(MakeSpec({MakeTest("home", {"eu"}), MakeTest("cart", {"eu"})}))).status());
  const auto grants = agent->WaitForGrants(1);
  ASSERT_EQ(grants.size(), 1u);
  ASSERT_EQ(grants[0].executions_size(), 2);
  agent->SendResults(grants[0].lease(), {MakeResult(0, v1::Outcome::PASSED)}, 17);
  EXPECT_EQ(agent->WaitFor(v1::CoordinatorMessage::kAck).ack().through(), 17u);
}

TEST_F(CoordinatorTest, ResultsOfAnUnknownRunAreDroppedWithAReason) {
  auto agent = StartAgent("a1", "eu", nullptr);
  ASSERT_TRUE(agent->WaitFor(v1::CoordinatorMessage::kWelcome).has_welcome());
  v1::LeaseId lease;
  lease.set_run_id("aaaaaaaaaaaaaaaa");
  agent->SendResults(lease, {MakeResult(0, v1::Outcome::PASSED)}, 1);
  const v1::ResultAck ack = agent->WaitFor(v1::CoordinatorMessage::kAck).ack();
  EXPECT_EQ(ack.through(), 1u);
  ASSERT_EQ(ack.dropped_size(), 1);
  EXPECT_THAT(ack.dropped(0).reason(), HasSubstr("unknown"));
}

TEST_F(CoordinatorTest, ExecutionsArePagedByNumber) {
  StartAgent("a1", "eu", AllPass());
  v1::Test table = MakeTest("table", {"eu"});
  AddRows(table, 25);
  const v1::Run run = RunToEnd(MakeSpec({table}));
  v1::ListExecutionsRequest request;
  request.set_run_id(run.run_id());
  request.set_page_size(10);
  std::vector<uint32_t> numbers;
  int pages = 0;
  do {
    ASSERT_OK_AND_ASSIGN(const v1::ListExecutionsResponse page, List(request));
    for (const v1::Execution& e : page.executions()) {
      EXPECT_EQ(e.row(), e.execution());
      EXPECT_EQ(e.attempts_size(), 1);
      numbers.push_back(e.execution());
    }
    request.set_page_token(page.next_page_token());
    ++pages;
  } while (!request.page_token().empty());
  EXPECT_EQ(pages, 3);
  ASSERT_EQ(numbers.size(), 25u);
  for (uint32_t i = 0; i < 25; ++i) EXPECT_EQ(numbers[i], i);
  request.set_page_token("nonsense");
  EXPECT_THAT(List(request).status(),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("page_token")));
}

TEST_F(CoordinatorTest, ProbesShowTheLatestDecidedExecution) {
  StartAgent("a1", "eu", AllPass());
  RunToEnd(MakeSpec({MakeTest("home", {"eu"})}));
  EXPECT_THAT(coordinator_->ProbesText(),
              HasSubstr("probe_success{suite=\"shop\",test=\"home\",location=\"eu\"} 1\n"));
}

TEST_F(CoordinatorTest, ProbesPassOverReplays) {
  StartAgent("a1", "eu", AllPass());
  v1::Test test = MakeTest("home", {"eu"});
  test.mutable_replay()->set_run_id("aaaaaaaaaaaaaaaa");
  test.mutable_replay()->set_attempt(1);
  RunToEnd(MakeSpec({test}));
  EXPECT_THAT(coordinator_->ProbesText(), Not(HasSubstr("home")));
}

}  // namespace
}  // namespace picket
