// What one batch of proposals holds.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/base/ids.h"
#include "common/base/random.h"
#include "coordinator/core/core.h"
#include "tests/unit/core/specs.h"

namespace picket {
namespace {

constexpr PeerId kPeer = 1;

// One run of a test with 40 rows at one location, one agent, and a store that takes everything.
class CoreBatchTest : public ::testing::Test {
 protected:
  void Start(CoreOptions options, uint32_t window) {
    core_ = std::make_unique<Core>(std::move(options), now_);
    v1::Test test = MakeTest("t", {"eu"});
    AddRows(test, 40);
    PlanRequest request;
    request.run_id = "aaaaaaaaaaaaaaaa";
    request.spec = MakeSpec({std::move(test)});
    request.now = now_;
    request.fleet["eu"] = {.agents = 1, .capacity = window};
    AdmitRun admit = std::move(PlanRun(std::move(request))->admit);
    auto plan = MakeRunPlan(admit.run, admit.tests, {});
    core_->Apply(now_, event::Admit{.token = 1, .admit = std::move(admit), .plan = std::move(plan)});
    core_->Apply(now_, event::PeerOpened{.peer = kPeer});
    event::PeerSent hello{.peer = kPeer, .message = {}};
    v1::Hello& said = *hello.message.mutable_hello();
    Random random(1);
    said.set_instance(NewUuid(random));
    said.set_name("a");
    said.set_location("eu");
    said.set_protocol_min(kProtocol);
    said.set_protocol_max(kProtocol);
    said.set_capacity(window);
    said.set_window(window);
    said.add_check_types("http");
    instance_ = said.instance();
    core_->Apply(now_, std::move(hello));
    Commit();  // the run and the agent
  }

  // One turn of the store; gathers what the agent is granted.
  std::vector<Proposal> Commit() {
    Effects idle = core_->Apply(now_, event::StoreIdle{});
    const std::vector<Proposal> proposals = idle.proposals;
    if (proposals.empty()) return proposals;
    std::vector<Outcome> outcomes(proposals.size());
    for (Outcome& outcome : outcomes) outcome.committed = true;
    Effects told =
        core_->Apply(now_, event::Committed{std::move(idle.proposals), std::move(outcomes)});
    for (Send& send : told.sends) {
      if (send.message.has_grant()) grants_.push_back(send.message.grant());
    }
    return proposals;
  }

  void AnswerAll() {
    event::PeerSent sent{.peer = kPeer, .message = {}};
    for (const v1::LeaseGrant& grant : std::exchange(grants_, {})) {
      v1::LeaseResults& results = *sent.message.mutable_results()->add_results();
      *results.mutable_lease() = grant.lease();
      results.set_instance(instance_);
      for (const v1::LeasedExecution& leased : grant.executions()) {
        v1::ExecutionResult& result = *results.add_results();
        result.set_execution(leased.execution());
        v1::Attempt& attempt = *result.add_attempts();
        attempt.set_number(1);
        attempt.set_outcome(v1::Outcome::PASSED);
      }
    }
    sent.message.mutable_results()->set_sequence(++sequence_);
    core_->Apply(now_, std::move(sent));
  }

  static size_t Results(const std::vector<Proposal>& proposals) {
    size_t results = 0;
    for (const Proposal& proposal : proposals) {
      const auto* write = std::get_if<WriteShard>(&proposal);
      if (write != nullptr) results += write->results.size();
    }
    return results;
  }

  static size_t Granted(const std::vector<Proposal>& proposals) {
    size_t granted = 0;
    for (const Proposal& proposal : proposals) {
      const auto* write = std::get_if<WriteShard>(&proposal);
      if (write == nullptr) continue;
      for (const LeaseRow& lease : write->grant) granted += lease.positions.size();
    }
    return granted;
  }

  absl::Time now_ = absl::FromUnixSeconds(1'790'000'000);
  std::unique_ptr<Core> core_;
  std::string instance_;
  std::vector<v1::LeaseGrant> grants_;
  uint64_t sequence_ = 0;
};

TEST_F(CoreBatchTest, TheNextWorkIsGrantedWithTheResultsThatMakeRoomForIt) {
  Start({.coordinator = "c1"}, /*window=*/8);
  ASSERT_EQ(Granted(Commit()), 8u);
  AnswerAll();
  const std::vector<Proposal> batch = Commit();
  EXPECT_EQ(Results(batch), 8u);
  EXPECT_EQ(Granted(batch), 8u);
  EXPECT_EQ(core_->Agents().at(0).held(), 8u);
}

TEST_F(CoreBatchTest, ResultsBeyondTheBoundWaitForTheNextBatchAndAllAreStored) {
  Start({.coordinator = "c1", .batch_results = 1}, /*window=*/40);
  ASSERT_EQ(Granted(Commit()), 40u);
  AnswerAll();
  size_t stored = 0, batches = 0;
  while (stored < 40) {
    const size_t results = Results(Commit());
    ASSERT_GT(results, 0u);
    stored += results;
    ++batches;
  }
  EXPECT_EQ(stored, 40u);
  EXPECT_GE(batches, 2u);
  EXPECT_EQ(core_->FindRun("aaaaaaaaaaaaaaaa")->undecided(), 0u);
}

}  // namespace
}  // namespace picket
