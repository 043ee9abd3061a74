// File: queries.h
//
// What readers ask of runs, answered from the store. Runs on reader threads.
//
// Thread rule: safe to call from any thread; calls block on the store.

#ifndef COORDINATOR_APP_QUERIES_H_
#define COORDINATOR_APP_QUERIES_H_

#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/mutex.h"
#include "common/policy/ends.h"
#include "coordinator/core/run_plan.h"
#include "coordinator/store/store.h"
#include "picket/v1/run_service.pb.h"

namespace picket {

class Queries {
 public:
  // `store` must outlive it.
  explicit Queries(Store* store) : store_(store) {}

  // `plan` may be null: then it is read, and kept for the next page.
  absl::StatusOr<v1::ListExecutionsResponse> ListExecutions(
      const v1::ListExecutionsRequest& request, std::shared_ptr<const RunPlan> plan);
  absl::StatusOr<v1::Definition> Definition(const v1::GetDefinitionRequest& request,
                                            std::shared_ptr<const RunPlan> plan);
  // The state of a run as WatchRun shows it, all from the store.
  absl::StatusOr<v1::WatchRunResponse> WatchState(const RunRow& run,
                                                  std::shared_ptr<const RunPlan> plan);
  // The first `most` executions that ended failed or inconclusive, by number, BASIC.
  absl::StatusOr<std::vector<v1::Execution>> Failures(const std::string& run_id,
                                                      std::shared_ptr<const RunPlan> plan,
                                                      size_t most);

 private:
  // A run with the end of each execution, by number.
  struct Snapshot {
    std::string run_id;
    std::shared_ptr<const RunPlan> plan;
    std::vector<EndByte> ends;
    bool sealed = false;
    bool local = false;
  };
  absl::StatusOr<std::shared_ptr<const Snapshot>> Load(const RunRow& run,
                                                       std::shared_ptr<const RunPlan> plan);
  absl::StatusOr<std::vector<v1::Execution>> Read(const Snapshot& snapshot,
                                                  const std::vector<uint32_t>& executions,
                                                  bool full);

  Store* const store_;
  Mutex mu_;
  // Of sealed runs, the last used first.
  std::list<std::shared_ptr<const Snapshot>> cache_ ABSL_GUARDED_BY(mu_);
};

// Adds what a stored result says to its execution. Late ones, and repetitions of an
// attempt, go apart. The reason is that of what decided; of a pass that its policy counts
// as a failure, that of the attempt that failed. `full`: with assertions and steps.
void AddResult(const ResultRow& row, bool full, v1::Execution& execution);

}  // namespace picket

#endif  // COORDINATOR_APP_QUERIES_H_
