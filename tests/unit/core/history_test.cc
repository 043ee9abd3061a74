#include "coordinator/core/history.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "common/policy/regression.h"
#include "coordinator/core/planner.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/core/specs.h"

namespace picket {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

const absl::Time kNow = absl::FromUnixSeconds(1'700'000'000);

void AddGate(v1::Test& test, const std::string& phase = "first_byte", int over = 5) {
  v1::Expectation& expectation = *test.mutable_steps(0)->add_expect();
  expectation.set_subject(v1::Subject::time);
  expectation.set_argument(phase);
  v1::Operation& operation = *expectation.add_operations();
  operation.set_operator_(v1::Operator::regression);
  operation.set_operand_json(absl::StrCat(R"({"at_most_percent":20.0,"over":)", over, "}"));
}

std::shared_ptr<const RunPlan> PlanOf(v1::Test test) {
  PlanRequest request;
  request.run_id = "aaaaaaaaaaaaaaaa";
  request.project = "default";
  request.spec = MakeSpec({std::move(test)});
  request.spec.set_baseline("main");
  request.now = kNow;
  const AdmitRun admit = PlanRun(std::move(request))->admit;
  return MakeRunPlan(admit.run, admit.tests, {});
}

v1::Attempt& AddAttempt(v1::ExecutionResult& result, v1::Outcome::Value outcome,
                        v1::FailureReason::Value reason, uint32_t us) {
  v1::Attempt& attempt = *result.add_attempts();
  attempt.set_outcome(outcome);
  attempt.set_reason(reason);
  attempt.set_duration_us(us + 100);
  v1::Phase& phase = *attempt.mutable_measurement()->add_phases();
  phase.set_name(v1::Phase::first_byte);
  phase.set_us(us);
  v1::GateTime& time = *attempt.add_gate_times();
  time.set_phase(v1::Phase::first_byte);
  time.set_us(us);
  result.set_outcome(outcome);
  result.set_reason(reason);
  return attempt;
}

v1::PastMeasurement Past(const HistoryRow& row) {
  v1::PastMeasurement past;
  EXPECT_TRUE(past.ParseFromString(row.measurement));
  return past;
}

TEST(RowToRememberTest, IsTheFirstGoodMeasurementOfAGatedTest) {
  v1::Test test = MakeTest("a", {"eu"});
  AddGate(test);
  const auto plan = PlanOf(test);
  v1::ExecutionResult result;
  AddAttempt(result, v1::Outcome::FAILED, v1::FailureReason::connect_refused, 1);
  AddAttempt(result, v1::Outcome::INCONCLUSIVE, v1::FailureReason::measuring, 900)
      .mutable_quality()
      ->set_poor(true);
  AddAttempt(result, v1::Outcome::INCONCLUSIVE, v1::FailureReason::measuring, 700);
  AddAttempt(result, v1::Outcome::PASSED, v1::FailureReason::none, 500);
  const auto row = RowToRemember(*plan, 0, "eu", result, kNow);
  ASSERT_TRUE(row.has_value());
  EXPECT_EQ(Past(*row).gate_times(0).us(), 700u);
  EXPECT_EQ(row->total_us, 800u);
  EXPECT_EQ(row->test_id, "a");
  EXPECT_EQ(row->baseline, "main");
  EXPECT_FALSE(row->learning);
}

TEST(RowToRememberTest, WhatFailedOrCouldNotTellIsNotRemembered) {
  v1::Test test = MakeTest("a", {"eu"});
  AddGate(test);
  const auto plan = PlanOf(test);
  v1::ExecutionResult failed, poor, nothing;
  AddAttempt(failed, v1::Outcome::FAILED, v1::FailureReason::assertion, 700);
  AddAttempt(poor, v1::Outcome::INCONCLUSIVE, v1::FailureReason::measurement_poor, 700);
  nothing.set_outcome(v1::Outcome::PASSED);
  for (const auto& result : {failed, poor, nothing}) {
    EXPECT_FALSE(RowToRemember(*plan, 0, "eu", result, kNow).has_value());
  }
}

TEST(RowToRememberTest, WhatMerelyLearnsIsMarked) {
  v1::Test test = MakeTest("a", {"eu"});
  AddGate(test);
  v1::ExecutionResult result;
  AddAttempt(result, v1::Outcome::INCONCLUSIVE, v1::FailureReason::learning, 700);
  const auto row = RowToRemember(*PlanOf(test), 0, "eu", result, kNow);
  ASSERT_TRUE(row.has_value());
  EXPECT_TRUE(row->learning);
}

TEST(RowToRememberTest, WithoutGatesTheDurationOfTheLastAttemptIsKept) {
  v1::ExecutionResult result;
  AddAttempt(result, v1::Outcome::FAILED, v1::FailureReason::assertion, 700);
  AddAttempt(result, v1::Outcome::PASSED, v1::FailureReason::none, 500);
  const auto row = RowToRemember(*PlanOf(MakeTest("a", {"eu"})), 0, "eu", result, kNow);
  ASSERT_TRUE(row.has_value());
  EXPECT_EQ(row->total_us, 600u);
}

TEST(RowToRememberTest, NamesTheDataRowByItsCells) {
  v1::Test test = MakeTest("a", {"eu"});
  AddGate(test);
  AddRows(test, 3);
  const v1::Row second = test.for_each().rows(1);
  v1::ExecutionResult result;
  AddAttempt(result, v1::Outcome::PASSED, v1::FailureReason::none, 500);
  const auto row = RowToRemember(*PlanOf(test), 1, "eu", result, kNow);
  ASSERT_TRUE(row.has_value());
  EXPECT_EQ(Past(*row).row(), RowKey(&second));
}

TEST(RowToRememberTest, OneRowStandsForAllWhicheverIsDecidedFirst) {
  v1::Test test = MakeTest("a", {"eu"});
  AddRows(test, 40);
  v1::ExecutionResult result;
  AddAttempt(result, v1::Outcome::PASSED, v1::FailureReason::none, 500);
  const auto plan = PlanOf(test);
  for (uint32_t i = 0; i < 40; ++i) {
    EXPECT_EQ(RowToRemember(*plan, i, "eu", result, kNow).has_value(),
              i == RowThatStands(plan->run_id, 40))
        << i;
  }
  // From run to run it is another one.
  std::set<uint32_t> rows;
  for (int run = 0; run < 2000; ++run) rows.insert(RowThatStands(absl::StrCat("run", run), 40));
  EXPECT_EQ(rows.size(), 40u);
  EXPECT_EQ(RowThatStands("x", 1), 0u);
}

TEST(RowToRememberTest, AReplayLeavesNothing) {
  v1::Test test = MakeTest("a", {"eu"});
  test.mutable_replay();
  v1::ExecutionResult result;
  AddAttempt(result, v1::Outcome::PASSED, v1::FailureReason::none, 500);
  EXPECT_FALSE(RowToRemember(*PlanOf(test), 0, "eu", result, kNow).has_value());
}

HistoryRow Row(const std::string& run_id, uint32_t us, const std::string& key = "") {
  v1::PastMeasurement past;
  v1::GateTime& time = *past.add_gate_times();
  time.set_phase(v1::Phase::first_byte);
  time.set_us(us);
  past.set_row(key);
  HistoryRow row;
  row.run_id = run_id;
  row.measurement = past.SerializeAsString();
  return row;
}

std::vector<uint32_t> Times(const v1::Test& test, const std::string& row = "",
                            const std::string& phase = "first_byte") {
  for (const v1::PastTimes& times : test.past_times()) {
    if (times.row() == row && times.phase() == phase) return {times.us().begin(), times.us().end()};
  }
  return {};
}

TEST(AddPastTimesTest, OneTimeARunNewestFirstAsManyAsTheGateIsOver) {
  v1::Test test = MakeTest("a", {"eu"});
  AddGate(test);
  std::vector<HistoryRow> rows;
  for (uint32_t i = 0; i < 8; ++i) {
    rows.push_back(Row(absl::StrCat("run", i), 100 + i));
    rows.push_back(Row(absl::StrCat("run", i), 900));  // again
  }
  AddPastTimes("eu", rows, test);
  ASSERT_EQ(test.past_times_size(), 1);
  EXPECT_EQ(test.past_times(0).location(), "eu");
  EXPECT_THAT(Times(test), ElementsAre(100, 101, 102, 103, 104));
}

TEST(AddPastTimesTest, TwoGatesOfOnePhaseShareTheLongerList) {
  v1::Test test = MakeTest("a", {"eu"});
  AddGate(test, "first_byte", 5);
  AddGate(test, "first_byte", 6);
  std::vector<HistoryRow> rows;
  for (uint32_t i = 0; i < 8; ++i) rows.push_back(Row(absl::StrCat("run", i), i));
  AddPastTimes("eu", rows, test);
  EXPECT_EQ(Times(test).size(), 6u);
}

TEST(AddPastTimesTest, RowsAreKeptApartAndWhatCannotBeReadIsPassedOver) {
  v1::Test test = MakeTest("a", {"eu"});
  AddGate(test);
  HistoryRow damaged;
  damaged.measurement = "\xff\xff";
  AddPastTimes("eu", {Row("r1", 1, "x"), damaged, Row("r1", 2, "y"), Row("r2", 3, "x")}, test);
  EXPECT_THAT(Times(test, "x"), ElementsAre(1, 3));
  EXPECT_THAT(Times(test, "y"), ElementsAre(2));
}

TEST(AddPastTimesTest, WhatWasMeasuredBeforeThereWasAGateCounts) {
  v1::Test test = MakeTest("a", {"eu"});
  AddGate(test, "total");
  v1::PastMeasurement past;
  v1::Phase& phase = *past.mutable_measurement()->add_phases();
  phase.set_name(v1::Phase::total);
  phase.set_us(44);
  HistoryRow row;
  row.run_id = "r";
  row.measurement = past.SerializeAsString();
  AddPastTimes("eu", {row}, test);
  EXPECT_THAT(Times(test, "", "total"), ElementsAre(44));
  v1::Test other = MakeTest("b", {"eu"});
  AddPastTimes("eu", {row}, other);
  EXPECT_THAT(other.past_times(), IsEmpty()) << "a test without a gate needs none";
}

}  // namespace
}  // namespace picket
