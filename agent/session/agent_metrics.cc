#include "agent/session/agent_metrics.h"

#include <string>

#include "absl/strings/ascii.h"

namespace picket {
namespace {

// Which outcomes a reason can come with: those below 40 blame the target.
constexpr int kFirstInconclusive = v1::FailureReason::agent_lost;

void Raise(prometheus::Counter* counter, uint64_t to) {
  const double by = static_cast<double>(to) - counter->Value();
  if (by > 0) counter->Increment(by);
}

}  // namespace

AgentMetrics::AgentMetrics(Metrics* metrics) : metrics_(metrics) {
  if (metrics_ == nullptr) return;
  auto& checks =
      metrics_->Counters("picket_agent_checks_total", "Attempts made, by outcome and reason.");
  const auto add = [&](v1::Outcome::Value outcome, int reason) {
    checks_[{outcome, reason}] = &checks.Add(
        {{"outcome", absl::AsciiStrToLower(v1::Outcome::Value_Name(outcome))},
         {"reason", v1::FailureReason::Value_Name(static_cast<v1::FailureReason::Value>(reason))}});
  };
  const auto* reasons = v1::FailureReason::Value_descriptor();
  for (int i = 0; i < reasons->value_count(); ++i) {
    const int reason = reasons->value(i)->number();
    if (reason == v1::FailureReason::none) {
      add(v1::Outcome::PASSED, reason);
    } else {
      add(reason < kFirstInconclusive ? v1::Outcome::FAILED : v1::Outcome::INCONCLUSIVE, reason);
    }
  }
  dropped_ = &metrics_->OneCounter("picket_agent_results_dropped_total",
                                   "Results that the fleet acknowledged but will not keep.");
  corrupt_ = &metrics_->OneCounter("picket_agent_spool_corrupt_total",
                                   "Spool records that could not be read back.");
  sessions_ =
      &metrics_->OneCounter("picket_agent_sessions_total", "Sessions that a coordinator welcomed.");
  poor_ = &metrics_->OneCounter("picket_agent_poor_measurements_total",
                                "Attempts stamped as poorly measured.");
  connected_ = &metrics_->OneGauge("picket_agent_connected", "1 while in a session, else 0.");
  in_flight_ = &metrics_->OneGauge("picket_agent_in_flight", "Checks in flight.");
  held_ = &metrics_->OneGauge("picket_agent_held_executions",
                              "Executions leased to this agent and not done.");
  window_ = &metrics_->OneGauge("picket_agent_window_executions",
                                "Executions that this agent is ready to hold.");
  spool_bytes_ =
      &metrics_->OneGauge("picket_agent_spool_bytes", "Results waiting to be acknowledged.");
  loop_lag_ = &metrics_->OneGauge("picket_agent_loop_lag_seconds",
                                  "Longest turn of an event loop since the last scrape.");
}

void AgentMetrics::CountAttempt(const v1::Attempt& attempt) {
  if (metrics_ == nullptr) return;
  const auto it = checks_.find({attempt.outcome(), attempt.reason()});
  if (it != checks_.end()) return it->second->Increment();
  // A reason under an outcome that it does not usually come with.
  const int fallback = attempt.outcome() == v1::Outcome::FAILED ? v1::FailureReason::assertion
                       : attempt.outcome() == v1::Outcome::PASSED
                           ? v1::FailureReason::none
                           : v1::FailureReason::cannot_evaluate;
  checks_
      .at({attempt.outcome() == v1::Outcome::OUTCOME_UNSPECIFIED ? v1::Outcome::INCONCLUSIVE
                                                                 : attempt.outcome(),
           fallback})
      ->Increment();
}

void AgentMetrics::CountResultDropped() {
  if (metrics_ != nullptr) dropped_->Increment();
}

void AgentMetrics::Set(const Levels& levels) {
  if (metrics_ == nullptr) return;
  connected_->Set(levels.connected ? 1 : 0);
  in_flight_->Set(levels.in_flight);
  held_->Set(levels.held);
  window_->Set(levels.window);
  spool_bytes_->Set(static_cast<double>(levels.spool_bytes));
  loop_lag_->Set(absl::ToDoubleSeconds(levels.loop_lag));
  Raise(corrupt_, levels.spool_corrupt);
  Raise(sessions_, levels.sessions);
  Raise(poor_, levels.poor);
}

}  // namespace picket
