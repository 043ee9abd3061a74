// Drives the check engine alone against one URL and says how many checks it made.
//
//   engine_bench --url U [--seconds S] [--in-flight N] [--loops N] [--reuse] [--ca FILE]
//                [--truth] [--spread-ms M] [--beside U [--beside-in-flight N] [--beside-json PATH]]
//
// Each check is what a fleet would run: full timings and three assertions. One loop by
// default, so that a core can be compared with a core. With --truth the target says in
// X-Delay-Us how long it made us wait (truth_server); the error of the reported first_byte
// is printed over the results that do not say of themselves that they are poor, and over
// all. --spread-ms spreads the first checks over that time: started together, they would
// come back together for ever. --beside keeps other checks going meanwhile, whose answers
// (16 MiB at most) may be judged by a JSONPath.

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "agent/engine/engine.h"
#include "common/base/clock.h"
#include "common/base/mutex.h"

namespace picket {
namespace {

struct BenchOptions {
  std::string url, ca;
  double seconds = 10;
  uint32_t in_flight = 64;
  int loops = 1;
  bool reuse = false;
  bool truth = false;
  uint32_t spread_ms = 0;
  std::string beside, beside_json;
  uint32_t beside_in_flight = 1;
};

void Expect(v1::Step& step, v1::Subject::Value subject, const char* argument,
            v1::Operator::Value op, const char* operand) {
  v1::Expectation& expectation = *step.add_expect();
  expectation.set_subject(subject);
  expectation.set_argument(argument);
  v1::Operation& operation = *expectation.add_operations();
  operation.set_operator_(op);
  operation.set_operand_json(operand);
}

v1::Test MakeTest(const BenchOptions& options) {
  v1::Test test;
  test.set_suite("bench");
  test.set_id("check");
  test.set_name("check");
  test.mutable_timeout()->set_seconds(10);
  v1::Step& step = *test.add_steps();
  v1::HttpCheck& http = *step.mutable_http();
  http.set_method("GET");
  http.set_url(options.url);
  http.set_follow_redirects(true);
  http.set_max_redirects(10);
  http.set_http_version(v1::HttpCheck::AUTO);
  http.set_ip_version(v1::HttpCheck::ANY);
  http.set_connection(options.reuse ? v1::HttpCheck::REUSE : v1::HttpCheck::FRESH);
  http.set_body_limit_bytes(1 << 20);
  http.mutable_tls()->set_verify(true);
  if (options.truth) {
    // First, so that its actual value is in the result.
    Expect(step, v1::Subject::header, "x-delay-us", v1::Operator::at_least, "0");
  } else {
    Expect(step, v1::Subject::header, "content-type", v1::Operator::contains, "\"/\"");
  }
  Expect(step, v1::Subject::status, "", v1::Operator::is, "200");
  Expect(step, v1::Subject::time, "total", v1::Operator::below, "10000000");
  return test;
}

v1::Test MakeBesideTest(const BenchOptions& options) {
  BenchOptions other = options;
  other.url = options.beside;
  v1::Test test = MakeTest(other);
  test.set_id("beside");
  test.mutable_timeout()->set_seconds(300);
  v1::Step& step = *test.mutable_steps(0);
  step.mutable_http()->set_body_limit_bytes(16 << 20);
  step.clear_expect();
  Expect(step, v1::Subject::status, "", v1::Operator::is, "200");
  if (!options.beside_json.empty()) {
    Expect(step, v1::Subject::json, options.beside_json.c_str(), v1::Operator::exists, "true");
  }
  return test;
}

class Bench {
 public:
  Bench(const BenchOptions& options, std::shared_ptr<const CompiledTest> test,
        std::shared_ptr<const CompiledTest> beside)
      : options_(options), test_(std::move(test)), beside_(std::move(beside)) {}

