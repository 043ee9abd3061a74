// File: run_plan.h
//
// What never changes about a run: its tests, packed as tightly as they can be and
// still be leased from, and how its executions are numbered.
//
// Thread rule: a RunPlan is immutable; share it by shared_ptr<const RunPlan>.

#ifndef COORDINATOR_CORE_RUN_PLAN_H_
#define COORDINATOR_CORE_RUN_PLAN_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "common/policy/plan_shape.h"
#include "coordinator/core/records.h"
#include "picket/v1/suite.pb.h"

namespace picket {

// The rows of a for_each, serialised end to end: a row costs its bytes plus four.
class PackedRows {
 public:
  PackedRows() = default;
  explicit PackedRows(const v1::Table& table);

  size_t size() const { return ends_.size(); }
  // REQUIRES: index < size().
  v1::Row At(size_t index) const;

 private:
  std::string bytes_;
  std::vector<uint32_t> ends_;
};

struct PlannedTest {
  std::string digest;      // SHA-256 of `serialised`
  std::string serialised;  // v1::Test, as agents get it
  std::string suite, id, name;
  PackedRows rows;
  v1::Retry retry;
  bool repeatable = false;
  bool gated = false;  // it holds a regression gate
  bool replay = false;  // of an attempt of another run: leaves no history
  absl::Duration timeout;
  std::vector<std::string> files;        // digests of blobs
  std::vector<std::string> check_types;  // of its steps, each once
};

struct RunPlan {
  std::string run_id;
  std::string project;
  std::string baseline;
  PlanShape shape;
  std::vector<PlannedTest> tests;
  // Of all steps, each once.
  std::vector<std::string> check_types;
  // By digest.
  std::map<std::string, v1::Blob> blobs;
};

// How the executions of a run are numbered. Its tests' rows need not be there: their number
// follows from the numbers of the executions.
PlanShape ShapeOfRun(const std::vector<TestRow>& tests, uint32_t executions);

// REQUIRES: tests in order, as they were admitted; with their rows if it is to be leased from.
std::shared_ptr<const RunPlan> MakeRunPlan(const RunRow& run, const std::vector<TestRow>& tests,
                                           std::vector<v1::Blob> blobs);

// The execution as people know it: names, location, row; without attempts.
v1::Execution DescribeExecution(const RunPlan& plan, uint32_t execution, EndByte end);

// Its test as it was admitted, for its location and with its row alone.
v1::Test TestOfExecution(const RunPlan& plan, uint32_t execution);

}  // namespace picket

#endif  // COORDINATOR_CORE_RUN_PLAN_H_
