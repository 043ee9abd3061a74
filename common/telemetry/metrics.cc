#include "common/telemetry/metrics.h"

#include <prometheus/text_serializer.h>

#include <sstream>
#include <utility>

#include "common/base/version.h"

namespace picket {

Metrics::Metrics(absl::string_view program, absl::Time started) {
  Gauges("picket_build_info", "What runs here; always 1.")
      .Add({{"program", std::string(program)}, {"version", std::string(kVersion)}})
      .Set(1);
  OneGauge("picket_process_start_time_seconds", "Start of the process, Unix time.")
      .Set(absl::ToDoubleSeconds(started - absl::UnixEpoch()));
}

prometheus::Family<prometheus::Counter>& Metrics::Counters(const std::string& name,
                                                           const std::string& help) {
  return prometheus::BuildCounter().Name(name).Help(help).Register(registry_);
}

prometheus::Family<prometheus::Gauge>& Metrics::Gauges(const std::string& name,
                                                       const std::string& help) {
  return prometheus::BuildGauge().Name(name).Help(help).Register(registry_);
}

prometheus::Family<prometheus::Histogram>& Metrics::Histograms(const std::string& name,
                                                               const std::string& help) {
  return prometheus::BuildHistogram().Name(name).Help(help).Register(registry_);
}

prometheus::Counter& Metrics::OneCounter(const std::string& name, const std::string& help) {
  return Counters(name, help).Add({});
}

prometheus::Gauge& Metrics::OneGauge(const std::string& name, const std::string& help) {
  return Gauges(name, help).Add({});
}

prometheus::Histogram& Metrics::OneHistogram(const std::string& name, const std::string& help,
                                             const std::vector<double>& buckets) {
  return Histograms(name, help).Add({}, buckets);
}

void Metrics::OnScrape(absl::AnyInvocable<void()> refresh) {
  MutexLock lock(&mu_);
  refreshers_.push_back(std::move(refresh));
}

std::string Metrics::Text() {
  MutexLock lock(&mu_);
  for (auto& refresh : refreshers_) refresh();
  std::ostringstream out;
  prometheus::TextSerializer().Serialize(out, registry_.Collect());
  return out.str();
}

std::vector<double> Metrics::DurationBuckets() {
  return {0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10};
}

}  // namespace picket
