#include "common/policy/ends.h"

namespace picket {

EndByte DecideEnd(v1::Outcome::Value outcome, bool flaky, const v1::Policy& policy) {
  switch (outcome) {
    case v1::Outcome::PASSED:
      if (!flaky) return MakeEnd(v1::End::PASSED);
      return MakeEnd(policy.flaky() == v1::Policy::FLAKY_FAIL ? v1::End::FAILED : v1::End::PASSED,
                     true);
    case v1::Outcome::FAILED:
      return MakeEnd(v1::End::FAILED);
    default:
      return MakeEnd(v1::End::INCONCLUSIVE);
  }
}

void FoldAttempts(bool failed_before, v1::ExecutionResult& result) {
  const v1::Attempt* deciding = nullptr;  // the last that is not inconclusive
  const v1::Attempt* last = nullptr;
  bool failed = failed_before;  // before the deciding one
  bool failed_so_far = failed_before;
  for (const v1::Attempt& attempt : result.attempts()) {
    if (attempt.probe()) continue;
    last = &attempt;
    if (attempt.outcome() == v1::Outcome::PASSED || attempt.outcome() == v1::Outcome::FAILED) {
      deciding = &attempt;
      failed = failed_so_far;
      failed_so_far |= attempt.outcome() == v1::Outcome::FAILED;
    }
  }
  result.set_flaky(false);
  if (deciding != nullptr) {
    result.set_outcome(deciding->outcome());
    result.set_reason(deciding->reason());
    result.set_flaky(deciding->outcome() == v1::Outcome::PASSED && failed);
    return;
  }
  if (last == nullptr && !result.attempts().empty()) {  // a probe's result
    const v1::Attempt& probe = *result.attempts().rbegin();
    result.set_outcome(probe.outcome());
    result.set_reason(probe.reason());
    return;
  }
  // Nothing could be told here. A failure under an earlier lease still stands: it is
  // then the last attempt that is not inconclusive.
  result.set_outcome(failed_before ? v1::Outcome::FAILED : v1::Outcome::INCONCLUSIVE);
  result.set_reason(last != nullptr ? last->reason() : v1::FailureReason::agent_error);
}

bool StillLearns(const v1::ExecutionResult& result) {
  bool learns = false, decided = false;
  for (const v1::Attempt& attempt : result.attempts()) {
    const bool decides = attempt.outcome() == v1::Outcome::PASSED ||
                         attempt.outcome() == v1::Outcome::FAILED;
    if (attempt.probe() || (decided && !decides)) continue;
    decided = decided || decides;
    learns = attempt.assertions_learning() > 0;
  }
  return learns;
}

void AddToLedger(EndByte end, v1::Ledger& ledger) {
  ledger.set_planned(ledger.planned() + 1);
  if (IsFlaky(end)) ledger.set_flaky(ledger.flaky() + 1);
  if (IsLearning(end)) ledger.set_learning(ledger.learning() + 1);
  switch (EndOf(end)) {
    case v1::End::PASSED:
      ledger.set_passed(ledger.passed() + 1);
      break;
    case v1::End::FAILED:
      ledger.set_failed(ledger.failed() + 1);
      break;
    case v1::End::INCONCLUSIVE:
      ledger.set_inconclusive(ledger.inconclusive() + 1);
      break;
    case v1::End::SKIPPED:
      ledger.set_skipped(ledger.skipped() + 1);
      break;
    case v1::End::CANCELLED:
      ledger.set_cancelled(ledger.cancelled() + 1);
      break;
    case v1::End::EXPIRED:
      ledger.set_expired(ledger.expired() + 1);
      break;
    case v1::End::UNASSIGNED:
      ledger.set_unassigned(ledger.unassigned() + 1);
      break;
    default:
      break;  // undecided: planned alone
  }
}

}  // namespace picket
