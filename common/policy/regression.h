// File: regression.h
//
// The latency gate `time: { phase, regression: { at_most, over } }`: the rule, as a pure
// function of what was measured before and now.
//
//   before   the first good measurement of each of the last `over` passing runs of the same
//            project, suite, test, location, row and baseline
//   now      of this execution. The first one settles it unless it is slower than half of
//            what is allowed; then the test is run again, up to Limits::regression_samples
//            times, Limits::regression_gap apart.
//   failed   iff the median of now is more than at_most above the median of before, and no
//            more than Limits::regression_as_slow of before were as slow as that, and the
//            rank test (rank_test.h) gives chance less than Limits::regression_chance.
//
// Docs: SUITE_FORMAT.md, "Regression", with the rates of false alarms that were measured.
// All functions are pure and thread-safe.

#ifndef COMMON_POLICY_REGRESSION_H_
#define COMMON_POLICY_REGRESSION_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/repeated_field.h"
#include "picket/v1/result.pb.h"
#include "picket/v1/suite.pb.h"

namespace picket {

struct RegressionRule {
  double at_most_percent = 0;
  uint32_t over = 0;
};

// The operand of the operator, as it was folded. Nothing if it is none.
std::optional<RegressionRule> ParseRegression(absl::string_view operand_json);

// Microseconds.
struct RegressionTimes {
  // Newest first, one a run; those past `over` are not looked at.
  std::vector<uint32_t> before;
  // Good ones, in order; the last Limits::regression_samples are looked at.
  std::vector<uint32_t> now;
  // Measurements that were made for it, good or not.
  uint32_t made = 0;
};

struct RegressionAnswer {
  enum class Value {
    kLearning,  // fewer runs before than `over`
    kMeasure,   // measure again
    kPoor,      // too few good measurements
    kPassed,
    kFailed,
  };
  Value value = Value::kLearning;
  uint32_t runs = 0;     // of before, that were compared with
  uint32_t samples = 0;  // of now
  double before_us = 0, now_us = 0;  // medians
  double chance = 1;                 // of the rank test, where it was asked

  // How much slower, in per cent; below 0 is faster.
  double slower_percent() const;
};

RegressionAnswer JudgeRegression(const RegressionRule& rule, const RegressionTimes& times);

// Whether a good measurement of `us` can only speak for the target: no slower than allowed.
// REQUIRES: `before` is not empty.
bool WithinAllowed(const RegressionRule& rule, const std::vector<uint32_t>& before, uint32_t us);

// One sentence for people, for failed, passed and learning alike.
std::string Describe(const RegressionRule& rule);
std::string Describe(const RegressionAnswer& answer);

// ---- Which tests have such gates ----

struct RegressionGate {
  std::string step;   // its name; empty in tests of one step
  std::string phase;  // of Phase::Name
  RegressionRule rule;
};

// In order of the steps, one per expectation.
std::vector<RegressionGate> RegressionGates(const v1::Test& test);

// Why the test's gates cannot be kept, or ok: they measure again, so the test must be
// repeatable, and there must be room for enough history of each of its `rows`.
absl::Status ValidateRegression(const v1::Test& test, size_t rows);

// What one gate is judged by.
struct GateTimes {
  std::string step, phase;
  RegressionTimes times;
};

// For the next attempt of an execution at `location`, after `attempts` by the same agent.
std::vector<GateTimes> GateTimesFor(
    const v1::Test& test, const std::vector<RegressionGate>& gates, absl::string_view location,
    absl::string_view row_key, const google::protobuf::RepeatedPtrField<v1::Attempt>& attempts);

// Names a data row by what is in it, so that rows may change their places. Empty without one.
std::string RowKey(const v1::Row* row);

}  // namespace picket

#endif  // COMMON_POLICY_REGRESSION_H_
