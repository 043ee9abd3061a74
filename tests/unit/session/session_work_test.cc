// The session and its work: slots, order, fairness, retries, asking, recalls, ends.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/policy/limits.h"
#include "tests/unit/session/session_harness.h"

namespace picket {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using H = SessionHarness;

// Connected, with one test defined.
struct Session : SessionHarness {
  explicit Session(uint32_t capacity = 4) : SessionHarness(HarnessConfig(capacity)) {
    Connect();
    Define();
  }
};

TEST(SessionWorkTest, StartsInTheLeasesOrderUpToItsCapacity) {
  Session h(2);
  h.Receive(H::Grant(H::Id("r"), {5, 3, 9}));
  EXPECT_THAT(h.Started(), ElementsAre(5, 3));
  EXPECT_EQ(h.state.held(), 3u);
  h.End(3);
  EXPECT_THAT(h.Started(), ElementsAre(9));
}

TEST(SessionWorkTest, AttemptsAreSeededByRunExecutionAndNumber) {
  Session h;
  v1::CoordinatorMessage grant = H::Grant(H::Id("r"), {5});
  grant.mutable_grant()->mutable_executions(0)->set_attempts_before(2);
  h.Receive(grant);
  ASSERT_THAT(h.starts, SizeIs(1));
  EXPECT_EQ(h.starts[0].number, 3u);
  EXPECT_EQ(h.starts[0].seed, AttemptSeed("r", 5, 3));
  EXPECT_NE(AttemptSeed("r", 5, 3), AttemptSeed("r", 5, 4));
}

TEST(SessionWorkTest, AReplayDrawsWhatTheAttemptDrewThatItRepeats) {
  SessionHarness h(HarnessConfig(4));
  h.Connect();
  v1::CoordinatorMessage message;
  message.mutable_test()->set_digest("t");
  v1::Replay& replay = *message.mutable_test()->mutable_test()->mutable_replay();
  replay.set_run_id("old");
  replay.set_execution(7);
  replay.set_attempt(2);
  h.Receive(std::move(message));
  h.Receive(H::Grant(H::Id("new"), {0}));
  ASSERT_THAT(h.starts, SizeIs(1));
  EXPECT_EQ(h.starts[0].number, 1u);
  EXPECT_EQ(h.starts[0].seed, AttemptSeed("old", 7, 2));
}

TEST(SessionWorkTest, HigherPriorityGoesFirst) {
  Session h(1);
  h.Receive(H::Grant(H::Id("low", 0), {1, 2}, 0));
  h.Receive(H::Grant(H::Id("high", 0), {3, 4}, 10));
  h.End(1);
  EXPECT_THAT(h.Started(), ElementsAre(3));
  h.End(3);
  EXPECT_THAT(h.Started(), ElementsAre(4));
  h.End(4);
  EXPECT_THAT(h.Started(), ElementsAre(2));
}

TEST(SessionWorkTest, ASmallRunGetsItsShareOfABusyAgent) {
  Session h(4);
  h.Receive(H::Grant(H::Id("big"), {0, 1, 2, 3, 4, 5, 6, 7, 8, 9}));
  h.Receive(H::Grant(H::Id("small"), {100, 101}));
  h.End(0);
  EXPECT_THAT(h.Started(), ElementsAre(100));
  h.End(1);
  EXPECT_THAT(h.Started(), ElementsAre(101));
  h.End(2);
  EXPECT_THAT(h.Started(), ElementsAre(4));
}

TEST(SessionWorkTest, ResultsGoOutAtOnceWhenNothingIsOnTheWire) {
  Session h;
  h.Receive(H::Grant(H::Id("r", 2, 9), {1, 2, 3}));
  h.End(1);
  const auto first = h.Sent(v1::AgentMessage::kResults);
  ASSERT_THAT(first, SizeIs(1));
  EXPECT_EQ(first[0].results().sequence(), 1u);
  EXPECT_EQ(first[0].results().results(0).lease().epoch(), 9u);
  EXPECT_EQ(first[0].results().results(0).instance(), HarnessConfig().instance);
  h.End(2);
  EXPECT_THAT(h.Results(), IsEmpty()) << "waits for company";
  h.End(3);
  EXPECT_LE(h.state.NextDeadline(), h.now + SessionLimits().flush_delay);
  h.Advance(SessionLimits().flush_delay);
  const auto second = h.Sent(v1::AgentMessage::kResults);
  ASSERT_THAT(second, SizeIs(1));
  EXPECT_EQ(second[0].results().sequence(), 3u);
  EXPECT_THAT(second[0].results().results(0).results(), SizeIs(2));
}

TEST(SessionWorkTest, ABusyAgentLetsResultsWaitForCompanyThoughNothingIsOnTheWire) {
  const uint32_t busy = SessionLimits().turn_pace_in_flight;
  Session h(busy + 1);
  std::vector<uint32_t> executions(busy + 1);
  for (uint32_t i = 0; i <= busy; ++i) executions[i] = i + 1;
  h.Receive(H::Grant(H::Id("r"), executions));
  h.End(1);
  EXPECT_THAT(h.Results(), IsEmpty());
  EXPECT_LE(h.state.NextDeadline(), h.now + SessionLimits().flush_delay);
  // With few left in flight there is no company to wait for.
  h.End(2);
  const auto sent = h.Sent(v1::AgentMessage::kResults);
  ASSERT_THAT(sent, SizeIs(1));
  EXPECT_EQ(sent[0].results().sequence(), 2u);
}

TEST(SessionWorkTest, AnAcknowledgementFreesTheSpoolAndABogusOneDoesNot) {
  Session h;
  h.Receive(H::Grant(H::Id("r"), {1}));
  h.End(1);
  h.Acknowledge(1000);
  EXPECT_EQ(h.spool_->acknowledged(), 0u);
  h.Acknowledge(1);
  EXPECT_EQ(h.spool_->acknowledged(), 1u);
  EXPECT_EQ(h.spool_->bytes(), 0u);
}

TEST(SessionWorkTest, DroppedResultsAreReported) {
  Session h;
  h.Receive(H::Grant(H::Id("r"), {1}));
  h.End(1);
  v1::CoordinatorMessage message;
  message.mutable_ack()->set_through(1);
  v1::ResultAck::Dropped& dropped = *message.mutable_ack()->add_dropped();
  dropped.set_run_id("r");
  dropped.set_execution(1);
  dropped.set_reason("unknown_run");
  h.Receive(message);
  ASSERT_THAT(h.dropped, SizeIs(1));
  EXPECT_EQ(h.dropped[0].reason, "unknown_run");
}

TEST(SessionWorkTest, AMissingDefinitionEndsInconclusiveAndNamesTheTest) {
  Session h;
  h.Receive(H::Grant(H::Id("r"), {1}, 0, "\xab"));
  EXPECT_THAT(h.starts, IsEmpty());
  ASSERT_THAT(h.Results(), SizeIs(1));
  EXPECT_EQ(h.Results()[0].outcome(), v1::Outcome::INCONCLUSIVE);
  EXPECT_EQ(h.Results()[0].reason(), v1::FailureReason::agent_error);
  EXPECT_THAT(h.Results()[0].attempts(0).message(), HasSubstr("ab"));
}

TEST(SessionWorkTest, ARetryKeepsEveryAttemptAndAPassAfterAFailureIsFlaky) {
  Session h;
  h.Define("twice", H::Attempts(2));
  h.Receive(H::Grant(H::Id("r"), {1}, 0, "twice"));
  h.Fail(1);
  EXPECT_THAT(h.Results(), IsEmpty());
  ASSERT_THAT(h.starts, SizeIs(1));
  EXPECT_EQ(h.starts[0].number, 2u);
  h.End(1);
  ASSERT_THAT(h.Results(), SizeIs(1));
  EXPECT_THAT(h.Results()[0].attempts(), SizeIs(2));
  EXPECT_EQ(h.Results()[0].outcome(), v1::Outcome::PASSED);
  EXPECT_TRUE(h.Results()[0].flaky());
}

TEST(SessionWorkTest, TheLastFailureStandsOnceAttemptsRunOut) {
  Session h;
  h.Define("twice", H::Attempts(2));
  h.Receive(H::Grant(H::Id("r"), {1}, 0, "twice"));
  h.Fail(1);
  h.Fail(1);
  ASSERT_THAT(h.Results(), SizeIs(1));
  EXPECT_EQ(h.Results()[0].outcome(), v1::Outcome::FAILED);
  EXPECT_THAT(h.starts, IsEmpty());
}

TEST(SessionWorkTest, ADelayBetweenAttemptsHoldsNoSlot) {
  Session h(1);
  h.Define("later", H::Attempts(2, absl::Seconds(3)));
  h.Receive(H::Grant(H::Id("r"), {1, 2}, 0, "later"));
  h.Fail(1);
  EXPECT_THAT(h.Started(), ElementsAre(2));
  h.End(2);
  h.Advance(absl::Milliseconds(2999));
  EXPECT_THAT(h.starts, IsEmpty());
  EXPECT_EQ(h.state.NextDeadline(), h.now + absl::Milliseconds(1));
  h.Advance(absl::Milliseconds(1));
  EXPECT_THAT(h.Started(), ElementsAre(1));
}

TEST(SessionWorkTest, ARetryElsewhereLeavesTheRestToTheFleet) {
  Session h;
  v1::Retry retry = H::Attempts(3);
  retry.add_where(v1::Retry::SAME_AGENT);
  retry.add_where(v1::Retry::SAME_LOCATION);
  h.Define("ladder", retry);
  h.Receive(H::Grant(H::Id("r"), {1}, 0, "ladder"));
  h.Fail(1);
  EXPECT_THAT(h.Started(), ElementsAre(1));
  h.Fail(1);
  EXPECT_THAT(h.starts, IsEmpty());
  ASSERT_THAT(h.Results(), SizeIs(1));
  EXPECT_THAT(h.Results()[0].attempts(), SizeIs(2));
}

TEST(SessionWorkTest, AProbeIsOneAttemptAndMarked) {
  Session h;
  h.Define("twice", H::Attempts(2));
  v1::CoordinatorMessage grant = H::Grant(H::Id("r"), {1}, 0, "twice");
  grant.mutable_grant()->mutable_executions(0)->set_probe(true);
  h.Receive(grant);
  h.Fail(1);
  ASSERT_THAT(h.Results(), SizeIs(1));
  EXPECT_TRUE(h.Results()[0].attempts(0).probe());
}

TEST(SessionWorkTest, NonRepeatableOnesAskBeforeTheirFirstByte) {
  Session h(2);
  v1::CoordinatorMessage grant = H::Grant(H::Id("r"), {1, 2, 3});
  for (auto& execution : *grant.mutable_grant()->mutable_executions()) {
    execution.set_ask_before_start(true);
  }
  h.Receive(grant);
  EXPECT_THAT(h.starts, IsEmpty());
  const auto asked = h.Sent(v1::AgentMessage::kStarted);
  ASSERT_THAT(asked, SizeIs(1));
  EXPECT_THAT(asked[0].started().executions(), ElementsAre(1, 2));
  v1::CoordinatorMessage ack;
  *ack.mutable_started_ack()->mutable_lease() = H::Id("r");
  ack.mutable_started_ack()->add_executions(2);
  h.Receive(ack);
  EXPECT_THAT(h.Started(), ElementsAre(2)) << "1 may not start";
  EXPECT_THAT(h.Sent(v1::AgentMessage::kStarted), SizeIs(1)) << "3 takes its slot";
  EXPECT_EQ(h.state.held(), 2u);
}

TEST(SessionWorkTest, NothingIsAskedWithoutACoordinatorAndItIsAskedAgainAfterwards) {
  Session h;
  v1::CoordinatorMessage grant = H::Grant(H::Id("r"), {1});
  grant.mutable_grant()->mutable_executions(0)->set_ask_before_start(true);
  h.Receive(grant);
  ASSERT_THAT(h.Sent(v1::AgentMessage::kStarted), SizeIs(1));
  h.Redial();
  EXPECT_THAT(h.starts, IsEmpty());
  EXPECT_EQ(h.state.in_flight(), 0u) << "it holds no slot meanwhile";
  h.Receive(H::Welcome());
  EXPECT_THAT(h.Sent(v1::AgentMessage::kStarted), SizeIs(1));
  v1::CoordinatorMessage ack;
  *ack.mutable_started_ack()->mutable_lease() = H::Id("r");
  ack.mutable_started_ack()->add_executions(1);
  h.Receive(ack);
  EXPECT_THAT(h.Started(), ElementsAre(1));
}

TEST(SessionWorkTest, AnIsolatedExecutionRunsWithNothingBesideIt) {
  Session h(4);
  h.Receive(H::Grant(H::Id("r", 0), {1, 2}));
  v1::CoordinatorMessage grant = H::Grant(H::Id("r", 1), {3});
  grant.mutable_grant()->set_isolated(true);
  h.Receive(grant);
  EXPECT_THAT(h.starts, IsEmpty());
  h.Receive(H::Grant(H::Id("r", 2), {4}));
  EXPECT_THAT(h.starts, IsEmpty()) << "it does not wait for ever";
  h.End(1);
  EXPECT_THAT(h.starts, IsEmpty());
  h.End(2);
  EXPECT_THAT(h.Started(), ElementsAre(3));
  h.End(3);
  EXPECT_THAT(h.Started(), ElementsAre(4));
}

TEST(SessionWorkTest, ARecallGivesBackWhatWasNotStarted) {
  Session h(1);
  h.Receive(H::Grant(H::Id("r"), {1, 2, 3, 4}));
  v1::CoordinatorMessage recall;
  *recall.mutable_recall()->mutable_lease() = H::Id("r");
  recall.mutable_recall()->add_executions(1);
  recall.mutable_recall()->add_executions(4);
  h.Receive(recall);
  auto back = h.Sent(v1::AgentMessage::kLeaseReturn);
  ASSERT_THAT(back, SizeIs(1));
  EXPECT_THAT(back[0].lease_return().executions(), ElementsAre(4)) << "1 runs";
  recall.mutable_recall()->clear_executions();
  h.Receive(recall);
  back = h.Sent(v1::AgentMessage::kLeaseReturn);
  ASSERT_THAT(back, SizeIs(1));
  EXPECT_THAT(back[0].lease_return().executions(), ElementsAre(2, 3));
  h.End(1);
  EXPECT_THAT(h.starts, IsEmpty());
  EXPECT_EQ(h.state.held(), 0u);
}

TEST(SessionWorkTest, ARecallOfAnUnknownLeaseIsAnsweredEmpty) {
  Session h;
  v1::CoordinatorMessage recall;
  *recall.mutable_recall()->mutable_lease() = H::Id("other");
  h.Receive(recall);
  const auto back = h.Sent(v1::AgentMessage::kLeaseReturn);
  ASSERT_THAT(back, SizeIs(1));
  EXPECT_THAT(back[0].lease_return().executions(), IsEmpty());
}

TEST(SessionWorkTest, AnEndedLeaseIsAbortedAndAFailureThatWouldBeRetriedIsNotSent) {
  Session h;
  h.Define("twice", H::Attempts(2));
  h.Receive(H::Grant(H::Id("r"), {1}, 0, "twice"));
  v1::CoordinatorMessage recall;
  *recall.mutable_recall()->mutable_lease() = H::Id("r");
  recall.mutable_recall()->set_ended(true);
  h.Receive(recall);
  ASSERT_THAT(h.aborts, SizeIs(1));
  h.Fail(1);
  EXPECT_THAT(h.starts, IsEmpty());
  EXPECT_THAT(h.Results(), IsEmpty());
  EXPECT_EQ(h.state.held(), 0u);
}

TEST(SessionWorkTest, AnEndedRunAbortsItsChecksWithTheGraceItWasGiven) {
  Session h(2);
  h.Receive(H::Grant(H::Id("r"), {1, 2}));
  h.Receive(H::Grant(H::Id("other"), {9}));
  v1::CoordinatorMessage ended;
  ended.mutable_run_ended()->set_run_id("r");
  ended.mutable_run_ended()->mutable_grace()->set_seconds(7);
  h.Receive(ended);
  ASSERT_THAT(h.aborts, SizeIs(2));
  EXPECT_EQ(h.aborts[0].grace, absl::Seconds(7));
  EXPECT_THAT(h.starts, IsEmpty()) << "an aborted check still holds its slot";
  h.End(1, v1::Outcome::INCONCLUSIVE, v1::FailureReason::attempt_aborted);
  EXPECT_THAT(h.Started(), ElementsAre(9));
  EXPECT_THAT(h.Results(), IsEmpty());
}

TEST(SessionWorkTest, NothingIsStartedPastTheRunsDeadline) {
  Session h(1);
  v1::CoordinatorMessage grant = H::Grant(H::Id("r"), {1, 2, 3});
  grant.mutable_grant()->mutable_run_remaining()->set_seconds(5);
  h.Receive(grant);
  h.now += absl::Seconds(6);
  h.End(1);
  EXPECT_THAT(h.starts, IsEmpty());
  EXPECT_EQ(h.state.held(), 0u);
}

TEST(SessionWorkTest, AGrantThatComesTwiceIsRunOnce) {
  Session h;
  h.Receive(H::Grant(H::Id("r"), {1}));
  h.Receive(H::Grant(H::Id("r"), {1, 2}));
  EXPECT_THAT(h.Started(), ElementsAre(2));
  h.End(1);
  h.Receive(H::Grant(H::Id("r"), {1}));
  EXPECT_THAT(h.starts, IsEmpty());
}

TEST(SessionWorkTest, MoreThanTheLargestWindowIsGivenBack) {
  Session h(1);
  std::vector<uint32_t> numbers(DefaultLimits().window_most + 2);
  for (uint32_t i = 0; i < numbers.size(); ++i) numbers[i] = i;
  h.Receive(H::Grant(H::Id("r"), numbers));
  const auto back = h.Sent(v1::AgentMessage::kLeaseReturn);
  ASSERT_THAT(back, SizeIs(1));
  EXPECT_THAT(back[0].lease_return().executions(), SizeIs(2));
}

TEST(SessionWorkTest, AFullSpoolStopsTheStartingAndClosesTheWindow) {
  const size_t room = DefaultSessionLimits().spool_reserve_bytes + 100;
  SessionHarness h(HarnessConfig(1), room);
  h.Connect();
  h.Define();
  h.Receive(H::Grant(H::Id("run-with-a-long-name-0123456789-0123456789-0123456789"), {1, 2, 3, 4}));
  h.Lose();
  int started = 0;
  for (uint32_t i = 1; i <= 4 && h.spool_->last() == i - 1; ++i) {
    h.End(i);
    started += static_cast<int>(h.starts.size());
    if (h.starts.empty()) break;
  }
  EXPECT_LT(started, 3);
  EXPECT_TRUE(h.spool_->Full());
  EXPECT_EQ(h.state.window(), 0u);
  h.now += absl::Seconds(5);
  h.Connect();
  h.Acknowledge(h.spool_->last());
  EXPECT_THAT(h.starts, SizeIs(1)) << "room again";
}

TEST(SessionWorkTest, ATooLargeResultLosesItsEvidenceNotItsOutcome) {
  Session h;
  h.Receive(H::Grant(H::Id("r"), {1}));
  v1::Attempt attempt;
  attempt.set_outcome(v1::Outcome::FAILED);
  attempt.set_reason(v1::FailureReason::assertion);
  attempt.mutable_evidence()->set_body_excerpt(std::string(300u << 10, 'x'));
  h.Step({CheckDone{1, attempt}});
  ASSERT_THAT(h.Results(), SizeIs(1));
  EXPECT_FALSE(h.Results()[0].attempts(0).has_evidence());
  EXPECT_EQ(h.Results()[0].outcome(), v1::Outcome::FAILED);
}

// ---- Draining ----

}  // namespace
}  // namespace picket
