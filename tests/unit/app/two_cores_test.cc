// Named scenes of two coordinators over one store, turn by turn: what the simulation
// found, kept as scripts that one can read.

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "coordinator/core/core.h"
#include "coordinator/core/planner.h"
#include "coordinator/store/store.h"
#include "tests/unit/core/specs.h"

namespace picket {
namespace {

constexpr char kAnna[] = "11111111-1111-4111-8111-111111111111";
constexpr char kBert[] = "22222222-2222-4222-8222-222222222222";

// One coordinator's core; its store turns and its polls happen when the test says so.
class Turns {
 public:
  Turns(std::string name, Store* store, SimulatedClock* clock, bool exclusive)
      : store_(store),
        clock_(clock),
        core_(CoreOptions{.coordinator = std::move(name), .exclusive = exclusive},
              clock->TimeNow()) {}

  void Hear(Event event) {
    Effects effects = core_.Apply(clock_->TimeNow(), std::move(event));
    for (Send& send : effects.sends) sent.push_back(std::move(send));
    for (ClosePeer& close : effects.closes) closed.push_back(close.peer);
    for (std::string& run : effects.reload) reload_.insert(std::move(run));
    proposals_ = std::move(effects.proposals);
  }
  // One batch: what is to be written is written, and the answer heard.
  void Write() {
    Draft();
    Land();
    HearOfIt();
  }
  // The same, step by step: what is under way, what becomes of it, what is heard of that.
  void Draft() {
    if (clock_->TimeNow() >= core_.NextDeadline()) Hear(event::Tick{});
    Hear(event::StoreIdle{});
    under_way_ = std::move(proposals_);
    outcomes_.clear();
  }
  void Land() {
    if (!under_way_.empty()) outcomes_ = std::move((*store_->Commit(under_way_)).outcomes);
  }
  void HearOfIt() {
    if (under_way_.empty()) return;
    Hear(event::Committed{.proposals = std::move(under_way_), .outcomes = std::move(outcomes_)});
  }
  void HearOfAnError() {
    auto proposals = under_way_;
    Hear(event::StoreFailed{.proposals = std::move(proposals)});
  }
  void Poll() {
    Hear(event::AgentsLoaded{.agents = *store_->LoadAgents()});
    const std::vector<RunRow> active = *store_->ListActiveRuns();
    for (const RunRow& row : active) {
      const std::string id = row.run.run_id();
      if (core_.FindRun(id) == nullptr) {
        Hear(event::RunLoaded{.run = row,
                              .plan = MakeRunPlan(row, *store_->LoadTests(id, DataRows::kLoad), {}),
                              .shards = *store_->LoadShards(id),
                              .leases = *store_->LoadLeases(id)});
        continue;
      }
      const std::vector<uint64_t> known = core_.KnownRevs(id);
      event::ShardsLoaded loaded{.run_id = id,
                                 .known = known,
                                 .shards = *store_->LoadChangedShards(id, known, 100),
                                 .leases = *store_->LoadLeases(id)};
      if (loaded.shards.empty() && reload_.erase(id) == 0) continue;
      Hear(std::move(loaded));
    }
  }
  void Say(PeerId peer, v1::AgentMessage message) {
    Hear(event::PeerSent{.peer = peer, .message = std::move(message)});
  }
  void Hello(PeerId peer, const char* instance, const std::string& name, uint32_t window) {
    Hear(event::PeerOpened{.peer = peer});
    v1::AgentMessage message;
    v1::Hello& hello = *message.mutable_hello();
    hello.set_instance(instance);
    hello.set_name(name);
    hello.set_location("eu");
    hello.set_spool(instance);
    hello.set_protocol_min(1);
    hello.set_protocol_max(1);
    hello.add_check_types("http");
    hello.set_capacity(1);
    hello.set_window(window);
    Say(peer, std::move(message));
  }
  void Heartbeat(PeerId peer, uint32_t window) {
    v1::AgentMessage message;
    message.mutable_heartbeat()->set_window(window);
    Say(peer, std::move(message));
  }
  std::string Admit(v1::RunSpec spec) {
    PlanRequest request{.run_id = "2aaaaaaaaaaaaaaa",
                        .project = "default",
                        .request_id = kAnna,
                        .spec_digest = std::string(32, 'd'),
                        .spec = std::move(spec),
                        .now = clock_->TimeNow()};
    RunPlanned planned = *PlanRun(std::move(request));
    auto plan = MakeRunPlan(planned.admit.run, planned.admit.tests, {});
    const std::string id = planned.admit.run.run.run_id();
    Hear(event::Admit{.token = 1, .admit = std::move(planned.admit), .plan = std::move(plan)});
    return id;
  }
  // The lease that was granted last to this stream.
  const v1::LeaseGrant* Granted(PeerId peer) const {
    for (size_t i = sent.size(); i-- > 0;) {
      if (sent[i].peer == peer && sent[i].message.has_grant()) return &sent[i].message.grant();
    }
    return nullptr;
  }
  // Executions that this stream was told to start.
  uint32_t ToldToStart(PeerId peer) const {
    uint32_t count = 0;
    for (const Send& send : sent) {
      if (send.peer == peer && send.message.has_started_ack()) {
        count += static_cast<uint32_t>(send.message.started_ack().executions_size());
      }
    }
    return count;
  }

