#include "coordinator/core/planner.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <vector>

#include "common/policy/limits.h"
#include "coordinator/core/proto_time.h"
#include "coordinator/core/run_plan.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/core/specs.h"

namespace picket {
namespace {

PlanRequest Request(v1::RunSpec spec) {
  PlanRequest request;
  request.run_id = "aaaaaaaaaaaaaaaa";
  request.project = "default";
  request.spec = std::move(spec);
  request.now = absl::FromUnixSeconds(1'700'000'000);
  return request;
}

v1::Test Table(const std::string& id, const std::vector<std::string>& locations, int rows) {
  v1::Test test = MakeTest(id, locations);
  AddRows(test, rows);
  return test;
}

TEST(PlannerTest, EveryExecutionIsInExactlyOneShardOfItsLocation) {
  ASSERT_OK_AND_ASSIGN(const RunPlanned planned,
                       PlanRun(Request(MakeSpec({MakeTest("a", {"eu", "us"}),
                                                 Table("b", {"us"}, 5000),
                                                 Table("c", {"eu", "us", "ap"}, 7)}))));
  EXPECT_EQ(planned.admit.run.executions, 2u + 5000u + 21u);
  auto plan = MakeRunPlan(planned.admit.run, planned.admit.tests, {});
  std::set<uint32_t> seen;
  for (const ShardRow& shard : planned.admit.shards) {
    ASSERT_LE(shard.executions.size(), kShardMost);
    ASSERT_EQ(shard.executions.size(), shard.ends.size());
    for (uint32_t execution : shard.executions) {
      EXPECT_TRUE(seen.insert(execution).second) << execution;
      EXPECT_EQ(DescribeExecution(*plan, execution, kUndecided).location(), shard.location);
    }
  }
  EXPECT_EQ(seen.size(), planned.admit.run.executions);
  EXPECT_EQ(planned.admit.run.undecided, planned.admit.run.executions);
}

TEST(PlannerTest, ShardsFallInSizeSoThatNoAgentKeepsALongTail) {
  PlanRequest request = Request(MakeSpec({Table("t", {"eu"}, 2000)}));
  request.fleet["eu"] = {.agents = 4, .capacity = 40};
  ASSERT_OK_AND_ASSIGN(const RunPlanned planned, PlanRun(std::move(request)));
  const auto& shards = planned.admit.shards;
  ASSERT_GT(shards.size(), 10u);
  for (size_t i = 1; i < shards.size(); ++i) {
    EXPECT_LE(shards[i].executions.size(), shards[i - 1].executions.size());
  }
  EXPECT_EQ(shards.front().executions.size(), 2000u / 12 + 1);
  EXPECT_LE(shards.back().executions.size(), 8u);
}

TEST(PlannerTest, HigherPrioritiesComeFirstAndLongestFirstWithin) {
  v1::Test slow = MakeTest("slow", {"eu"});
  v1::Test quick = MakeTest("quick", {"eu"});
  v1::Test urgent = MakeTest("urgent", {"eu"});
  urgent.set_priority(10);
  PlanRequest request = Request(MakeSpec({quick, slow, urgent}));
  request.durations = {1000, 9'000'000, 10};
  ASSERT_OK_AND_ASSIGN(const RunPlanned planned, PlanRun(std::move(request)));
  ASSERT_EQ(planned.admit.shards.size(), 2u);
  EXPECT_EQ(planned.admit.shards[0].executions, (std::vector<uint32_t>{2}));
  EXPECT_EQ(planned.admit.shards[0].priority, 10);
  EXPECT_EQ(planned.admit.shards[1].executions, (std::vector<uint32_t>{1, 0}));
}

TEST(PlannerTest, ARunsPriorityIsAddedAndClamped) {
  v1::Test test = MakeTest("t", {"eu"});
  test.set_priority(60);
  v1::RunSpec spec = MakeSpec({test});
  spec.set_priority(70);
  ASSERT_OK_AND_ASSIGN(const RunPlanned planned, PlanRun(Request(spec)));
  EXPECT_EQ(planned.admit.shards[0].priority, DefaultLimits().priority_most);
}

TEST(PlannerTest, SkippedTestsArePlannedAndDecided) {
  v1::Test skipped = MakeTest("s", {"eu", "us"});
  skipped.set_skip("broken");
  ASSERT_OK_AND_ASSIGN(const RunPlanned planned,
                       PlanRun(Request(MakeSpec({skipped, MakeTest("t", {"eu"})}))));
  EXPECT_EQ(planned.admit.run.executions, 3u);
  EXPECT_EQ(planned.admit.run.undecided, 1u);
  EXPECT_EQ(planned.admit.run.run.ledger().skipped(), 2u);
  EXPECT_EQ(planned.admit.run.run.state(), v1::Run::QUEUED);
}

TEST(PlannerTest, APlanWithNothingToRunIsSealedInconclusive) {
  for (v1::RunSpec spec : {MakeSpec({}), MakeSpec({Table("t", {"eu"}, 0)})}) {
    ASSERT_OK_AND_ASSIGN(const RunPlanned planned, PlanRun(Request(spec)));
    EXPECT_EQ(planned.admit.run.run.state(), v1::Run::SEALED);
    EXPECT_EQ(planned.admit.run.run.verdict(), v1::Verdict::INCONCLUSIVE);
    EXPECT_EQ(planned.admit.run.run.ledger().planned(), 0u);
  }
}

TEST(PlannerTest, RowsTravelApartFromTheirTest) {
  ASSERT_OK_AND_ASSIGN(const RunPlanned planned, PlanRun(Request(MakeSpec({Table("t", {"eu"}, 3)}))));
  const TestRow& row = planned.admit.tests[0];
  EXPECT_EQ(row.rows.rows_size(), 3);
  EXPECT_EQ(row.test.for_each().rows_size(), 0);
  EXPECT_EQ(row.test.for_each().columns_size(), 1);
  auto plan = MakeRunPlan(planned.admit.run, planned.admit.tests, {});
  EXPECT_EQ(plan->tests[0].rows.size(), 3u);
  EXPECT_EQ(plan->tests[0].rows.At(2).cells(0), "2");
}

TEST(PlannerTest, TheDeadlineIsTheDefaultUnlessGivenAndNeverBeyondTheLongest) {
  v1::RunSpec spec = MakeSpec({MakeTest("t", {"eu"})});
  spec.clear_deadline();
  ASSERT_OK_AND_ASSIGN(const RunPlanned usual, PlanRun(Request(spec)));
  spec.mutable_deadline()->set_seconds(1'000'000);
  ASSERT_OK_AND_ASSIGN(const RunPlanned longest, PlanRun(Request(spec)));
  const auto length = [](const RunPlanned& planned) {
    return TimeOf(planned.admit.run.run.deadline_time()) -
           TimeOf(planned.admit.run.run.create_time());
  };
  EXPECT_EQ(length(usual), DefaultLimits().deadline_default);
  EXPECT_EQ(length(longest), DefaultLimits().deadline_longest);
}

TEST(PlannerTest, TheSmallestMaxFailuresOfAnySuiteHolds) {
  v1::RunSpec spec = MakeSpec({MakeTest("t", {"eu"})});
  spec.mutable_suites(0)->set_max_failures(9);
  v1::Suite other;
  other.set_name("other");
  other.set_max_failures(4);
  *spec.add_suites() = other;
  ASSERT_OK_AND_ASSIGN(const RunPlanned planned, PlanRun(Request(spec)));
  EXPECT_EQ(planned.admit.run.max_failures, 4u);
  EXPECT_EQ(planned.admit.run.run.suite(), "shop, other");
}

TEST(PlannerTest, TheEstimateSaysHowLongAndHowManyAgentsTheDeadlineNeeds) {
  v1::RunSpec spec = MakeSpec({Table("t", {"eu"}, 1000), MakeTest("u", {"moon"})});
  spec.mutable_deadline()->set_seconds(60);
  PlanRequest request = Request(spec);
  request.durations = {1'000'000, 0};
  request.fleet["eu"] = {.agents = 2, .capacity = 8};
  ASSERT_OK_AND_ASSIGN(const RunPlanned planned, PlanRun(std::move(request)));
  EXPECT_EQ(planned.estimate.agents(), 2u);
  EXPECT_EQ(planned.estimate.expected_ms(), 125'000u);
  EXPECT_EQ(planned.estimate.agents_needed(), 5u + 1u);
  ASSERT_EQ(planned.estimate.locations_without_agents_size(), 1);
  EXPECT_EQ(planned.estimate.locations_without_agents(0), "moon");
}

TEST(PlannerTest, AgentsToComeAreReckonedWithAsTheLiveOnesAre) {
  v1::RunSpec spec = MakeSpec({Table("t", {"eu"}, 1000)});
  spec.set_expect_agents(5);
  PlanRequest request = Request(spec);
  request.durations = {1'000'000};
  request.fleet["eu"] = {.agents = 2, .capacity = 8};
  ASSERT_OK_AND_ASSIGN(const RunPlanned planned, PlanRun(std::move(request)));
  EXPECT_EQ(planned.estimate.agents(), 5u);
  EXPECT_EQ(planned.estimate.expected_ms(), 50'000u);
}

TEST(PlannerTest, NoRunIsShorterThanItsLongestExecution) {
  PlanRequest request = Request(MakeSpec({Table("t", {"eu"}, 3)}));
  request.durations = {7'000'000};
  request.fleet["eu"] = {.agents = 2, .capacity = 8};
  ASSERT_OK_AND_ASSIGN(const RunPlanned planned, PlanRun(std::move(request)));
  EXPECT_EQ(planned.estimate.expected_ms(), 7'000u);
}

TEST(PlannerTest, WithoutHistoryNothingIsEstimated) {
  PlanRequest request = Request(MakeSpec({Table("t", {"eu"}, 1000)}));
  request.fleet["eu"] = {.agents = 2, .capacity = 8};
  ASSERT_OK_AND_ASSIGN(const RunPlanned planned, PlanRun(std::move(request)));
  EXPECT_EQ(planned.estimate.expected_ms(), 0u);
  EXPECT_EQ(planned.estimate.agents_needed(), 0u);
}

TEST(PlannerTest, AMillionExecutionsArePlannedInAFewThousandShards) {
  ASSERT_OK_AND_ASSIGN(const RunPlanned planned,
                       PlanRun(Request(MakeSpec({Table("t", {"eu", "us"}, 500'000)}))));
  EXPECT_EQ(planned.admit.run.executions, 1'000'000u);
  EXPECT_LT(planned.admit.shards.size(), 5000u);
}

}  // namespace
}  // namespace picket
