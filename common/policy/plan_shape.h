// File: plan_shape.h
//
// How the executions of a run are numbered: by test, then location, then row, from 0.
// Client and coordinator agree on it; the numbers are frozen with the plan.
//
// Thread rule: immutable after construction.

#ifndef COMMON_POLICY_PLAN_SHAPE_H_
#define COMMON_POLICY_PLAN_SHAPE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "picket/v1/run.pb.h"
#include "picket/v1/suite.pb.h"

namespace picket {

// The executions of one test: `locations` x `rows`, from `first`.
struct TestShape {
  uint32_t first = 0;
  std::vector<std::string> locations;
  uint32_t rows = 1;      // 1 when the test has no for_each
  bool has_rows = false;  // for_each is there, perhaps with no row at all (rows == 0)
  bool blocking = true;
  bool skipped = false;
  v1::Policy policy;

  uint32_t count() const { return static_cast<uint32_t>(locations.size()) * rows; }
  uint32_t Number(uint32_t location, uint32_t row) const { return first + location * rows + row; }
};

// Where an execution stands in its plan.
struct Position {
  uint32_t test = 0;
  uint32_t location = 0;  // index into TestShape::locations
  uint32_t row = 0;
};

class PlanShape {
 public:
  PlanShape() = default;
  // Shapes in plan order; `first` is filled in here. ResourceExhausted past
  // Limits::executions_per_run.
  static absl::StatusOr<PlanShape> Make(std::vector<TestShape> tests);
  // The tests of all suites, in order.
  static absl::StatusOr<PlanShape> Of(const v1::RunSpec& spec);

  const std::vector<TestShape>& tests() const { return tests_; }
  uint32_t executions() const { return executions_; }
  // REQUIRES: execution < executions(). O(log tests).
  Position At(uint32_t execution) const;

 private:
  std::vector<TestShape> tests_;
  uint32_t executions_ = 0;
};

// The shape of one test. `first` is 0.
TestShape ShapeOf(const v1::Test& test);

}  // namespace picket

#endif  // COMMON_POLICY_PLAN_SHAPE_H_
