// File: sql_rows.h
//
// Rows of an SQL store to and from plain values: the column lists and how they are
// read. Shared by the reads and the commit.
//
// Thread rule: pure.

#ifndef COORDINATOR_STORE_SQL_ROWS_H_
#define COORDINATOR_STORE_SQL_ROWS_H_

#include "absl/status/status.h"
#include "coordinator/store/compare.h"
#include "coordinator/store/sql_driver.h"
#include "coordinator/store/store.h"

namespace picket {

// Columns, in the order that the functions below read them, from column 0.
#define PICKET_RUN_COLUMNS                                                                    \
  "request_id, spec_digest, fail_fast, max_failures, priority, expect_agents, executions, "   \
  "shards, undecided, failed, failed_blocking, run, evidence_bytes, evidence_count, "         \
  "late_results"
#define PICKET_SHARD_COLUMNS \
  "shard, location, priority, rev, epoch, expected_us, ends, executions, marks"
#define PICKET_LEASE_COLUMNS \
  "shard, epoch, instance, spool, agent, location, positions, isolated, ended"
#define PICKET_AGENT_COLUMNS "spool, coordinator, renewed_us, agent"
#define PICKET_TEST_COLUMNS "idx, first_execution, digest, test"

absl::Status ReadRun(const SqlRow& row, RunRow& run, RunBudget* budget = nullptr);
absl::Status ReadShard(const SqlRow& row, const std::string& run_id, ShardRow& shard);
absl::Status ReadLease(const SqlRow& row, const std::string& run_id, LeaseRow& lease);
absl::Status ReadAgent(const SqlRow& row, AgentRow& agent);
// With `rows`, column 4 is data_rows.
absl::Status ReadTest(const SqlRow& row, DataRows rows, TestRow& test);

// Ends as stored: one byte each.
inline absl::string_view EndsAsBytes(const std::vector<EndByte>& ends) {
  return {reinterpret_cast<const char*>(ends.data()), ends.size()};
}

// When the run was sealed, microseconds; 0 = it is not.
int64_t SealMicros(const v1::Run& run);

// Reads all tests, or all shards, of a run, in order.
absl::Status ReadAllTests(SqlDriver& driver, const std::string& project,
                          const std::string& run_id, DataRows rows, std::vector<TestRow>& tests);
absl::Status ReadAllShards(SqlDriver& driver, const std::string& project,
                           const std::string& run_id, std::vector<ShardRow>& shards);

}  // namespace picket

#endif  // COORDINATOR_STORE_SQL_ROWS_H_
