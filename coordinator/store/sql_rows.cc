#include "coordinator/store/sql_rows.h"

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "coordinator/store/codec.h"

namespace picket {
namespace {

template <typename Message>
absl::Status Parse(absl::string_view bytes, absl::string_view what, Message& message) {
  if (message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return absl::OkStatus();
  }
  return absl::DataLossError(
      absl::StrCat("the store is damaged: its record of ", what, " cannot be read"));
}

}  // namespace

absl::Status ReadRun(const SqlRow& row, RunRow& run, RunBudget* budget) {
  run.request_id = row.String(0);
  run.spec_digest = row.String(1);
  run.fail_fast = row.Int(2) != 0;
  run.max_failures = static_cast<uint32_t>(row.Int(3));
  run.priority = static_cast<int32_t>(row.Int(4));
  run.expect_agents = static_cast<uint32_t>(row.Int(5));
  run.executions = static_cast<uint32_t>(row.Int(6));
  run.shards = static_cast<uint32_t>(row.Int(7));
  run.undecided = static_cast<uint32_t>(row.Int(8));
  run.failed = static_cast<uint32_t>(row.Int(9));
  run.failed_blocking = static_cast<uint32_t>(row.Int(10));
  if (budget != nullptr) {
    budget->evidence_bytes = static_cast<uint64_t>(row.Int(12));
    budget->evidence_count = static_cast<uint64_t>(row.Int(13));
    budget->late_results = static_cast<uint64_t>(row.Int(14));
  }
  return Parse(row.Bytes(11), "a run", run.run);
}

absl::Status ReadShard(const SqlRow& row, const std::string& run_id, ShardRow& shard) {
  shard.run_id = run_id;
  shard.shard = static_cast<uint32_t>(row.Int(0));
  shard.location = row.String(1);
  shard.priority = static_cast<int32_t>(row.Int(2));
  shard.rev = static_cast<uint64_t>(row.Int(3));
  shard.epoch = static_cast<uint32_t>(row.Int(4));
  shard.expected_us = static_cast<uint32_t>(row.Int(5));
  const absl::string_view ends = row.Bytes(6);
  shard.ends.assign(ends.begin(), ends.end());
  ABSL_RETURN_IF_ERROR(DecodeNumbers(row.Bytes(7), shard.executions));
  ABSL_RETURN_IF_ERROR(DecodeMarks(row.Bytes(8), shard.leased, shard.marks));
  if (shard.ends.size() != shard.executions.size()) {
    return absl::DataLossError(absl::StrCat("the store is damaged: shard ", shard.shard,
                                            " of run ", run_id, " has ", shard.ends.size(),
                                            " ends for ", shard.executions.size(), " executions"));
  }
  return absl::OkStatus();
}

absl::Status ReadLease(const SqlRow& row, const std::string& run_id, LeaseRow& lease) {
  lease.run_id = run_id;
  lease.shard = static_cast<uint32_t>(row.Int(0));
  lease.epoch = static_cast<uint32_t>(row.Int(1));
  lease.instance = row.String(2);
  lease.spool = row.String(3);
  lease.agent = row.String(4);
  lease.location = row.String(5);
  ABSL_RETURN_IF_ERROR(DecodeNumbers(row.Bytes(6), lease.positions));
  lease.isolated = row.Int(7) != 0;
  lease.ended = row.Int(8) != 0;
  return absl::OkStatus();
}

absl::Status ReadAgent(const SqlRow& row, AgentRow& agent) {
  agent.spool = row.String(0);
  agent.coordinator = row.String(1);
  agent.renewed = TimeFromMicros(row.Int(2));
  return Parse(row.Bytes(3), "an agent", agent.agent);
}

absl::Status ReadTest(const SqlRow& row, DataRows rows, TestRow& test) {
  test.index = static_cast<uint32_t>(row.Int(0));
  test.first_execution = static_cast<uint32_t>(row.Int(1));
  test.digest = row.String(2);
  ABSL_RETURN_IF_ERROR(Parse(row.Bytes(3), "a test", test.test));
  if (rows == DataRows::kSkip) return absl::OkStatus();
  return Parse(row.Bytes(4), "a test's rows", test.rows);
}

int64_t SealMicros(const v1::Run& run) {
  if (run.state() != v1::Run::SEALED) return 0;
  return run.seal_time().seconds() * 1'000'000 + run.seal_time().nanos() / 1000;
}

absl::Status ReadAllTests(SqlDriver& driver, const std::string& project,
                          const std::string& run_id, DataRows rows, std::vector<TestRow>& tests) {
  return driver.Query(rows == DataRows::kLoad
                          ? "SELECT " PICKET_TEST_COLUMNS ", data_rows"
                            " FROM run_tests WHERE project = $1 AND run_id = $2 ORDER BY idx"
                          : "SELECT " PICKET_TEST_COLUMNS
                            " FROM run_tests WHERE project = $1 AND run_id = $2 ORDER BY idx",
                      {SqlValue::Text(project), SqlValue::Text(run_id)},
                      [&](const SqlRow& row) { return ReadTest(row, rows, tests.emplace_back()); });
}

absl::Status ReadAllShards(SqlDriver& driver, const std::string& project,
                           const std::string& run_id, std::vector<ShardRow>& shards) {
  return driver.Query(
      "SELECT " PICKET_SHARD_COLUMNS
      " FROM shards WHERE project = $1 AND run_id = $2 ORDER BY shard",
      {SqlValue::Text(project), SqlValue::Text(run_id)},
      [&](const SqlRow& row) { return ReadShard(row, run_id, shards.emplace_back()); });
}

}  // namespace picket
