// Retries elsewhere, probes and who is to blame, through a whole coordinator.

#include <gmock/gmock.h>

#include "tests/unit/app/coordinator_fixture.h"

namespace picket {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

// Answers every attempt alike, under the number it was asked for.
FakeAgent::Answer Always(v1::Outcome::Value outcome,
                         v1::FailureReason::Value reason = v1::FailureReason::connect_timeout) {
  return [=](const v1::LeasedExecution& leased) {
    v1::ExecutionResult result = MakeResult(leased.execution(), outcome);
    result.mutable_attempts(0)->set_number(leased.attempts_before() + 1);
    if (outcome != v1::Outcome::PASSED) result.mutable_attempts(0)->set_reason(reason);
    return result;
  };
}

v1::Test Retrying(const std::string& id, const std::vector<std::string>& locations,
                  uint32_t attempts, std::vector<v1::Retry::Where> where) {
  v1::Test test = MakeTest(id, locations);
  test.mutable_retry()->set_attempts(attempts);
  test.mutable_retry()->clear_where();
  for (const v1::Retry::Where rung : where) test.mutable_retry()->add_where(rung);
  return test;
}

class RetryTest : public CoordinatorTest {
 protected:
  // The executions of a run that has ended, with the last state a watcher saw.
  std::vector<v1::Execution> Executions(v1::RunSpec spec) {
    run_ = RunToEnd(std::move(spec));
    v1::ListExecutionsRequest request;
    request.set_run_id(run_.run_id());
    const auto listed = List(request);
    EXPECT_OK(listed);
    if (!listed.ok()) return {};
    return {listed->executions().begin(), listed->executions().end()};
  }
  std::vector<v1::Execution> WatchedFailures() {
    absl::Status status;
    const auto states = WatchToEnd(run_.run_id(), &status);
    if (states.empty()) return {};
    return {states.back().failures().begin(), states.back().failures().end()};
  }

