// File: planner.h
//
// From what is asked to what is written down: a RunSpec becomes tests and shards.
// Guided self-scheduling (Polychronopoulos and Kuck, 1987): per location and
// priority, longest executions first, in shards of falling size.
//
// Thread rule: pure functions.

#ifndef COORDINATOR_CORE_PLANNER_H_
#define COORDINATOR_CORE_PLANNER_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "coordinator/core/records.h"
#include "picket/v1/run.pb.h"
#include "picket/v1/run_service.pb.h"

namespace picket {

// The live agents of a location.
struct FleetLocation {
  uint32_t agents = 0;
  uint32_t capacity = 0;  // of all of them
};
using Fleet = std::map<std::string, FleetLocation>;

struct PlanRequest {
  std::string run_id;
  std::string project;
  std::string request_id;
  std::string spec_digest;
  // Valid (ValidateRunSpec). Taken apart: nothing of it is copied that can be moved.
  v1::RunSpec spec;
  Fleet fleet;
  // Expected microseconds per test x location, in plan order; 0 = unknown. Empty =
  // nothing is known.
  std::vector<uint32_t> durations;
  absl::Time now;
};

struct RunPlanned {
  // A plan with nothing to run is sealed already.
  AdmitRun admit;
  v1::PlanEstimate estimate;
};

// ResourceExhausted past Limits::executions_per_run.
absl::StatusOr<RunPlanned> PlanRun(PlanRequest request);

// RunSpec.expect_agents counts up to this many.
inline constexpr uint32_t kAgentsExpectedMost = 100'000;
// Most executions of one shard: what one write of its row may cost.
inline constexpr uint32_t kShardMost = 1000;

}  // namespace picket

#endif  // COORDINATOR_CORE_PLANNER_H_
