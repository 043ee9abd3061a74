// The session and its stream: hello, adoption, silence, refusal, heartbeats.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/status_matchers.h"
#include "tests/unit/session/session_harness.h"

namespace picket {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using H = SessionHarness;

TEST(SessionLinkTest, DialsAtOnceAndSaysHelloFirst) {
  SessionHarness h;
  h.Step();
  ASSERT_THAT(h.dials, SizeIs(1));
  ASSERT_THAT(h.sent, SizeIs(1));
  const v1::Hello& hello = h.sent[0].message.hello();
  EXPECT_EQ(hello.name(), "a1");
  EXPECT_EQ(hello.location(), "eu-west");
  EXPECT_EQ(hello.instance(), HarnessConfig().instance);
  EXPECT_EQ(hello.spool(), "spool");
  EXPECT_EQ(hello.capacity(), 4u);
  EXPECT_EQ(hello.window(), 8u);
  EXPECT_EQ(hello.protocol_min(), 1u);
  EXPECT_THAT(hello.check_types(), ElementsAre("http"));
  EXPECT_THAT(hello.held(), IsEmpty());
  EXPECT_FALSE(h.state.connected());
  h.Receive(H::Welcome());
  EXPECT_TRUE(h.state.connected());
}

TEST(SessionLinkTest, TheWelcomeCorrectsTheClock) {
  SessionHarness h;
  h.Step();
  v1::CoordinatorMessage welcome = H::Welcome();
  welcome.mutable_welcome()->set_clock_offset_us(-1500);
  h.Receive(welcome);
  ASSERT_THAT(h.offsets, SizeIs(1));
  EXPECT_EQ(h.offsets[0].offset, absl::Microseconds(-1500));
}

TEST(SessionLinkTest, ALostStreamIsDialledAgainAfterAWaitThatGrows) {
  SessionHarness h;
  h.Connect();
  h.Lose();
  EXPECT_THAT(h.dials, IsEmpty());
  EXPECT_FALSE(h.state.connected());
  const absl::Duration first = h.state.NextDeadline() - h.now;
  EXPECT_LE(first, absl::Milliseconds(100));
  absl::Duration wait;
  for (int i = 0; i < 20; ++i) {
    h.now = h.state.NextDeadline();
    h.Step();
    ASSERT_THAT(h.dials, SizeIs(1)) << i;
    h.Lose();
    wait = h.state.NextDeadline() - h.now;
  }
  EXPECT_GE(wait, absl::Seconds(1));
  EXPECT_LE(wait, absl::Seconds(2));
  // A session that really was one begins the count anew.
  h.now = h.state.NextDeadline();
  h.Connect();
  h.Lose();
  EXPECT_LE(h.state.NextDeadline() - h.now, absl::Milliseconds(100));
}

TEST(SessionLinkTest, ANameThatIsTakenIsARefusalAndEndsTheDialling) {
  SessionHarness h;
  h.Step();
  h.Lose(absl::AlreadyExistsError("a1 is held by 2222"));
  EXPECT_THAT(h.state.refused(),
              testing_support::StatusIs(absl::StatusCode::kAlreadyExists, HasSubstr("2222")));
  h.Advance(absl::Hours(1));
  EXPECT_THAT(h.dials, IsEmpty());
}

TEST(SessionLinkTest, AnUnavailableCoordinatorIsNoRefusal) {
  SessionHarness h;
  h.Step();
  h.Redial(absl::UnavailableError("connection refused"));
  EXPECT_OK(h.state.refused());
  EXPECT_THAT(h.dials, SizeIs(1));
  EXPECT_THAT(h.state.last_error(), testing_support::StatusIs(absl::StatusCode::kUnavailable));
}

TEST(SessionLinkTest, ACoordinatorThatNeverWelcomesIsLeft) {
  SessionHarness h;
  h.Step();
  h.Advance(absl::Seconds(9));
  EXPECT_THAT(h.closes, IsEmpty());
  h.Advance(absl::Seconds(2));
  ASSERT_THAT(h.closes, SizeIs(1));
  EXPECT_TRUE(h.closes[0].abandon);
  h.Redial();
  EXPECT_THAT(h.dials, SizeIs(1));
}

TEST(SessionLinkTest, AMessageBeforeTheWelcomeEndsTheStream) {
  SessionHarness h;
  h.Step();
  h.Receive(H::Grant(H::Id("r"), {1}));
  EXPECT_THAT(h.closes, SizeIs(1));
  EXPECT_THAT(h.starts, IsEmpty());
}

TEST(SessionLinkTest, WhatAnOldStreamSaysIsNotHeard) {
  SessionHarness h;
  h.Connect();
  const uint64_t old = h.stream;
  h.Redial();
  h.Receive(H::Welcome());
  h.Step({Received{old, H::Grant(H::Id("r"), {1})}, StreamClosed{old, absl::OkStatus()}});
  EXPECT_EQ(h.state.held(), 0u);
  EXPECT_TRUE(h.state.connected());
}

TEST(SessionLinkTest, HelloNamesWhatIsHeldAndNotDone) {
  SessionHarness h;
  h.Connect();
  h.Define();
  h.Receive(H::Grant(H::Id("r", 3, 7), {10, 11, 12}));
  h.End(11);
  h.Redial();
  const auto hellos = h.Sent(v1::AgentMessage::kHello);
  ASSERT_THAT(hellos, SizeIs(1));
  ASSERT_THAT(hellos[0].hello().held(), SizeIs(1));
  const v1::HeldLease& held = hellos[0].hello().held(0);
  EXPECT_EQ(held.lease().shard(), 3u);
  EXPECT_EQ(held.lease().epoch(), 7u);
  EXPECT_THAT(held.executions(), ElementsAre(10, 12));
}

TEST(SessionLinkTest, ALeaseWhoseResultsAreNotAcknowledgedIsStillNamed) {
  SessionHarness h;
  h.Connect();
  h.Define();
  h.Receive(H::Grant(H::Id("r"), {1}));
  h.End(1);
  h.Redial();
  ASSERT_THAT(h.Sent(v1::AgentMessage::kHello)[0].hello().held(), SizeIs(1));
  EXPECT_THAT(h.Sent(v1::AgentMessage::kHello)[0].hello().held(0).executions(), IsEmpty());
  h.Receive(H::Welcome());
  ASSERT_THAT(h.Results(), SizeIs(1));
  h.Acknowledge(1);
  h.Redial();
  EXPECT_THAT(h.Sent(v1::AgentMessage::kHello)[0].hello().held(), IsEmpty());
}

TEST(SessionLinkTest, AdoptedLeasesGoOnAndDroppedOnesStop) {
  SessionHarness h(HarnessConfig(2));
  h.Connect();
  h.Define();
  h.Receive(H::Grant(H::Id("r", 0), {1, 2}));
  h.Receive(H::Grant(H::Id("r", 1), {3}));
  h.Redial();
  v1::CoordinatorMessage welcome = H::Welcome();
  *welcome.mutable_welcome()->add_adopted() = H::Id("r", 1);
  *welcome.mutable_welcome()->add_dropped() = H::Id("r", 0);
  h.Receive(welcome);
  EXPECT_THAT(h.aborts, SizeIs(2));
  h.End(1, v1::Outcome::INCONCLUSIVE, v1::FailureReason::attempt_aborted);
  EXPECT_THAT(h.Results(), IsEmpty());
  EXPECT_THAT(h.Started(), ElementsAre(3));
  h.End(3);
  ASSERT_THAT(h.Results(), SizeIs(1));
  EXPECT_EQ(h.Results()[0].execution(), 3u);
}

TEST(SessionLinkTest, WhatFinishedBeforeItsAbortIsSentAllTheSame) {
  SessionHarness h;
  h.Connect();
  h.Define();
  h.Receive(H::Grant(H::Id("r"), {1}));
  h.Redial();
  v1::CoordinatorMessage welcome = H::Welcome();
  *welcome.mutable_welcome()->add_dropped() = H::Id("r");
  h.Receive(welcome);
  h.End(1);
  EXPECT_THAT(h.Results(), SizeIs(1));
}

TEST(SessionLinkTest, WithoutACoordinatorItGoesOnWithWhatItHolds) {
  SessionHarness h(HarnessConfig(1));
  h.Connect();
  h.Define();
  h.Receive(H::Grant(H::Id("r"), {1, 2}));
  h.Lose();
  h.End(1);
  EXPECT_THAT(h.Started(), ElementsAre(2));
  EXPECT_THAT(h.sent, IsEmpty());
  h.Advance(absl::Minutes(5));
  h.End(2);
  EXPECT_EQ(h.spool_->last(), 2u);
  h.Redial();
  h.Receive(H::Welcome());
  EXPECT_THAT(h.Results(), SizeIs(2));
}

TEST(SessionLinkTest, HeartbeatsCarryProgressEvery200MsAndOtherwiseKeepTheLeaseAlive) {
  SessionHarness h(HarnessConfig(1));
  h.Connect();
  h.Define();
  h.Receive(H::Grant(H::Id("r"), {7, 8}));
  h.Advance(absl::Milliseconds(200));
  auto beats = h.Sent(v1::AgentMessage::kHeartbeat);
  ASSERT_THAT(beats, SizeIs(1));
  ASSERT_THAT(beats[0].heartbeat().progress(), SizeIs(1));
  EXPECT_EQ(beats[0].heartbeat().progress(0).started(), 1u);
  EXPECT_EQ(beats[0].heartbeat().in_flight(), 1u);
  h.Advance(absl::Milliseconds(200));
  EXPECT_THAT(h.Sent(v1::AgentMessage::kHeartbeat), IsEmpty()) << "nothing is new";
  h.Advance(absl::Seconds(2));
  beats = h.Sent(v1::AgentMessage::kHeartbeat);
  ASSERT_THAT(beats, SizeIs(1));
  EXPECT_THAT(beats[0].heartbeat().progress(), IsEmpty());
}

TEST(SessionLinkTest, ProgressIsToldAgainToANewCoordinator) {
  SessionHarness h(HarnessConfig(1));
  h.Connect();
  h.Define();
  h.Receive(H::Grant(H::Id("r"), {7, 8}));
  h.Advance(absl::Milliseconds(200));
  h.Redial();
  h.Receive(H::Welcome());
  h.Advance(absl::Milliseconds(200));
  const auto beats = h.Sent(v1::AgentMessage::kHeartbeat);
  EXPECT_TRUE(beats.empty() || beats[0].heartbeat().progress_size() == 1);
}

TEST(SessionLinkTest, TheWindowGrowsWithTheRoundTripAndShrinksToLongChecks) {
  SessionHarness fast(HarnessConfig(10));
  fast.Connect();
  fast.Define();
  fast.Receive(H::Grant(H::Id("r"), {1, 2}));
  fast.now += absl::Milliseconds(5);
  fast.End(1);
  fast.now += absl::Milliseconds(50);
  fast.Acknowledge(1);
  // 10 + 10 x (2 x 50 ms + 50 ms) / 5 ms
  EXPECT_NEAR(fast.state.window(), 310, 2);

  SessionHarness slow(HarnessConfig(10));
  slow.Connect();
  slow.Define();
  slow.Receive(H::Grant(H::Id("r"), {1, 2}));
  slow.now += absl::Seconds(10);
  slow.End(1);
  EXPECT_NEAR(slow.state.window(), 11, 1);
}

TEST(SessionLinkTest, TakeOverIsAskedOnlyUntilTheFirstWelcome) {
  SessionConfig config = HarnessConfig();
  config.take_over = true;
  SessionHarness h(config);
  h.Step();
  EXPECT_TRUE(h.sent[0].message.hello().take_over());
  h.Redial();
  EXPECT_TRUE(h.sent[0].message.hello().take_over()) << "it was not heard yet";
  h.Receive(H::Welcome());
  h.Redial();
  EXPECT_FALSE(h.sent[0].message.hello().take_over());
}

TEST(SessionLinkTest, ASessionFullOfDefinitionsIsRenewedAndKeepsWhatItNeeds) {
  SessionConfig config = HarnessConfig(1);
  config.limits.definition_bytes = 100;
  SessionHarness h(config);
  h.Connect();
  h.Define("needed");
  h.Receive(H::Grant(H::Id("r"), {1, 2}, 0, "needed"));
  h.Define(std::string(120, 'x'));
  ASSERT_THAT(h.closes, SizeIs(1));
  EXPECT_FALSE(h.closes[0].abandon);
  h.Redial(absl::OkStatus());
  h.Receive(H::Welcome());
  EXPECT_THAT(h.closes, IsEmpty());
  h.End(1);
  EXPECT_THAT(h.Started(), ElementsAre(2)) << "its definition was kept";
}

TEST(SessionLinkTest, ResultsNobodyAcknowledgesAreTakenElsewhere) {
  SessionHarness h;
  h.Connect();
  h.Define();
  h.Receive(H::Grant(H::Id("r"), {1}));
  h.End(1);
  ASSERT_THAT(h.Results(), SizeIs(1));
  h.Advance(absl::Seconds(31));
  ASSERT_THAT(h.closes, SizeIs(1));
  h.Redial(absl::CancelledError(""));
  h.Receive(H::Welcome());
  EXPECT_THAT(h.Results(), SizeIs(1));
}

}  // namespace
}  // namespace picket
