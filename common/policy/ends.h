// File: ends.h
//
// One byte says how an execution ended: the low four bits hold an End::Value, bit 4
// the flaky mark, bit 5 the learning mark, bit 6 that a probe elsewhere is still awaited.
// The byte is what shards persist, so its values never change.
//
// A probe is made for attribution, after its execution was decided: the end stands
// and is counted, and only the run waits, so that its blame is known when it is sealed.
//
// All functions are pure and thread-safe.

#ifndef COMMON_POLICY_ENDS_H_
#define COMMON_POLICY_ENDS_H_

#include <cstdint>

#include "picket/v1/result.pb.h"
#include "picket/v1/run.pb.h"
#include "picket/v1/suite.pb.h"

namespace picket {

using EndByte = uint8_t;

inline constexpr EndByte kUndecided = 0;
inline constexpr EndByte kFlakyBit = 0x10;
inline constexpr EndByte kLearningBit = 0x20;
inline constexpr EndByte kProbingBit = 0x40;

constexpr EndByte MakeEnd(v1::End::Value end, bool flaky = false, bool learning = false) {
  return static_cast<EndByte>(static_cast<uint8_t>(end) | (flaky ? kFlakyBit : 0) |
                              (learning ? kLearningBit : 0));
}
constexpr v1::End::Value EndOf(EndByte byte) { return static_cast<v1::End::Value>(byte & 0x0f); }
constexpr bool IsFlaky(EndByte byte) { return (byte & kFlakyBit) != 0; }
constexpr bool IsLearning(EndByte byte) { return (byte & kLearningBit) != 0; }
constexpr bool IsProbing(EndByte byte) { return (byte & kProbingBit) != 0; }
constexpr EndByte WithProbe(EndByte byte) { return static_cast<EndByte>(byte | kProbingBit); }
constexpr EndByte WithoutProbe(EndByte byte) { return static_cast<EndByte>(byte & ~kProbingBit); }
// The run waits for it: undecided, or a probe is awaited.
constexpr bool IsOpen(EndByte byte) {
  return EndOf(byte) == v1::End::UNDECIDED || IsProbing(byte);
}

// The end that a result gives its execution under the test's flaky policy: a pass
// after a failure is PASSED or, with FLAKY_FAIL, FAILED; both carry the flaky mark.
// REQUIRES: `outcome` is not OUTCOME_UNSPECIFIED.
EndByte DecideEnd(v1::Outcome::Value outcome, bool flaky, const v1::Policy& policy);

// Whether a regression gate of the attempt that decided - or, if none did, of the last one -
// still lacks history. Probes are passed over.
bool StillLearns(const v1::ExecutionResult& result);

// Folds attempts (SEMANTICS: an execution is its last attempt that is not
// inconclusive; flaky if it passed after a failed one). Attempts marked `probe` are
// passed over, unless there is nothing else. Fills `outcome`, `flaky` and `reason` of
// `result` from its attempts.
// `failed_before`: attempts under earlier leases already failed.
void FoldAttempts(bool failed_before, v1::ExecutionResult& result);

// Adds one end to a ledger (`planned` too). REQUIRES: the byte is decided, or the
// ledger is a running one, whose parts need not add up yet.
void AddToLedger(EndByte end, v1::Ledger& ledger);

}  // namespace picket

#endif  // COMMON_POLICY_ENDS_H_
