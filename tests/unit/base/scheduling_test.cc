#include "common/base/scheduling.h"

#include <gtest/gtest.h>
#include <sched.h>

#include <thread>

namespace picket {
namespace {

TEST(SchedulingTest, GivingWayIsInheritedAndTakenBack) {
  int own = -1, inherited = -1, first = -1;
  std::thread([&] {
    ASSERT_EQ(sched_getscheduler(0), SCHED_OTHER);
    GiveWay();
    own = sched_getscheduler(0);
    std::thread([&] {
      inherited = sched_getscheduler(0);
      GoFirst();
      first = sched_getscheduler(0);
    }).join();
  }).join();
  EXPECT_EQ(own, SCHED_BATCH);
  EXPECT_EQ(inherited, SCHED_BATCH);
  EXPECT_EQ(first, SCHED_OTHER);
  EXPECT_EQ(sched_getscheduler(0), SCHED_OTHER);
}

TEST(SchedulingTest, WhatWasChosenStays) {
  int after = -1;
  std::thread([&] {
    const sched_param none{};
    ASSERT_EQ(sched_setscheduler(0, SCHED_IDLE, &none), 0);
    GiveWay();
    GoFirst();
    after = sched_getscheduler(0);
  }).join();
  EXPECT_EQ(after, SCHED_IDLE);
}

}  // namespace
}  // namespace picket
