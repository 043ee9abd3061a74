#include "common/policy/regression.h"

#include "common/policy/limits.h"
#include "common/policy/regression_limits.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"

namespace picket {
namespace {

using Value = RegressionAnswer::Value;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing_support::StatusIs;

constexpr RegressionRule kRule{.at_most_percent = 20, .over = 10};

// Ten runs around 10 ms.
RegressionTimes Quiet() {
  return {.before = {10'000, 9'900, 10'100, 9'800, 10'200, 10'050, 9'950, 10'300, 9'700, 10'000},
          .now = {},
          .made = 0};
}

RegressionAnswer Judge(std::vector<uint32_t> now, RegressionTimes times = Quiet()) {
  times.now = std::move(now);
  if (times.made == 0) times.made = static_cast<uint32_t>(times.now.size());
  return JudgeRegression(kRule, times);
}

TEST(RegressionTest, LearnsUntilThereAreAsManyRunsAsItIsOver) {
  RegressionTimes times = Quiet();
  times.before.pop_back();
  const RegressionAnswer answer = Judge({90'000}, times);
  EXPECT_EQ(answer.value, Value::kLearning);
  EXPECT_EQ(answer.runs, 9u);
  EXPECT_EQ(Describe(answer), "9 passing runs so far");
  EXPECT_EQ(Judge({90'000}).value, Value::kMeasure);
}

TEST(RegressionTest, OneGoodMeasurementSettlesIt) {
  EXPECT_EQ(Judge({11'000}).value, Value::kPassed);
  EXPECT_EQ(Judge({2'000}).value, Value::kPassed);
  EXPECT_EQ(Judge({11'001}).value, Value::kMeasure) << "more than half of what is allowed";
}

TEST(RegressionTest, ASlowOneIsMeasuredAgainUntilMostAreSettled) {
  EXPECT_EQ(Judge({20'000, 10'000}).value, Value::kMeasure);
  EXPECT_EQ(Judge({20'000, 10'000, 10'000}).value, Value::kMeasure);
  EXPECT_EQ(Judge({20'000, 10'000, 10'000, 12'000}).value, Value::kMeasure);
  EXPECT_EQ(Judge({20'000, 10'000, 10'000, 12'000, 11'900}).value, Value::kPassed)
      << "four of seven are within: so is the median";
}

TEST(RegressionTest, SlowAndSlowAgainFails) {
  const RegressionAnswer answer = Judge({15'000, 15'100, 15'000, 14'900, 15'200, 15'000, 15'050});
  EXPECT_EQ(answer.value, Value::kFailed);
  EXPECT_EQ(answer.samples, 7u);
  EXPECT_DOUBLE_EQ(answer.now_us, 15'000);
  EXPECT_DOUBLE_EQ(answer.before_us, 10'000);
  EXPECT_LT(answer.chance, 0.001);
  EXPECT_EQ(Describe(answer),
            "15ms, 50% slower than 10ms (median of 7 measurements now, of 10 runs before; "
            "p < 0.0001)");
  EXPECT_EQ(Describe(kRule), "at most 20% slower than the last 10 passing runs");
}

TEST(RegressionTest, SurelySlowerButNotByMuchPasses) {
  EXPECT_EQ(Judge({11'900, 11'950, 11'990, 11'900, 11'980, 11'999, 11'900}).value, Value::kPassed);
}

TEST(RegressionTest, MuchSlowerButNotSurelyPasses) {
  // Runs before were as noisy as this: the median is far above, and three runs were there too.
  RegressionTimes times = Quiet();
  times.before = {10'000, 30'000, 10'000, 31'000, 10'000, 29'000, 10'000, 10'000, 10'000, 10'000};
  EXPECT_EQ(Judge({28'000, 28'000, 28'000, 28'000, 28'000, 28'000, 28'000}, times).value,
            Value::kPassed);
}

TEST(RegressionTest, OneSlowRunBeforeDoesNotHideASlowdown) {
  RegressionTimes times = Quiet();
  times.before[3] = 60'000;
  EXPECT_EQ(Judge({15'000, 15'000, 15'000, 15'000, 15'000, 15'000, 15'000}, times).value,
            Value::kFailed);
}

TEST(RegressionTest, RunsPastOverAreNotLookedAt) {
  RegressionTimes times = Quiet();
  times.before.insert(times.before.end(), 50, 1);
  EXPECT_EQ(Judge({10'500}, times).value, Value::kPassed);
  EXPECT_EQ(Judge({10'500}, times).runs, 10u);
}

TEST(RegressionTest, WithoutEnoughGoodMeasurementsNobodyCanTell) {
  RegressionTimes times = Quiet();
  times.made = DefaultLimits().regression_tries - 1;
  EXPECT_EQ(Judge({15'000, 15'000}, times).value, Value::kMeasure);
  times.made = DefaultLimits().regression_tries;
  EXPECT_EQ(Judge({15'000, 15'000}, times).value, Value::kPoor);
  EXPECT_EQ(Judge({}, times).value, Value::kPoor);
}

TEST(RegressionTest, ItIsDecidedAtTheLatestWithTheLastOfTheMeasurements) {
  for (uint32_t us : {1u, 11'000u, 12'000u, 12'001u, 15'000u, 4'000'000'000u}) {
    const Value value = Judge(std::vector<uint32_t>(7, us)).value;
    EXPECT_TRUE(value == Value::kPassed || value == Value::kFailed) << us;
  }
}

TEST(RegressionTest, SlowerMeasurementsNeverTurnAFailureIntoAPass) {
  std::vector<uint32_t> now(7, 11'500);
  bool failed = false;
  for (int step = 0; step < 40; ++step) {
    const bool fails = Judge(now).value == Value::kFailed;
    EXPECT_TRUE(fails || !failed) << step;
    failed = failed || fails;
    now[static_cast<size_t>(step % 7)] += 400;
  }
  EXPECT_TRUE(failed);
}

TEST(RegressionTest, LessThanWeCanMeasureIsNoSlowdown) {
  RegressionTimes times = Quiet();
  times.before = {40, 41, 42, 43, 44, 45, 46, 47, 48, 49};
  const uint32_t least = static_cast<uint32_t>(
      absl::ToInt64Microseconds(DefaultRegressionLimits().least_slowdown));
  EXPECT_EQ(Judge(std::vector<uint32_t>(7, 44 + least), times).value, Value::kPassed);
  EXPECT_EQ(Judge(std::vector<uint32_t>(7, 46 + least), times).value, Value::kFailed);
  EXPECT_EQ(Judge({400}, times).value, Value::kPassed) << "ten times as long, and settled at once";
}

TEST(RegressionTest, AZeroBeforeIsNotDividedBy) {
  RegressionTimes times = Quiet();
  times.before.assign(10, 0);
  const RegressionAnswer answer = Judge(std::vector<uint32_t>(7, 5'000), times);
  EXPECT_EQ(answer.value, Value::kFailed);
  EXPECT_THAT(Describe(answer), HasSubstr("0% slower"));
}

TEST(RegressionTest, OperandsThatAreNoneAreToldApart) {
  const auto rule = ParseRegression(R"({"at_most_percent":12.5,"over":30})");
  ASSERT_TRUE(rule.has_value());
  EXPECT_DOUBLE_EQ(rule->at_most_percent, 12.5);
  EXPECT_EQ(rule->over, 30u);
  for (const char* text :
       {"", "7", "{", R"({"over":10})", R"({"at_most_percent":20})",
        R"({"at_most_percent":0,"over":10})", R"({"at_most_percent":"20","over":10})",
        R"({"at_most_percent":20,"over":4})", R"({"at_most_percent":20,"over":201})",
        R"({"at_most_percent":20,"over":-5})", R"({"at_most_percent":20,"over":99999999999})"}) {
    EXPECT_FALSE(ParseRegression(text).has_value()) << text;
  }
}

v1::Test Gated() {
  v1::Test test;
  test.set_repeatable(true);
  for (const char* name : {"log in", "buy"}) {
    v1::Step& step = *test.add_steps();
    step.set_name(name);
    v1::Expectation& expectation = *step.add_expect();
    expectation.set_subject(v1::Subject::time);
    expectation.set_argument("first_byte");
    v1::Operation& operation = *expectation.add_operations();
    operation.set_operator_(v1::Operator::regression);
    operation.set_operand_json(R"({"at_most_percent":20.0,"over":10})");
  }
  return test;
}

TEST(RegressionGatesTest, AreNamedByStepAndPhase) {
  v1::Test test = Gated();
  std::vector<RegressionGate> gates = RegressionGates(test);
  ASSERT_EQ(gates.size(), 2u);
  EXPECT_EQ(gates[1].step, "buy");
  EXPECT_EQ(gates[1].phase, "first_byte");
  test.mutable_steps()->RemoveLast();
  gates = RegressionGates(test);
  ASSERT_EQ(gates.size(), 1u);
  EXPECT_EQ(gates[0].step, "") << "a test of one step needs no name";
}

TEST(RegressionGatesTest, NeedARepeatableTestAndRoomForEveryRow) {
  v1::Test test = Gated();
  EXPECT_OK(ValidateRegression(test, 1));
  EXPECT_OK(ValidateRegression(test, 20));
  EXPECT_THAT(ValidateRegression(test, 21),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("over 10 runs of 21 rows needs 210 measurements of a location; "
                                 "200 are kept")));
  test.set_repeatable(false);
  EXPECT_THAT(ValidateRegression(test, 1), StatusIs(absl::StatusCode::kInvalidArgument,
                                                    HasSubstr("write 'repeatable: true'")));
  EXPECT_OK(ValidateRegression(v1::Test(), 1));
}

TEST(GateTimesTest, AreOfTheLocationRowStepAndPhaseAlone) {
  v1::Test test = Gated();
  const auto past = [&](const char* location, const char* row, const char* step, const char* phase,
                        uint32_t us) {
    v1::PastTimes& times = *test.add_past_times();
    times.set_location(location);
    times.set_row(row);
    times.set_step(step);
    times.set_phase(phase);
    times.add_us(us);
  };
  past("eu", "", "buy", "first_byte", 1);
  past("us", "", "buy", "first_byte", 2);
  past("eu", "r", "buy", "first_byte", 3);
  past("eu", "", "buy", "total", 4);
  v1::ExecutionResult result;
  v1::GateTime& time = *result.add_attempts()->add_gate_times();
  time.set_step("buy");
  time.set_phase(v1::Phase::first_byte);
  time.set_us(77);
  result.add_attempts();  // measured poorly
  const std::vector<GateTimes> all =
      GateTimesFor(test, RegressionGates(test), "eu", "", result.attempts());
  ASSERT_EQ(all.size(), 2u);
  EXPECT_THAT(all[0].times.before, IsEmpty());
  EXPECT_THAT(all[1].times.before, ElementsAre(1));
  EXPECT_THAT(all[1].times.now, ElementsAre(77));
  EXPECT_EQ(all[1].times.made, 2u);
}

TEST(RowKeyTest, NamesTheCellsAndNothingElse) {
  v1::Row a, b;
  a.add_cells("\"x\"");
  a.add_cells("1");
  b.add_cells("\"x\"1");
  EXPECT_EQ(RowKey(nullptr), "");
  EXPECT_EQ(RowKey(&a).size(), 8u);
  EXPECT_EQ(RowKey(&a), RowKey(&a));
  EXPECT_NE(RowKey(&a), RowKey(&b));
}

}  // namespace
}  // namespace picket
