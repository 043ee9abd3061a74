// File: stored_run.h
//
// A run as it is stored, in as little memory as judging and explaining it take: the shape
// of its plan, and some bytes an execution.
//
// Thread rule: ReadStoredRun is thread-compatible; a StoredRun is a value.

#ifndef CLI_STORED_RUN_H_
#define CLI_STORED_RUN_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cli/environment.h"
#include "cli/run_client.h"
#include "common/policy/ends.h"
#include "common/policy/plan_shape.h"
#include "picket/v1/run.pb.h"

namespace picket {

struct StoredTest {
  std::string suite;
  std::string id;
  std::string name;
};

struct StoredRun {
  v1::Run run;
  PlanShape shape;
  // One a test of the shape.
  std::vector<StoredTest> tests;
  // One an execution, by number.
  std::vector<EndByte> ends;
  std::vector<uint8_t> reasons;  // v1::FailureReason::Value
  std::vector<uint8_t> blames;   // v1::Blame::Value
};

// Puts the tests, locations and rows of executions together again. They come by number,
// all of them. Tests that planned nothing are not known.
class StoredRunBuilder {
 public:
  // FailedPrecondition: the coordinator is too old to tell policies. Internal: they are
  // not numbered by test, location and row, or one is missing.
  absl::Status Add(const v1::Execution& execution);
  absl::StatusOr<StoredRun> Finish(v1::Run run);

 private:
  std::vector<TestShape> shapes_;
  StoredRun stored_;
  uint32_t rows_ = 0;  // of the test's first location so far
};

// Reads the run and all its executions. NotFound for an unknown run.
absl::StatusOr<StoredRun> ReadStoredRun(Environment& env, RunClient& client,
                                        const std::string& run_id);

}  // namespace picket

#endif  // CLI_STORED_RUN_H_
