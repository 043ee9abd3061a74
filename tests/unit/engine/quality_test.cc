#include "agent/engine/quality.h"

#include <gtest/gtest.h>

#include "absl/time/time.h"
#include "agent/engine/limits.h"

namespace picket {
namespace {

TEST(QualityTest, EachLimitAloneMakesAMeasurementPoor) {
  const EngineLimits& limits = DefaultEngineLimits();
  v1::Quality quality;
  quality.set_loop_stall_us(absl::ToInt64Microseconds(limits.poor_loop_stall));
  quality.set_scheduling_lag_us(absl::ToInt64Microseconds(limits.poor_scheduling_lag));
  quality.set_cpu_steal_permille(limits.poor_cpu_steal_permille);
  EXPECT_EQ(PoorReason(quality), "");
  v1::Quality stalled = quality, late = quality, robbed = quality;
  stalled.set_loop_stall_us(stalled.loop_stall_us() + 1);
  late.set_scheduling_lag_us(late.scheduling_lag_us() + 1);
  robbed.set_cpu_steal_permille(robbed.cpu_steal_permille() + 1);
  EXPECT_NE(PoorReason(stalled), "");
  EXPECT_NE(PoorReason(late), "");
  EXPECT_NE(PoorReason(robbed), "");
}

TEST(StealTest, TakesTheShareBetweenTwoLooks) {
  CpuTicks ticks;
  ASSERT_TRUE(ParseCpuTicks("cpu  10 0 10 70 5 0 0 5 0 0\ncpu0 1 2 3\n", ticks));
  EXPECT_EQ(ticks.total, 100u);
  EXPECT_EQ(ticks.steal, 5u);
  StealMeter meter;
  meter.Add(ticks);
  EXPECT_EQ(meter.permille(), 0u);
  meter.Add({200, 30});
  EXPECT_EQ(meter.permille(), 250u);
  meter.Add({200, 30});  // no time passed
  EXPECT_EQ(meter.permille(), 250u);
  EXPECT_FALSE(ParseCpuTicks("intr 1 2 3", ticks));
  EXPECT_FALSE(ParseCpuTicks("cpu 1 2", ticks));
}

}  // namespace
}  // namespace picket
