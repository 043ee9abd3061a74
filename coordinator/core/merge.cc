#include "coordinator/core/merge.h"

#include <algorithm>

#include "common/policy/limits.h"
#include "common/policy/retry.h"
#include "coordinator/core/proto_time.h"

namespace picket {
namespace {

// The number of the last attempt that counts against `retry.attempts`; 0 = there is none.
uint32_t LastNumber(const v1::ExecutionResult& result) {
  uint32_t last = 0;
  for (const v1::Attempt& attempt : result.attempts()) {
    if (!attempt.probe()) last = std::max(last, attempt.number());
  }
  return last;
}

// Two leases of one execution may both have made its first attempts: those that are on
// record already count no more.
void DropKnownAttempts(uint32_t known, v1::ExecutionResult& result) {
  auto& attempts = *result.mutable_attempts();
  attempts.erase(std::remove_if(attempts.begin(), attempts.end(),
                                [&](const v1::Attempt& a) {
                                  return !a.probe() && a.number() <= known;
                                }),
                 attempts.end());
}

bool AnyFailed(const v1::ExecutionResult& result) {
  return std::any_of(result.attempts().begin(), result.attempts().end(), [](const auto& a) {
    return !a.probe() && a.outcome() == v1::Outcome::FAILED;
  });
}

}  // namespace

MergeOutcome MergeResult(const v1::Retry& retry, const v1::Policy& policy,
                         absl::string_view instance, absl::Time now, v1::ExecutionResult& result,
                         EndByte& end, Mark& mark) {
  const uint32_t attempts = LastNumber(result);
  const bool news = end == kUndecided && attempts > mark.attempts;
  if (news && mark.attempts > 0) DropKnownAttempts(mark.attempts, result);
  FoldAttempts(mark.failed_before, result);
  const EndByte would = DecideEnd(result.outcome(), result.flaky(), policy);
  if (!news) {
    return {.merge = Merge::kLate,
            .disagrees = end != kUndecided && EndOf(end) != EndOf(would)};
  }
  const v1::Attempt& last = result.attempts(result.attempts_size() - 1);
  const bool again = RetryWanted(retry, last, attempts);
  const bool probe = again && RetryWhere(retry, attempts) == v1::Retry::ANYWHERE;
  if (again && !probe) {
    mark.attempts = attempts;
    mark.failed_before |= AnyFailed(result);
    mark.started = false;
    mark.give_up = absl::InfiniteFuture();
    mark.avoid_instance = std::string(instance);
    mark.not_before = now + RetryDelay(retry, attempts);
    return {.merge = Merge::kAgain};
  }
  end = MakeEnd(EndOf(would), IsFlaky(would), StillLearns(result));
  mark = Mark();
  return {.merge = Merge::kDecided, .probe = probe};
}

EndByte JoinEnds(EndByte a, EndByte b) {
  if (EndOf(a) == v1::End::UNDECIDED) return b;
  if (EndOf(b) == v1::End::UNDECIDED) return a;
  if (WithoutProbe(a) == WithoutProbe(b)) return std::min(a, b);
  return std::max(WithoutProbe(a), WithoutProbe(b));
}

void AddLedger(const v1::Ledger& other, v1::Ledger& ledger) {
  ledger.set_planned(ledger.planned() + other.planned());
  ledger.set_passed(ledger.passed() + other.passed());
  ledger.set_failed(ledger.failed() + other.failed());
  ledger.set_inconclusive(ledger.inconclusive() + other.inconclusive());
  ledger.set_skipped(ledger.skipped() + other.skipped());
  ledger.set_cancelled(ledger.cancelled() + other.cancelled());
  ledger.set_expired(ledger.expired() + other.expired());
  ledger.set_unassigned(ledger.unassigned() + other.unassigned());
  ledger.set_flaky(ledger.flaky() + other.flaky());
  ledger.set_learning(ledger.learning() + other.learning());
}

Loss LoseLease(bool repeatable, bool counted, absl::Time now, Mark& mark) {
  if (mark.started && !repeatable) {
    if (mark.give_up == absl::InfiniteFuture()) {
      mark.give_up = now + DefaultLimits().late_decision_grace;
    }
    return Loss::kWait;
  }
  if (counted && ++mark.losses >= DefaultLimits().losses_most) return Loss::kAgentLost;
  return Loss::kFree;
}

bool RunsAlone(const Mark& mark) { return mark.losses >= DefaultLimits().leases_before_isolation; }

v1::ExecutionResult InventResult(uint32_t execution, const Mark& mark,
                                 v1::FailureReason::Value reason, absl::string_view message,
                                 absl::string_view location, absl::Time now) {
  v1::ExecutionResult result;
  result.set_execution(execution);
  result.set_outcome(v1::Outcome::INCONCLUSIVE);
  result.set_reason(reason);
  v1::Attempt* attempt = result.add_attempts();
  attempt->set_number(mark.attempts + 1);
  attempt->set_outcome(v1::Outcome::INCONCLUSIVE);
  attempt->set_reason(reason);
  attempt->set_message(std::string(message));
  attempt->set_location(std::string(location));
  SetTimestamp(now, attempt->mutable_start_time());
  return result;
}

}  // namespace picket
