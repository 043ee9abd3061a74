// File: probes.h
//
// The latest decided execution per suite x test x location, as Prometheus text under
// the names that dashboards know from blackbox_exporter. Bounded: past the series
// budget new keys are counted, not kept; a key that was not run for long is dropped.
//
// Thread rule: safe to call from any thread.

#ifndef COORDINATOR_APP_PROBES_H_
#define COORDINATOR_APP_PROBES_H_

#include <cstdint>
#include <map>
#include <string>
#include <tuple>

#include "absl/time/time.h"
#include "common/base/mutex.h"
#include "picket/v1/result.pb.h"

namespace picket {

class Probes {
 public:
  Probes(size_t series_most, absl::Duration age_most)
      : series_most_(series_most), age_most_(age_most) {}

  // A decided execution. `now` is the store's time.
  void Record(const std::string& suite, const std::string& test, const std::string& location,
              const v1::ExecutionResult& result, absl::Time now);
  // The exposition, text format 0.0.4. Drops what is too old.
  std::string Text(absl::Time now);
  // Executions that were not kept for want of budget.
  uint64_t dropped();

 private:
  struct Sample {
    bool success = false;
    uint32_t duration_us = 0;
    // resolve, connect, tls, processing, transfer: microseconds, -1 = did not happen
    int64_t phases[5] = {-1, -1, -1, -1, -1};
    uint32_t status = 0;
    int64_t certificate_expiry = 0;
    absl::Time time;
  };
  using Key = std::tuple<std::string, std::string, std::string>;

  const size_t series_most_;
  const absl::Duration age_most_;
  Mutex mu_;
  std::map<Key, Sample> samples_ ABSL_GUARDED_BY(mu_);
  uint64_t dropped_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace picket

#endif  // COORDINATOR_APP_PROBES_H_
