#include "agent/engine/attempt_result.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "agent/engine/limits.h"
#include "agent/engine/masking.h"
#include "agent/engine/quality.h"
#include "common/policy/limits.h"

namespace picket {
namespace {

void AddPhase(v1::Phase::Name name, const std::optional<uint32_t>& us, v1::Measurement& out) {
  if (!us.has_value()) return;
  v1::Phase& phase = *out.add_phases();
  phase.set_name(name);
  phase.set_us(*us);
}

void WriteTimes(const PhaseTimes& times, v1::Measurement& out) {
  AddPhase(v1::Phase::dns, times.dns, out);
  AddPhase(v1::Phase::connect, times.connect, out);
  AddPhase(v1::Phase::tls, times.tls, out);
  AddPhase(v1::Phase::send, times.send, out);
  AddPhase(v1::Phase::first_byte, times.first_byte, out);
  AddPhase(v1::Phase::transfer, times.transfer, out);
  AddPhase(v1::Phase::total, times.total, out);
}

int64_t EarliestExpiry(const std::vector<v1::Certificate>& certificates) {
  int64_t earliest = 0;
  for (const v1::Certificate& certificate : certificates) {
    const int64_t end = certificate.not_after_time().seconds();
    if (earliest == 0 || end < earliest) earliest = end;
  }
  return earliest;
}

std::string ReasonNames(const v1::MustFail& must_fail) {
  std::vector<std::string> names;
  for (int reason : must_fail.reasons()) {
    names.push_back(v1::FailureReason::Value_Name(static_cast<v1::FailureReason::Value>(reason)));
  }
  return absl::StrJoin(names, ", ");
}

std::string StatusNames(const v1::MustFail& must_fail) {
  std::vector<std::string> names;
  for (uint32_t status : must_fail.statuses()) {
    names.push_back(status < 10 ? absl::StrCat(status, "xx") : absl::StrCat(status));
  }
  return absl::StrJoin(names, ", ");
}

}  // namespace

void AttemptResult::AddStep(StepRecord record) {
  const CompiledStep& step = test_.steps[steps_.size()];
  AddTimes(record.times, times_);
  const bool failed = record.outcome == v1::Outcome::FAILED;
  const bool inconclusive = record.outcome == v1::Outcome::INCONCLUSIVE;
  if ((failed || inconclusive) && step.step->allow_failure()) {
    AddWarning(absl::StrCat("step '", step.step->name(),
                            "' was allowed to fail and did: ", record.message));
    record.failed = 0;
    record.unjudged = record.learning = 0;
  } else if ((failed && outcome_ != v1::Outcome::FAILED) ||
             (inconclusive && outcome_ == v1::Outcome::OUTCOME_UNSPECIFIED)) {
    outcome_ = record.outcome;
    reason_ = record.reason;
    message_ = test_.steps.size() == 1
                   ? record.message
                   : absl::StrCat("step '", step.step->name(), "': ", record.message);
  }
  steps_.push_back(std::move(record));
}

void AttemptResult::EndEarly(v1::Outcome::Value outcome, v1::FailureReason::Value reason,
                             std::string message) {
  outcome_ = outcome;
  reason_ = reason;
  message_ = std::move(message);
}

v1::HttpDetail DetailOf(const TransferResult& last) {
  v1::HttpDetail out;
  out.set_status(static_cast<uint32_t>(last.status));
  out.set_http_version(last.http_version);
  if (!last.address.empty()) {
    const bool ipv6 = last.address.find(':') != std::string::npos;
    out.set_address(absl::StrCat(ipv6 ? "[" : "", last.address, ipv6 ? "]" : "", ":", last.port));
  }
  for (const std::string& address : last.addresses_tried) out.add_addresses_tried(address);
  out.set_tls_version(last.tls_version);
  out.set_tls_cipher(last.tls_cipher);
  out.set_bytes_up(last.bytes_up);
  out.set_bytes_down(last.bytes_down);
  out.set_body_bytes(last.body.size());
  out.set_certificate_expiry(EarliestExpiry(last.certificates));
  out.set_connection_reused(last.reused);
  return out;
}

void AttemptResult::SetLast(const TransferResult& last) {
  const uint64_t up = http_.has_value() ? http_->bytes_up() : 0;
  const uint64_t down = http_.has_value() ? http_->bytes_down() : 0;
  http_ = DetailOf(last);
  http_->set_bytes_up(up + last.bytes_up);
  http_->set_bytes_down(down + last.bytes_down);
}

void AttemptResult::AddWarning(std::string warning) {
  if (warnings_.size() >= DefaultEngineLimits().warnings) return;
  if (std::find(warnings_.begin(), warnings_.end(), warning) != warnings_.end()) return;
  warnings_.push_back(CleanText(warning, DefaultEngineLimits().message_bytes));
}

void AttemptResult::SetEvidence(v1::Outcome::Value outcome, v1::Evidence evidence) {
  evidence_outcome_ = outcome;
  evidence_ = std::move(evidence);
}

void AttemptResult::Pass() {
  AddWarning(absl::StrCat("failed as must_fail demands: ", message_));
  outcome_ = v1::Outcome::PASSED;
  reason_ = v1::FailureReason::none;
  message_.clear();
  // What failed was meant to.
  for (StepRecord& step : steps_) step.failed = 0;
}

void AttemptResult::ApplyMustFail() {
  if (outcome_ == v1::Outcome::INCONCLUSIVE) return;
  if (test_.test.must_fail().reasons_size() > 0) {
    ApplyMustFailReasons();
  } else {
    ApplyMustFailStatuses();
  }
}

void AttemptResult::MustFailPassed(std::string message) {
  outcome_ = v1::Outcome::FAILED;
  reason_ = v1::FailureReason::must_fail_passed;
  message_ = std::move(message);
}

void AttemptResult::ApplyMustFailReasons() {
  const v1::MustFail& must_fail = test_.test.must_fail();
  if (outcome_ == v1::Outcome::PASSED) {
    return MustFailPassed(
        absl::StrCat("the test must fail with ", ReasonNames(must_fail), ", but it passed"));
  }
  const auto named = [&](v1::FailureReason::Value reason) {
    const auto& reasons = must_fail.reasons();
    return std::find(reasons.begin(), reasons.end(), static_cast<int>(reason)) != reasons.end();
  };
  if (!named(reason_)) return;
  // What else went wrong, as in a step that cleans up, was not meant to.
  for (size_t i = 0; i < steps_.size(); ++i) {
    const StepRecord& record = steps_[i];
    const v1::Step& step = *test_.steps[i].step;
    const bool failed = record.outcome == v1::Outcome::FAILED && !named(record.reason);
    if ((!failed && record.outcome != v1::Outcome::INCONCLUSIVE) || step.allow_failure()) continue;
    outcome_ = record.outcome;
    reason_ = record.reason;
    message_ = absl::StrCat("step '", step.name(), "': ", record.message);
    return;
  }
  Pass();
}

// The status stands beside what else is expected: that must hold as well.
void AttemptResult::ApplyMustFailStatuses() {
  const v1::MustFail& must_fail = test_.test.must_fail();
  const uint32_t status = http_.has_value() ? http_->status() : 0;
  const bool named = std::any_of(
      must_fail.statuses().begin(), must_fail.statuses().end(), [&](uint32_t wanted) {
        return status != 0 && (status == wanted || status / 100 == wanted);
      });
  if (named) {
    if (outcome_ != v1::Outcome::PASSED) return;
    message_ = absl::StrCat("the status is ", status);
    return Pass();
  }
  // No answer at all is a failure of its own kind.
  if (status == 0 && outcome_ == v1::Outcome::FAILED) return;
  MustFailPassed(
      absl::StrCat("the status must be ", StatusNames(must_fail), ", but it was ", status));
}

// What nothing but learning gates looked at has not passed.
void AttemptResult::ApplyLearning() {
  if (outcome_ != v1::Outcome::PASSED) return;
  uint32_t judged = 0, learning = 0;
  for (const StepRecord& step : steps_) {
    judged += step.passed + step.failed;
    learning += step.learning;
  }
  if (learning == 0 || judged > 0) return;
  outcome_ = v1::Outcome::INCONCLUSIVE;
  reason_ = v1::FailureReason::learning;
  message_ = "its only assertion is a regression gate that still lacks history";
  for (const StepRecord& step : steps_) {
    for (const v1::Assertion& assertion : step.assertions) {
      if (!assertion.unjudged().empty()) {
        message_ = absl::StrCat(assertion.subject(), " ", assertion.operator_(),
                                " could not be judged: ", assertion.unjudged());
        return;
      }
    }
  }
}

void AttemptResult::WriteHops(const StepRecord& record, size_t& bytes, v1::StepResult& out) const {
  for (const HopRecord& hop : record.hops) {
    if (bytes > DefaultEngineLimits().hops_bytes) break;
    v1::Hop& told = *out.add_hops();
    told.set_url(hop.url);
    told.set_status(static_cast<uint32_t>(hop.status));
    WriteTimes(hop.times, *told.mutable_measurement());
    if (hop.http.has_value()) *told.mutable_measurement()->mutable_http() = *hop.http;
    bytes += told.ByteSizeLong();
  }
}

void AttemptResult::WriteSteps(v1::Attempt& out) const {
  const bool told = test_.test.has_replay() || test_.steps.size() > 1 ||
                    out.outcome() != v1::Outcome::PASSED ||
                    (!steps_.empty() && steps_[0].hops.size() > 1);
  if (!told) return;
  size_t bytes = 0, evidence_bytes = 0;
  for (size_t i = 0; i < steps_.size() && i < DefaultEngineLimits().steps_told; ++i) {
    const StepRecord& record = steps_[i];
    v1::StepResult& step = *out.add_steps();
    step.set_name(test_.steps[i].step->name());
    step.set_outcome(record.outcome);
    step.set_reason(record.reason);
    step.set_message(record.message);
    step.set_skipped(record.skipped);
    if (record.skipped || record.hops.empty()) continue;
    WriteTimes(record.times, *step.mutable_measurement());
    WriteHops(record, bytes, step);
    if (!record.evidence.has_value()) continue;
    evidence_bytes += record.evidence->ByteSizeLong();
    if (evidence_bytes <= DefaultEngineLimits().replay_evidence_bytes) {
      *step.mutable_evidence() = *record.evidence;
    }
  }
}

void AttemptResult::WriteAssertions(v1::Attempt& out) {
  uint32_t passed = 0, failed = 0, unjudged = 0, learning = 0;
  std::vector<v1::Assertion*> all;
  for (StepRecord& step : steps_) {
    passed += step.passed;
    failed += step.failed;
    unjudged += step.unjudged;
    learning += step.learning;
    for (v1::GateTime& time : step.gate_times) *out.add_gate_times() = std::move(time);
    for (v1::Assertion& assertion : step.assertions) all.push_back(&assertion);
  }
  out.set_assertions_passed(passed);
  out.set_assertions_failed(failed);
  out.set_assertions_unjudged(unjudged);
  out.set_assertions_learning(learning);
  // Within the room there is, those that did not pass come before those that did; they
  // stand in their own order.
  const bool few = out.outcome() == v1::Outcome::PASSED && !test_.test.has_replay();
  size_t room = few ? DefaultLimits().passing_result_bytes : DefaultEngineLimits().assertions_bytes;
  std::vector<bool> keep(all.size(), false);
  for (const bool wanted : {false, true}) {
    for (size_t i = 0; i < all.size(); ++i) {
      if (all[i]->passed() != wanted) continue;
      const size_t bytes = all[i]->ByteSizeLong() + 3;
      if (bytes > room) {
        room = 0;
        break;
      }
      room -= bytes;
      keep[i] = true;
    }
  }
  for (size_t i = 0; i < all.size(); ++i) {
    if (keep[i]) *out.add_assertions() = std::move(*all[i]);
  }
}

void AttemptResult::FitPassing(v1::Attempt& out) const {
  // The fleet adds the agent's name and location.
  const size_t most = DefaultLimits().passing_result_bytes - DefaultEngineLimits().agent_text_bytes;
  size_t bytes = out.ByteSizeLong();
  while (bytes > most && out.assertions_size() > 0) {
    bytes -= out.assertions(out.assertions_size() - 1).ByteSizeLong() + 2;
    out.mutable_assertions()->RemoveLast();
  }
  if (bytes > most) {
    for (v1::StepResult& step : *out.mutable_steps()) {
      for (v1::Hop& hop : *step.mutable_hops()) hop.mutable_measurement()->clear_http();
    }
    bytes = out.ByteSizeLong();
  }
  if (bytes > most) out.clear_steps();
  if (out.ByteSizeLong() > most) out.clear_warnings();
  if (out.ByteSizeLong() > most && out.measurement().has_http()) {
    out.mutable_measurement()->mutable_http()->clear_addresses_tried();
  }
}

v1::Attempt AttemptResult::Build(uint32_t number, absl::Time start, absl::Duration duration) {
  if (outcome_ == v1::Outcome::OUTCOME_UNSPECIFIED) outcome_ = v1::Outcome::PASSED;
  if (aborted_) {
    outcome_ = v1::Outcome::INCONCLUSIVE;
    reason_ = v1::FailureReason::attempt_aborted;
    message_ = "stopped because the run ended";
  } else if (test_.test.has_must_fail()) {
    ApplyMustFail();
  } else {
    ApplyLearning();
  }
  v1::Attempt out;
  out.set_number(number);
  out.set_outcome(outcome_);
  out.set_reason(reason_);
  if (!message_.empty()) {
    out.set_message(CleanText(message_, DefaultEngineLimits().message_bytes));
  }
  const int64_t ns = absl::ToUnixNanos(start);
  out.mutable_start_time()->set_seconds(ns / 1'000'000'000);
  out.mutable_start_time()->set_nanos(static_cast<int32_t>(ns % 1'000'000'000));
  out.set_duration_us(
      static_cast<uint32_t>(std::min<int64_t>(absl::ToInt64Microseconds(duration), UINT32_MAX)));
  if (http_.has_value()) {
    uint32_t redirects = 0;
    for (const StepRecord& step : steps_) {
      if (step.hops.size() > 1) redirects += static_cast<uint32_t>(step.hops.size() - 1);
    }
    http_->set_redirects(redirects);
    WriteTimes(times_, *out.mutable_measurement());
    *out.mutable_measurement()->mutable_http() = *std::move(http_);
  }
  quality_.set_poor(!PoorReason(quality_).empty());
  *out.mutable_quality() = quality_;
  for (std::string& warning : warnings_) out.add_warnings(std::move(warning));
  WriteSteps(out);
  WriteAssertions(out);
  if (outcome_ == v1::Outcome::PASSED) {
    if (!test_.test.has_replay()) FitPassing(out);
  } else if (has_evidence()) {
    *out.mutable_evidence() = std::move(evidence_);
  }
  return out;
}

}  // namespace picket
