// File: fake_coordinator.h
//
// A façade that answers what a test tells it to, for what lies in front of the
// coordinator.
//
// Thread rule: safe to call from any thread; set the answers before.

#ifndef TESTS_SUPPORT_FAKE_COORDINATOR_H_
#define TESTS_SUPPORT_FAKE_COORDINATOR_H_

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/mutex.h"
#include "coordinator/app/coordinator.h"

namespace picket {

class FakeCoordinator : public Coordinator {
 public:
  // ---- What the test sets ----

  std::map<std::string, v1::Run> runs;  // by id; others are NotFound
  // States that WatchRun tells at once, by run; of others the test tells.
  std::map<std::string, v1::WatchRunResponse> states;
  // What ListExecutions answers, if not ok.
  absl::Status list_status;
  absl::Status create_status;           // of CreateRun, if not ok
  bool ready = true;
  bool never_answers_cancel = false;

  struct Watch {
    std::string run_id;
    absl::AnyInvocable<void(const v1::WatchRunResponse&)> update;
    absl::AnyInvocable<void(absl::Status)> end;
  };

  // Waits for the n-th watch (from 1) and calls `use` with it.
  void WithWatch(WatchId id, absl::AnyInvocable<void(Watch&)> use) {
    MutexLock lock(&mu_);
    while (watches_.find(id) == watches_.end()) changed_.Wait(&mu_);
    use(watches_.at(id));
  }
  // Waits for the n-th agent's stream (from 1).
  std::shared_ptr<AgentPeer> AwaitPeer(PeerId id) {
    MutexLock lock(&mu_);
    while (peers_.size() < id) changed_.Wait(&mu_);
    return peers_[id - 1];
  }
  // Waits for `count` messages of all agents together.
  std::vector<v1::AgentMessage> AwaitMessages(size_t count) {
    MutexLock lock(&mu_);
    while (messages_.size() < count) changed_.Wait(&mu_);
    return messages_;
  }
  void AwaitClosed(size_t count) {
    MutexLock lock(&mu_);
    while (closed_.size() < count) changed_.Wait(&mu_);
  }
  void AwaitUnwatched(size_t count) {
    MutexLock lock(&mu_);
    while (unwatched_ < count) changed_.Wait(&mu_);
  }
  std::vector<PeerId> closed() {
    MutexLock lock(&mu_);
    return closed_;
  }
  // The requests that came, printed.
  std::vector<std::string> requests() {
    MutexLock lock(&mu_);
    return requests_;
  }

  // ---- Coordinator ----

