// Agents as the core remembers them.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "common/base/ids.h"
#include "common/base/random.h"
#include "coordinator/core/core.h"

namespace picket {
namespace {

// A core whose store takes everything.
class CoreAgentsTest : public ::testing::Test {
 protected:
  void Commit() {
    Effects effects = core_.Apply(now_, event::StoreIdle{});
    std::vector<Outcome> outcomes(effects.proposals.size());
    for (Outcome& outcome : outcomes) outcome.committed = true;
    if (outcomes.empty()) return;
    core_.Apply(now_, event::Committed{std::move(effects.proposals), std::move(outcomes)});
  }

  void Join(PeerId peer) {
    core_.Apply(now_, event::PeerOpened{.peer = peer});
    event::PeerSent sent{.peer = peer, .message = {}};
    v1::Hello& hello = *sent.message.mutable_hello();
    hello.set_instance(NewUuid(random_));
    hello.set_name(absl::StrCat("agent-", 10'000 + peer));
    hello.set_location("eu-west");
    hello.set_protocol_min(kProtocol);
    hello.set_protocol_max(kProtocol);
    hello.set_capacity(1);
    hello.set_window(1);
    hello.add_check_types("http");
    core_.Apply(now_, std::move(sent));
  }

  void Leave(PeerId peer) {
    event::PeerSent sent{.peer = peer, .message = {}};
    sent.message.mutable_goodbye()->set_reason("done");
    core_.Apply(now_, std::move(sent));
  }

  absl::Time now_ = absl::FromUnixSeconds(1'790'000'000);
  Random random_{1};
  Core core_{CoreOptions{.coordinator = "c1", .gone_agents_most = 10}, now_};
};

TEST_F(CoreAgentsTest, OfAgentsThatAreGoneTheLatestAreRemembered) {
  Join(1000);
  Commit();
  for (PeerId peer = 1; peer <= 50; ++peer) {
    now_ += absl::Seconds(1);
    Join(peer);
    Commit();
    Leave(peer);
    Commit();
    event::PeerSent beat{.peer = 1000, .message = {}};
    beat.message.mutable_heartbeat()->set_window(1);
    core_.Apply(now_, std::move(beat));
    core_.Apply(now_, event::Tick{});
    Commit();
  }
  const std::vector<v1::Agent> agents = core_.Agents();
  ASSERT_EQ(agents.size(), 11u);
  size_t live = 0;
  for (const v1::Agent& agent : agents) {
    live += agent.state() == v1::Agent::LIVE ? 1 : 0;
    EXPECT_TRUE(agent.name() == "agent-11000" || agent.name() > "agent-10040") << agent.name();
  }
  EXPECT_EQ(live, 1u);
  EXPECT_EQ(core_.sessions(), 1u);
}

}  // namespace
}  // namespace picket
