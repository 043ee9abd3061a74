// File: codec.h
//
// How rows become bytes: the compact encodings of what a store keeps by the million.
// All numbers are base-128 varints, least significant group first; signed ones are
// zigzag. A format never changes once released: a new one gets a new leading byte.
//
// All functions are pure and thread-safe. Decoders take bytes from a disk and answer
// DataLoss when these are not what the encoder wrote.

#ifndef COORDINATOR_STORE_CODEC_H_
#define COORDINATOR_STORE_CODEC_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/policy/ends.h"
#include "coordinator/core/records.h"

namespace picket {

// Microseconds since 1970; the two infinities are the extremes of int64.
int64_t TimeToMicros(absl::Time time);
absl::Time TimeFromMicros(int64_t micros);

// Numbers in any order, small when they form ascending runs:
// byte 1, count, then (zigzag step from the end of the last run, run length - 1)*.
std::string EncodeNumbers(const std::vector<uint32_t>& numbers);
absl::Status DecodeNumbers(absl::string_view bytes, std::vector<uint32_t>& numbers);

// What a shard keeps of its executions besides their ends. Byte 2, the number of runs in
// `leased` and their lengths, beginning with a run of those never leased, then the number
// of marks and one record each: numbers, flags, instance, times, and with the flag for it
// the locations that were asked for a probe. Empty: nothing of either. Byte 1 had no runs
// and a count of leases in each record.
std::string EncodeMarks(const std::vector<bool>& leased, const std::map<uint32_t, Mark>& marks);
absl::Status DecodeMarks(absl::string_view bytes, std::vector<bool>& leased,
                         std::map<uint32_t, Mark>& marks);

// Appends one result: execution, shard, epoch, flags, length, serialised
// v1::ExecutionResult. Evidence is not part of it.
void AppendResult(const ResultRow& row, std::string& bytes);

// Reads what AppendResult wrote, one result after the other.
class ResultReader {
 public:
  // `bytes` must outlive the reader.
  explicit ResultReader(absl::string_view bytes) : rest_(bytes) {}

  bool Done() const { return rest_.empty(); }
  // The next result's execution, without parsing the rest of it. DataLoss: no more
  // can be read.
  absl::Status Next();
  uint32_t execution() const { return execution_; }
  // Parses the result that Next has found, all but run_id and evidence.
  absl::Status Parse(ResultRow& row) const;

 private:
  absl::string_view rest_;
  uint32_t execution_ = 0;
  uint32_t shard_ = 0;
  uint32_t epoch_ = 0;
  uint8_t flags_ = 0;
  absl::string_view payload_;
};

}  // namespace picket

#endif  // COORDINATOR_STORE_CODEC_H_
