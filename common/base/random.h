// File: random.h
//
// The door through which chance comes in: a small seeded generator that gives the
// same sequence on every machine and in every build (absl::BitGen and the std::
// distributions promise neither). xoshiro256**, seeded by splitmix64:
// Blackman and Vigna, "Scrambled linear pseudorandom number generators" (2018).
//
// Thread rule: thread-compatible; one owner at a time.

#ifndef COMMON_BASE_RANDOM_H_
#define COMMON_BASE_RANDOM_H_

#include <array>
#include <cstdint>

#include "absl/strings/string_view.h"

namespace picket {

class Random {
 public:
  explicit Random(uint64_t seed);
  // A generator seeded from the operating system. For ids and jitter.
  static Random FromSystem();

  uint64_t Next();
  // A number in [0, bound). REQUIRES: bound > 0.
  uint64_t Below(uint64_t bound);
  // A number in [0, 1).
  double Uniform();
  // True with probability `p`.
  bool Chance(double p) { return Uniform() < p; }

 private:
  std::array<uint64_t, 4> state_;
};

// A stable 64-bit hash (FNV-1a, then a splitmix64 finaliser) for seeds and keys.
// The value is part of what `replay` promises: do not change it.
uint64_t StableHash(absl::string_view bytes, uint64_t seed = 0);

}  // namespace picket

#endif  // COMMON_BASE_RANDOM_H_
