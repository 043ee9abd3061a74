// File: coordinator_metrics.h
//
// The coordinator's numbers for Prometheus. Counters move as things happen; gauges
// are taken from the last snapshot when somebody asks.
//
// Thread rule: safe to call from any thread.

#ifndef COORDINATOR_APP_COORDINATOR_METRICS_H_
#define COORDINATOR_APP_COORDINATOR_METRICS_H_

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "common/base/mutex.h"
#include "common/telemetry/metrics.h"
#include "coordinator/core/core.h"

namespace picket {

struct GaugeSnapshot {
  std::map<std::string, QueueView> queue;
  std::vector<v1::Agent> agents;
  size_t sessions = 0;
  size_t active_runs = 0;
  size_t mailbox = 0;
  uint64_t probes_dropped = 0;
  absl::Time now;
};

class CoordinatorMetrics {
 public:
  // `metrics` must outlive it; may be null, and then nothing is counted.
  explicit CoordinatorMetrics(Metrics* metrics);

  // Counts what an Apply brought about.
  void Count(const Effects& effects);
  void CountCommit(absl::Duration took, bool ok, size_t proposals);
  void SetGauges(GaugeSnapshot snapshot);

 private:
  struct Shared;
  void CountStored(const StoredResults& stored);

  std::shared_ptr<Shared> shared_;
};

}  // namespace picket

#endif  // COORDINATOR_APP_COORDINATOR_METRICS_H_
