// File: history.h
//
// What a run leaves behind for the regression gates of later runs, and what a new run
// finds: between them the store, which keeps rows and reads none of them.
//
// All functions are pure and thread-safe.

#ifndef COORDINATOR_CORE_HISTORY_H_
#define COORDINATOR_CORE_HISTORY_H_

#include <optional>
#include <string>
#include <vector>

#include "coordinator/core/records.h"
#include "coordinator/core/run_plan.h"

namespace picket {

// What to remember of an execution that was just decided by `result`; nothing if it neither
// passed nor merely learns, and nothing of a replay. A test with gates leaves the first good
// measurement of every row, and nothing without one; any other test the last measurement of
// one row.
std::optional<HistoryRow> RowToRemember(const RunPlan& plan, uint32_t execution,
                                        const std::string& location,
                                        const v1::ExecutionResult& result, absl::Time now);

// The row whose duration stands for all rows of a test without gates in this run, drawn by the
// run's id: the first to be decided would be the quickest, not a usual one.
uint32_t RowThatStands(const std::string& run_id, uint32_t rows);

// Writes `past_times` of `test` for one location: one time a run, newest first. `rows` are the
// test's under all its ids, newest first.
void AddPastTimes(const std::string& location, const std::vector<HistoryRow>& rows,
                  v1::Test& test);

}  // namespace picket

#endif  // COORDINATOR_CORE_HISTORY_H_
