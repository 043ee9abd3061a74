#include "tests/contract/store/store_contract.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "tests/support/status_matchers.h"

namespace picket {

void StoreContract::SetUp() {
  std::string reason;
  fixture_ = GetParam().make(reason);
  if (fixture_ == nullptr) GTEST_SKIP() << reason;
}

Outcome StoreContract::Put(Proposal proposal) {
  std::vector<Proposal> batch;
  batch.push_back(std::move(proposal));
  absl::StatusOr<CommitResult> result = store().Commit(batch);
  EXPECT_OK(result);
  if (!result.ok()) return Outcome();
  EXPECT_EQ(result->outcomes.size(), 1u);
  return std::move(result->outcomes.at(0));
}

RunRow StoreContract::Admit(const std::string& run_id, uint32_t tests,
                            std::vector<std::string> locations) {
  AdmitRun admit = MakeAdmission(run_id, tests, locations);
  RunRow run = admit.run;
  EXPECT_TRUE(Put(std::move(admit)).committed);
  return run;
}

ShardRow StoreContract::Shard(const std::string& run_id, uint32_t shard) {
  absl::StatusOr<std::vector<ShardRow>> shards = store().LoadShards(run_id);
  EXPECT_OK(shards);
  if (!shards.ok() || shard >= shards->size()) {
    ADD_FAILURE() << "no shard " << shard << " of run " << run_id;
    return ShardRow();
  }
  return std::move((*shards)[shard]);
}

RunRow StoreContract::Run(const std::string& run_id) {
  absl::StatusOr<RunRow> run = store().GetRun(run_id);
  EXPECT_OK(run);
  return run.ok() ? *std::move(run) : RunRow();
}

std::string RunId(int number) {
  std::string id = "aaaaaaaaaaaaaaaa";
  for (size_t i = id.size(); number > 0; number /= 26) {
    id[--i] = static_cast<char>('a' + number % 26);
  }
  return id;
}

AdmitRun MakeAdmission(const std::string& run_id, uint32_t tests,
                       const std::vector<std::string>& locations) {
  AdmitRun admit;
  RunRow& row = admit.run;
  row.run.set_run_id(run_id);
  row.run.set_project("default");
  row.run.set_suite("shop");
  row.run.set_state(v1::Run::QUEUED);
  row.run.set_test_count(tests);
  (*row.run.mutable_labels())["ci.branch"] = "main";
  row.request_id = absl::StrCat("request-", run_id);
  row.spec_digest = std::string(32, 'd');
  row.priority = -3;
  row.max_failures = 7;
  row.fail_fast = true;
  row.expect_agents = 2;
  row.executions = tests * static_cast<uint32_t>(locations.size());
  row.undecided = row.executions;
  row.shards = static_cast<uint32_t>(locations.size());
  row.run.mutable_ledger()->set_planned(row.executions);
  for (uint32_t i = 0; i < tests; ++i) {
    TestRow test;
    test.index = i;
    test.first_execution = i * static_cast<uint32_t>(locations.size());
    test.digest = std::string(32, static_cast<char>('a' + i % 26));
    test.test.set_suite("shop");
    test.test.set_id(absl::StrCat("test-", i));
    test.test.set_name(absl::StrCat("test ", i));
    test.test.set_blocking(true);
    test.test.mutable_policy()->set_locations(v1::Policy::ALL);
    test.test.mutable_policy()->set_flaky(v1::Policy::FLAKY_PASS);
    test.test.mutable_policy()->set_inconclusive(v1::Policy::INCONCLUSIVE_INCONCLUSIVE);
    for (const std::string& location : locations) test.test.add_locations(location);
    test.test.add_steps()->mutable_http()->set_url("http://127.0.0.1/");
    admit.tests.push_back(std::move(test));
  }
  for (uint32_t s = 0; s < locations.size(); ++s) {
    ShardRow shard;
    shard.run_id = run_id;
    shard.shard = s;
    shard.location = locations[s];
    shard.priority = -3;
    shard.expected_us = 1500;
    for (uint32_t i = 0; i < tests; ++i) {
      shard.executions.push_back(i * static_cast<uint32_t>(locations.size()) + s);
    }
    shard.ends.assign(tests, kUndecided);
    admit.shards.push_back(std::move(shard));
  }
  return admit;
}

ResultRow MakeResult(const std::string& run_id, uint32_t shard, uint32_t execution,
                     v1::Outcome::Value outcome) {
  ResultRow row;
  row.run_id = run_id;
  row.shard = shard;
  row.execution = execution;
  row.epoch = 1;
  row.deciding = true;
  row.result.set_execution(execution);
  row.result.set_outcome(outcome);
  v1::Attempt& attempt = *row.result.add_attempts();
  attempt.set_number(1);
  attempt.set_outcome(outcome);
  attempt.set_agent("agent-1");
  attempt.set_duration_us(1234);
  return row;
}

AgentRow MakeAgent(const std::string& instance, const std::string& name,
                   const std::string& location, const std::string& coordinator) {
  AgentRow row;
  row.agent.set_instance(instance);
  row.agent.set_name(name);
  row.agent.set_location(location);
  row.agent.set_state(v1::Agent::LIVE);
  row.agent.set_capacity(8);
  (*row.agent.mutable_labels())["rack"] = "r1";
  row.spool = absl::StrCat("spool-", instance);
  row.coordinator = coordinator;
  return row;
}

}  // namespace picket
