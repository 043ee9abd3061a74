// File: retry.h
//
// What `retry:` of a test means, for agent and coordinator alike. Attempts are counted
// over the life of an execution; probes and lost leases are not attempts.
//
// `where` is a ladder: the first retry takes its first rung, the second retry the
// second, and further ones stay on the last. Empty is same_agent.
//
// All functions are pure.

#ifndef COMMON_POLICY_RETRY_H_
#define COMMON_POLICY_RETRY_H_

#include <cstdint>

#include "absl/time/time.h"
#include "picket/v1/result.pb.h"
#include "picket/v1/suite.pb.h"

namespace picket {

// True if an execution whose last attempt is `last`, after `attempts` in all, is to be
// tried again, wherever that is. Empty `on` is [failed, inconclusive].
bool RetryWanted(const v1::Retry& retry, const v1::Attempt& last, uint32_t attempts);

// Where the attempt after `attempts` (at least 1) is made.
v1::Retry::Where RetryWhere(const v1::Retry& retry, uint32_t attempts);

// How long to wait before it: delay x backoff^(attempts-1), at most
// Limits::retry_delay_longest.
absl::Duration RetryDelay(const v1::Retry& retry, uint32_t attempts);

}  // namespace picket

#endif  // COMMON_POLICY_RETRY_H_
