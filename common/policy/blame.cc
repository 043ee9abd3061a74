#include "common/policy/blame.h"

#include <algorithm>
#include <map>

namespace picket {
namespace {

bool Answers(const v1::Attempt& attempt) {
  return attempt.outcome() == v1::Outcome::PASSED || attempt.outcome() == v1::Outcome::FAILED;
}

v1::Blame::Value OfInconclusive(const v1::Execution& execution) {
  const bool learning = std::all_of(
      execution.attempts().begin(), execution.attempts().end(), [](const v1::Attempt& attempt) {
        return attempt.probe() || attempt.reason() == v1::FailureReason::learning;
      });
  const bool any = std::any_of(execution.attempts().begin(), execution.attempts().end(),
                               [](const v1::Attempt& attempt) { return !attempt.probe(); });
  return any && learning ? v1::Blame::none : v1::Blame::agent;
}

v1::Blame::Value OfFlaky(const v1::Execution& execution) {
  struct Record {
    uint32_t passed = 0, failed = 0;
    bool network = false;
  };
  std::map<std::string, Record> agents;
  for (const v1::Attempt& attempt : execution.attempts()) {
    if (attempt.probe() || !Answers(attempt)) continue;
    Record& record = agents[attempt.agent()];
    if (attempt.outcome() == v1::Outcome::PASSED) {
      ++record.passed;
    } else {
      ++record.failed;
      record.network |= IsNetworkFailure(attempt.reason());
    }
  }
  const Record* only = nullptr;  // the one agent that failed
  for (const auto& [agent, record] : agents) {
    if (record.failed == 0) continue;
    if (only != nullptr) return v1::Blame::flaky;
    only = &record;
  }
  if (only == nullptr || only->passed > 0) return v1::Blame::flaky;
  return only->network || only->failed >= 2 ? v1::Blame::agent : v1::Blame::flaky;
}

v1::Blame::Value OfFailed(const BlameEvidence& evidence) {
  std::map<std::string, bool> elsewhere;  // location -> passes
  for (const v1::Attempt& attempt : evidence.execution->attempts()) {
    if (!attempt.probe() || !Answers(attempt)) continue;
    elsewhere[attempt.location()] = attempt.outcome() == v1::Outcome::PASSED;
  }
  for (const OtherEnd& other : evidence.others) {
    if (other.end == v1::End::PASSED || other.end == v1::End::FAILED) {
      elsewhere[other.location] = other.end == v1::End::PASSED;
    }
  }
  const auto passes = static_cast<size_t>(std::count_if(
      elsewhere.begin(), elsewhere.end(), [](const auto& place) { return place.second; }));
  if (passes <= elsewhere.size() - passes) return v1::Blame::target;
  return evidence.local ? v1::Blame::flaky : v1::Blame::location;
}

}  // namespace

v1::Blame::Value BlameOf(const BlameEvidence& evidence) {
  const v1::Execution& execution = *evidence.execution;
  if (execution.flaky()) return evidence.local ? v1::Blame::flaky : OfFlaky(execution);
  switch (execution.end()) {
    case v1::End::FAILED:
      return OfFailed(evidence);
    case v1::End::INCONCLUSIVE:
      return OfInconclusive(execution);
    default:
      return v1::Blame::none;
  }
}

bool IsNetworkFailure(v1::FailureReason::Value reason) {
  switch (reason) {
    case v1::FailureReason::dns_not_found:
    case v1::FailureReason::dns_timeout:
    case v1::FailureReason::dns_no_address:
    case v1::FailureReason::dns_server_failure:
    case v1::FailureReason::connect_refused:
    case v1::FailureReason::connect_timeout:
    case v1::FailureReason::connect_reset:
    case v1::FailureReason::connect_unreachable:
    case v1::FailureReason::tls_expired:
    case v1::FailureReason::tls_wrong_host:
    case v1::FailureReason::tls_untrusted:
    case v1::FailureReason::tls_protocol:
    case v1::FailureReason::tls_client_certificate:
    case v1::FailureReason::tls_timeout:
    case v1::FailureReason::timeout_send:
    case v1::FailureReason::timeout_first_byte:
    case v1::FailureReason::timeout_transfer:
    case v1::FailureReason::proxy_error:
      return true;
    default:
      return false;
  }
}

}  // namespace picket
