#include "common/base/cores.h"

#include <sched.h>

#include <optional>
#include <thread>

#include "gtest/gtest.h"

namespace picket {
namespace {

TEST(CoresTest, AQuotaIsRoundedUpToWholeCores) {
  EXPECT_EQ(CoresOfQuota("100000 100000\n"), 1);
  EXPECT_EQ(CoresOfQuota("100001 100000"), 2);
  EXPECT_EQ(CoresOfQuota("250000 100000"), 3);
  EXPECT_EQ(CoresOfQuota("1000 100000"), 1);
  EXPECT_EQ(CoresOfQuota("9223372036854775807 1"), 65536);
}

TEST(CoresTest, WhatIsNoQuotaLimitsNothing) {
  for (const char* text : {"", "max 100000", "100000", "0 100000", "100000 0", "-1 100000", "a b"}) {
    EXPECT_EQ(CoresOfQuota(text), std::nullopt) << text;
  }
}

TEST(CoresTest, AThreadHeldToOneCoreMayUseOne) {
  int cores = 0;
  std::thread held([&cores] {
    cpu_set_t all;
    ASSERT_EQ(sched_getaffinity(0, sizeof(all), &all), 0);
    cpu_set_t one;
    CPU_ZERO(&one);
    for (int i = 0; i < CPU_SETSIZE && CPU_COUNT(&one) == 0; ++i) {
      if (CPU_ISSET(i, &all)) CPU_SET(i, &one);
    }
    ASSERT_EQ(sched_setaffinity(0, sizeof(one), &one), 0);
    cores = UsableCores();
  });
  held.join();
  EXPECT_EQ(cores, 1);
  EXPECT_GE(UsableCores(), 1);
}

}  // namespace
}  // namespace picket
