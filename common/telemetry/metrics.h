// File: metrics.h
//
// What a process tells Prometheus: a registry of families, built once at start, and
// their text for /metrics. Names follow docs/OPERATIONS.md: `picket_<noun>_<unit>`,
// counters end in `_total`, labels come from closed sets, and every series of a closed
// set is made at start so that it reads 0 and not "absent".
//
//   Metrics metrics("picket-agent");
//   auto& checks = metrics.Counters("picket_agent_checks_total", "Attempts made.");
//   prometheus::Counter& passed = checks.Add({{"outcome", "passed"}});
//   passed.Increment();
//
// Thread rule: safe to call from any thread. References to families and series live as
// long as the Metrics.

#ifndef COMMON_TELEMETRY_METRICS_H_
#define COMMON_TELEMETRY_METRICS_H_

#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/base/mutex.h"

namespace picket {

class Metrics {
 public:
  // Registers picket_build_info{program,version}, always 1, and
  // picket_process_start_time_seconds.
  Metrics(absl::string_view program, absl::Time started);
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  // The family of that name, made at the first call. REQUIRES: one help text a name.
  prometheus::Family<prometheus::Counter>& Counters(const std::string& name,
                                                    const std::string& help);
  prometheus::Family<prometheus::Gauge>& Gauges(const std::string& name, const std::string& help);
  prometheus::Family<prometheus::Histogram>& Histograms(const std::string& name,
                                                        const std::string& help);

  // A family with one series and no label.
  prometheus::Counter& OneCounter(const std::string& name, const std::string& help);
  prometheus::Gauge& OneGauge(const std::string& name, const std::string& help);
  prometheus::Histogram& OneHistogram(const std::string& name, const std::string& help,
                                      const std::vector<double>& buckets);

  // Run before every scrape, to bring gauges up to date. Must not block; must not call
  // back into this Metrics but through its series.
  void OnScrape(absl::AnyInvocable<void()> refresh);

  // The exposition, text format 0.0.4.
  std::string Text();

  // Buckets in seconds for durations from 100 us to 10 s.
  static std::vector<double> DurationBuckets();

 private:
  prometheus::Registry registry_;
  Mutex mu_;
  std::vector<absl::AnyInvocable<void()>> refreshers_ ABSL_GUARDED_BY(mu_);
};

}  // namespace picket

#endif  // COMMON_TELEMETRY_METRICS_H_
