#include "coordinator/app/probes.h"

#include <algorithm>
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"

namespace picket {
namespace {

constexpr const char* kPhases[] = {"resolve", "connect", "tls", "processing", "transfer"};
// What one key may put out: success, duration, five phases, status, expiry, time.
constexpr size_t kSeriesPerKey = 10;

int PhaseIndex(v1::Phase::Name name) {
  switch (name) {
    case v1::Phase::dns:
      return 0;
    case v1::Phase::connect:
      return 1;
    case v1::Phase::tls:
      return 2;
    case v1::Phase::first_byte:
      return 3;
    case v1::Phase::transfer:
      return 4;
    default:
      return -1;
  }
}

std::string Escape(absl::string_view value) {
  return absl::StrReplaceAll(value, {{"\\", "\\\\"}, {"\"", "\\\""}, {"\n", "\\n"}});
}

std::string Seconds(int64_t us) { return absl::StrFormat("%.6f", static_cast<double>(us) / 1e6); }

}  // namespace

void Probes::Record(const std::string& suite, const std::string& test,
                    const std::string& location, const v1::ExecutionResult& result,
                    absl::Time now) {
  if (result.attempts().empty()) return;
  MutexLock lock(&mu_);
  Key key(suite, test, location);
  auto it = samples_.find(key);
  if (it == samples_.end()) {
    if ((samples_.size() + 1) * kSeriesPerKey > series_most_) {
      std::erase_if(samples_, [&](const auto& s) { return now - s.second.time > age_most_; });
    }
    if ((samples_.size() + 1) * kSeriesPerKey > series_most_) {
      ++dropped_;
      return;
    }
    it = samples_.emplace(std::move(key), Sample()).first;
  }
  const v1::Attempt& attempt = result.attempts(result.attempts_size() - 1);
  Sample sample;
  sample.success = result.outcome() == v1::Outcome::PASSED;
  sample.duration_us = attempt.duration_us();
  for (const v1::Phase& phase : attempt.measurement().phases()) {
    const int index = PhaseIndex(phase.name());
    if (index >= 0) sample.phases[index] = phase.us();
  }
  sample.status = attempt.measurement().http().status();
  sample.certificate_expiry = attempt.measurement().http().certificate_expiry();
  sample.time = now;
  it->second = sample;
}

std::string Probes::Text(absl::Time now) {
  MutexLock lock(&mu_);
  std::erase_if(samples_, [&](const auto& s) { return now - s.second.time > age_most_; });
  std::string text;
  const auto family = [&](absl::string_view name, absl::string_view help, auto&& each) {
    if (samples_.empty()) return;
    absl::StrAppend(&text, "# HELP ", name, " ", help, "\n# TYPE ", name, " gauge\n");
    for (const auto& [key, sample] : samples_) {
      const std::string labels =
          absl::StrCat("suite=\"", Escape(std::get<0>(key)), "\",test=\"",
                       Escape(std::get<1>(key)), "\",location=\"", Escape(std::get<2>(key)), "\"");
      each(name, labels, sample);
    }
  };
  const auto line = [&](absl::string_view name, absl::string_view labels, absl::string_view value) {
    absl::StrAppend(&text, name, "{", labels, "} ", value, "\n");
  };
  family("probe_success", "Whether the latest execution passed.",
         [&](absl::string_view name, const std::string& labels, const Sample& s) {
           line(name, labels, s.success ? "1" : "0");
         });
  family("probe_duration_seconds", "How long the latest attempt took.",
         [&](absl::string_view name, const std::string& labels, const Sample& s) {
           line(name, labels, Seconds(s.duration_us));
         });
  family("probe_http_duration_seconds", "Duration by phase, summed over redirects.",
         [&](absl::string_view name, const std::string& labels, const Sample& s) {
           for (int i = 0; i < 5; ++i) {
             line(name, absl::StrCat(labels, ",phase=\"", kPhases[i], "\""),
                  Seconds(std::max<int64_t>(0, s.phases[i])));
           }
         });
  family("probe_http_status_code", "Status of the last response; 0 if there was none.",
         [&](absl::string_view name, const std::string& labels, const Sample& s) {
           line(name, labels, absl::StrCat(s.status));
         });
  family("probe_ssl_earliest_cert_expiry", "Expiry of the certificate, Unix seconds.",
         [&](absl::string_view name, const std::string& labels, const Sample& s) {
           if (s.certificate_expiry != 0) line(name, labels, absl::StrCat(s.certificate_expiry));
         });
  family("probe_last_run_timestamp_seconds", "When the latest execution was decided.",
         [&](absl::string_view name, const std::string& labels, const Sample& s) {
           line(name, labels,
                absl::StrFormat("%.3f", static_cast<double>(absl::ToUnixMillis(s.time)) / 1e3));
         });
  return text;
}

uint64_t Probes::dropped() {
  MutexLock lock(&mu_);
  return dropped_;
}

}  // namespace picket
