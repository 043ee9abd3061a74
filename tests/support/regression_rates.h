// File: regression_rates.h
//
// What a regression gate does with measurements that were recorded: how often it cries
// over nothing, and what it catches. A recording is text: a line per run of a series, with
// the series' number first and then the run's measurements in microseconds, in the order in
// which they were made, as many as a gate may ask for.
//
// Pure functions.

#ifndef TESTS_SUPPORT_REGRESSION_RATES_H_
#define TESTS_SUPPORT_REGRESSION_RATES_H_

#include <cstdint>
#include <istream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "common/policy/limits.h"
#include "common/policy/rank_test.h"
#include "common/policy/regression.h"

namespace picket {

// By series; runs in order; measurements of a run.
using NoiseRecording = std::map<uint32_t, std::vector<std::vector<uint32_t>>>;

// Lines that start with '#' are remarks. Runs with too few measurements are left out.
inline NoiseRecording ReadNoise(std::istream& in) {
  NoiseRecording recording;
  for (std::string line; std::getline(in, line);) {
    if (line.empty() || line[0] == '#') continue;
    std::istringstream fields(line);
    uint32_t series = 0, us = 0;
    fields >> series;
    std::vector<uint32_t> run;
    while (fields >> us) run.push_back(us);
    if (run.size() >= DefaultLimits().regression_samples) recording[series].push_back(run);
  }
  return recording;
}

struct RegressionRates {
  uint32_t comparisons = 0;
  uint32_t failed = 0;
  uint32_t measured_again = 0;  // took more than one measurement
  uint64_t measurements = 0;
};

// Judges every run that has `rule.over` runs before it, each measurement `times` as slow as it
// was recorded. As in the fleet the gate asks for one more until it is settled. Past runs are
// the first measurements as they were recorded.
inline RegressionRates JudgeRecording(const NoiseRecording& recording, const RegressionRule& rule,
                                      double times) {
  RegressionRates rates;
  for (const auto& [series, runs] : recording) {
    for (size_t run = rule.over; run < runs.size(); ++run) {
      RegressionTimes measured;
      for (size_t past = run; past-- > run - rule.over;) measured.before.push_back(runs[past][0]);
      RegressionAnswer answer;
      answer.value = RegressionAnswer::Value::kMeasure;
      while (answer.value == RegressionAnswer::Value::kMeasure &&
             measured.made < runs[run].size()) {
        measured.now.push_back(static_cast<uint32_t>(runs[run][measured.made++] * times));
        answer = JudgeRegression(rule, measured);
      }
      ++rates.comparisons;
      rates.failed += answer.value == RegressionAnswer::Value::kFailed;
      rates.measured_again += measured.made > 1;
      rates.measurements += measured.made;
    }
  }
  return rates;
}

inline constexpr uint32_t kNeverCaught = 10'000;

// The smallest slowdown that is caught nine times in ten, in per cent: to one up to 100, above to
// a hundredth of itself. kNeverCaught if none is.
inline uint32_t SmallestCaught(const NoiseRecording& recording, const RegressionRule& rule) {
  for (uint32_t percent = 1; percent < kNeverCaught; percent += 1 + percent / 100) {
    const RegressionRates rates = JudgeRecording(recording, rule, 1 + percent / 100.0);
    if (rates.failed * 10 >= rates.comparisons * 9) return percent;
  }
  return kNeverCaught;
}

// The median of all that was recorded, microseconds.
inline double MedianOf(const NoiseRecording& recording) {
  std::vector<uint32_t> all;
  for (const auto& [series, runs] : recording) {
    for (const std::vector<uint32_t>& run : runs) all.insert(all.end(), run.begin(), run.end());
  }
  return all.empty() ? 0 : Median(all);
}

}  // namespace picket

#endif  // TESTS_SUPPORT_REGRESSION_RATES_H_