  std::vector<Send> sent;
  std::vector<PeerId> closed;

 private:
  Store* const store_;
  SimulatedClock* const clock_;
  Core core_;
  std::vector<Proposal> proposals_, under_way_;
  std::vector<Outcome> outcomes_;
  std::set<std::string> reload_;
};

class TwoCoresTest : public ::testing::Test {
 protected:
  TwoCoresTest() : store_(MakeMemoryStore(&clock_)) {}
  Turns Start(const std::string& name, bool exclusive = false) {
    return Turns(name, store_.get(), &clock_, exclusive);
  }
  static v1::AgentMessage Started(const v1::LeaseGrant& grant) {
    v1::AgentMessage message;
    *message.mutable_started()->mutable_lease() = grant.lease();
    for (const auto& leased : grant.executions()) {
      message.mutable_started()->add_executions(leased.execution());
    }
    return message;
  }
  static v1::AgentMessage GivenBack(const v1::LeaseGrant& grant) {
    v1::AgentMessage message;
    *message.mutable_lease_return()->mutable_lease() = grant.lease();
    for (const auto& leased : grant.executions()) {
      message.mutable_lease_return()->add_executions(leased.execution());
    }
    return message;
  }
  // A run of one execution that must not be repeated, granted to anna.
  std::string AdmitOnce(Turns& one) {
    v1::Test test = MakeTest("t", {"eu"});
    test.set_repeatable(false);
    one.Hello(1, kAnna, "anna", 1);
    one.Write();
    const std::string run = one.Admit(MakeSpec({test}));
    one.Write();
    one.Write();
    return run;
  }
  // Of two executions that must not be repeated the first failed once; anna has them both,
  // the first under a second lease.
  std::string AdmitTwice(Turns& one, v1::LeaseGrant& first, v1::LeaseGrant& second) {
    v1::Test test = MakeTest("t", {"eu"});
    test.set_repeatable(false);
    AddRows(test, 2);
    test.mutable_retry()->set_attempts(2);
    test.mutable_retry()->clear_where();
    test.mutable_retry()->add_where(v1::Retry::SAME_LOCATION);
    one.Hello(1, kAnna, "anna", 2);
    one.Write();
    const std::string run = one.Admit(MakeSpec({test}));
    one.Write();
    one.Write();
    first = *one.Granted(1);
    one.Say(1, Started(first));
    one.Write();
    one.Say(1, Failed(first, kAnna));
    one.Write();
    // Nobody else lives there: after a while anna has it again.
    for (int i = 0; i < 4; ++i) {
      clock_.Advance(absl::Seconds(4));
      one.Heartbeat(1, 2);
      one.Write();
    }
    second = *one.Granted(1);
    return run;
  }
  // The first attempt of the lease's first execution failed.
  static v1::AgentMessage Failed(const v1::LeaseGrant& grant, const char* instance) {
    v1::AgentMessage message;
    message.mutable_results()->set_sequence(1);
    v1::LeaseResults& results = *message.mutable_results()->add_results();
    *results.mutable_lease() = grant.lease();
    results.set_instance(instance);
    v1::ExecutionResult& result = *results.add_results();
    result.set_execution(grant.executions(0).execution());
    v1::Attempt& attempt = *result.add_attempts();
    attempt.set_number(1);
    attempt.set_outcome(v1::Outcome::FAILED);
    attempt.set_reason(v1::FailureReason::assertion);
    return message;
  }
  SimulatedClock clock_;
  std::unique_ptr<Store> store_;
};

TEST_F(TwoCoresTest, AStartIsNotAllowedOnWhatIsKnownOfLeasesThatHaveEnded) {
  Turns one = Start("one"), two = Start("two");
  v1::Test test = MakeTest("t", {"eu"});
  test.set_repeatable(false);
  one.Hello(1, kAnna, "anna", 1);
  one.Write();
  one.Admit(MakeSpec({test}));
  one.Write();
  one.Write();
  const v1::LeaseGrant* annas = one.Granted(1);
  ASSERT_NE(annas, nullptr);
  two.Poll();
  two.Hello(1, kBert, "bert", 1);
  two.Write();
  // Cut off from the store, `one` renews nothing: `two` gives anna up, and bert gets it all.
  for (int i = 0; i < 4; ++i) {
    clock_.Advance(absl::Seconds(6));
    two.Heartbeat(1, 1);
    two.Write();
  }
  const v1::LeaseGrant* berts = two.Granted(1);
  ASSERT_NE(berts, nullptr);
  two.Say(1, Started(*berts));
  two.Write();
  ASSERT_EQ(two.ToldToStart(1), 1u);
  // Back again, `one` finds the row newer than it knew; the leases it knows are old.
  one.Say(1, Started(*annas));
  one.Write();
  one.Write();
  EXPECT_EQ(one.ToldToStart(1), 0u);
  one.Poll();
  one.Write();
  EXPECT_EQ(one.ToldToStart(1), 0u);
}

TEST_F(TwoCoresTest, AnAgentThatAnotherGaveUpIsToldSo) {
  Turns one = Start("one"), two = Start("two");
  one.Hello(1, kAnna, "anna", 1);
  one.Write();
  two.Poll();
  for (int i = 0; i < 3; ++i) {
    clock_.Advance(absl::Seconds(6));
    one.Heartbeat(1, 1);
    two.Write();
  }
  ASSERT_EQ((*store_->LoadAgents()).at(0).agent.state(), v1::Agent::GONE);
  one.Write();  // a renewal of what is gone
  one.Poll();
  EXPECT_EQ(one.closed, std::vector<PeerId>{1});
}

TEST_F(TwoCoresTest, AGrantReachesTheNewerStreamThatCameInItsBatch) {
  Turns one = Start("one", /*exclusive=*/true);
  one.Hello(1, kAnna, "anna", 1);
  one.Write();
  one.Admit(MakeSpec({MakeTest("t", {"eu"})}));
  one.Write();
  one.Hello(2, kAnna, "anna", 1);
  one.Write();
  EXPECT_EQ(one.Granted(1), nullptr);
  EXPECT_NE(one.Granted(2), nullptr);
}

TEST_F(TwoCoresTest, OfTwoLeasesThatEndTogetherOneCountsTheLoss) {
  Turns one = Start("one"), two = Start("two");
  v1::LeaseGrant first, second;
  const std::string run = AdmitTwice(one, first, second);
  ASSERT_EQ(first.executions_size(), 2);
  ASSERT_NE(second.lease().epoch(), first.lease().epoch());
  one.Say(1, Started(second));
  one.Write();
  ASSERT_EQ(one.ToldToStart(1), 3u);
  // `two` reads both leases, not that one of them has had its result; both fall silent.
  two.Poll();
  for (int i = 0; i < 12; ++i) {
    clock_.Advance(absl::Seconds(8));
    two.Write();
    two.Write();
  }
  const RunRow row = *store_->GetRun(run);
  EXPECT_EQ(row.run.state(), v1::Run::SEALED);
  EXPECT_EQ(row.run.end_cause(), v1::EndCause::COMPLETE);
  EXPECT_EQ(row.run.ledger().inconclusive() + row.run.ledger().failed(), 2u);
}

TEST_F(TwoCoresTest, ALeaseWhoseLastResultWasRefusedOnceIsEndedAllTheSame) {
  Turns one = Start("one"), two = Start("two");
  v1::Test test = MakeTest("t", {"eu"});
  AddRows(test, 2);
  test.mutable_retry()->set_attempts(2);
  test.mutable_retry()->clear_where();
  test.mutable_retry()->add_where(v1::Retry::SAME_LOCATION);
  one.Hello(1, kAnna, "anna", 1);
  one.Write();
  const std::string run = one.Admit(MakeSpec({test}));
  one.Write();
  one.Write();
  const v1::LeaseGrant* annas = one.Granted(1);
  ASSERT_NE(annas, nullptr);
  ASSERT_EQ(annas->executions_size(), 1);
  two.Poll();
  two.Hello(1, kBert, "bert", 1);
  two.Write();
  two.Write();  // the other execution of the shard goes to bert
  ASSERT_NE(two.Granted(1), nullptr);
  one.Say(1, Failed(*annas, kAnna));
  one.Write();  // refused: bert's grant came between
  one.Write();
  one.Poll();
  one.Write();
  const v1::LeaseId& id = annas->lease();
  EXPECT_TRUE((*store_->FindLease(run, id.shard(), id.epoch()))->ended);
}

TEST_F(TwoCoresTest, WhatIsGivenBackWhileItsStartIsWrittenIsGrantedAgain) {
  Turns one = Start("one", /*exclusive=*/true);
  AdmitOnce(one);
  const v1::LeaseGrant annas = *one.Granted(1);
  one.Say(1, Started(annas));
  one.Draft();
  one.Say(1, GivenBack(annas));
  one.Land();
  one.HearOfIt();
  for (int i = 0; i < 3; ++i) one.Write();
  ASSERT_EQ(one.ToldToStart(1), 1u);  // which anna takes no notice of
  const v1::LeaseGrant again = *one.Granted(1);
  ASSERT_GT(again.lease().epoch(), annas.lease().epoch());
  one.Say(1, Started(again));
  one.Write();
  EXPECT_EQ(one.ToldToStart(1), 2u);
}

TEST_F(TwoCoresTest, WhatIsGivenBackWhileItsStartIsWrittenInVainIsGrantedAgain) {
  Turns one = Start("one", /*exclusive=*/true);
  AdmitOnce(one);
  const v1::LeaseGrant annas = *one.Granted(1);
  one.Say(1, Started(annas));
  one.Draft();
  one.HearOfAnError();
  one.Say(1, GivenBack(annas));
  for (int i = 0; i < 3; ++i) one.Write();
  EXPECT_GT(one.Granted(1)->lease().epoch(), annas.lease().epoch());
  EXPECT_EQ(one.ToldToStart(1), 0u);
}

TEST_F(TwoCoresTest, ALeaseThatMightNotStartAndWasGivenBackIsEnded) {
  Turns one = Start("one"), two = Start("two");
  v1::LeaseGrant first, second;
  const std::string run = AdmitTwice(one, first, second);
  // `two` knows both leases, not that one of them has had its result.
  two.Poll();
  two.Hello(1, kAnna, "anna", 2);
  two.Write();
  two.Say(1, Started(second));
  two.Write();
  ASSERT_EQ(two.ToldToStart(1), 0u);
  two.Say(1, GivenBack(second));
  two.Write();
  two.Write();
  const v1::LeaseId& id = second.lease();
  EXPECT_TRUE((*store_->FindLease(run, id.shard(), id.epoch()))->ended);
}

TEST_F(TwoCoresTest, AStartWhoseWriteWasTakenForLostIsUndoneWhenItIsGivenBack) {
  Turns one = Start("one", /*exclusive=*/true);
  AdmitOnce(one);
  const v1::LeaseGrant annas = *one.Granted(1);
  one.Say(1, Started(annas));
  one.Draft();
  one.HearOfAnError();
  one.Land();
  one.Say(1, GivenBack(annas));
  one.Write();  // refused: the row is newer
  one.Poll();
  for (int i = 0; i < 3; ++i) one.Write();
  EXPECT_GT(one.Granted(1)->lease().epoch(), annas.lease().epoch());
  EXPECT_EQ(one.ToldToStart(1), 0u);
}

TEST_F(TwoCoresTest, AStartThatIsWrittenAfterItWasGivenBackElsewhereIsGivenUpInTheEnd) {
  Turns one = Start("one"), two = Start("two");
  const std::string run = AdmitOnce(one);
  const v1::LeaseGrant annas = *one.Granted(1);
  one.Say(1, Started(annas));
  one.Draft();
  two.Poll();
  two.Hello(1, kAnna, "anna", 1);
  two.Say(1, GivenBack(annas));
  one.Land();
  two.Write();  // refused: the row is newer
  two.Poll();
  for (int i = 0; i < 14; ++i) {
    two.Write();
    two.Heartbeat(1, 1);
    clock_.Advance(absl::Seconds(6));
  }
  const RunRow row = *store_->GetRun(run);
  EXPECT_EQ(row.run.state(), v1::Run::SEALED);
  EXPECT_EQ(row.run.ledger().inconclusive(), 1u);
}

}  // namespace
}  // namespace picket
