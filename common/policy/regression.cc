#include "common/policy/regression.h"

#include <algorithm>
#include <cmath>
#include <span>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "common/policy/limits.h"
#include "common/policy/rank_test.h"
#include "common/policy/regression_limits.h"
#include "common/policy/sha256.h"
#include "nlohmann/json.hpp"

namespace picket {
namespace {

std::span<const uint32_t> Compared(const RegressionRule& rule,
                                   const std::vector<uint32_t>& before) {
  return std::span(before).first(std::min<size_t>(before.size(), rule.over));
}

double AllowedUs(const RegressionRule& rule, double before_us) {
  return std::max(before_us * (1 + rule.at_most_percent / 100),
                  before_us + absl::ToDoubleMicroseconds(DefaultRegressionLimits().least_slowdown));
}

// To three digits: nobody reads more of a median.
std::string TimeText(double us) {
  double unit = 1;
  while (us / unit >= 1000) unit *= 10;
  return absl::FormatDuration(absl::Microseconds(std::round(us / unit) * unit));
}

std::string Count(uint32_t count, absl::string_view one, absl::string_view many) {
  return absl::StrCat(count, " ", count == 1 ? one : many);
}

}  // namespace

std::optional<RegressionRule> ParseRegression(absl::string_view operand_json) {
  const auto json = nlohmann::json::parse(operand_json.begin(), operand_json.end(), nullptr,
                                          /*allow_exceptions=*/false);
  if (!json.is_object()) return std::nullopt;
  const auto percent = json.find("at_most_percent"), over = json.find("over");
  if (percent == json.end() || !percent->is_number() || over == json.end() ||
      !over->is_number_unsigned()) {
    return std::nullopt;
  }
  const uint64_t runs = over->get<uint64_t>();
  const RegressionRule rule{.at_most_percent = percent->get<double>(),
                            .over = static_cast<uint32_t>(std::min<uint64_t>(runs, UINT32_MAX))};
  if (!(rule.at_most_percent > 0) || rule.over < DefaultLimits().regression_over_least ||
      rule.over > DefaultLimits().regression_over_most) {
    return std::nullopt;
  }
  return rule;
}

double RegressionAnswer::slower_percent() const {
  return before_us > 0 ? (now_us / before_us - 1) * 100 : 0;
}

bool WithinAllowed(const RegressionRule& rule, const std::vector<uint32_t>& before, uint32_t us) {
  return us <= AllowedUs(rule, Median(Compared(rule, before)));
}

RegressionAnswer JudgeRegression(const RegressionRule& rule, const RegressionTimes& times) {
  using Value = RegressionAnswer::Value;
  const Limits& limits = DefaultLimits();
  const std::span<const uint32_t> before = Compared(rule, times.before);
  const size_t wanted = limits.regression_samples;
  const std::span<const uint32_t> now =
      std::span(times.now).last(std::min(times.now.size(), wanted));
  RegressionAnswer answer;
  answer.runs = static_cast<uint32_t>(before.size());
  answer.samples = static_cast<uint32_t>(now.size());
  if (before.size() < rule.over) return answer;  // learning

  answer.before_us = Median(before);
  const double allowed = AllowedUs(rule, answer.before_us);
  const double suspicious = (answer.before_us + allowed) / 2;
  if (!now.empty()) answer.now_us = Median(now);
  if (times.now.size() == 1 && now[0] <= suspicious) {
    answer.value = Value::kPassed;
    return answer;
  }
  // Half of them within what is allowed: so is the median, whatever else comes.
  const auto within = static_cast<size_t>(
      std::count_if(now.begin(), now.end(), [&](uint32_t us) { return us <= allowed; }));
  if (within * 2 > wanted) {
    answer.value = Value::kPassed;
    return answer;
  }
  if (now.size() < wanted) {
    answer.value = times.made < limits.regression_tries ? Value::kMeasure : Value::kPoor;
    return answer;
  }
  answer.chance = SlowerByChance(before, now);
  const auto as_slow = std::count_if(before.begin(), before.end(),
                                     [&](uint32_t us) { return us >= answer.now_us; });
  const bool slower = answer.now_us > allowed && answer.chance < limits.regression_chance &&
                      static_cast<double>(as_slow) <=
                          limits.regression_as_slow * static_cast<double>(before.size());
  answer.value = slower ? Value::kFailed : Value::kPassed;
  return answer;
}

std::string Describe(const RegressionRule& rule) {
  return absl::StrFormat("at most %g%% slower than the last %d passing runs",
                         rule.at_most_percent, rule.over);
}

std::string Describe(const RegressionAnswer& answer) {
  if (answer.value == RegressionAnswer::Value::kLearning) {
    return absl::StrCat(Count(answer.runs, "passing run", "passing runs"), " so far");
  }
  const double percent = answer.slower_percent();
  std::string text = absl::StrFormat(
      "%s, %.0f%% %s than %s (median of %s now, of %s before", TimeText(answer.now_us),
      std::abs(percent), percent < 0 ? "faster" : "slower", TimeText(answer.before_us),
      Count(answer.samples, "measurement", "measurements"), Count(answer.runs, "run", "runs"));
  if (answer.chance < 0.0001) {
    text += "; p < 0.0001";
  } else if (answer.chance < 1) {
    absl::StrAppendFormat(&text, "; p = %.4f", answer.chance);
  }
  return text + ")";
}

std::vector<RegressionGate> RegressionGates(const v1::Test& test) {
  std::vector<RegressionGate> gates;
  for (const v1::Step& step : test.steps()) {
    for (const v1::Expectation& expectation : step.expect()) {
      for (const v1::Operation& operation : expectation.operations()) {
        if (operation.operator_() != v1::Operator::regression) continue;
        const std::optional<RegressionRule> rule = ParseRegression(operation.operand_json());
        if (!rule.has_value()) continue;
        gates.push_back({test.steps_size() > 1 ? step.name() : "", expectation.argument(), *rule});
      }
    }
  }
  return gates;
}

absl::Status ValidateRegression(const v1::Test& test, size_t rows) {
  const Limits& limits = DefaultLimits();
  for (const v1::Step& step : test.steps()) {
    for (const v1::Expectation& expectation : step.expect()) {
      for (const v1::Operation& operation : expectation.operations()) {
        if (operation.operator_() != v1::Operator::regression) continue;
        const std::optional<RegressionRule> rule = ParseRegression(operation.operand_json());
        if (!rule.has_value()) {
          return absl::InvalidArgumentError(absl::StrCat(
              "time regression needs at_most, a percentage above 0, and over, from ",
              limits.regression_over_least, " to ", limits.regression_over_most, " runs"));
        }
        if (!test.repeatable()) {
          return absl::InvalidArgumentError(
              "time regression measures a test several times when it looks slow, so the test must "
              "be repeatable: use GET, HEAD or OPTIONS, or write 'repeatable: true'");
        }
        if (rows * rule->over > limits.regression_over_most) {
          return absl::InvalidArgumentError(absl::StrCat(
              "time regression over ", rule->over, " runs of ", rows, " rows needs ",
              rows * rule->over, " measurements of a location; ", limits.regression_over_most,
              " are kept"));
        }
      }
    }
  }
  return absl::OkStatus();
}

std::vector<GateTimes> GateTimesFor(
    const v1::Test& test, const std::vector<RegressionGate>& gates, absl::string_view location,
    absl::string_view row_key, const google::protobuf::RepeatedPtrField<v1::Attempt>& attempts) {
  std::vector<GateTimes> all;
  all.reserve(gates.size());
  for (const RegressionGate& gate : gates) {
    GateTimes& out = all.emplace_back(GateTimes{.step = gate.step, .phase = gate.phase, .times = {}});
    for (const v1::PastTimes& past : test.past_times()) {
      if (past.location() != location || past.row() != row_key || past.step() != gate.step ||
          past.phase() != gate.phase) {
        continue;
      }
      out.times.before.assign(past.us().begin(), past.us().end());
    }
    out.times.made = static_cast<uint32_t>(attempts.size());
    for (const v1::Attempt& attempt : attempts) {
      for (const v1::GateTime& time : attempt.gate_times()) {
        if (time.step() == gate.step && v1::Phase::Name_Name(time.phase()) == gate.phase) {
          out.times.now.push_back(time.us());
          break;  // several gates may look at one phase
        }
      }
    }
  }
  return all;
}

std::string RowKey(const v1::Row* row) {
  constexpr size_t kBytes = 8;  // enough to tell a few hundred rows apart
  if (row == nullptr) return "";
  std::string cells;
  for (const std::string& cell : row->cells()) absl::StrAppend(&cells, cell.size(), ":", cell);
  return Sha256Digest(cells).substr(0, kBytes);
}

}  // namespace picket
