// File: coordinator_fixture.h
//
// A coordinator over the in-memory store, with agents that answer as they are told to.
//
// Thread rule: of the test's thread.

#ifndef TESTS_UNIT_APP_COORDINATOR_FIXTURE_H_
#define TESTS_UNIT_APP_COORDINATOR_FIXTURE_H_

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/base/ids.h"
#include "coordinator/app/coordinator.h"
#include "coordinator/store/store.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/app/fake_agent.h"
#include "tests/unit/core/specs.h"

namespace picket {

// A value that another thread delivers.
template <typename T>
class Box {
 public:
  void Put(T value) {
    MutexLock lock(&mu_);
    value_ = std::move(value);
    set_.SignalAll();
  }
  // Taken out: an absl::Status that two threads share frees itself where tsan cannot follow.
  std::optional<T> Take() {
    MutexLock lock(&mu_);
    while (!value_.has_value()) {
      if (set_.WaitWithTimeout(&mu_, absl::Seconds(20))) break;
    }
    return std::exchange(value_, std::nullopt);
  }

 private:
  Mutex mu_;
  CondVar set_;
  std::optional<T> value_ ABSL_GUARDED_BY(mu_);
};

template <typename T, typename Call>
absl::StatusOr<T> Await(Call call) {
  auto box = std::make_shared<Box<absl::StatusOr<T>>>();
  call([box](absl::StatusOr<T> value) { box->Put(std::move(value)); });
  std::optional<absl::StatusOr<T>> value = box->Take();
  if (!value.has_value()) return absl::DeadlineExceededError("no answer came");
  return *std::move(value);
}

class CoordinatorTest : public ::testing::Test {
 protected:
  CoordinatorTest() : store_(MakeMemoryStore(Clock::Real())) { Restart(); }
  ~CoordinatorTest() override {
    for (auto& agent : agents_) agent->Join();
    coordinator_.reset();
  }

  void Restart() {
    coordinator_.reset();
    coordinator_ = Coordinator::Start(options_, store_.get(), Clock::Real(), nullptr);
  }

  std::shared_ptr<FakeAgent> StartAgent(const std::string& name, const std::string& location,
                                        FakeAgent::Answer answer) {
    auto agent = FakeAgent::Start(coordinator_.get(), name, location, answer);
    agents_.push_back(agent);
    if (answer) agent->Work();
    return agent;
  }
  static FakeAgent::Answer AllPass() {
    return [](const v1::LeasedExecution& e) {
      return MakeResult(e.execution(), v1::Outcome::PASSED);
    };
  }

  v1::CreateRunRequest Request(v1::RunSpec spec) {
    v1::CreateRunRequest request;
    request.set_request_id(NewUuid(random_));
    *request.mutable_spec() = std::move(spec);
    return request;
  }
  absl::StatusOr<v1::CreateRunResponse> Create(v1::CreateRunRequest request) {
    return Await<v1::CreateRunResponse>(
        [&](auto done) { coordinator_->CreateRun(request, std::move(done)); });
  }
  // Watches until the end; every state that came.
  std::vector<v1::WatchRunResponse> WatchToEnd(const std::string& run_id, absl::Status* status) {
    struct Seen {
      Mutex mu;
      std::vector<v1::WatchRunResponse> states ABSL_GUARDED_BY(mu);
      Box<absl::Status> end;
    };
    auto seen = std::make_shared<Seen>();
    v1::WatchRunRequest request;
    request.set_run_id(run_id);
    coordinator_->WatchRun(
        request,
        [seen](const v1::WatchRunResponse& state) {
          MutexLock lock(&seen->mu);
          seen->states.push_back(state);
        },
        [seen](absl::Status end) { seen->end.Put(std::move(end)); });
    *status = seen->end.Take().value_or(absl::DeadlineExceededError("the watch did not end"));
    MutexLock lock(&seen->mu);
    return seen->states;
  }
  v1::Run RunToEnd(v1::RunSpec spec) {
    absl::StatusOr<v1::CreateRunResponse> created = Create(Request(std::move(spec)));
    EXPECT_TRUE(created.ok()) << created.status();
    if (!created.ok()) return {};
    absl::Status status;
    const auto states = WatchToEnd(created->run().run_id(), &status);
    EXPECT_TRUE(status.ok()) << status;
    return states.empty() ? v1::Run() : states.back().run();
  }
  absl::StatusOr<v1::ListExecutionsResponse> List(v1::ListExecutionsRequest request) {
    return Await<v1::ListExecutionsResponse>(
        [&](auto done) { coordinator_->ListExecutions(request, std::move(done)); });
  }

  Random random_ = Random::FromSystem();
  CoordinatorOptions options_;
  std::unique_ptr<Store> store_;
  std::unique_ptr<Coordinator> coordinator_;
  std::vector<std::shared_ptr<FakeAgent>> agents_;
};

}  // namespace picket

#endif  // TESTS_UNIT_APP_COORDINATOR_FIXTURE_H_
