#include "common/policy/rank_test.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "common/base/check.h"

namespace picket {
namespace {

// Ranks from 1, doubled, so that a shared rank is a whole number.
struct Ranks {
  std::vector<size_t> all;  // of both sets, ascending
  size_t sum_now = 0;
};

Ranks RankBoth(std::span<const uint32_t> before, std::span<const uint32_t> now) {
  std::vector<std::pair<uint32_t, bool>> both;  // value, is of `now`
  both.reserve(before.size() + now.size());
  for (uint32_t value : before) both.emplace_back(value, false);
  for (uint32_t value : now) both.emplace_back(value, true);
  std::sort(both.begin(), both.end());
  Ranks ranks;
  ranks.all.reserve(both.size());
  for (size_t first = 0; first < both.size();) {
    size_t end = first + 1;
    while (end < both.size() && both[end].first == both[first].first) ++end;
    const size_t rank = first + 1 + end;  // twice the mean of first + 1 .. end
    for (size_t i = first; i < end; ++i) {
      ranks.all.push_back(rank);
      if (both[i].second) ranks.sum_now += rank;
    }
    first = end;
  }
  return ranks;
}

}  // namespace

double SlowerByChance(std::span<const uint32_t> before, std::span<const uint32_t> now) {
  if (before.empty() || now.empty()) return 1;
  const Ranks ranks = RankBoth(before, now);
  const size_t chosen = now.size();
  size_t most = 0;  // the largest sum there is
  for (size_t i = 0; i < chosen; ++i) most += ranks.all[ranks.all.size() - 1 - i];
  // ways[k][s]: choices of k ranks with the sum s, among those looked at so far.
  std::vector<std::vector<double>> ways(chosen + 1, std::vector<double>(most + 1, 0));
  ways[0][0] = 1;
  for (const size_t rank : ranks.all) {
    for (size_t k = chosen; k >= 1; --k) {
      for (size_t s = most; s >= rank; --s) ways[k][s] += ways[k - 1][s - rank];
    }
  }
  double as_slow = 0, all = 0;
  for (size_t s = 0; s <= most; ++s) {
    all += ways[chosen][s];
    if (s >= ranks.sum_now) as_slow += ways[chosen][s];
  }
  return as_slow / all;
}

double Median(std::span<const uint32_t> values) {
  PICKET_CHECK(!values.empty());
  std::vector<uint32_t> sorted(values.begin(), values.end());
  std::sort(sorted.begin(), sorted.end());
  const size_t middle = sorted.size() / 2;
  if (sorted.size() % 2 == 1) return sorted[middle];
  return (static_cast<double>(sorted[middle - 1]) + sorted[middle]) / 2;
}

}  // namespace picket
