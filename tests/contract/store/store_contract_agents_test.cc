// The third part of the contract: agents, their names and their silence.

#include <gmock/gmock.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "coordinator/store/limits.h"
#include "tests/contract/store/store_contract.h"
#include "tests/support/status_matchers.h"

namespace picket {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

TEST_P(StoreContract, OneNameAtOnePlaceHasOneLiveInstance) {
  ASSERT_TRUE(Put(PutAgent{MakeAgent("i1", "web-1", "eu-west", "c1")}).committed);
  const Outcome refused = Put(PutAgent{MakeAgent("i2", "web-1", "eu-west", "c1")});
  EXPECT_FALSE(refused.committed);
  ASSERT_THAT(refused.agent, SizeIs(1));
  EXPECT_EQ(refused.agent[0].agent.instance(), "i1");
  EXPECT_TRUE(Put(PutAgent{MakeAgent("i3", "web-1", "us-east", "c1")}).committed);
  EXPECT_TRUE(Put(PutAgent{MakeAgent("i1", "web-1", "eu-west", "c2")}).committed);
  ASSERT_OK_AND_ASSIGN(std::vector<AgentRow> agents, store().LoadAgents());
  EXPECT_THAT(agents, SizeIs(2));
}

TEST_P(StoreContract, TakingOverDrainsTheOldInstance) {
  ASSERT_TRUE(Put(PutAgent{MakeAgent("i1", "web-1", "eu-west", "c1")}).committed);
  const Outcome outcome =
      Put(PutAgent{.agent = MakeAgent("i2", "web-1", "eu-west", "c1"), .take_over = true});
  EXPECT_TRUE(outcome.committed);
  ASSERT_THAT(outcome.agent, SizeIs(1));
  EXPECT_EQ(outcome.agent[0].agent.instance(), "i1");
  EXPECT_EQ(outcome.agent[0].agent.state(), v1::Agent::DRAINING);
  // The new one renews its row beside the one that drains.
  EXPECT_TRUE(Put(PutAgent{MakeAgent("i2", "web-1", "eu-west", "c1")}).committed);
}

TEST_P(StoreContract, DrainingAnInstanceThatLostItsNameLeavesTheNewOneAlone) {
  ASSERT_TRUE(Put(PutAgent{MakeAgent("i1", "web-1", "eu-west", "c1")}).committed);
  ASSERT_TRUE(
      Put(PutAgent{.agent = MakeAgent("i2", "web-1", "eu-west", "c1"), .take_over = true})
          .committed);
  AgentRow draining = MakeAgent("i1", "web-1", "eu-west", "c1");
  draining.agent.set_state(v1::Agent::DRAINING);
  const Outcome outcome = Put(PutAgent{.agent = draining, .take_over = true});
  EXPECT_TRUE(outcome.committed);
  EXPECT_THAT(outcome.agent, IsEmpty());
  ASSERT_OK_AND_ASSIGN(std::vector<AgentRow> agents, store().LoadAgents());
  ASSERT_THAT(agents, SizeIs(2));
  EXPECT_EQ(agents[0].agent.state(), v1::Agent::DRAINING);
  EXPECT_EQ(agents[1].agent.state(), v1::Agent::LIVE);
}

TEST_P(StoreContract, OfAgentsThatAreGoneTheLatestAreKept) {
  const size_t most = DefaultStoreLimits().gone_agents_most;
  std::vector<Proposal> proposals;
  const auto leave = [&](absl::string_view prefix, size_t count) {
    proposals.clear();
    for (size_t i = 0; i < count; ++i) {
      const std::string instance = absl::StrCat(prefix, i);
      proposals.push_back(PutAgent{MakeAgent(instance, instance, "eu-west", "c1")});
      proposals.push_back(CloseAgent{.instance = instance, .coordinator = "c1", .goodbye = true});
    }
    ASSERT_OK(store().Commit(proposals).status());
  };
  ASSERT_TRUE(Put(PutAgent{MakeAgent("live", "web-1", "eu-west", "c1")}).committed);
  leave("early-", 5);
  leave("later-", most);
  ASSERT_OK(store().Prune(/*keep_runs=*/100, absl::InfinitePast(), /*most=*/100).status());
  ASSERT_OK_AND_ASSIGN(std::vector<AgentRow> agents, store().LoadAgents());
  EXPECT_THAT(agents, SizeIs(most + 1));
  for (const AgentRow& row : agents) {
    EXPECT_FALSE(absl::StartsWith(row.agent.instance(), "early-")) << row.agent.instance();
  }
}

TEST_P(StoreContract, AClosedStreamGivesItsNameAway) {
  ASSERT_TRUE(Put(PutAgent{MakeAgent("i1", "web-1", "eu-west", "c1")}).committed);
  ASSERT_TRUE(Put(CloseAgent{.instance = "i1", .coordinator = "c1"}).committed);
  const Outcome outcome = Put(PutAgent{MakeAgent("i2", "web-1", "eu-west", "c1")});
  EXPECT_TRUE(outcome.committed);
  ASSERT_THAT(outcome.agent, SizeIs(1));
  EXPECT_EQ(outcome.agent[0].agent.instance(), "i1");
  EXPECT_EQ(outcome.agent[0].agent.state(), v1::Agent::GONE);
}

TEST_P(StoreContract, OnlyTheCoordinatorThatHoldsAStreamClosesIt) {
  ASSERT_TRUE(Put(PutAgent{MakeAgent("i1", "web-1", "eu-west", "c2")}).committed);
  const Outcome refused = Put(CloseAgent{.instance = "i1", .coordinator = "c1", .goodbye = true});
  EXPECT_FALSE(refused.committed);
  ASSERT_THAT(refused.agent, SizeIs(1));
  EXPECT_EQ(refused.agent[0].coordinator, "c2");
  EXPECT_TRUE(Put(CloseAgent{.instance = "i1", .coordinator = "c2", .goodbye = true}).committed);
  ASSERT_OK_AND_ASSIGN(std::vector<AgentRow> agents, store().LoadAgents());
  ASSERT_THAT(agents, SizeIs(1));
  EXPECT_EQ(agents[0].agent.state(), v1::Agent::GONE);
  EXPECT_EQ(agents[0].coordinator, "");
  EXPECT_FALSE(Put(CloseAgent{.instance = "nobody", .coordinator = "c2"}).committed);
}

TEST_P(StoreContract, ARenewedAgentDoesNotExpire) {
  ASSERT_TRUE(Put(PutAgent{MakeAgent("i1", "web-1", "eu-west", "c1")}).committed);
  ASSERT_OK_AND_ASSIGN(std::vector<AgentRow> agents, store().LoadAgents());
  ASSERT_THAT(agents, SizeIs(1));
  EXPECT_EQ(agents[0].spool, "spool-i1");
  EXPECT_EQ(agents[0].agent.labels().at("rack"), "r1");
  const absl::Time seen = agents[0].renewed;
  const Outcome early = Put(ExpireAgent{.instance = "i1", .renewed = seen - absl::Seconds(1)});
  EXPECT_FALSE(early.committed);
  ASSERT_THAT(early.agent, SizeIs(1));
  ASSERT_TRUE(Put(RenewAgents{.instances = {"i1", "unknown"}}).committed);
  ASSERT_OK_AND_ASSIGN(agents, store().LoadAgents());
  EXPECT_GE(agents[0].renewed, seen);
  const absl::Time renewed = agents[0].renewed;
  EXPECT_TRUE(Put(ExpireAgent{.instance = "i1", .renewed = renewed}).committed);
  ASSERT_OK_AND_ASSIGN(agents, store().LoadAgents());
  EXPECT_EQ(agents[0].agent.state(), v1::Agent::GONE);
  // What is gone stays gone until it says hello again.
  ASSERT_TRUE(Put(RenewAgents{.instances = {"i1"}}).committed);
  ASSERT_OK_AND_ASSIGN(agents, store().LoadAgents());
  EXPECT_EQ(agents[0].agent.state(), v1::Agent::GONE);
  EXPECT_EQ(agents[0].renewed, renewed);
}

}  // namespace
}  // namespace picket