  v1::Run run_;
};

constexpr v1::Outcome::Value kPassed = v1::Outcome::PASSED, kFailed = v1::Outcome::FAILED;

TEST_F(RetryTest, AFailureIsTriedAgainByAnotherAgentOfThePlace) {
  auto broken = StartAgent("broken", "eu", Always(kFailed));
  broken->WaitFor(v1::CoordinatorMessage::kWelcome);
  StartAgent("sound", "eu", Always(kPassed));
  // Whoever is asked first, at most two attempts are made, and the second is the other's.
  v1::Test test = Retrying("home", {"eu"}, 2, {v1::Retry::SAME_LOCATION});
  AddRows(test, 40);
  const auto executions = Executions(MakeSpec({test}));
  ASSERT_THAT(executions, SizeIs(40));
  EXPECT_EQ(run_.verdict(), v1::Verdict::PASSED);
  for (const v1::Execution& e : executions) {
    EXPECT_EQ(e.end(), v1::End::PASSED);
    const bool retried = e.attempts_size() == 2;
    EXPECT_EQ(e.flaky(), retried);
    EXPECT_EQ(e.blame(), retried ? v1::Blame::agent : v1::Blame::none);
    EXPECT_EQ(e.attempts(0).agent(), retried ? "broken" : "sound");
    if (retried) {
      EXPECT_EQ(e.attempts(1).agent(), "sound");
    }
  }
}

TEST_F(RetryTest, WithNobodyElseThereTheSameAgentTriesAgain) {
  StartAgent("only", "eu", Always(kFailed));
  const auto executions =
      Executions(MakeSpec({Retrying("home", {"eu"}, 3, {v1::Retry::SAME_LOCATION})}));
  ASSERT_THAT(executions, SizeIs(1));
  EXPECT_EQ(executions[0].end(), v1::End::FAILED);
  EXPECT_THAT(executions[0].attempts(), SizeIs(3));
  EXPECT_EQ(executions[0].blame(), v1::Blame::target);
  const auto told = WatchedFailures();
  ASSERT_THAT(told, SizeIs(1));
  EXPECT_THAT(told[0].attempts(), SizeIs(3));
}

TEST_F(RetryTest, AProbeElsewhereTellsThePlaceFromTheTarget) {
  StartAgent("eu-1", "eu", Always(kFailed));
  StartAgent("us-1", "us", Always(kPassed));
  // At us the run itself passes, at ap only a probe may tell.
  v1::Test test = Retrying("home", {"eu", "us"}, 2, {v1::Retry::ANYWHERE});
  const auto executions = Executions(MakeSpec({test}));
  ASSERT_THAT(executions, SizeIs(2));
  EXPECT_EQ(run_.verdict(), v1::Verdict::FAILED);
  EXPECT_EQ(run_.ledger().failed(), 1u);
  EXPECT_EQ(run_.ledger().passed(), 1u);
  const v1::Execution& failed = executions[0];
  EXPECT_EQ(failed.end(), v1::End::FAILED);
  EXPECT_EQ(failed.reason(), v1::FailureReason::connect_timeout);
  ASSERT_THAT(failed.attempts(), SizeIs(2));
  EXPECT_FALSE(failed.attempts(0).probe());
  EXPECT_TRUE(failed.attempts(1).probe());
  EXPECT_EQ(failed.attempts(1).location(), "us");
  EXPECT_EQ(failed.attempts(1).number(), 2u);
  EXPECT_EQ(failed.blame(), v1::Blame::location);
  EXPECT_EQ(executions[1].blame(), v1::Blame::none);
  const auto told = WatchedFailures();
  ASSERT_THAT(told, SizeIs(1));
  EXPECT_EQ(told[0].blame(), v1::Blame::location);
}

TEST_F(RetryTest, ProbesGoOnWhileTheyFailAndThereAreOtherPlaces) {
  StartAgent("eu-1", "eu", Always(kFailed));
  StartAgent("us-1", "us", Always(kFailed));
  StartAgent("ap-1", "ap", Always(kFailed));
  const auto executions =
      Executions(MakeSpec({Retrying("home", {"eu", "us", "ap"}, 10, {v1::Retry::ANYWHERE})}));
  ASSERT_THAT(executions, SizeIs(3));
  for (const v1::Execution& e : executions) {
    EXPECT_THAT(e.attempts(), SizeIs(3));
    EXPECT_TRUE(e.attempts(1).probe() && e.attempts(2).probe());
    EXPECT_NE(e.attempts(1).location(), e.attempts(2).location());
    EXPECT_EQ(e.blame(), v1::Blame::target);
  }
}

TEST_F(RetryTest, AnExecutionWithoutAnotherPlaceIsNotProbed) {
  StartAgent("eu-1", "eu", Always(kFailed));
  const auto executions =
      Executions(MakeSpec({Retrying("home", {"eu"}, 3, {v1::Retry::ANYWHERE})}));
  ASSERT_THAT(executions, SizeIs(1));
  EXPECT_THAT(executions[0].attempts(), SizeIs(1));
  EXPECT_EQ(executions[0].blame(), v1::Blame::target);
}

TEST_F(RetryTest, ACancelledRunWaitsForNoProbe) {
  StartAgent("eu-1", "eu", Always(kFailed));
  auto holder = StartAgent("us-1", "us", nullptr);
  v1::Test test = Retrying("home", {"eu", "us"}, 2, {v1::Retry::ANYWHERE});
  ASSERT_OK_AND_ASSIGN(const v1::CreateRunResponse created, Create(Request(MakeSpec({test}))));
  // Its own execution, and the probe.
  const auto grants = holder->WaitForGrants(2);
  ASSERT_THAT(grants, SizeIs(2));
  EXPECT_TRUE(grants[0].executions(0).probe() != grants[1].executions(0).probe());
  v1::CancelRunRequest request;
  request.set_run_id(created.run().run_id());
  ASSERT_OK_AND_ASSIGN(const v1::Run run, Await<v1::Run>([&](auto done) {
                         coordinator_->CancelRun(request, std::move(done));
                       }));
  EXPECT_EQ(run.verdict(), v1::Verdict::FAILED);
  EXPECT_EQ(run.ledger().failed(), 1u);
  EXPECT_EQ(run.ledger().cancelled(), 1u);
}

TEST_F(RetryTest, AProbeWhoseAgentIsLostIsDoneWithout) {
  options_.lease_time = absl::Seconds(1);
  Restart();
  StartAgent("eu-1", "eu", Always(kFailed));
  auto holder = StartAgent("us-1", "us", nullptr);
  v1::Test test = Retrying("home", {"eu", "us"}, 2, {v1::Retry::ANYWHERE});
  ASSERT_OK_AND_ASSIGN(const v1::CreateRunResponse created, Create(Request(MakeSpec({test}))));
  ASSERT_THAT(holder->WaitForGrants(2), SizeIs(2));
  holder->Die();
  StartAgent("us-2", "us", Always(kPassed));
  absl::Status status;
  const auto states = WatchToEnd(created.run().run_id(), &status);
  ASSERT_OK(status);
  EXPECT_EQ(states.back().run().verdict(), v1::Verdict::FAILED);
  ASSERT_THAT(states.back().failures(), SizeIs(1));
  EXPECT_THAT(states.back().failures(0).attempts(), SizeIs(1));
  EXPECT_EQ(states.back().failures(0).blame(), v1::Blame::location);  // us passed by itself
}

TEST_F(RetryTest, AProbeOutlivesItsCoordinator) {
  auto first = StartAgent("eu-1", "eu", Always(kFailed));
  auto holder = StartAgent("us-1", "us", nullptr);
  v1::Test test = Retrying("home", {"eu", "us"}, 2, {v1::Retry::ANYWHERE});
  ASSERT_OK_AND_ASSIGN(const v1::CreateRunResponse created, Create(Request(MakeSpec({test}))));
  ASSERT_THAT(holder->WaitForGrants(2), SizeIs(2));
  first->Join();
  Restart();
  // The new one gives the lost agents a lease time, then goes on with what is stored.
  StartAgent("eu-2", "eu", Always(kPassed));
  StartAgent("us-2", "us", Always(kPassed));
  absl::Status status;
  const auto states = WatchToEnd(created.run().run_id(), &status);
  ASSERT_OK(status);
  EXPECT_EQ(states.back().run().verdict(), v1::Verdict::FAILED);
  EXPECT_EQ(states.back().run().ledger().failed(), 1u);
  EXPECT_EQ(states.back().run().ledger().passed(), 1u);
}

TEST_F(RetryTest, APassThatItsPolicyFailsKeepsTheReasonOfTheFailure) {
  uint32_t asked = 0;
  StartAgent("eu-1", "eu", [&asked](const v1::LeasedExecution& leased) {
    return Always(asked++ == 0 ? kFailed : kPassed)(leased);
  });
  v1::Test test = Retrying("home", {"eu"}, 2, {v1::Retry::SAME_LOCATION});
  test.mutable_policy()->set_flaky(v1::Policy::FLAKY_FAIL);
  const auto executions = Executions(MakeSpec({test}));
  ASSERT_THAT(executions, SizeIs(1));
  EXPECT_EQ(executions[0].end(), v1::End::FAILED);
  EXPECT_TRUE(executions[0].flaky());
  EXPECT_EQ(executions[0].reason(), v1::FailureReason::connect_timeout);
  EXPECT_EQ(executions[0].blame(), v1::Blame::flaky);
  const auto told = WatchedFailures();
  ASSERT_THAT(told, SizeIs(1));
  EXPECT_EQ(told[0].reason(), v1::FailureReason::connect_timeout);
}

}  // namespace
}  // namespace picket
