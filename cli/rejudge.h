// File: rejudge.h
//
// A stored run under another policy, and why a test stands as it does, in words.
//
// Thread rule: pure.

#ifndef CLI_REJUDGE_H_
#define CLI_REJUDGE_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "cli/stored_run.h"
#include "common/policy/judge.h"
#include "common/suite_file/policy_file.h"

namespace picket {

// The run with the policies of `file` in place of its own. A pass after a failure ends as
// the new `flaky` says; no other end changes. InvalidArgument, with file:line:col where it
// has one: a test that the run does not hold or that is named twice, or more locations
// wanted than the test has.
absl::StatusOr<StoredRun> UnderPolicy(const StoredRun& stored, const PolicyFile& file);

// How the locations of one test x row ended.
struct RowCount {
  uint32_t planned = 0;  // not skipped
  uint32_t passed = 0, failed = 0;
  uint32_t needed = 0;  // passes that the policy asks for
  RowVerdict verdict = RowVerdict::kLeftOut;
};
RowCount CountRow(const StoredRun& stored, uint32_t test, uint32_t row);

// "2 of 3 locations must pass (majority): 1 passed, 2 failed, so it FAILED".
std::string RowRule(const v1::Policy& policy, const RowCount& count);

// "PASSED", "FAILED", "INCONCLUSIVE", "left out".
absl::string_view RowVerdictName(RowVerdict verdict);

// "buy a chair (checkout/buy-a-chair) row 3". Not escaped.
std::string RowTitle(const StoredRun& stored, uint32_t test, uint32_t row);

}  // namespace picket

#endif  // CLI_REJUDGE_H_
