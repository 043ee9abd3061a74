// Records how the same answer varies on this machine, and what a regression gate makes of it.
//
//   regression_noise record --url U [--series N] [--runs N] > FILE
//       N series of runs side by side; a run is as many measurements of first_byte as a gate may
//       ask for, as far apart as a gate makes them, through the real engine.
//   regression_noise judge FILE... [--at-most PERCENT] [--over RUNS]
//       False alarms over the recorded runs as they are, and the smallest slowdown that is caught
//       nine times in ten when the same measurements are made slower by it.

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "agent/engine/engine.h"
#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "tests/support/regression_rates.h"

namespace picket {
namespace {

v1::Test MakeTest(const std::string& url) {
  v1::Test test;
  test.set_suite("noise");
  test.set_id("noise");
  test.set_name("noise");
  test.mutable_timeout()->set_seconds(10);
  v1::HttpCheck& http = *test.add_steps()->mutable_http();
  http.set_method("GET");
  http.set_url(url);
  http.set_http_version(v1::HttpCheck::AUTO);
  http.set_ip_version(v1::HttpCheck::ANY);
  http.set_connection(v1::HttpCheck::FRESH);
  http.set_body_limit_bytes(1 << 20);
  return test;
}

class Recorder {
 public:
  Recorder(std::shared_ptr<const CompiledTest> test, uint32_t series, uint32_t runs)
      : test_(std::move(test)), series_(series), runs_(runs) {}

  int Run() {
    auto engine = Engine::Start(EngineOptions{.loops = 1});
    if (!engine.ok()) {
      std::fprintf(stderr, "%s\n", std::string(engine.status().message()).c_str());
      return 1;
    }
    const absl::Duration gap = DefaultLimits().regression_gap;
    const absl::Duration start = Clock::Real()->Monotonic();
    const uint32_t samples = DefaultLimits().regression_samples;
    for (uint64_t turn = 0; turn < uint64_t{runs_} * samples; ++turn) {
      for (uint32_t series = 0; series < series_; ++series) {
        const absl::Duration due = start + static_cast<int64_t>(turn) * gap + series * gap / series_;
        MutexLock lock(&mu_);
        while (Clock::Real()->Monotonic() < due) {
          wake_.WaitWithTimeout(&mu_, due - Clock::Real()->Monotonic());
        }
        CheckJob job;
        job.test = test_;
        job.seed = turn;
        ++in_flight_;
        (*engine)->Submit(std::move(job), [this, series, run = turn / samples](v1::Attempt attempt) {
          OnDone(series, static_cast<uint32_t>(run), attempt);
        });
      }
    }
    MutexLock lock(&mu_);
    while (in_flight_ > 0) wake_.Wait(&mu_);
    std::printf("# first_byte in us: %u series of %u runs of %u measurements, %u poor or failed\n",
                series_, runs_, samples, bad_);
    for (const auto& [key, times] : times_) {
      std::printf("%u", key.first);
      for (uint32_t us : times) std::printf(" %u", us);
      std::printf("\n");
    }
    return 0;
  }

 private:
  void OnDone(uint32_t series, uint32_t run, const v1::Attempt& attempt) {
    MutexLock lock(&mu_);
    const bool good = attempt.outcome() == v1::Outcome::PASSED && !attempt.quality().poor();
    bad_ += !good;
    for (const v1::Phase& phase : attempt.measurement().phases()) {
      if (good && phase.name() == v1::Phase::first_byte) times_[{series, run}].push_back(phase.us());
    }
    if (--in_flight_ == 0) wake_.SignalAll();
  }

  const std::shared_ptr<const CompiledTest> test_;
  const uint32_t series_, runs_;
  Mutex mu_;
  CondVar wake_;
  uint32_t in_flight_ ABSL_GUARDED_BY(mu_) = 0, bad_ ABSL_GUARDED_BY(mu_) = 0;
  std::map<std::pair<uint32_t, uint32_t>, std::vector<uint32_t>> times_ ABSL_GUARDED_BY(mu_);
};

int Record(const std::string& url, uint32_t series, uint32_t runs) {
  auto test = CompileTest(MakeTest(url), {});
  if (!test.ok()) {
    std::fprintf(stderr, "%s\n", std::string(test.status().message()).c_str());
    return 2;
  }
  return Recorder(*std::move(test), series, runs).Run();
}

int JudgeFile(const std::string& path, const RegressionRule& rule) {
  std::ifstream in(path);
  const NoiseRecording recording = ReadNoise(in);
  const RegressionRates quiet = JudgeRecording(recording, rule, 1);
  if (quiet.comparisons == 0) {
    std::fprintf(stderr, "%s: no run has %u runs before it\n", path.c_str(), rule.over);
    return 1;
  }
  std::printf(
      "comparisons %u false_alarms %u measured_again %u measurements %llu median_us %.0f "
      "caught_percent %u\n",
      quiet.comparisons, quiet.failed, quiet.measured_again,
      static_cast<unsigned long long>(quiet.measurements), MedianOf(recording),
      SmallestCaught(recording, rule));
  return 0;
}

int Usage() {
  std::fprintf(stderr, "usage: regression_noise record --url U [--series N] [--runs N]\n"
                       "       regression_noise judge FILE [--at-most PERCENT] [--over RUNS]\n");
  return 2;
}

int Main(int argc, char** argv) {
  const std::string mode = argc > 1 ? argv[1] : "";
  std::string url, file;
  uint32_t series = 25, runs = 50;
  RegressionRule rule{.at_most_percent = 20, .over = 10};
  for (int i = 2; i < argc; ++i) {
    const std::string flag = argv[i];
    if (flag[0] != '-') {
      file = flag;
      continue;
    }
    if (i + 1 == argc) return Usage();
    const std::string value = argv[++i];
    const bool known = flag == "--url"       ? (url = value, true)
                       : flag == "--series"  ? absl::SimpleAtoi(value, &series) && series > 0
                       : flag == "--runs"    ? absl::SimpleAtoi(value, &runs) && runs > 0
                       : flag == "--over"    ? absl::SimpleAtoi(value, &rule.over) && rule.over > 0
                       : flag == "--at-most" ? absl::SimpleAtod(value, &rule.at_most_percent)
                                             : false;
    if (!known) return Usage();
  }
  if (mode == "record" && !url.empty()) return Record(url, series, runs);
  if (mode == "judge" && !file.empty()) return JudgeFile(file, rule);
  return Usage();
}

}  // namespace
}  // namespace picket

int main(int argc, char** argv) { return picket::Main(argc, argv); }