  int Run() {
    EngineOptions engine_options;
    engine_options.loops = options_.loops;
    engine_options.ca_file = options_.ca;
    engine_options.in_flight_most = options_.in_flight + options_.beside_in_flight + 1;
    auto engine = Engine::Start(engine_options);
    if (!engine.ok()) {
      std::fprintf(stderr, "%s\n", std::string(engine.status().message()).c_str());
      return 1;
    }
    engine_ = engine->get();
    Clock* clock = Clock::Real();
    // A tenth of the time goes to warming up.
    const absl::Duration begin = clock->Monotonic();
    warm_ = begin + absl::Seconds(options_.seconds * 0.1);
    end_ = warm_ + absl::Seconds(options_.seconds);
    if (beside_ != nullptr) {
      for (uint32_t i = 0; i < options_.beside_in_flight; ++i) SubmitBeside();
    }
    const absl::Duration gap = absl::Milliseconds(options_.spread_ms) / options_.in_flight;
    for (uint32_t i = 0; i < options_.in_flight; ++i) {
      MutexLock lock(&mu_);
      ++running_;
      SubmitOne();
      const absl::Duration next = begin + gap * (i + 1);
      while (clock->Monotonic() < next) changed_.WaitWithTimeout(&mu_, next - clock->Monotonic());
    }
    {
      MutexLock lock(&mu_);
      while (running_ > 0) changed_.Wait(&mu_);
      stopping_ = true;
    }
    engine->reset();  // ends those beside
    Print();
    return failed_ == 0 ? 0 : 1;
  }

 private:
  void SubmitOne() {
    CheckJob job;
    job.test = test_;
    job.seed = seed_.fetch_add(1, std::memory_order_relaxed);
    engine_->Submit(std::move(job), [this](v1::Attempt attempt) { OnDone(attempt); });
  }

  void SubmitBeside() {
    CheckJob job;
    job.test = beside_;
    engine_->Submit(std::move(job), [this](const v1::Attempt& attempt) {
      MutexLock lock(&mu_);
      if (stopping_) return;
      ++beside_ended_;
      if (attempt.outcome() != v1::Outcome::PASSED) {
        ++beside_failed_;
        ++reasons_[absl::StrCat("beside: ", attempt.message())];
      }
      SubmitBeside();
    });
  }

  void OnDone(const v1::Attempt& attempt) {
    const absl::Duration now = Clock::Real()->Monotonic();
    if (now < end_) SubmitOne();
    MutexLock lock(&mu_);
    if (now >= warm_ && now < end_) Count(attempt);
    if (now >= end_ && --running_ == 0) changed_.Signal();
  }

  void Count(const v1::Attempt& attempt) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    ++counted_;
    if (attempt.outcome() != v1::Outcome::PASSED) {
      ++failed_;
      ++reasons_[absl::StrCat(v1::FailureReason::Value_Name(attempt.reason()), ": ",
                              attempt.message())];
      return;
    }
    const bool poor = attempt.quality().poor();
    if (poor) ++poor_;
    stalls_.push_back(attempt.quality().loop_stall_us());
    for (const v1::Phase& phase : attempt.measurement().phases()) {
      if (phase.name() == v1::Phase::total) totals_.push_back(phase.us());
      if (phase.name() != v1::Phase::first_byte || !options_.truth) continue;
      int64_t truth = 0;
      if (attempt.assertions_size() == 0 ||
          !absl::SimpleAtoi(attempt.assertions(0).actual(), &truth)) {
        continue;
      }
      const auto error = static_cast<uint32_t>(std::abs(static_cast<int64_t>(phase.us()) - truth));
      if (!poor) errors_.push_back(error);
      all_errors_.push_back(error);
    }
  }

  static uint32_t Percentile(std::vector<uint32_t>& values, double p) {
    if (values.empty()) return 0;
    const size_t at = std::min(values.size() - 1, static_cast<size_t>(values.size() * p));
    std::nth_element(values.begin(), values.begin() + at, values.end());
    return values[at];
  }

  void Print() {
    MutexLock lock(&mu_);
    std::printf("%.1f checks/s\n", counted_ / options_.seconds);
    std::printf("checks %llu failed %llu poor %.3f %%\n", static_cast<unsigned long long>(counted_),
                static_cast<unsigned long long>(failed_),
                counted_ == 0 ? 0.0 : 100.0 * poor_ / counted_);
    std::printf("total p50 %u us p99 %u us\n", Percentile(totals_, 0.5), Percentile(totals_, 0.99));
    std::printf("stall p50 %u us p99 %u us max %u us\n", Percentile(stalls_, 0.5),
                Percentile(stalls_, 0.99), Percentile(stalls_, 1.0));
    if (beside_ != nullptr) {
      std::printf("beside ended %llu failed %llu\n", static_cast<unsigned long long>(beside_ended_),
                  static_cast<unsigned long long>(beside_failed_));
    }
    if (options_.truth) {
      std::printf("p50 error %.1f us\n", static_cast<double>(Percentile(errors_, 0.5)));
      std::printf("p99 error %.1f us\n", static_cast<double>(Percentile(errors_, 0.99)));
      std::printf("max error %.1f us\n", static_cast<double>(Percentile(errors_, 1.0)));
      std::printf("of all: p99 error %.1f us\n", static_cast<double>(Percentile(all_errors_, 0.99)));
    }
    int told = 0;
    for (const auto& [reason, count] : reasons_) {
      if (++told > 5) break;
      std::fprintf(stderr, "%llu x %s\n", static_cast<unsigned long long>(count), reason.c_str());
    }
  }

