// File: policy_file.h
//
// The policy under which a run that is stored is judged again (`picket judge`):
//
//   version: 1
//   policy: { locations: majority, flaky: pass, inconclusive: fail }   # for every test
//   tests:                                                             # and for some
//     checkout/buy-a-chair: { blocking: false }
//     home-page-answers: { policy: { locations: { at_least: 2 } } }
//
// `policy` is that of suite files, key by key: what is not named stays as the run had it,
// and a test's own stands over the file's. A test is named SUITE/ID, or ID where only one
// suite of the run has it.
//
// Strict as suite files are: unknown keys, wrong types and duplicates are errors, and so is
// a file that contradicts itself or says nothing. What only the run can tell (no such test,
// more locations wanted than it has) is told when it is applied.
//
// Thread rule: safe to call from any thread.

#ifndef COMMON_SUITE_FILE_POLICY_FILE_H_
#define COMMON_SUITE_FILE_POLICY_FILE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "common/suite_file/suite_file.h"
#include "picket/v1/suite.pb.h"

namespace picket {

// Of a policy, the parts that are named.
struct PolicyChange {
  std::optional<v1::Policy::Locations> locations;
  uint32_t at_least = 0;  // with AT_LEAST
  std::optional<v1::Policy::Flaky> flaky;
  std::optional<v1::Policy::Inconclusive> inconclusive;

  void ApplyTo(v1::Policy& policy) const;
};

struct TestPolicyChange {
  std::string suite;  // empty: whichever has the id
  std::string test_id;
  std::optional<bool> blocking;
  PolicyChange policy;
  // Where it stands, for errors that only the run can tell.
  int line = 0, column = 0;
};

struct PolicyFile {
  std::string file;  // for messages
  PolicyChange policy;
  std::vector<TestPolicyChange> tests;  // in file order
};

struct ParsedPolicy {
  PolicyFile policy;
  // Empty = good. In file order.
  std::vector<Diagnostic> diagnostics;
};

ParsedPolicy ParsePolicyFile(absl::string_view text, const std::string& file_name);

}  // namespace picket

#endif  // COMMON_SUITE_FILE_POLICY_FILE_H_
