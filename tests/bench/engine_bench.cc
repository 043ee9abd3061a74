// Drives the check engine alone against one URL and says how many checks it made.
//
//   engine_bench --url U [--seconds S] [--in-flight N] [--loops N] [--reuse] [--truth] [--ca FILE]
//
// Each check is what a fleet would run: full timings and three assertions. One loop by
// default, so that a core can be compared with a core. With --truth the target says in
// X-Delay-Us how long it made us wait (truth_server); the error of the reported first_byte
// is printed over the results that do not say of themselves that they are poor.

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

class Bench {
 public:
  Bench(const BenchOptions& options, std::shared_ptr<const CompiledTest> test)
      : options_(options), test_(std::move(test)) {}

  int Run() {
    EngineOptions engine_options;
    engine_options.loops = options_.loops;
    engine_options.ca_file = options_.ca;
    engine_options.in_flight_most = options_.in_flight + 1;
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
    running_ = options_.in_flight;
    for (uint32_t i = 0; i < options_.in_flight; ++i) SubmitOne();
    {
      MutexLock lock(&mu_);
      while (running_ > 0) changed_.Wait(&mu_);
    }
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
    if (attempt.quality().poor()) {
      ++poor_;
      return;
    }
    for (const v1::Phase& phase : attempt.measurement().phases()) {
      if (phase.name() == v1::Phase::total) totals_.push_back(phase.us());
      if (phase.name() != v1::Phase::first_byte || !options_.truth) continue;
      int64_t truth = 0;
      if (attempt.assertions_size() == 0 ||
          !absl::SimpleAtoi(attempt.assertions(0).actual(), &truth)) {
        continue;
      }
      errors_.push_back(static_cast<uint32_t>(std::abs(static_cast<int64_t>(phase.us()) - truth)));
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
    if (options_.truth) {
      std::printf("p50 error %.1f us\n", static_cast<double>(Percentile(errors_, 0.5)));
      std::printf("p99 error %.1f us\n", static_cast<double>(Percentile(errors_, 0.99)));
      std::printf("max error %.1f us\n", static_cast<double>(Percentile(errors_, 1.0)));
    }
    int told = 0;
    for (const auto& [reason, count] : reasons_) {
      if (++told > 5) break;
      std::fprintf(stderr, "%llu x %s\n", static_cast<unsigned long long>(count), reason.c_str());
    }
  }

  const BenchOptions options_;
  const std::shared_ptr<const CompiledTest> test_;
  Engine* engine_ = nullptr;
  absl::Duration warm_, end_;
  std::atomic<uint64_t> seed_{1};

  Mutex mu_;
  CondVar changed_;
  uint32_t running_ = 0;
  uint64_t counted_ ABSL_GUARDED_BY(mu_) = 0, failed_ ABSL_GUARDED_BY(mu_) = 0,
                    poor_ ABSL_GUARDED_BY(mu_) = 0;
  std::vector<uint32_t> totals_ ABSL_GUARDED_BY(mu_), errors_ ABSL_GUARDED_BY(mu_);
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
                 "[--truth] [--ca FILE]\n");
    return 2;
  }
  auto test = CompileTest(MakeTest(options), {});
  if (!test.ok()) {
    std::fprintf(stderr, "%s\n", std::string(test.status().message()).c_str());
    return 2;
  }
  return Bench(options, *std::move(test)).Run();
}

}  // namespace
}  // namespace picket

int main(int argc, char** argv) { return picket::Main(argc, argv); }
