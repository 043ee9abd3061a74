// File: evidence_reader.h
//
// Brings the evidence of failed attempts to their executions, for reports.
//
// Thread rule: thread-compatible.

#ifndef COMMON_REPORT_EVIDENCE_READER_H_
#define COMMON_REPORT_EVIDENCE_READER_H_

#include <cstddef>
#include <functional>
#include <utility>

#include "absl/status/statusor.h"
#include "picket/v1/result.pb.h"
#include "picket/v1/run.pb.h"

namespace picket {

class EvidenceReader {
 public:
  // Asks for the evidence of one attempt.
  using Get = std::function<absl::StatusOr<v1::Evidence>(uint32_t execution, uint32_t attempt)>;

  explicit EvidenceReader(Get get) : get_(std::move(get)) {}

  // Fills in what is kept of the attempts that did not pass. A coordinator keeps the
  // evidence of the first failures only; asking stops when it is clear that there is no
  // more.
  void Fill(v1::Execution& execution);

 private:
  const Get get_;
  size_t found_ = 0, missed_in_a_row_ = 0;
};

}  // namespace picket

#endif  // COMMON_REPORT_EVIDENCE_READER_H_