  void CreateRun(v1::CreateRunRequest request, Callback<v1::CreateRunResponse> done) override {
    Note(absl::StrCat("CreateRun ", request.ShortDebugString()));
    if (!create_status.ok()) return done(create_status);
    v1::CreateRunResponse response;
    response.mutable_run()->set_run_id("created");
    done(std::move(response));
  }
  void EstimateRun(v1::EstimateRunRequest request, Callback<v1::PlanEstimate> done) override {
    Note(absl::StrCat("EstimateRun ", request.ShortDebugString()));
    v1::PlanEstimate estimate;
    estimate.set_agents(3);
    done(std::move(estimate));
  }
  void GetRun(v1::GetRunRequest request, Callback<v1::Run> done) override {
    done(Find(request.run_id()));
  }
  void ListRuns(v1::ListRunsRequest request, Callback<v1::ListRunsResponse> done) override {
    Note(absl::StrCat("ListRuns ", request.ShortDebugString()));
    v1::ListRunsResponse response;
    for (const auto& [id, run] : runs) *response.add_runs() = run;
    response.set_next_page_token("more");
    done(std::move(response));
  }
  void CancelRun(v1::CancelRunRequest request, Callback<v1::Run> done) override {
    Note(absl::StrCat("CancelRun ", request.ShortDebugString()));
    if (never_answers_cancel) {
      MutexLock lock(&mu_);
      unanswered_.push_back(std::move(done));
      changed_.SignalAll();
      return;
    }
    done(Find(request.run_id()));
  }
  void ListExecutions(v1::ListExecutionsRequest request,
                      Callback<v1::ListExecutionsResponse> done) override {
    Note(absl::StrCat("ListExecutions ", request.ShortDebugString()));
    if (!list_status.ok()) return done(list_status);
    v1::ListExecutionsResponse response;
    v1::Execution& execution = *response.add_executions();
    execution.set_test_id("home");
    execution.set_test("home page <b>");
    execution.set_suite("shop");
    execution.set_location("eu-west");
    execution.set_end(v1::End::FAILED);
    execution.add_attempts()->set_outcome(v1::Outcome::FAILED);
    done(std::move(response));
  }
  void GetDefinition(v1::GetDefinitionRequest request, Callback<v1::Definition> done) override {
    Note(absl::StrCat("GetDefinition ", request.ShortDebugString()));
    v1::Definition definition;
    definition.mutable_test()->set_id("home");
    done(std::move(definition));
  }
  void GetEvidence(v1::GetEvidenceRequest request, Callback<v1::Evidence> done) override {
    Note(absl::StrCat("GetEvidence ", request.ShortDebugString()));
    v1::Evidence evidence;
    evidence.set_curl("curl http://127.0.0.1/");
    done(std::move(evidence));
  }
  void ListAgents(v1::ListAgentsRequest, Callback<v1::ListAgentsResponse> done) override {
    v1::ListAgentsResponse response;
    response.add_agents()->set_name("web-1");
    done(std::move(response));
  }
  void DrainAgent(v1::DrainAgentRequest request, Callback<v1::Agent> done) override {
    Note(absl::StrCat("DrainAgent ", request.ShortDebugString()));
    v1::Agent agent;
    agent.set_state(v1::Agent::DRAINING);
    done(std::move(agent));
  }
  WatchId WatchRun(v1::WatchRunRequest request,
                   absl::AnyInvocable<void(const v1::WatchRunResponse&)> update,
                   absl::AnyInvocable<void(absl::Status)> end) override {
    if (const auto state = states.find(request.run_id()); state != states.end()) {
      update(state->second);
      end(absl::OkStatus());
    }
    MutexLock lock(&mu_);
    const WatchId id = ++last_watch_;
    watches_[id] = {request.run_id(), std::move(update), std::move(end)};
    changed_.SignalAll();
    return id;
  }
  void Unwatch(WatchId id) override {
    Watch gone;
    MutexLock lock(&mu_);
    const auto it = watches_.find(id);
    if (it != watches_.end()) {
      gone = std::move(it->second);
      watches_.erase(it);
    }
    ++unwatched_;
    changed_.SignalAll();
  }
  PeerId AgentOpened(std::shared_ptr<AgentPeer> peer) override {
    MutexLock lock(&mu_);
    peers_.push_back(std::move(peer));
    changed_.SignalAll();
    return peers_.size();
  }
  void AgentSent(PeerId, v1::AgentMessage message) override {
    MutexLock lock(&mu_);
    messages_.push_back(std::move(message));
    changed_.SignalAll();
  }
  void AgentClosed(PeerId id) override {
    MutexLock lock(&mu_);
    peers_[id - 1].reset();
    closed_.push_back(id);
    changed_.SignalAll();
  }
  bool Ready() override { return ready; }
  std::string ProbesText() override { return "probe_success{suite=\"shop\"} 1\n"; }

 private:
  absl::StatusOr<v1::Run> Find(const std::string& run_id) {
    const auto it = runs.find(run_id);
    if (it == runs.end()) return absl::NotFoundError(absl::StrCat("no run ", run_id));
    return it->second;
  }
  void Note(std::string request) {
    MutexLock lock(&mu_);
    requests_.push_back(std::move(request));
    changed_.SignalAll();
  }

  Mutex mu_;
  CondVar changed_;
  WatchId last_watch_ = 0;
  size_t unwatched_ ABSL_GUARDED_BY(mu_) = 0;
  std::map<WatchId, Watch> watches_ ABSL_GUARDED_BY(mu_);
  std::vector<std::shared_ptr<AgentPeer>> peers_ ABSL_GUARDED_BY(mu_);
  std::vector<v1::AgentMessage> messages_ ABSL_GUARDED_BY(mu_);
  std::vector<PeerId> closed_ ABSL_GUARDED_BY(mu_);
  std::vector<std::string> requests_ ABSL_GUARDED_BY(mu_);
  std::vector<Callback<v1::Run>> unanswered_ ABSL_GUARDED_BY(mu_);
};

}  // namespace picket

#endif  // TESTS_SUPPORT_FAKE_COORDINATOR_H_
