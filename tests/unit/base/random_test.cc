#include "common/base/random.h"

#include <gtest/gtest.h>

#include "common/base/backoff.h"

namespace picket {
namespace {

TEST(RandomTest, OneSeedGivesOneSequence) {
  Random a(42), b(42), c(43);
  EXPECT_EQ(a.Next(), b.Next());
  EXPECT_NE(a.Next(), c.Next());
}

TEST(RandomTest, BelowStaysBelowAndReachesEveryValue) {
  Random random(1);
  bool seen[5] = {};
  for (int i = 0; i < 1000; ++i) {
    const uint64_t x = random.Below(5);
    ASSERT_LT(x, 5u);
    seen[x] = true;
  }
  for (bool s : seen) EXPECT_TRUE(s);
}

TEST(RandomTest, StableHashIsFixedForEver) {
  EXPECT_EQ(StableHash("picket"), StableHash("picket"));
  EXPECT_NE(StableHash("picket"), StableHash("picket", 1));
  EXPECT_NE(StableHash("picket"), StableHash("pickeu"));
}

TEST(BackoffTest, GrowsToItsLongestAndResets) {
  Random random(1);
  Backoff backoff({.first = absl::Milliseconds(100), .longest = absl::Seconds(1)});
  EXPECT_LE(backoff.Next(random), absl::Milliseconds(100));
  absl::Duration last;
  for (int i = 0; i < 20; ++i) last = backoff.Next(random);
  EXPECT_GE(last, absl::Milliseconds(500));
  EXPECT_LE(last, absl::Seconds(1));
  backoff.Reset();
  EXPECT_LE(backoff.Next(random), absl::Milliseconds(100));
}

}  // namespace
}  // namespace picket
