#include "common/policy/rank_test.h"

#include <algorithm>
#include <vector>

#include "common/base/random.h"
#include "gtest/gtest.h"

namespace picket {
namespace {

using Values = std::vector<uint32_t>;

double Choose(int n, int k) { return k == 0 ? 1 : Choose(n - 1, k - 1) * n / k; }

// By the definition: all ways to choose as many out of both together, one by one.
double ByCounting(const Values& before, const Values& now) {
  Values both = before;
  both.insert(both.end(), now.begin(), now.end());
  std::vector<double> ranks;
  for (uint32_t value : both) {
    const auto smaller = std::count_if(both.begin(), both.end(), [&](uint32_t v) { return v < value; });
    const auto equal = std::count(both.begin(), both.end(), value);
    ranks.push_back(static_cast<double>(smaller) + (static_cast<double>(equal) + 1) / 2);
  }
  double observed = 0;
  for (size_t i = before.size(); i < both.size(); ++i) observed += ranks[i];
  double all = 0, as_slow = 0;
  for (uint32_t mask = 0; mask < (1u << both.size()); ++mask) {
    if (static_cast<size_t>(__builtin_popcount(mask)) != now.size()) continue;
    double sum = 0;
    for (size_t i = 0; i < both.size(); ++i) {
      if ((mask >> i & 1) != 0) sum += ranks[i];
    }
    ++all;
    if (sum >= observed - 1e-9) ++as_slow;
  }
  return as_slow / all;
}

TEST(SlowerByChanceTest, WithoutTiesItIsOneChoiceOfAllWhenEveryNewValueIsTheSlowest) {
  EXPECT_DOUBLE_EQ(SlowerByChance(Values{1, 2, 3}, Values{4, 5}), 1 / Choose(5, 2));
  EXPECT_DOUBLE_EQ(SlowerByChance(Values{1, 2, 3, 4, 5}, Values{6, 7, 8, 9, 10}), 1 / Choose(10, 5));
  Values before;
  for (uint32_t i = 1; i <= 10; ++i) before.push_back(i);
  EXPECT_NEAR(SlowerByChance(before, Values{11, 12, 13, 14, 15, 16, 17}), 1 / Choose(17, 7), 1e-12);
}

TEST(SlowerByChanceTest, TheSmallestSumsOfTheTableOfFiveAndFive) {
  // Mann and Whitney's counts for U = 0, 1, 2, 3, 4 of n = m = 5: 1, 1, 2, 3, 5.
  const double all = Choose(10, 5);
  EXPECT_DOUBLE_EQ(SlowerByChance(Values{1, 2, 3, 4, 6}, Values{5, 7, 8, 9, 10}), 2 / all);
  EXPECT_DOUBLE_EQ(SlowerByChance(Values{1, 2, 3, 4, 7}, Values{5, 6, 8, 9, 10}), 4 / all);
  EXPECT_DOUBLE_EQ(SlowerByChance(Values{1, 2, 3, 4, 8}, Values{5, 6, 7, 9, 10}), 7 / all);
  EXPECT_DOUBLE_EQ(SlowerByChance(Values{1, 2, 3, 4, 9}, Values{5, 6, 7, 8, 10}), 12 / all);
}

TEST(SlowerByChanceTest, EqualValuesShareTheirRank) {
  // Ranks 1, 3, 3, 3, 5: of the ten pairs 3+5 (three times) have a sum of at least 8.
  EXPECT_DOUBLE_EQ(SlowerByChance(Values{1, 2, 2}, Values{2, 3}), 0.3);
  EXPECT_DOUBLE_EQ(SlowerByChance(Values{7, 7, 7, 7}, Values{7, 7}), 1);
}

TEST(SlowerByChanceTest, FasterIsNeverUnlikelyAndNothingSaysNothing) {
  EXPECT_DOUBLE_EQ(SlowerByChance(Values{4, 5, 6}, Values{1, 2}), 1);
  EXPECT_DOUBLE_EQ(SlowerByChance(Values{}, Values{1}), 1);
  EXPECT_DOUBLE_EQ(SlowerByChance(Values{1}, Values{}), 1);
}

TEST(SlowerByChanceTest, AgreesWithCountingWhateverTheValues) {
  Random random(11);
  for (int i = 0; i < 200; ++i) {
    Values before(1 + random.Below(7)), now(1 + random.Below(6));
    for (uint32_t& v : before) v = static_cast<uint32_t>(random.Below(6));
    for (uint32_t& v : now) v = static_cast<uint32_t>(random.Below(7));
    ASSERT_NEAR(SlowerByChance(before, now), ByCounting(before, now), 1e-9);
  }
}

TEST(SlowerByChanceTest, OrderDoesNotMatterAndSlowerIsNeverMoreLikelyByChance) {
  Random random(12);
  for (int i = 0; i < 100; ++i) {
    // No two alike, whatever is added below: a tie has a distribution of its own.
    Values before, now;
    for (uint32_t at = 0; at < 10; ++at) {
      before.push_back(100 * static_cast<uint32_t>(random.Below(50)) + at);
    }
    for (uint32_t at = 10; at < 17; ++at) {
      now.push_back(100 * static_cast<uint32_t>(random.Below(50)) + at);
    }
    const double chance = SlowerByChance(before, now);
    ASSERT_GT(chance, 0);
    ASSERT_LE(chance, 1);
    Values turned(now.rbegin(), now.rend());
    ASSERT_DOUBLE_EQ(SlowerByChance(before, turned), chance);
    now[random.Below(7)] += 900;
    ASSERT_LE(SlowerByChance(before, now), chance + 1e-12);
  }
}

TEST(SlowerByChanceTest, TwoHundredAgainstSevenStaysExact) {
  Values before;
  for (uint32_t i = 0; i < 200; ++i) before.push_back(i);
  const double chance = SlowerByChance(before, Values{300, 301, 302, 303, 304, 305, 306});
  EXPECT_NEAR(chance * Choose(207, 7), 1, 1e-6);
}

TEST(MedianTest, IsTheMiddleOrTheMeanOfTheMiddleTwo) {
  EXPECT_DOUBLE_EQ(Median(Values{5}), 5);
  EXPECT_DOUBLE_EQ(Median(Values{9, 1, 5}), 5);
  EXPECT_DOUBLE_EQ(Median(Values{1, 9, 4, 6}), 5);
}

}  // namespace
}  // namespace picket
