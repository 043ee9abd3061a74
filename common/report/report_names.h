// File: report_names.h
//
// Names of cases that consumers can tell apart: GitLab keeps only the first of two cases
// with one class and name, so the location and the row are part of the name, and the
// test's id too where two tests of a suite share a name.
//
// Thread rule: thread-compatible.

#ifndef COMMON_REPORT_REPORT_NAMES_H_
#define COMMON_REPORT_REPORT_NAMES_H_

#include <cstdint>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "picket/v1/run.pb.h"

namespace picket {

class CaseNames {
 public:
  // "buy a chair [eu-west] row 3", not escaped. Executions come by number.
  std::string Of(const v1::Execution& execution);

 private:
  // Hashes only: a million names do not have to be kept.
  absl::flat_hash_map<uint64_t, uint64_t> first_id_;
  std::string suite_, test_id_;
  bool with_id_ = false;
};

}  // namespace picket

#endif  // COMMON_REPORT_REPORT_NAMES_H_
