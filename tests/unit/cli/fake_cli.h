// File: fake_cli.h
//
// A world for commands under test: output kept, time simulated, a coordinator that
// answers what the test tells it to.
//
// Thread rule: thread-compatible.

#ifndef TESTS_UNIT_CLI_FAKE_CLI_H_
#define TESTS_UNIT_CLI_FAKE_CLI_H_

#include <algorithm>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "cli/commands.h"
#include "cli/environment.h"

namespace picket::testing_support {

// What a coordinator knows and how its next calls go. Outlives the clients made from it.
struct FakeCoordinator {
  v1::Run run;
  std::vector<v1::LocationProgress> locations;
  std::vector<v1::Execution> executions;
  std::map<std::pair<uint32_t, uint32_t>, v1::Evidence> evidence;
  std::map<uint32_t, v1::Definition> definitions;  // by execution
  std::vector<v1::Agent> agents;

  // Taken one a call; when empty, calls succeed. A watch that is given ok ends after one
  // state without a verdict.
  std::deque<absl::Status> create_errors, watch_errors, page_errors, cancel_errors;
  // Run at the start of the named call.
  std::function<void()> on_create, on_watch, on_cancel;

  std::vector<v1::CreateRunRequest> created;
  std::vector<v1::EstimateRunRequest> estimated;
  v1::PlanEstimate estimate;
  absl::Status estimate_error;
  std::vector<std::string> cancelled;
  std::vector<std::string> drained;
  std::vector<std::string> targets;
  std::vector<int> page_sizes;
  int pages = 0, watches = 0, evidence_calls = 0;
  bool interrupted = false;
};

class FakeRunClient : public RunClient {
 public:
  explicit FakeRunClient(FakeCoordinator* c) : c_(c) {}

  absl::StatusOr<v1::CreateRunResponse> CreateRun(const v1::CreateRunRequest& request,
                                                  absl::Duration) override {
    c_->created.push_back(request);
    if (c_->on_create) c_->on_create();
    if (c_->interrupted) return absl::CancelledError("interrupted");
    if (absl::Status s = Next(c_->create_errors); !s.ok()) return s;
    v1::CreateRunResponse response;
    response.mutable_run()->set_run_id(c_->run.run_id());
    *response.mutable_estimate() = c_->estimate;
    return response;
  }
  absl::StatusOr<v1::PlanEstimate> EstimateRun(const v1::EstimateRunRequest& request,
                                               absl::Duration) override {
    c_->estimated.push_back(request);
    if (!c_->estimate_error.ok()) return c_->estimate_error;
    return c_->estimate;
  }
  absl::StatusOr<v1::Run> GetRun(const std::string& id) override {
    if (id != c_->run.run_id()) return absl::NotFoundError(absl::StrCat("no run ", id));
    return c_->run;
  }
  absl::StatusOr<v1::ListRunsResponse> ListRuns(const v1::ListRunsRequest&) override {
    v1::ListRunsResponse response;
    if (!c_->run.run_id().empty()) *response.add_runs() = c_->run;
    return response;
  }
  absl::StatusOr<v1::Run> CancelRun(const std::string& id, absl::Duration) override {
    if (c_->on_cancel) c_->on_cancel();
    if (c_->interrupted) return absl::CancelledError("interrupted");
    if (absl::Status s = Next(c_->cancel_errors); !s.ok()) return s;
    c_->cancelled.push_back(id);
    return c_->run;
  }
  absl::StatusOr<v1::ListExecutionsResponse> ListExecutions(
      const v1::ListExecutionsRequest& request) override {
    ++c_->pages;
    c_->page_sizes.push_back(request.page_size());
    if (absl::Status s = Next(c_->page_errors); !s.ok()) return s;
    size_t next = 0;
    if (!request.page_token().empty() && !absl::SimpleAtoi(request.page_token(), &next)) {
      return absl::InvalidArgumentError("page_token");
    }
    v1::ListExecutionsResponse response;
    for (; next < c_->executions.size() && response.executions_size() < kPage; ++next) {
      const v1::Execution& e = c_->executions[next];
      if (request.only_failures() && !(request.or_flaky() && e.flaky()) &&
          (e.end() == v1::End::PASSED || e.end() == v1::End::SKIPPED)) {
        continue;
      }
      *response.add_executions() = e;
    }
    if (next < c_->executions.size()) response.set_next_page_token(absl::StrCat(next));
    return response;
  }
  absl::StatusOr<v1::Evidence> GetEvidence(const v1::GetEvidenceRequest& request) override {
    ++c_->evidence_calls;
    const auto it = c_->evidence.find({request.execution(), request.attempt()});
    if (it == c_->evidence.end()) return absl::NotFoundError("none was kept");
    return it->second;
  }
  absl::StatusOr<v1::Definition> GetDefinition(const v1::GetDefinitionRequest& request) override {
    const auto it = c_->definitions.find(request.execution());
    if (it == c_->definitions.end()) return absl::NotFoundError("there is no such execution");
    return it->second;
  }
  absl::StatusOr<v1::ListAgentsResponse> ListAgents(const v1::ListAgentsRequest&) override {
    v1::ListAgentsResponse response;
    for (const v1::Agent& agent : c_->agents) *response.add_agents() = agent;
    return response;
  }
  absl::StatusOr<v1::Agent> DrainAgent(const v1::DrainAgentRequest& request) override {
    c_->drained.push_back(request.agent());
    v1::Agent agent;
    agent.set_name(request.agent());
    agent.set_location("eu-west");
    agent.set_state(v1::Agent::DRAINING);
    return agent;
  }
  absl::Status WatchRun(const std::string& id, absl::Duration,
                        absl::FunctionRef<bool(const v1::WatchRunResponse&)> update) override {
    ++c_->watches;
    if (c_->on_watch) c_->on_watch();
    if (c_->interrupted) return absl::CancelledError("interrupted");
    if (id != c_->run.run_id()) return absl::NotFoundError(absl::StrCat("no run ", id));
    const bool scripted = !c_->watch_errors.empty();
    if (absl::Status s = Next(c_->watch_errors); !s.ok()) return s;
    v1::WatchRunResponse state;
    *state.mutable_run() = c_->run;
    if (scripted) state.mutable_run()->set_state(v1::Run::RUNNING);
    for (const auto& location : c_->locations) *state.add_locations() = location;
    for (const v1::Execution& e : c_->executions) {
      if (e.end() == v1::End::FAILED || e.end() == v1::End::INCONCLUSIVE) *state.add_failures() = e;
    }
    update(state);
    return absl::OkStatus();
  }
  void Interrupt() override { c_->interrupted = true; }
  void Resume() override { c_->interrupted = false; }
  std::string target() const override { return "fake:7700"; }