  const BenchOptions options_;
  const std::shared_ptr<const CompiledTest> test_, beside_;
  Engine* engine_ = nullptr;
  absl::Duration warm_, end_;
  std::atomic<uint64_t> seed_{1};

  Mutex mu_;
  CondVar changed_;
  uint32_t running_ ABSL_GUARDED_BY(mu_) = 0;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  uint64_t beside_ended_ ABSL_GUARDED_BY(mu_) = 0, beside_failed_ ABSL_GUARDED_BY(mu_) = 0;
  uint64_t counted_ ABSL_GUARDED_BY(mu_) = 0, failed_ ABSL_GUARDED_BY(mu_) = 0,
                    poor_ ABSL_GUARDED_BY(mu_) = 0;
  std::vector<uint32_t> totals_ ABSL_GUARDED_BY(mu_), stalls_ ABSL_GUARDED_BY(mu_),
      errors_ ABSL_GUARDED_BY(mu_), all_errors_ ABSL_GUARDED_BY(mu_);
  std::map<std::string, uint64_t> reasons_ ABSL_GUARDED_BY(mu_);
};

bool Parse(int argc, char** argv, BenchOptions& options) {
  for (int i = 1; i < argc; ++i) {
    const std::string flag = argv[i];
    if (flag == "--reuse") {
      options.reuse = true;
    } else if (flag == "--truth") {
      options.truth = true;
    } else if (i + 1 == argc) {
      return false;
    } else if (flag == "--url") {
      options.url = argv[++i];
    } else if (flag == "--ca") {
      options.ca = argv[++i];
    } else if (flag == "--seconds") {
      if (!absl::SimpleAtod(argv[++i], &options.seconds)) return false;
    } else if (flag == "--in-flight") {
      if (!absl::SimpleAtoi(argv[++i], &options.in_flight)) return false;
    } else if (flag == "--loops") {
      if (!absl::SimpleAtoi(argv[++i], &options.loops)) return false;
    } else if (flag == "--spread-ms") {
      if (!absl::SimpleAtoi(argv[++i], &options.spread_ms)) return false;
    } else if (flag == "--beside") {
      options.beside = argv[++i];
    } else if (flag == "--beside-json") {
      options.beside_json = argv[++i];
    } else if (flag == "--beside-in-flight") {
      if (!absl::SimpleAtoi(argv[++i], &options.beside_in_flight)) return false;
    } else {
      return false;
    }
  }
  return !options.url.empty() && options.in_flight > 0 && options.seconds > 0;
}

int Main(int argc, char** argv) {
  BenchOptions options;
  if (!Parse(argc, argv, options)) {
    std::fprintf(stderr,
                 "usage: engine_bench --url U [--seconds S] [--in-flight N] [--loops N] [--reuse] "
                 "[--ca FILE] [--truth] [--spread-ms M] [--beside U [--beside-in-flight N] "
                 "[--beside-json PATH]]\n");
    return 2;
  }
  auto test = CompileTest(MakeTest(options), {});
  if (!test.ok()) {
    std::fprintf(stderr, "%s\n", std::string(test.status().message()).c_str());
    return 2;
  }
  std::shared_ptr<const CompiledTest> beside;
  if (!options.beside.empty()) {
    auto compiled = CompileTest(MakeBesideTest(options), {});
    if (!compiled.ok()) {
      std::fprintf(stderr, "%s\n", std::string(compiled.status().message()).c_str());
      return 2;
    }
    beside = *std::move(compiled);
  }
  return Bench(options, *std::move(test), std::move(beside)).Run();
}

}  // namespace
}  // namespace picket

int main(int argc, char** argv) { return picket::Main(argc, argv); }
