// File: quality.h
//
// How far the agent itself may have bent a measurement.
//
// Thread rule: StealMeter::permille may be called from any thread, Sample from one.

#ifndef AGENT_ENGINE_QUALITY_H_
#define AGENT_ENGINE_QUALITY_H_

#include <atomic>
#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "picket/v1/result.pb.h"

namespace picket {

// Empty if the measurement is good; else which limit was passed.
std::string PoorReason(const v1::Quality& quality);

// Whether a failure of this kind may be our own slowness.
bool IsTimeout(v1::FailureReason::Value reason);

// Ticks since boot of all CPUs together: proc(5), the first line of /proc/stat.
struct CpuTicks {
  uint64_t total = 0;
  uint64_t steal = 0;
};
// False if `text` is no such line.
bool ParseCpuTicks(absl::string_view text, CpuTicks& out);

// The share of CPU time the hypervisor kept between the last two samples.
class StealMeter {
 public:
  // Reads /proc/stat; where there is none the share stays 0.
  void Sample();
  void Add(const CpuTicks& ticks);
  uint32_t permille() const { return permille_.load(std::memory_order_relaxed); }

 private:
  CpuTicks last_;
  bool started_ = false;
  std::atomic<uint32_t> permille_{0};
};

}  // namespace picket

#endif  // AGENT_ENGINE_QUALITY_H_
