// File: result_log.h
//
// The results of one run in memory: appended packed, found by execution.
//
// Thread rule: thread-compatible.

#ifndef COORDINATOR_STORE_RESULT_LOG_H_
#define COORDINATOR_STORE_RESULT_LOG_H_

#include <cstdint>
#include <string>
#include <vector>

#include "coordinator/core/records.h"

namespace picket {

class ResultLog {
 public:
  void Append(const ResultRow& row);
  // Those of the executions [first, first + count), in order of arrival.
  std::vector<ResultRow> Load(const std::string& run_id, uint32_t first, uint32_t count) const;
  size_t size() const { return entries_.size(); }
  void Clear();

 private:
  struct Entry {
    uint32_t chunk;
    uint32_t offset;
    uint32_t next;  // entry of the same execution, or kNone
  };
  struct Ends {
    uint32_t first;
    uint32_t last;
  };
  static constexpr uint32_t kNone = 0xffffffff;

  std::vector<std::string> chunks_;
  std::vector<Entry> entries_;
  std::vector<Ends> by_execution_;
};

}  // namespace picket

#endif  // COORDINATOR_STORE_RESULT_LOG_H_
