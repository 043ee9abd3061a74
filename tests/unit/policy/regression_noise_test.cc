// The latency gate against measurements that were recorded, not made up: first_byte of
// tests/bench's truth_server through the real engine, by `regression_noise record`, on two cores
// with nothing beside it. What it does with them is written in docs/REGRESSION.md.

#include <gtest/gtest.h>

#include <fstream>

#include "tests/support/regression_rates.h"

namespace picket {
namespace {

NoiseRecording Recorded(const std::string& name) {
  std::ifstream in(std::string(PICKET_SOURCE_DIR) + "/tests/unit/policy/" + name);
  return ReadNoise(in);
}

// An answer that takes as long as a few context switches. It drifts by half within a minute,
// which is nothing to anybody.
TEST(RegressionNoiseTest, LoopbackRaisesFewFalseAlarms) {
  const NoiseRecording recording = Recorded("noise_loopback.txt");
  const RegressionRates quiet = JudgeRecording(recording, {.at_most_percent = 20, .over = 10}, 1);
  ASSERT_GE(quiet.comparisons, 300u);
  EXPECT_EQ(quiet.failed, 0u);
  EXPECT_LE(quiet.measurements * 10, quiet.comparisons * 11u) << "the first settles it";
}

TEST(RegressionNoiseTest, LoopbackTwoMillisecondsSlowerIsCaught) {
  const NoiseRecording recording = Recorded("noise_loopback.txt");
  const double times = (MedianOf(recording) + 2000) / MedianOf(recording);
  const RegressionRates slow =
      JudgeRecording(recording, {.at_most_percent = 20, .over = 10}, times);
  EXPECT_GE(slow.failed * 10, slow.comparisons * 9);
}

TEST(RegressionNoiseTest, FiveMillisecondsAreNeverAccusedAndAQuarterMoreIsCaught) {
  const NoiseRecording recording = Recorded("noise_5ms.txt");
  const RegressionRule rule{.at_most_percent = 20, .over = 10};
  const RegressionRates quiet = JudgeRecording(recording, rule, 1);
  ASSERT_GE(quiet.comparisons, 100u);
  EXPECT_EQ(quiet.failed, 0u);
  EXPECT_LE(SmallestCaught(recording, rule), 25u);
}

TEST(RegressionNoiseTest, NothingIsCaughtWithinWhatIsAllowed) {
  for (const char* name : {"noise_loopback.txt", "noise_5ms.txt"}) {
    const NoiseRecording recording = Recorded(name);
    const RegressionRates faster =
        JudgeRecording(recording, {.at_most_percent = 20, .over = 10}, 0.7);
    EXPECT_EQ(faster.failed, 0u) << name;
  }
}

TEST(RegressionNoiseTest, MoreRunsToCompareWithRaiseNoMoreAlarms) {
  const NoiseRecording recording = Recorded("noise_loopback.txt");
  for (uint32_t over : {5u, 10u, 20u}) {
    const RegressionRates quiet =
        JudgeRecording(recording, {.at_most_percent = 20, .over = over}, 1);
    EXPECT_LE(quiet.failed * 50, quiet.comparisons) << over;
  }
}

}  // namespace
}  // namespace picket
