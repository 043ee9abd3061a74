// File: fake_agent.h
//
// An agent without a network: says hello, takes leases, answers as it is told to.
//
// Thread rule: safe to call from any thread.

#ifndef TESTS_UNIT_APP_FAKE_AGENT_H_
#define TESTS_UNIT_APP_FAKE_AGENT_H_

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/ids.h"
#include "common/base/mutex.h"
#include "common/base/random.h"
#include "coordinator/app/coordinator.h"

namespace picket {

inline v1::ExecutionResult MakeResult(uint32_t execution, v1::Outcome::Value outcome) {
  v1::ExecutionResult result;
  result.set_execution(execution);
  v1::Attempt* attempt = result.add_attempts();
  attempt->set_number(1);
  attempt->set_outcome(outcome);
  attempt->set_duration_us(1000);
  if (outcome != v1::Outcome::PASSED) attempt->set_reason(v1::FailureReason::assertion);
  return result;
}

class FakeAgent : public AgentPeer, public std::enable_shared_from_this<FakeAgent> {
 public:
  using Answer = std::function<v1::ExecutionResult(const v1::LeasedExecution&)>;

  // `answer` is asked on the agent's own thread; empty = it holds what it gets.
  static std::shared_ptr<FakeAgent> Start(Coordinator* coordinator, std::string name,
                                          std::string location, Answer answer) {
    auto agent = std::make_shared<FakeAgent>(coordinator, std::move(name), std::move(location),
                                             std::move(answer));
    agent->Go();
    return agent;
  }
  // Opens the stream and says hello. Start does it.
  void Go() {
    peer_ = coordinator_->AgentOpened(shared_from_this());
    SayHello();
  }

  FakeAgent(Coordinator* coordinator, std::string name, std::string location, Answer answer)
      : coordinator_(coordinator),
        name_(std::move(name)),
        location_(std::move(location)),
        answer_(std::move(answer)) {
    Random random = Random::FromSystem();
    instance_ = NewUuid(random);
  }
  ~FakeAgent() override { Join(); }

  void Send(v1::CoordinatorMessage message) override {
    MutexLock lock(&mu_);
    if (stopped_) return;
    inbox_.push_back(std::move(message));
    changed_.SignalAll();
  }
  void Close(absl::Status status) override {
    {
      MutexLock lock(&mu_);
      closed_ = true;
      status_ = std::move(status);
      changed_.SignalAll();
    }
  }

  // Answers leases, and gives signs of life, until stopped. Call once.
  void Work() {
    worker_ = std::thread([this] {
      while (true) {
        std::vector<v1::CoordinatorMessage> messages;
        {
          MutexLock lock(&mu_);
          if (inbox_.empty() && !stopped_) {
            changed_.WaitWithTimeout(&mu_, absl::Milliseconds(100));
          }
          if (stopped_) return;
          messages = std::exchange(inbox_, {});
        }
        Heartbeat();
        for (v1::CoordinatorMessage& message : messages) Take(message);
      }
    });
  }
  // No more answers; the stream ends as if the process had died.
  void Die() {
    Join();
    coordinator_->AgentClosed(peer_);
  }
  void Join() {
    {
      MutexLock lock(&mu_);
      stopped_ = true;
      changed_.SignalAll();
    }
    if (worker_.joinable()) worker_.join();
  }

  // Waits until `count` grants have come, for at most ten seconds.
  std::vector<v1::LeaseGrant> WaitForGrants(size_t count) {
    MutexLock lock(&mu_);
    while (Grants().size() < count) {
      if (changed_.WaitWithTimeout(&mu_, absl::Seconds(10))) break;
    }
    return Grants();
  }
  absl::Status WaitForClose() {
    MutexLock lock(&mu_);
    while (!closed_) {
      if (changed_.WaitWithTimeout(&mu_, absl::Seconds(10))) break;
    }
    return closed_ ? status_ : absl::DeadlineExceededError("it was not closed");
  }
  // Waits for a message of this kind and takes it out.
  v1::CoordinatorMessage WaitFor(v1::CoordinatorMessage::KindCase kind) {
    MutexLock lock(&mu_);
    while (true) {
      for (size_t i = 0; i < inbox_.size(); ++i) {
        if (inbox_[i].kind_case() != kind) continue;
        v1::CoordinatorMessage message = std::move(inbox_[i]);
        inbox_.erase(inbox_.begin() + static_cast<ptrdiff_t>(i));
        return message;
      }
      if (changed_.WaitWithTimeout(&mu_, absl::Seconds(10))) return {};
    }
  }
  void SendResults(const v1::LeaseId& lease, std::vector<v1::ExecutionResult> results,
                   uint64_t sequence) {
    v1::AgentMessage message;
    v1::LeaseResults* entry = message.mutable_results()->add_results();
    *entry->mutable_lease() = lease;
    entry->set_instance(instance_);
    for (v1::ExecutionResult& result : results) *entry->add_results() = std::move(result);
    message.mutable_results()->set_sequence(sequence);
    coordinator_->AgentSent(peer_, std::move(message));
  }
  void Heartbeat() {
    v1::AgentMessage message;
    message.mutable_heartbeat()->set_window(window_);
    coordinator_->AgentSent(peer_, std::move(message));
  }

  const std::string& instance() const { return instance_; }
  Coordinator::PeerId peer() const { return peer_; }
  size_t taken() {
    MutexLock lock(&mu_);
    return taken_;
  }

  // Said in the hello.
  uint32_t capacity_ = 10;
  uint32_t window_ = 100;

 private:
  void SayHello() {
    v1::AgentMessage message;
    v1::Hello& hello = *message.mutable_hello();
    hello.set_instance(instance_);
    hello.set_name(name_);
    hello.set_location(location_);
    hello.set_protocol_min(1);
    hello.set_protocol_max(1);
    hello.add_check_types("http");
    hello.set_capacity(capacity_);
    hello.set_window(window_);
    coordinator_->AgentSent(peer_, std::move(message));
  }

  std::vector<v1::LeaseGrant> Grants() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    std::vector<v1::LeaseGrant> grants;
    for (const auto& message : inbox_) {
      if (message.has_grant()) grants.push_back(message.grant());
    }
    return grants;
  }

  void Take(const v1::CoordinatorMessage& message) {
    if (!message.has_grant()) return;
    std::vector<v1::ExecutionResult> results;
    for (const v1::LeasedExecution& execution : message.grant().executions()) {
      results.push_back(answer_(execution));
    }
    size_t sequence;
    {
      MutexLock lock(&mu_);
      taken_ += results.size();
      sequence = taken_;
    }
    SendResults(message.grant().lease(), std::move(results), sequence);
  }

  Coordinator* const coordinator_;
  const std::string name_;
  const std::string location_;
  const Answer answer_;
  std::string instance_;
  Coordinator::PeerId peer_ = 0;
  std::thread worker_;
  Mutex mu_;
  CondVar changed_;
  std::vector<v1::CoordinatorMessage> inbox_ ABSL_GUARDED_BY(mu_);
  bool stopped_ ABSL_GUARDED_BY(mu_) = false;
  bool closed_ ABSL_GUARDED_BY(mu_) = false;
  size_t taken_ ABSL_GUARDED_BY(mu_) = 0;
  absl::Status status_ ABSL_GUARDED_BY(mu_);
};

}  // namespace picket

#endif  // TESTS_UNIT_APP_FAKE_AGENT_H_
