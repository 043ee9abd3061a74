#include "coordinator/core/run_plan.h"

#include <algorithm>
#include <utility>

#include "common/base/check.h"
#include "common/policy/regression.h"
#include "coordinator/core/proto_time.h"

namespace picket {

PackedRows::PackedRows(const v1::Table& table) {
  size_t bytes = 0;
  for (const v1::Row& row : table.rows()) bytes += row.ByteSizeLong();
  bytes_.reserve(bytes);
  ends_.reserve(static_cast<size_t>(table.rows_size()));
  for (const v1::Row& row : table.rows()) {
    PICKET_CHECK(row.AppendToString(&bytes_));
    ends_.push_back(static_cast<uint32_t>(bytes_.size()));
  }
}

v1::Row PackedRows::At(size_t index) const {
  const size_t start = index == 0 ? 0 : ends_[index - 1];
  v1::Row row;
  PICKET_CHECK(row.ParseFromArray(bytes_.data() + start, static_cast<int>(ends_[index] - start)));
  return row;
}

namespace {

PlannedTest PackTest(const TestRow& row) {
  PlannedTest test;
  test.digest = row.digest;
  test.serialised = row.test.SerializeAsString();
  test.suite = row.test.suite();
  test.id = row.test.id();
  test.name = row.test.name();
  test.rows = PackedRows(row.rows);
  test.retry = row.test.retry();
  test.repeatable = row.test.repeatable();
  test.gated = !RegressionGates(row.test).empty();
  test.replay = row.test.has_replay();
  test.timeout = DurationOf(row.test.timeout());
  for (const v1::FileRef& file : row.test.files()) test.files.push_back(file.sha256());
  for (const v1::Step& step : row.test.steps()) {
    const char* type = step.has_http() ? "http" : "unknown";
    if (std::find(test.check_types.begin(), test.check_types.end(), type) ==
        test.check_types.end()) {
      test.check_types.push_back(type);
    }
  }
  return test;
}

}  // namespace

PlanShape ShapeOfRun(const std::vector<TestRow>& tests, uint32_t executions) {
  std::vector<TestShape> shapes;
  shapes.reserve(tests.size());
  for (size_t i = 0; i < tests.size(); ++i) {
    TestShape shape = ShapeOf(tests[i].test);
    const uint32_t end = i + 1 < tests.size() ? tests[i + 1].first_execution : executions;
    const size_t locations = shape.locations.size();
    if (locations > 0) {
      shape.rows = (end - tests[i].first_execution) / static_cast<uint32_t>(locations);
    }
    shapes.push_back(std::move(shape));
  }
  absl::StatusOr<PlanShape> plan = PlanShape::Make(std::move(shapes));
  PICKET_CHECK(plan.ok());  // it was when the run was admitted
  return *std::move(plan);
}

std::shared_ptr<const RunPlan> MakeRunPlan(const RunRow& run, const std::vector<TestRow>& tests,
                                           std::vector<v1::Blob> blobs) {
  auto plan = std::make_shared<RunPlan>();
  plan->run_id = run.run.run_id();
  plan->project = run.run.project();
  plan->baseline = run.run.baseline();
  plan->tests.reserve(tests.size());
  for (const TestRow& row : tests) {
    plan->tests.push_back(PackTest(row));
    for (const std::string& type : plan->tests.back().check_types) {
      if (std::find(plan->check_types.begin(), plan->check_types.end(), type) ==
          plan->check_types.end()) {
        plan->check_types.push_back(type);
      }
    }
  }
  plan->shape = ShapeOfRun(tests, run.executions);
  PICKET_CHECK(plan->shape.executions() == run.executions);
  for (v1::Blob& blob : blobs) {
    std::string digest = blob.sha256();
    plan->blobs.emplace(std::move(digest), std::move(blob));
  }
  return plan;
}

v1::Execution DescribeExecution(const RunPlan& plan, uint32_t execution, EndByte end) {
  const Position at = plan.shape.At(execution);
  const PlannedTest& test = plan.tests[at.test];
  const TestShape& shape = plan.shape.tests()[at.test];
  v1::Execution described;
  described.set_execution(execution);
  described.set_suite(test.suite);
  described.set_test_id(test.id);
  described.set_test(test.name);
  described.set_location(shape.locations[at.location]);
  if (shape.has_rows) described.set_row(at.row);
  described.set_end(EndOf(end));
  described.set_flaky(IsFlaky(end));
  described.set_learning(IsLearning(end));
  described.set_blocking(shape.blocking);
  *described.mutable_policy() = shape.policy;
  if (described.end() == v1::End::SKIPPED) {
    v1::Test planned;
    PICKET_CHECK(planned.ParseFromString(test.serialised));
    described.set_skip_reason(planned.skip());
  }
  return described;
}

v1::Test TestOfExecution(const RunPlan& plan, uint32_t execution) {
  const Position at = plan.shape.At(execution);
  const PlannedTest& planned = plan.tests[at.test];
  const TestShape& shape = plan.shape.tests()[at.test];
  v1::Test test;
  PICKET_CHECK(test.ParseFromString(planned.serialised));
  test.clear_locations();
  test.add_locations(shape.locations[at.location]);
  if (shape.has_rows) *test.mutable_for_each()->add_rows() = planned.rows.At(at.row);
  return test;
}

}  // namespace picket