 private:
  static constexpr int kPage = 3;

  static absl::Status Next(std::deque<absl::Status>& errors) {
    if (errors.empty()) return absl::OkStatus();
    absl::Status status = errors.front();
    errors.pop_front();
    return status;
  }

  FakeCoordinator* c_;
};

class FakeFleet : public LocalFleet {
 public:
  explicit FakeFleet(FakeCoordinator* c) : client_(c) {}
  RunClient* client() override { return &client_; }
  void Settle(absl::Duration) override {}

 private:
  FakeRunClient client_;
};

// The world. Waiting moves the clock.
class FakeWorld {
 public:
  FakeWorld() : random_(1) {
    env_.out = &out_;
    env_.err = &err_;
    env_.clock = &clock_;
    env_.random = &random_;
    env_.interrupts = &interrupts_;
    env_.wait = [this](absl::Duration time) {
      clock_.Advance(time);
      return interrupts_.raised();
    };
    env_.pause = [this](absl::Duration time) { clock_.Advance(time); };
    env_.variable = [this](const std::string& name) -> std::optional<std::string> {
      const auto it = variables_.find(name);
      if (it == variables_.end()) return std::nullopt;
      return it->second;
    };
    env_.read_input = [this](size_t) -> absl::StatusOr<std::string> { return input_; };
    env_.connect = [this](const std::vector<std::string>& targets) {
      coordinator_.targets = targets;
      return std::make_unique<FakeRunClient>(&coordinator_);
    };
    env_.start_local =
        [this](const LocalFleetOptions& options) -> absl::StatusOr<std::unique_ptr<LocalFleet>> {
      local_ = options;
      return std::make_unique<FakeFleet>(&coordinator_);
    };
  }

  int Run(const Arguments& args) { return RunCli(env_, args); }

  Environment& env() { return env_; }
  FakeCoordinator& coordinator() { return coordinator_; }
  SimulatedClock& clock() { return clock_; }
  Interrupts& interrupts() { return interrupts_; }
  std::map<std::string, std::string>& variables() { return variables_; }
  std::string& input() { return input_; }
  const LocalFleetOptions& local() const { return local_; }
  const std::string& out() const { return out_.text(); }
  const std::string& err() const { return err_.text(); }
  // The last line of the output.
  std::string LastLine() const {
    std::string text = out_.text();
    while (!text.empty() && text.back() == '\n') text.pop_back();
    const size_t at = text.rfind('\n');
    return at == std::string::npos ? text : text.substr(at + 1);
  }

 private:
  StringSink out_, err_;
  SimulatedClock clock_;
  Random random_;
  Interrupts interrupts_;
  std::map<std::string, std::string> variables_;
  std::string input_;
  LocalFleetOptions local_;
  FakeCoordinator coordinator_;
  Environment env_;
};

}  // namespace picket::testing_support

#endif  // TESTS_UNIT_CLI_FAKE_CLI_H_
