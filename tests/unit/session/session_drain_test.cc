// The session's end: it finishes what is started and gives back the rest.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/policy/limits.h"
#include "tests/unit/session/session_harness.h"

namespace picket {
namespace {

using ::testing::ElementsAre;
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

TEST(SessionDrainTest, FinishesWhatIsStartedReturnsTheRestAndSaysGoodbye) {
  Session h(1);
  h.Receive(H::Grant(H::Id("r"), {1, 2, 3}));
  h.Step({DrainAsked{}});
  const auto back = h.Sent(v1::AgentMessage::kLeaseReturn);
  ASSERT_THAT(back, SizeIs(1));
  EXPECT_THAT(back[0].lease_return().executions(), ElementsAre(2, 3));
  ASSERT_THAT(h.Sent(v1::AgentMessage::kHeartbeat), SizeIs(1));
  EXPECT_TRUE(h.Sent(v1::AgentMessage::kHeartbeat)[0].heartbeat().draining());
  EXPECT_EQ(h.Sent(v1::AgentMessage::kHeartbeat)[0].heartbeat().window(), 0u);
  h.End(1);
  EXPECT_THAT(h.Results(), SizeIs(1));
  EXPECT_THAT(h.Sent(v1::AgentMessage::kGoodbye), IsEmpty()) << "not acknowledged yet";
  h.Acknowledge(1);
  EXPECT_THAT(h.Sent(v1::AgentMessage::kGoodbye), SizeIs(1));
  ASSERT_THAT(h.closes, SizeIs(1));
  EXPECT_FALSE(h.closes[0].abandon);
  EXPECT_FALSE(h.state.drained());
  h.Lose(absl::OkStatus());
  EXPECT_TRUE(h.state.drained());
  EXPECT_EQ(h.state.NextDeadline(), absl::InfiniteDuration());
}

TEST(SessionDrainTest, TheCoordinatorMayAskForIt) {
  Session h;
  v1::CoordinatorMessage drain;
  drain.mutable_drain()->set_reason("taken over");
  h.Receive(drain);
  EXPECT_TRUE(h.state.draining());
  EXPECT_THAT(h.Sent(v1::AgentMessage::kGoodbye), SizeIs(1));
}

TEST(SessionDrainTest, GrantsThatCrossItAreGivenBack) {
  Session h(1);
  h.Receive(H::Grant(H::Id("r", 0), {1}));
  h.Step({DrainAsked{}});
  h.Receive(H::Grant(H::Id("r", 1), {5, 6}));
  const auto back = h.Sent(v1::AgentMessage::kLeaseReturn);
  ASSERT_THAT(back, SizeIs(1));
  EXPECT_THAT(back[0].lease_return().executions(), ElementsAre(5, 6));
}

TEST(SessionDrainTest, ALongRetryDelayIsCutShort) {
  Session h;
  h.Define("later", H::Attempts(2, absl::Hours(1)));
  h.Receive(H::Grant(H::Id("r"), {1}, 0, "later"));
  h.Fail(1);
  h.Step({DrainAsked{}});
  EXPECT_THAT(h.Sent(v1::AgentMessage::kGoodbye), IsEmpty());
  h.Advance(absl::Seconds(10));
  EXPECT_THAT(h.Started(), ElementsAre(1));
}

TEST(SessionDrainTest, WithoutACoordinatorItStartsNothingAndGivesUpInTheEnd) {
  Session h(1);
  h.Receive(H::Grant(H::Id("r"), {1, 2}));
  h.Lose();
  h.Step({DrainAsked{}});
  h.End(1);
  EXPECT_THAT(h.starts, IsEmpty());
  for (int i = 0; i < 200 && !h.state.drained(); ++i) {
    h.now = std::max(h.now, h.state.NextDeadline());
    h.Step();
    if (!h.dials.empty()) h.Lose();
  }
  EXPECT_TRUE(h.state.drained());
  EXPECT_GE(h.now, absl::Seconds(30));
  EXPECT_EQ(h.spool_->last() - h.spool_->acknowledged(), 1u) << "left for the next agent";
}

TEST(SessionDrainTest, WithNothingToDeliverItNeedsNoCoordinator) {
  SessionHarness never;
  never.Step();
  never.Step({DrainAsked{}});
  EXPECT_TRUE(never.state.drained());
  EXPECT_THAT(never.closes, SizeIs(1));

  Session lost;
  lost.Lose();
  lost.Step({DrainAsked{}});
  EXPECT_TRUE(lost.state.drained());
}

TEST(SessionDrainTest, WhatWasHeldIsGivenBackToTheNextCoordinator) {
  Session h(1);
  h.Receive(H::Grant(H::Id("r"), {1, 2}));
  h.Lose();
  h.Step({DrainAsked{}});
  h.Advance(absl::Seconds(1));
  ASSERT_THAT(h.dials, SizeIs(1));
  EXPECT_EQ(h.sent[0].message.hello().window(), 0u);
  h.Receive(H::Welcome());
  const auto back = h.Sent(v1::AgentMessage::kLeaseReturn);
  ASSERT_THAT(back, SizeIs(1));
  EXPECT_THAT(back[0].lease_return().executions(), ElementsAre(2));
}

}  // namespace
}  // namespace picket
