// File: validate.h
//
// What a RunSpec must satisfy, whoever wrote it. The suite parser produces only
// valid tests; the coordinator checks again with this same code, since a client may
// be of another make.

#ifndef COMMON_POLICY_VALIDATE_H_
#define COMMON_POLICY_VALIDATE_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "picket/v1/run.pb.h"
#include "picket/v1/suite.pb.h"

namespace picket {

// InvalidArgument naming suite, test and field; ResourceExhausted naming the limit.
absl::Status ValidateTest(const v1::Test& test);
absl::Status ValidateRunSpec(const v1::RunSpec& spec);

// May `must_fail` name it? Those that a target can fail with.
bool IsMustFailReason(v1::FailureReason::Value reason);
// Whether a test that passes by it has judged no expectation of the step that failed.
bool NeverJudges(const v1::MustFail& must_fail);
// A tag: a title without commas and blanks.
bool IsTag(absl::string_view text);

// Names, as the suite file has them, of what the test uses and this build does not
// run; empty = everything. `run` refuses by these names; nothing is ignored.
std::vector<std::string> UnsupportedFeatures(const v1::Test& test);

}  // namespace picket

#endif  // COMMON_POLICY_VALIDATE_H_
