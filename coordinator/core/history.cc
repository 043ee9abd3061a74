#include "coordinator/core/history.h"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>
#include <utility>

#include "common/policy/regression.h"

namespace picket {
namespace {

// The first that a later run may be compared with. Attempts after it were only made because
// it looked slow: they are no fair sample.
const v1::Attempt* FirstGood(const v1::ExecutionResult& result) {
  for (const v1::Attempt& attempt : result.attempts()) {
    if (attempt.probe() || attempt.outcome() == v1::Outcome::FAILED) continue;
    if (!attempt.quality().poor() && !attempt.gate_times().empty()) return &attempt;
  }
  return nullptr;
}

// The time of one gate; nothing if it was not measured.
std::optional<uint32_t> TimeOfGate(const v1::PastMeasurement& past, const RegressionGate& gate) {
  for (const v1::GateTime& time : past.gate_times()) {
    if (time.step() == gate.step && v1::Phase::Name_Name(time.phase()) == gate.phase) {
      return time.us();
    }
  }
  // From before the test had this gate; sums over several steps are no step's time.
  if (!gate.step.empty()) return std::nullopt;
  for (const v1::Phase& phase : past.measurement().phases()) {
    if (v1::Phase::Name_Name(phase.name()) == gate.phase) return phase.us();
  }
  return std::nullopt;
}

}  // namespace

uint32_t RowThatStands(const std::string& run_id, uint32_t rows) {
  uint64_t hash = 0xcbf29ce484222325;  // FNV-1a
  for (const char c : run_id) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return rows == 0 ? 0 : static_cast<uint32_t>((hash ^ (hash >> 32)) % rows);
}

std::optional<HistoryRow> RowToRemember(const RunPlan& plan, uint32_t execution,
                                        const std::string& location,
                                        const v1::ExecutionResult& result, absl::Time now) {
  const bool passed = result.outcome() == v1::Outcome::PASSED;
  const bool learns = result.outcome() == v1::Outcome::INCONCLUSIVE &&
                      result.reason() == v1::FailureReason::learning;
  if ((!passed && !learns) || result.attempts().empty()) return std::nullopt;
  const Position at = plan.shape.At(execution);
  const PlannedTest& test = plan.tests[at.test];
  if (test.replay) return std::nullopt;
  if (!test.gated && at.row != RowThatStands(plan.run_id, plan.shape.tests()[at.test].rows)) {
    return std::nullopt;
  }
  const v1::Attempt* attempt = &result.attempts(result.attempts_size() - 1);
  if (test.gated) attempt = FirstGood(result);
  if (attempt == nullptr) return std::nullopt;

  v1::PastMeasurement past;
  for (const v1::Phase& phase : attempt->measurement().phases()) {
    *past.mutable_measurement()->add_phases() = phase;
  }
  *past.mutable_gate_times() = attempt->gate_times();
  if (test.rows.size() > 0) {
    const v1::Row row = test.rows.At(at.row);
    past.set_row(RowKey(&row));
  }
  return HistoryRow{.project = plan.project,
                    .suite = test.suite,
                    .test_id = test.id,
                    .location = location,
                    .baseline = plan.baseline,
                    .run_id = plan.run_id,
                    .time = now,
                    .total_us = attempt->duration_us(),
                    .measurement = past.SerializeAsString(),
                    .learning = learns};
}

void AddPastTimes(const std::string& location, const std::vector<HistoryRow>& rows,
                  v1::Test& test) {
  // Several gates may look at one phase of one step, over more runs or fewer.
  std::map<std::pair<std::string, std::string>, uint32_t> longest;
  const std::vector<RegressionGate> gates = RegressionGates(test);
  for (const RegressionGate& gate : gates) {
    uint32_t& over = longest[{gate.step, gate.phase}];
    over = std::max(over, gate.rule.over);
  }
  using Key = std::tuple<std::string, std::string, std::string>;  // row, step, phase
  std::map<Key, v1::PastTimes> found;
  std::set<std::tuple<std::string, Key>> seen;  // one time a run
  for (const HistoryRow& row : rows) {
    v1::PastMeasurement past;
    if (!past.ParseFromString(row.measurement)) continue;
    for (const auto& [what, over] : longest) {
      const Key key{past.row(), what.first, what.second};
      v1::PastTimes& times = found[key];
      if (static_cast<uint32_t>(times.us_size()) >= over) continue;
      const std::optional<uint32_t> us =
          TimeOfGate(past, {.step = what.first, .phase = what.second, .rule = {}});
      if (us.has_value() && seen.insert({row.run_id, key}).second) times.add_us(*us);
    }
  }
  for (auto& [key, times] : found) {
    if (times.us().empty()) continue;
    times.set_location(location);
    times.set_row(std::get<0>(key));
    times.set_step(std::get<1>(key));
    times.set_phase(std::get<2>(key));
    *test.add_past_times() = std::move(times);
  }
}

}  // namespace picket
