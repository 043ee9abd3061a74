// File: sql_results.h
//
// Finds the packed results of a run by execution. A run's results lie in rows of a few
// thousand bytes in order of arrival; which execution is in which row is learnt by one
// reading of their heads, kept in memory (8 bytes a result) and brought up to date by
// reading what came since.
//
// Thread rule: thread-compatible.

#ifndef COORDINATOR_STORE_SQL_RESULTS_H_
#define COORDINATOR_STORE_SQL_RESULTS_H_

#include <cstdint>
#include <list>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "coordinator/core/records.h"
#include "coordinator/store/sql_driver.h"

namespace picket {

class SqlResults {
 public:
  // Those of the executions [first, first + count), in order of arrival.
  absl::StatusOr<std::vector<ResultRow>> Load(SqlDriver& driver, const std::string& project,
                                              const std::string& run_id, uint32_t first,
                                              uint32_t count);
  // Results have been deleted.
  void Forget() { indexes_.clear(); }

 private:
  struct Index {
    std::string run_id;
    int64_t last_id = 0;
    std::vector<int64_t> ids;       // of rows, ascending
    std::vector<uint64_t> entries;  // execution << 32 | position in `ids`, ascending
  };

  // The run's index, most recently used first.
  Index& Find(const std::string& run_id);
  static absl::Status Update(SqlDriver& driver, const std::string& project, Index& index);

  std::list<Index> indexes_;
};

}  // namespace picket

#endif  // COORDINATOR_STORE_SQL_RESULTS_H_
