#include "common/base/steady_wall_clock.h"

#include <gtest/gtest.h>

namespace picket {
namespace {

TEST(SteadyWallClockTest, GoesOnAsBeforeWhenTheMachinesClockIsSet) {
  SimulatedClock machine;
  SteadyWallClock clock(&machine, [&] { return machine.Monotonic(); });
  const absl::Time start = machine.TimeNow();
  EXPECT_EQ(clock.TimeNow(), start);
  for (const absl::Duration jump : {absl::Hours(2), -absl::Hours(26)}) {
    const absl::Time before = clock.TimeNow();
    machine.JumpWall(jump);
    EXPECT_EQ(clock.TimeNow(), before);
    machine.Advance(absl::Seconds(3));
    EXPECT_EQ(clock.TimeNow(), before + absl::Seconds(3));
    EXPECT_EQ(clock.ahead(), machine.TimeNow() - clock.TimeNow());
  }
  EXPECT_EQ(clock.ahead(), -absl::Hours(24));
}

TEST(SteadyWallClockTest, CountsWhatElapsedWhileTheMachineSlept) {
  SimulatedClock machine;
  absl::Duration asleep;
  SteadyWallClock clock(&machine, [&] { return machine.Monotonic() + asleep; });
  const absl::Time before = clock.TimeNow();
  asleep = absl::Hours(8);  // monotonic time stands still, wall time is right afterwards
  machine.JumpWall(absl::Hours(8));
  EXPECT_EQ(clock.TimeNow(), before + absl::Hours(8));
  EXPECT_EQ(clock.ahead(), absl::ZeroDuration());
}

TEST(SteadyWallClockTest, TheRealOneAgreesWithTheMachine) {
  const auto clock = SteadyWallClock::Real();
  EXPECT_LT(absl::AbsDuration(clock->TimeNow() - Clock::Real()->TimeNow()), absl::Seconds(5));
}

}  // namespace
}  // namespace picket
