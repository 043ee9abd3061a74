// File: agent_metrics.h
//
// The picket_agent_* families (docs/OPERATIONS.md). Every series of a closed set is made
// at start.
//
// Thread rule: safe to call from any thread.

#ifndef AGENT_SESSION_AGENT_METRICS_H_
#define AGENT_SESSION_AGENT_METRICS_H_

#include <map>
#include <utility>

#include "absl/time/time.h"
#include "common/telemetry/metrics.h"
#include "picket/v1/result.pb.h"

namespace picket {

class AgentMetrics {
 public:
  // `metrics` must outlive it; null = everything is a no-op.
  explicit AgentMetrics(Metrics* metrics);

  void CountAttempt(const v1::Attempt& attempt);
  void CountResultDropped();
  // Levels, as they are.
  struct Levels {
    bool connected = false;
    uint32_t in_flight = 0;
    uint32_t held = 0;
    uint32_t window = 0;
    uint64_t spool_bytes = 0;
    uint64_t spool_corrupt = 0;
    uint64_t sessions = 0;
    uint64_t poor = 0;
    absl::Duration loop_lag;
  };
  void Set(const Levels& levels);

  bool on() const { return metrics_ != nullptr; }

 private:
  Metrics* const metrics_;
  std::map<std::pair<int, int>, prometheus::Counter*> checks_;  // by outcome and reason
  prometheus::Counter* dropped_ = nullptr;
  prometheus::Counter* corrupt_ = nullptr;
  prometheus::Counter* sessions_ = nullptr;
  prometheus::Counter* poor_ = nullptr;
  prometheus::Gauge* connected_ = nullptr;
  prometheus::Gauge* in_flight_ = nullptr;
  prometheus::Gauge* held_ = nullptr;
  prometheus::Gauge* window_ = nullptr;
  prometheus::Gauge* spool_bytes_ = nullptr;
  prometheus::Gauge* loop_lag_ = nullptr;
};

}  // namespace picket

#endif  // AGENT_SESSION_AGENT_METRICS_H_
