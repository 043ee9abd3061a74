#include "common/policy/plan_shape.h"

#include <algorithm>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/policy/limits.h"

namespace picket {

absl::StatusOr<PlanShape> PlanShape::Make(std::vector<TestShape> tests) {
  const uint64_t most = DefaultLimits().executions_per_run;
  uint64_t total = 0;
  for (size_t i = 0; i < tests.size(); ++i) {
    tests[i].first = static_cast<uint32_t>(total);
    total += uint64_t{tests[i].locations.size()} * tests[i].rows;
    if (total > most) {
      return absl::ResourceExhaustedError(
          absl::StrCat("the run has more than ", most, " executions (test number ", i + 1, " has ",
                       tests[i].locations.size(), " locations x ", tests[i].rows,
                       " rows); cut it into several runs"));
    }
  }
  PlanShape shape;
  shape.tests_ = std::move(tests);
  shape.executions_ = static_cast<uint32_t>(total);
  return shape;
}

absl::StatusOr<PlanShape> PlanShape::Of(const v1::RunSpec& spec) {
  std::vector<TestShape> tests;
  for (const v1::Suite& suite : spec.suites()) {
    for (const v1::Test& test : suite.tests()) tests.push_back(ShapeOf(test));
  }
  return Make(std::move(tests));
}

Position PlanShape::At(uint32_t execution) const {
  // The last test that starts at or before `execution`; tests without executions share
  // their `first` with the next one and so are never the last.
  auto after =
      std::upper_bound(tests_.begin(), tests_.end(), execution,
                       [](uint32_t number, const TestShape& test) { return number < test.first; });
  const auto test = std::prev(after);
  const uint32_t within = execution - test->first;
  return Position{.test = static_cast<uint32_t>(test - tests_.begin()),
                  .location = within / test->rows,
                  .row = within % test->rows};
}

TestShape ShapeOf(const v1::Test& test) {
  TestShape shape;
  shape.locations.assign(test.locations().begin(), test.locations().end());
  shape.has_rows = test.has_for_each();
  shape.rows = shape.has_rows ? static_cast<uint32_t>(test.for_each().rows_size()) : 1;
  shape.blocking = test.blocking();
  shape.skipped = test.has_skip();
  shape.policy = test.policy();
  return shape;
}

}  // namespace picket
