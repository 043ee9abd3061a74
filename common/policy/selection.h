// File: selection.h
//
// Which tests of a suite are planned, and where: -t, -g and -l of the command line.
//
// Thread rule: pure functions.

#ifndef COMMON_POLICY_SELECTION_H_
#define COMMON_POLICY_SELECTION_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "picket/v1/run.pb.h"
#include "picket/v1/suite.pb.h"

namespace picket {

struct Selection {
  // Each as written after -t: "a,b" selects tests with both tags; of several -t one must
  // hold. Empty = all tests.
  std::vector<std::string> tags;
  // RE2, unanchored, on the test's name. Empty = all.
  std::string grep;
  // Keeps these of a test's locations; a test whose only location is `default` runs at
  // all of them instead. Empty = as the suite says.
  std::vector<std::string> locations;
};

// Takes out of `suite` what is not selected; a test without a location left is taken out
// too, and none of them is planned. InvalidArgument: a bad regular expression or location
// name, or a policy that cannot hold with the locations that are left.
absl::Status Select(const Selection& selection, v1::Suite& suite);

// Takes out of `spec` the files that no test names any more.
void DropUnusedBlobs(v1::RunSpec& spec);

}  // namespace picket

#endif  // COMMON_POLICY_SELECTION_H_
