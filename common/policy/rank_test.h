// File: rank_test.h
//
// Is one set of measurements slower than another? A one-sided Mann-Whitney U test
// (H. B. Mann and D. R. Whitney, "On a Test of Whether one of Two Random Variables is
// Stochastically Larger than the Other", Annals of Mathematical Statistics 18, 1947),
// in Wilcoxon's form as a sum of ranks. Its p is exact, not the normal approximation;
// equal values share the mean of their ranks and the distribution is that of the ranks
// at hand (E. L. Lehmann, "Nonparametrics", 1975, chapter 1, section 4).
//
// All functions are pure and thread-safe.

#ifndef COMMON_POLICY_RANK_TEST_H_
#define COMMON_POLICY_RANK_TEST_H_

#include <cstdint>
#include <span>

namespace picket {

// The chance that `now` has at least the rank sum that it has, if all ways to choose it out
// of both together are alike. 1 if either is empty. O(now^2 x both^2) at worst: meant for a
// handful against a few hundred.
double SlowerByChance(std::span<const uint32_t> before, std::span<const uint32_t> now);

// The middle value, or the mean of the two middle ones. REQUIRES: not empty.
double Median(std::span<const uint32_t> values);

}  // namespace picket

#endif  // COMMON_POLICY_RANK_TEST_H_
