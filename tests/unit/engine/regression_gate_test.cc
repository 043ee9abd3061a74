// Regression gates as an attempt judges them.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent/engine/limits.h"
#include "common/policy/limits.h"
#include "tests/unit/engine/test_builder.h"

namespace picket {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr char kGate[] =
    "expect { subject: time argument: 'first_byte' operations { operator: regression "
    "operand_json: '{\"at_most_percent\":20.0,\"over\":10}' } }";

TransferResult After(uint32_t us) {
  TransferResult result = Respond(200, "hello");
  result.times.first_byte = us;
  return result;
}

// Ten runs of about 10 ms, and what this execution has measured so far.
std::vector<GateTimes> Gates(std::vector<uint32_t> now = {}, size_t runs = 10,
                             const std::string& step = "") {
  GateTimes gate{.step = step, .phase = "first_byte", .times = {}};
  for (size_t i = 0; i < runs; ++i) gate.times.before.push_back(static_cast<uint32_t>(9950 + 10 * i));
  gate.times.made = static_cast<uint32_t>(now.size());
  gate.times.now = std::move(now);
  return {gate};
}

v1::Attempt Measure(uint32_t us, std::vector<GateTimes> gates, const std::string& more = "") {
  Bench bench(Always(After(us)));
  bench.gates = std::move(gates);
  return bench.Run(absl::StrCat("steps { ", more, " ", kGate, " }"));
}

TEST(RegressionGateTest, WithoutHistoryItLearnsAndItsTestCannotPassByItAlone) {
  const v1::Attempt attempt = Measure(10'000, {});
  EXPECT_EQ(attempt.outcome(), v1::Outcome::INCONCLUSIVE);
  EXPECT_EQ(attempt.reason(), v1::FailureReason::learning);
  EXPECT_EQ(attempt.message(),
            "time first_byte regression could not be judged: learning: 0 passing runs so far, "
            "of 10");
  EXPECT_EQ(attempt.assertions_unjudged(), 1u);
  EXPECT_EQ(attempt.assertions_learning(), 1u);
  ASSERT_EQ(attempt.gate_times_size(), 1);
  EXPECT_EQ(attempt.gate_times(0).us(), 10'000u);
}

TEST(RegressionGateTest, BesideAnotherAssertionLearningLeavesTheWordToIt) {
  const v1::Attempt attempt = Measure(10'000, Gates({}, 9), kIs200);
  EXPECT_EQ(attempt.outcome(), v1::Outcome::PASSED);
  EXPECT_EQ(attempt.reason(), v1::FailureReason::none);
  EXPECT_EQ(attempt.assertions_passed(), 1u);
  EXPECT_EQ(attempt.assertions_learning(), 1u);
  ASSERT_EQ(attempt.assertions_size(), 2);
  EXPECT_EQ(attempt.assertions(1).unjudged(), "learning: 9 passing runs so far, of 10");
  EXPECT_FALSE(attempt.assertions(1).passed());
}

TEST(RegressionGateTest, AQuietMeasurementPasses) {
  const v1::Attempt attempt = Measure(10'500, Gates());
  EXPECT_EQ(attempt.outcome(), v1::Outcome::PASSED);
  ASSERT_EQ(attempt.assertions_size(), 1);
  EXPECT_EQ(attempt.assertions(0).expected(), "at most 20% slower than the last 10 passing runs");
  EXPECT_THAT(attempt.assertions(0).actual(), StartsWith("10.5ms, 5% slower than 10ms (median of"));
}

TEST(RegressionGateTest, ASlowMeasurementAsksForMore) {
  const v1::Attempt attempt = Measure(15'000, Gates(), kIs200);
  EXPECT_EQ(attempt.outcome(), v1::Outcome::INCONCLUSIVE);
  EXPECT_EQ(attempt.reason(), v1::FailureReason::measuring);
  EXPECT_THAT(attempt.message(), HasSubstr("1 of 7 measurements so far"));
}

TEST(RegressionGateTest, TheLastOfSevenSlowOnesFails) {
  const v1::Attempt attempt = Measure(15'000, Gates(std::vector<uint32_t>(6, 15'000)), kIs200);
  EXPECT_EQ(attempt.outcome(), v1::Outcome::FAILED);
  EXPECT_EQ(attempt.reason(), v1::FailureReason::assertion);
  EXPECT_THAT(attempt.message(),
              AllOf(HasSubstr("time first_byte regression at most 20% slower than the last 10 "
                              "passing runs, but it was 15ms, 50% slower than 10ms"),
                    HasSubstr("median of 7 measurements now, of 10 runs before; p < 0.0001")));
  EXPECT_TRUE(attempt.has_evidence());
}

TEST(RegressionGateTest, AFailureElsewhereStandsOverAGateThatMeasures) {
  Bench bench(Always(After(15'000)));
  bench.gates = Gates();
  const v1::Attempt attempt = bench.Run(absl::StrCat(
      "steps { ", kGate,
      " expect { subject: status operations { operator: is operand_json: '204' } } }"));
  EXPECT_EQ(attempt.outcome(), v1::Outcome::FAILED);
  EXPECT_EQ(attempt.reason(), v1::FailureReason::assertion);
}

TEST(RegressionGateTest, APoorMeasurementSpeaksForTheTargetOrNotAtAll) {
  const auto poor = [](uint32_t us, std::vector<GateTimes> gates) {
    TransferResult answer = After(us);
    answer.loop_stall = DefaultEngineLimits().poor_loop_stall + absl::Milliseconds(1);
    Bench bench(Always(answer));
    bench.gates = std::move(gates);
    return bench.Run(absl::StrCat("steps { ", kIs200, " ", kGate, " }"));
  };
  EXPECT_EQ(poor(10'500, Gates()).outcome(), v1::Outcome::PASSED);
  const v1::Attempt slow = poor(15'000, Gates());
  EXPECT_EQ(slow.reason(), v1::FailureReason::measuring);
  EXPECT_EQ(slow.gate_times_size(), 0) << "it does not count";
  std::vector<GateTimes> last = Gates({15'000, 15'000});
  last[0].times.made = DefaultLimits().regression_tries - 1;
  const v1::Attempt given_up = poor(15'000, last);
  EXPECT_EQ(given_up.outcome(), v1::Outcome::INCONCLUSIVE);
  EXPECT_EQ(given_up.reason(), v1::FailureReason::measurement_poor);
  EXPECT_THAT(given_up.message(), HasSubstr("only 2 of 14 measurements were good"));
  EXPECT_EQ(poor(15'000, Gates({}, 3)).gate_times_size(), 0) << "nor is it remembered";
}

TEST(RegressionGateTest, APhaseThatDidNotHappenFails) {
  Bench bench(Always(After(10'000)));
  const v1::Attempt attempt = bench.Run(
      "steps { expect { subject: time argument: 'tls' operations { operator: regression "
      "operand_json: '{\"at_most_percent\":20.0,\"over\":10}' } } }");
  EXPECT_EQ(attempt.outcome(), v1::Outcome::FAILED);
  EXPECT_THAT(attempt.message(), HasSubstr("but it was absent"));
}

TEST(RegressionGateTest, EachStepIsComparedWithItself) {
  Bench bench([](const TransferRequest& request) {
    return After(request.url.find("/slow") != std::string::npos ? 15'000u : 10'000u);
  });
  bench.gates = Gates(std::vector<uint32_t>(6, 15'000), 10, "second");
  std::vector<GateTimes> first = Gates({}, 10, "first");
  bench.gates.push_back(first[0]);
  const v1::Attempt attempt = bench.Run(absl::StrCat(
      "steps { name: 'first' ", kGate, " } steps { name: 'second' http { url: 'http://x/slow' } ",
      kGate, " }"));
  EXPECT_EQ(attempt.outcome(), v1::Outcome::FAILED);
  EXPECT_THAT(attempt.message(), StartsWith("step 'second': time first_byte regression"));
  EXPECT_EQ(attempt.assertions_passed(), 1u);
  ASSERT_EQ(attempt.gate_times_size(), 2);
  EXPECT_EQ(attempt.gate_times(1).step(), "second");
}

}  // namespace
}  // namespace picket
