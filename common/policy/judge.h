// File: judge.h
//
// The verdict algebra: how ends become one word. A pure function of the plan's shape
// and the ends, so that a verdict can be judged again from what is stored.
//
// Judged in this order (the first that holds):
//   test x row over its n planned, not skipped locations, with k = n (all),
//   n/2+1 (majority) or N (at_least): PASSED if passed >= k, FAILED if
//   n - failed < k, else INCONCLUSIVE; n = 0 is left out.
//   run, over blocking tests: any FAILED -> FAILED; else any INCONCLUSIVE -> as the
//   test's policy.inconclusive says; else PASSED. No blocking test PASSED or FAILED
//   -> INCONCLUSIVE; a plan without blocking tests passes only if some execution
//   ended passed or failed.
// cancelled, expired, unassigned count as not passed and not failed.

#ifndef COMMON_POLICY_JUDGE_H_
#define COMMON_POLICY_JUDGE_H_

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "common/policy/ends.h"
#include "common/policy/plan_shape.h"
#include "picket/v1/run.pb.h"

namespace picket {

// How one test x row came out.
enum class RowVerdict : uint8_t { kLeftOut, kPassed, kFailed, kInconclusive };

struct Judgement {
  v1::Verdict::Value verdict = v1::Verdict::INCONCLUSIVE;
  v1::Ledger ledger;
  // One sentence for people.
  std::string explanation;
  // Tests x rows by how they came out, blocking ones only.
  uint32_t passed = 0, failed = 0, inconclusive = 0, left_out = 0;
  // The first few (test, row) that decided a verdict other than PASSED.
  struct Culprit {
    uint32_t test = 0;
    uint32_t row = 0;
    RowVerdict verdict = RowVerdict::kFailed;
  };
  std::vector<Culprit> culprits;
};

// REQUIRES: ends.size() == shape.executions(). Undecided bytes count as neither
// passed nor failed, so a running run may be judged too.
Judgement Judge(const PlanShape& shape, std::span<const EndByte> ends);

// How one test x row stands. REQUIRES: test and row are within the shape.
RowVerdict JudgeRow(const PlanShape& shape, std::span<const EndByte> ends, uint32_t test,
                    uint32_t row);

// Why a policy cannot hold for a test at `locations` places (at_least out of range), or ok.
absl::Status ValidatePolicy(const v1::Policy& policy, uint32_t locations);

}  // namespace picket

#endif  // COMMON_POLICY_JUDGE_H_
