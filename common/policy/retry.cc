#include "common/policy/retry.h"

#include <algorithm>

#include "common/policy/limits.h"

namespace picket {
namespace {

bool OutcomeIsRetried(v1::Retry::On on, const v1::Attempt& attempt) {
  const bool failed = attempt.outcome() == v1::Outcome::FAILED;
  switch (on) {
    case v1::Retry::FAILED:
      return failed;
    case v1::Retry::NETWORK:
      return failed && attempt.reason() != v1::FailureReason::assertion &&
             attempt.reason() != v1::FailureReason::extract;
    case v1::Retry::INCONCLUSIVE:
      return attempt.outcome() == v1::Outcome::INCONCLUSIVE;
    default:
      return false;
  }
}

}  // namespace

bool RetryWanted(const v1::Retry& retry, const v1::Attempt& last, uint32_t attempts) {
  const uint32_t most = std::min(retry.attempts(), DefaultLimits().attempts_most);
  if (attempts >= most) return false;
  if (retry.on().empty()) {
    return OutcomeIsRetried(v1::Retry::FAILED, last) ||
           OutcomeIsRetried(v1::Retry::INCONCLUSIVE, last);
  }
  for (const int on : retry.on()) {
    if (OutcomeIsRetried(static_cast<v1::Retry::On>(on), last)) return true;
  }
  return false;
}

v1::Retry::Where RetryWhere(const v1::Retry& retry, uint32_t attempts) {
  if (retry.where().empty()) return v1::Retry::SAME_AGENT;
  const int rung = static_cast<int>(std::max(attempts, 1u)) - 1;
  return static_cast<v1::Retry::Where>(retry.where(std::min(rung, retry.where_size() - 1)));
}

absl::Duration RetryDelay(const v1::Retry& retry, uint32_t attempts) {
  absl::Duration delay =
      absl::Seconds(retry.delay().seconds()) + absl::Nanoseconds(retry.delay().nanos());
  const absl::Duration longest = DefaultLimits().retry_delay_longest;
  for (uint32_t i = 1;
       i < attempts && delay < longest && delay > absl::ZeroDuration() && retry.backoff() > 1;
       ++i) {
    delay *= retry.backoff();
  }
  return std::clamp(delay, absl::ZeroDuration(), longest);
}

}  // namespace picket
