// File: session_harness.h
//
// A SessionState with its spool in memory, a clock in hand, and the effects of the last
// step laid out by kind. Tests play the coordinator and the engine.

#ifndef TESTS_UNIT_SESSION_SESSION_HARNESS_H_
#define TESTS_UNIT_SESSION_SESSION_HARNESS_H_

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "agent/session/session_state.h"
#include "agent/session/spool.h"

namespace picket {

inline SessionConfig HarnessConfig(uint32_t capacity = 4) {
  SessionConfig config;
  config.name = "a1";
  config.location = "eu-west";
  config.instance = "11111111-1111-4111-8111-111111111111";
  config.version = "0.1.0";
  config.capacity = capacity;
  return config;
}

class SessionHarness {
 public:
  explicit SessionHarness(SessionConfig config = HarnessConfig(), size_t spool_bytes = 64u << 20)
      : owned_(MakeMemorySpool("spool", spool_bytes)),
        spool_(owned_.get()),
        state(config, spool_, Random(1)) {}
  SessionHarness(SessionConfig config, Spool* spool)
      : spool_(spool), state(config, spool, Random(1)) {}

  void Step(std::vector<SessionEvent> events = {Tick{}}) {
    dials.clear();
    closes.clear();
    starts.clear();
    aborts.clear();
    offsets.clear();
    dropped.clear();
    sent.clear();
    for (SessionEffect& effect : state.Apply(now, std::move(events))) {
      std::visit([this](auto& e) { Keep(e); }, effect);
    }
  }
  void Advance(absl::Duration by) {
    now += by;
    Step();
  }
  void Receive(v1::CoordinatorMessage message) { Step({Received{stream, std::move(message)}}); }

  // Dials and is welcomed.
  void Connect() {
    Step();
    Receive(Welcome());
  }
  void Lose(absl::Status status = absl::UnavailableError("gone")) {
    Step({StreamClosed{stream, status}});
  }
  // Loses the link, waits until it dials again; `sent` holds the new Hello.
  void Redial(absl::Status status = absl::UnavailableError("gone")) {
    Lose(status);
    Advance(absl::Seconds(5));
  }

  static v1::CoordinatorMessage Welcome() {
    v1::CoordinatorMessage message;
    message.mutable_welcome()->mutable_heartbeat_interval()->set_seconds(2);
    message.mutable_welcome()->mutable_lease_time()->set_seconds(10);
    message.mutable_welcome()->set_protocol(1);
    return message;
  }
  static v1::LeaseId Id(const std::string& run, uint32_t shard = 0, uint32_t epoch = 1) {
    v1::LeaseId id;
    id.set_run_id(run);
    id.set_shard(shard);
    id.set_epoch(epoch);
    return id;
  }
  // Tells the session of a test; its digest is `digest`.
  void Define(const std::string& digest = "t", v1::Retry retry = {}) {
    v1::CoordinatorMessage message;
    message.mutable_test()->set_digest(digest);
    message.mutable_test()->mutable_test()->set_id(digest);
    *message.mutable_test()->mutable_test()->mutable_retry() = std::move(retry);
    Receive(std::move(message));
  }
  static v1::Retry Attempts(uint32_t attempts, absl::Duration delay = absl::ZeroDuration()) {
    v1::Retry retry;
    retry.set_attempts(attempts);
    retry.set_backoff(1);
    retry.mutable_delay()->set_seconds(absl::ToInt64Seconds(delay));
    retry.mutable_delay()->set_nanos(
        static_cast<int32_t>(absl::ToInt64Nanoseconds(delay % absl::Seconds(1))));
    return retry;
  }
  static v1::CoordinatorMessage Grant(const v1::LeaseId& id, std::vector<uint32_t> executions,
                                      int32_t priority = 0, const std::string& digest = "t") {
    v1::CoordinatorMessage message;
    *message.mutable_grant()->mutable_lease() = id;
    message.mutable_grant()->set_priority(priority);
    for (const uint32_t number : executions) {
      v1::LeasedExecution& execution = *message.mutable_grant()->add_executions();
      execution.set_execution(number);
      execution.set_digest(digest);
    }
    return message;
  }
  // What the coordinator acknowledges.
  void Acknowledge(uint64_t through) {
    v1::CoordinatorMessage message;
    message.mutable_ack()->set_through(through);
    Receive(std::move(message));
  }

  // The check of that execution ends.
  void End(uint32_t execution, v1::Outcome::Value outcome = v1::Outcome::PASSED,
           v1::FailureReason::Value reason = v1::FailureReason::none) {
    v1::Attempt attempt;
    attempt.set_outcome(outcome);
    attempt.set_reason(reason);
    attempt.set_number(numbers_[execution]);
    Step({CheckDone{checks_.at(execution), std::move(attempt)}});
  }
  void Fail(uint32_t execution) {
    End(execution, v1::Outcome::FAILED, v1::FailureReason::assertion);
  }

  std::vector<uint32_t> Started() const {
    std::vector<uint32_t> numbers;
    for (const StartCheck& start : starts) numbers.push_back(start.execution);
    return numbers;
  }
  // Messages of the last step, by kind.
  std::vector<v1::AgentMessage> Sent(v1::AgentMessage::KindCase kind) const {
    std::vector<v1::AgentMessage> of_kind;
    for (const SendMessage& one : sent) {
      if (one.message.kind_case() == kind) of_kind.push_back(one.message);
    }
    return of_kind;
  }
  // Results that went out in the last step.
  std::vector<v1::ExecutionResult> Results() const {
    std::vector<v1::ExecutionResult> all;
    for (const auto& message : Sent(v1::AgentMessage::kResults)) {
      for (const auto& lease : message.results().results()) {
        all.insert(all.end(), lease.results().begin(), lease.results().end());
      }
    }
    return all;
  }

  std::unique_ptr<Spool> owned_;
  Spool* spool_;
  absl::Duration now;
  SessionState state;
  uint64_t stream = 0;  // of the last dial

  std::vector<DialStream> dials;
  std::vector<CloseStream> closes;
  std::vector<StartCheck> starts;
  std::vector<AbortCheck> aborts;
  std::vector<SetClockOffset> offsets;
  std::vector<ResultDropped> dropped;
  std::vector<SendMessage> sent;

 private:
  void Keep(DialStream& e) {
    stream = e.stream;
    dials.push_back(e);
  }
  void Keep(CloseStream& e) { closes.push_back(e); }
  void Keep(StartCheck& e) {
    checks_[e.execution] = e.check;
    numbers_[e.execution] = e.number;
    starts.push_back(std::move(e));
  }
  void Keep(AbortCheck& e) { aborts.push_back(e); }
  void Keep(SetClockOffset& e) { offsets.push_back(e); }
  void Keep(ResultDropped& e) { dropped.push_back(e); }
  void Keep(SendMessage& e) { sent.push_back(std::move(e)); }

  std::map<uint32_t, CheckId> checks_;
  std::map<uint32_t, uint32_t> numbers_;
};

}  // namespace picket

#endif  // TESTS_UNIT_SESSION_SESSION_HARNESS_H_
