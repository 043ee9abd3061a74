#include "agent/engine/attempt.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "agent/engine/limits.h"
#include "agent/engine/worker_pool.h"
#include "common/policy/limits.h"
#include "tests/unit/engine/test_builder.h"

namespace picket {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

TEST(AttemptTest, APassingCheckIsSmallAndComplete) {
  Bench bench(Always(Respond(200, "hello", {{"Content-Type", "text/html"}})));
  const v1::Attempt attempt = bench.Run(absl::StrCat("steps { ", kIs200, " }"));
  EXPECT_EQ(attempt.outcome(), v1::Outcome::PASSED);
  EXPECT_EQ(attempt.reason(), v1::FailureReason::none);
  EXPECT_EQ(attempt.number(), 1u);
  EXPECT_EQ(attempt.message(), "");
  EXPECT_EQ(attempt.start_time().seconds(), 1'700'000'000);
  EXPECT_EQ(attempt.measurement().http().status(), 200u);
  EXPECT_EQ(attempt.measurement().http().address(), "127.0.0.1:80");
  ASSERT_EQ(attempt.measurement().phases_size(), 5);  // no dns, no tls
  EXPECT_EQ(attempt.measurement().phases(2).name(), v1::Phase::first_byte);
  EXPECT_EQ(attempt.measurement().phases(2).us(), 1000u);
  EXPECT_EQ(attempt.assertions_passed(), 1u);
  EXPECT_FALSE(attempt.has_evidence());
  EXPECT_LE(attempt.ByteSizeLong(), DefaultLimits().passing_result_bytes);
  EXPECT_EQ(bench.loop.sessions, 0);
}

TEST(AttemptTest, APassingResultStaysWithinItsBoundWhateverTheTest) {
  std::string expect;
  for (int i = 0; i < 100; ++i) {
    absl::StrAppend(&expect,
                    "expect { subject: body operations { operator: contains operand_json: "
                    "'\"hello\"' } }");
  }
  std::string steps;
  for (int i = 0; i < 20; ++i) {
    absl::StrAppend(&steps, "steps { name: 'a step with quite a long name ", i, "' ", expect, "}");
  }
  Bench bench(Always(Respond(200, "hello")));
  const v1::Attempt attempt = bench.Run(steps);
  EXPECT_EQ(attempt.outcome(), v1::Outcome::PASSED);
  EXPECT_EQ(attempt.assertions_passed(), 2000u);
  EXPECT_LE(attempt.ByteSizeLong(), DefaultLimits().passing_result_bytes);
}

TEST(AttemptTest, ATransferThatFailsGivesItsReasonAndEvidence) {
  Bench bench(Always(Break(v1::FailureReason::connect_refused, "127.0.0.1:80 refused")));
  const v1::Attempt attempt = bench.Run(absl::StrCat("steps { ", kIs200, " }"));
  EXPECT_EQ(attempt.outcome(), v1::Outcome::FAILED);
  EXPECT_EQ(attempt.reason(), v1::FailureReason::connect_refused);
  EXPECT_EQ(attempt.message(), "127.0.0.1:80 refused");
  EXPECT_EQ(attempt.assertions_size(), 0);
  EXPECT_THAT(attempt.evidence().request(), StartsWith("GET http://shop.example/"));
  EXPECT_THAT(attempt.evidence().curl(), HasSubstr("'http://shop.example/'"));
}

TEST(AttemptTest, OurOwnFaultIsInconclusive) {
  TransferResult broken = Break(v1::FailureReason::agent_resources, "no ports left");
  broken.inconclusive = true;
  Bench bench(Always(broken));
  const v1::Attempt attempt = bench.Run("steps { }");
  EXPECT_EQ(attempt.outcome(), v1::Outcome::INCONCLUSIVE);
  EXPECT_EQ(attempt.reason(), v1::FailureReason::agent_resources);
}

TEST(AttemptTest, ATimeoutWhileTheLoopStoodStillIsInconclusive) {
  TransferResult late = Break(v1::FailureReason::timeout_first_byte, "no byte");
  late.loop_stall = DefaultEngineLimits().poor_loop_stall + absl::Milliseconds(1);
  late.times.total = 100'000;
  EXPECT_EQ(Bench(Always(late)).Run("steps { }").reason(), v1::FailureReason::measurement_poor);
  // It does not explain a silence of ten seconds.
  late.times.total = 10'000'000;
  EXPECT_EQ(Bench(Always(late)).Run("steps { }").reason(), v1::FailureReason::timeout_first_byte);
  late.times.total = 100'000;
  late.loop_stall = absl::ZeroDuration();
  EXPECT_EQ(Bench(Always(late)).Run("steps { }").reason(), v1::FailureReason::timeout_first_byte);
}

TEST(AttemptTest, APoorMeasurementExcusesTimesAndNothingElse) {
  TransferResult slow = Respond(500);
  slow.loop_stall = absl::Milliseconds(50);
  const std::string time =
      "expect { subject: time argument: 'total' operations { operator: below operand_json: '10' } "
      "}";
  const v1::Attempt excused = Bench(Always(slow)).Run(absl::StrCat("steps { ", time, " }"));
  EXPECT_EQ(excused.outcome(), v1::Outcome::INCONCLUSIVE);
  EXPECT_EQ(excused.reason(), v1::FailureReason::measurement_poor);
  EXPECT_EQ(excused.assertions_unjudged(), 1u);
  EXPECT_TRUE(excused.quality().poor());
  EXPECT_EQ(excused.quality().loop_stall_us(), 50'000u);
  const v1::Attempt wrong = Bench(Always(slow)).Run(absl::StrCat("steps { ", time, kIs200, " }"));
  EXPECT_EQ(wrong.outcome(), v1::Outcome::FAILED);
  EXPECT_EQ(wrong.reason(), v1::FailureReason::assertion);
  slow.loop_stall = absl::ZeroDuration();
  EXPECT_EQ(Bench(Always(slow)).Run(absl::StrCat("steps { ", time, " }")).outcome(),
            v1::Outcome::FAILED);
}

// --- steps --------------------------------------------------------------------------

TransferResult ByPath(const TransferRequest& request) {
  if (absl::StrContains(request.url, "/bad")) return Respond(500);
  return Respond(200, R"({"cart":{"id":42}})", {{"X-Id", "h1"}, {"Set-Cookie", "sid=c1"}});
}

TEST(StepsTest, ShareVariablesAndCookies) {
  Bench bench(ByPath);
  const v1::Attempt attempt = bench.Run(R"x(
    steps { name: "log in" http { url: "http://a/login" }
      extract { name: "cart" json: "$.cart.id" } extract { name: "h" header: "x-id" }
      extract { name: "b" body { regex: "\"id\":([0-9]+)" group: 1 } }
      extract { name: "c" cookie: "sid" } extract { name: "s" status: true } }
    steps { name: "add" http { url: "http://a/{{ cart }}/{{ h }}/{{ b }}/{{ c }}/{{ s }}"
      body { json: "{\"cart\":\"{{ cart }}\"}" } } })x");
  EXPECT_EQ(attempt.outcome(), v1::Outcome::PASSED);
  ASSERT_EQ(bench.loop.sent.size(), 2u);
  EXPECT_EQ(bench.loop.sent[1].url, "http://a/42/h1/42/c1/200");
  EXPECT_EQ(bench.loop.sent[1].body, R"({"cart":42})");
  EXPECT_EQ(HeaderOf(bench.loop.sent[1], "cookie"), "sid=c1");
  EXPECT_EQ(attempt.measurement().phases(attempt.measurement().phases_size() - 1).us(), 2320u);
}

TEST(StepsTest, AfterAFailureOnlyAlwaysStepsRun) {
  Bench bench(ByPath);
  const v1::Attempt attempt = bench.Run(
      absl::StrCat("steps { name: 'one' http { url: 'http://a/bad' } ", kIs200, "}",
                   "steps { name: 'two' http { url: 'http://a/two' } }",
                   "steps { name: 'clean' always: true http { url: 'http://a/clean' } }",
                   "steps { name: 'needs' always: true http { url: 'http://a/{{ never }}' } }"));
  EXPECT_EQ(attempt.outcome(), v1::Outcome::FAILED);
  EXPECT_EQ(attempt.reason(), v1::FailureReason::assertion);
  EXPECT_THAT(attempt.message(), StartsWith("step 'one': "));
  ASSERT_EQ(bench.loop.sent.size(), 2u);
  EXPECT_EQ(bench.loop.sent[1].url, "http://a/clean");
  ASSERT_EQ(attempt.steps_size(), 4);
  EXPECT_TRUE(attempt.steps(1).skipped());
  EXPECT_EQ(attempt.steps(2).outcome(), v1::Outcome::PASSED);
  EXPECT_TRUE(attempt.steps(3).skipped());
}

TEST(StepsTest, AFailureThatIsAllowedFailsNothing) {
  Bench bench(ByPath);
  const v1::Attempt attempt = bench.Run(
      absl::StrCat("steps { name: 'may' allow_failure: true http { url: 'http://a/bad' } ", kIs200,
                   "}", "steps { name: 'then' http { url: 'http://a/then' } ", kIs200, "}"));
  EXPECT_EQ(attempt.outcome(), v1::Outcome::PASSED);
  EXPECT_EQ(attempt.assertions_failed(), 0u);
  EXPECT_EQ(bench.loop.sent.size(), 2u);
  ASSERT_EQ(attempt.warnings_size(), 1);
  EXPECT_THAT(attempt.warnings(0), HasSubstr("step 'may' was allowed to fail"));
}

TEST(StepsTest, AFailedExtractIsAFailureWithItsReason) {
  Bench bench(ByPath);
  const v1::Attempt attempt = bench.Run(
      "steps { extract { name: 'x' json: '$.nope' } } steps { http { url: 'http://a/{{ x }}' } }");
  EXPECT_EQ(attempt.outcome(), v1::Outcome::FAILED);
  EXPECT_EQ(attempt.reason(), v1::FailureReason::extract);
  EXPECT_THAT(attempt.message(), HasSubstr("variable x"));
  EXPECT_EQ(bench.loop.sent.size(), 1u);
}

TEST(StepsTest, AFailureWinsOverWhatCouldNotBeJudged) {
  const std::string deep = std::string(100, '[') + std::string(100, ']');
  Bench bench([&](const TransferRequest& request) {
    return absl::StrContains(request.url, "bad") ? Respond(500) : Respond(200, deep);
  });
  const v1::Attempt attempt = bench.Run(absl::StrCat(
      "steps { expect { subject: json argument: '$' operations { operator: exists operand_json: "
      "'true' } } } steps { http { url: 'http://a/bad' } ",
      kIs200, "}"));
  EXPECT_EQ(attempt.outcome(), v1::Outcome::FAILED);
  EXPECT_EQ(attempt.reason(), v1::FailureReason::assertion);
  EXPECT_EQ(attempt.assertions_unjudged(), 1u);
  EXPECT_TRUE(attempt.has_evidence());
}

// --- must_fail ----------------------------------------------------------------------

TEST(MustFailTest, OnlyTheNamedReasonPasses) {
  const std::string test = "must_fail { reasons: tls_client_certificate } steps { }";
  EXPECT_EQ(Bench(Always(Break(v1::FailureReason::tls_client_certificate))).Run(test).outcome(),
            v1::Outcome::PASSED);
  const v1::Attempt other = Bench(Always(Break(v1::FailureReason::tls_expired))).Run(test);
  EXPECT_EQ(other.outcome(), v1::Outcome::FAILED);
  EXPECT_EQ(other.reason(), v1::FailureReason::tls_expired);
  const v1::Attempt none = Bench(Always(Respond(200))).Run(test);
  EXPECT_EQ(none.outcome(), v1::Outcome::FAILED);
  EXPECT_EQ(none.reason(), v1::FailureReason::must_fail_passed);
  TransferResult ours = Break(v1::FailureReason::agent_resources);
  ours.inconclusive = true;
  EXPECT_EQ(Bench(Always(ours)).Run(test).outcome(), v1::Outcome::INCONCLUSIVE);
}

TEST(MustFailTest, OnlyTheNamedStatusPasses) {
  const std::string test = "must_fail { statuses: 401 statuses: 5 } steps { }";
  EXPECT_EQ(Bench(Always(Respond(401))).Run(test).outcome(), v1::Outcome::PASSED);
  EXPECT_EQ(Bench(Always(Respond(503))).Run(test).outcome(), v1::Outcome::PASSED);
  EXPECT_EQ(Bench(Always(Respond(404))).Run(test).reason(), v1::FailureReason::must_fail_passed);
  EXPECT_EQ(Bench(Always(Break(v1::FailureReason::connect_refused))).Run(test).reason(),
            v1::FailureReason::connect_refused);
}

TEST(MustFailTest, WhatIsExpectedBesideAStatusIsJudged) {
  const std::string test =
      "must_fail { statuses: 401 } steps { expect { subject: body operations { operator: contains "
      "operand_json: '\"denied\"' } } }";
  const v1::Attempt passed = Bench(Always(Respond(401, "access denied"))).Run(test);
  EXPECT_EQ(passed.outcome(), v1::Outcome::PASSED) << passed.message();
  EXPECT_EQ(passed.assertions_passed(), 1u);
  const v1::Attempt failed = Bench(Always(Respond(401, "come in"))).Run(test);
  EXPECT_EQ(failed.outcome(), v1::Outcome::FAILED);
  EXPECT_EQ(failed.reason(), v1::FailureReason::assertion);
  EXPECT_EQ(failed.assertions_failed(), 1u);
}

TEST(MustFailTest, AnotherFailureBesideTheNamedOneStillFails) {
  // The second step cleans up; it is asked whatever came before.
  const std::string test = absl::StrCat(
      "must_fail { reasons: connect_refused } steps { name: 'try' http { url: 'http://a/try' } } "
      "steps { name: 'clean' always: true http { url: 'http://a/clean' } ", kIs200, "}");
  const auto answer = [](int status) {
    return [status](const TransferRequest& request) -> std::optional<TransferResult> {
      if (request.url.find("try") != std::string::npos) {
        return Break(v1::FailureReason::connect_refused);
      }
      return Respond(status);
    };
  };
  EXPECT_EQ(Bench(answer(200)).Run(test).outcome(), v1::Outcome::PASSED);
  const v1::Attempt attempt = Bench(answer(500)).Run(test);
  EXPECT_EQ(attempt.outcome(), v1::Outcome::FAILED);
  EXPECT_EQ(attempt.reason(), v1::FailureReason::assertion);
}

// --- time, abort, workers -----------------------------------------------------------

TEST(TimeTest, StepsShareOneTimeout) {
  Bench bench([&](const TransferRequest& request) -> std::optional<TransferResult> {
    return Respond(200);
  });
  int calls = 0;
  Bench slow([&](const TransferRequest&) -> std::optional<TransferResult> {
    ++calls;
    slow.loop.clock.Advance(absl::Seconds(4));
    return Respond(200);
  });
  slow.Run("timeout { seconds: 6 } steps { } steps { } steps { }");
  ASSERT_EQ(slow.loop.sent.size(), 2u);
  EXPECT_EQ(slow.loop.sent[0].timeout, absl::Seconds(6));
  EXPECT_EQ(slow.loop.sent[1].timeout, absl::Seconds(2));
  EXPECT_EQ(slow.ended->outcome(), v1::Outcome::FAILED);
  EXPECT_EQ(slow.ended->reason(), v1::FailureReason::timeout_send);
  EXPECT_EQ(slow.ended->duration_us(), 8'000'000u);
}

TEST(AbortTest, EndsARequestInFlightAndRunsAlwaysSteps) {
  Bench bench([](const TransferRequest& request) -> std::optional<TransferResult> {
    if (absl::StrContains(request.url, "hang")) return std::nullopt;
    return Respond(200);
  });
  auto attempt = bench.Start(
      MakeTest("steps { http { url: 'http://a/hang' } } steps { http { url: 'http://a/two' } }"
               "steps { always: true http { url: 'http://a/clean' } }"));
  bench.loop.Run();
  EXPECT_FALSE(bench.ended.has_value());
  attempt->Abort(absl::Seconds(3));
  bench.loop.Run();
  ASSERT_TRUE(bench.ended.has_value());
  EXPECT_EQ(bench.ended->outcome(), v1::Outcome::INCONCLUSIVE);
  EXPECT_EQ(bench.ended->reason(), v1::FailureReason::attempt_aborted);
  ASSERT_EQ(bench.loop.sent.size(), 2u);
  EXPECT_EQ(bench.loop.sent[1].url, "http://a/clean");
  EXPECT_EQ(bench.loop.sent[1].timeout, absl::Seconds(3));
  EXPECT_EQ(bench.loop.flying(), 0u);
  EXPECT_EQ(bench.loop.timers(), 0u);
}

TEST(AbortTest, AfterTheGraceNothingRunsAnyMore) {
  Bench bench([](const TransferRequest&) -> std::optional<TransferResult> { return std::nullopt; });
  auto attempt = bench.Start(MakeTest("steps { } steps { always: true }"));
  attempt->Abort(absl::Seconds(3));
  bench.loop.Run();
  EXPECT_EQ(bench.loop.flying(), 1u);
  bench.loop.Advance(absl::Seconds(3));
  ASSERT_TRUE(bench.ended.has_value());
  EXPECT_EQ(bench.ended->reason(), v1::FailureReason::attempt_aborted);
  EXPECT_EQ(bench.loop.flying(), 0u);
  attempt->Abort(absl::Seconds(1));  // harmless
}

TEST(AbortTest, WithoutAlwaysStepsItEndsAtOnce) {
  Bench bench([](const TransferRequest&) -> std::optional<TransferResult> { return std::nullopt; });
  auto attempt = bench.Start(MakeTest("steps { } steps { }"));
  attempt->Abort(absl::Seconds(3));
  EXPECT_TRUE(bench.ended.has_value());
  EXPECT_EQ(bench.loop.sessions, 0);
}

TEST(WorkerTest, ALargeBodyIsJudgedOffTheLoop) {
  WorkerPool workers(1, 10);
  const std::string body = absl::StrCat("[\"", std::string(200'000, 'x'), "\",7]");
  Bench bench(Always(Respond(200, body)));
  bench.services.workers = &workers;
  bench.Start(MakeTest(
      "steps { expect { subject: json argument: '$[1]' operations { operator: is operand_json: '7' "
      "} } extract { name: 'n' json: '$[1]' } } steps { http { url: 'http://a/{{ n }}' } }"));
  bench.loop.Run();
  while (!bench.ended.has_value()) bench.loop.WaitForPost();
  ASSERT_TRUE(bench.ended.has_value());
  EXPECT_EQ(bench.ended->outcome(), v1::Outcome::PASSED);
  EXPECT_EQ(bench.loop.sent[1].url, "http://a/7");
  EXPECT_EQ(bench.loop.timers(), 0u);
}

// A worker that is kept busy until told otherwise.
class Gate {
 public:
  void Wait() {
    MutexLock lock(&mu_);
    while (!open_) changed_.Wait(&mu_);
  }
  void Open() {
    MutexLock lock(&mu_);
    open_ = true;
    changed_.SignalAll();
  }

 private:
  Mutex mu_;
  CondVar changed_;
  bool open_ ABSL_GUARDED_BY(mu_) = false;
};

// Small, but a filter within a filter looks at each pair of its members.
std::string Tangle() {
  std::string body = "[";
  for (int i = 0; i < 300; ++i) absl::StrAppend(&body, i == 0 ? "" : ",", "{\"n\":", i, "}");
  return body + "]";
}

constexpr char kTangled[] =
    "expect { subject: json argument: '$[?count($[?@.n > 100]) == 199].n' "
    "operations { operator: count operand_json: '300' } } ";

TEST(WorkerTest, WhatIsTooMuchWorkForTheLoopBeginsAgainOnAWorker) {
  WorkerPool workers(1, 10);
  Bench bench(Always(Respond(200, Tangle(), {{"X-Cart", "new"}})));
  bench.services.workers = &workers;
  bench.Start(MakeTest(absl::StrCat(
      "vars { name: 'cart' json: '\"old\"' } steps { ",
      "expect { subject: header argument: 'x-cart' operations { operator: is_not operand_json: "
      "'\"{{ cart }}\"' } } extract { name: 'cart' header: 'x-cart' } "
      "extract { name: 'n' json: '$[?count($[?@.n > 100]) == 199].n' } } "
      "steps { http { url: 'http://a/{{ cart }}' } ",
      kTangled, "}")));
  bench.loop.Run();
  EXPECT_FALSE(bench.ended.has_value());
  while (!bench.ended.has_value()) bench.loop.WaitForPost();
  EXPECT_EQ(bench.ended->outcome(), v1::Outcome::PASSED) << bench.ended->ShortDebugString();
  EXPECT_EQ(bench.ended->assertions_passed(), 2u);
  EXPECT_EQ(bench.loop.sent[1].url, "http://a/new");
}

TEST(WorkerTest, JudgingPastTheTimeoutIsInconclusive) {
  Gate gate;
  WorkerPool workers(1, 10);
  ASSERT_TRUE(workers.Submit([&] { gate.Wait(); }));
  Bench bench(Always(Respond(200, std::string(200'000, 'x'))));
  bench.services.workers = &workers;
  bench.Start(
      MakeTest("timeout { seconds: 5 } steps { expect { subject: body operations { "
               "operator: contains operand_json: '\"x\"' } } }"));
  bench.loop.Run();
  EXPECT_FALSE(bench.ended.has_value());
  bench.loop.Advance(absl::Seconds(5));
  ASSERT_TRUE(bench.ended.has_value());
  EXPECT_EQ(bench.ended->outcome(), v1::Outcome::INCONCLUSIVE);
  EXPECT_EQ(bench.ended->reason(), v1::FailureReason::cannot_evaluate);
  gate.Open();
  bench.loop.WaitForPost();  // the late verdict changes nothing
}

TEST(WorkerTest, OthersEndWhileALargeAnswerIsJudged) {
  Gate gate;
  WorkerPool workers(1, 10);
  ASSERT_TRUE(workers.Submit([&] { gate.Wait(); }));
  Bench large(Always(Respond(200, std::string(200'000, 'x'))));
  large.services.workers = &workers;
  large.Start(
      MakeTest("steps { expect { subject: body operations { operator: contains operand_json: "
               "'\"x\"' } } }"));
  large.loop.Run();
  Bench tangled(Always(Respond(200, Tangle())));
  tangled.services.workers = &workers;
  tangled.Start(MakeTest(absl::StrCat("steps { ", kTangled, "}")));
  tangled.loop.Run();
  Bench small(Always(Respond(200, "x")));
  small.services.workers = &workers;
  EXPECT_EQ(small.Run("steps { expect { subject: body operations { operator: contains "
                      "operand_json: '\"x\"' } } }")
                .outcome(),
            v1::Outcome::PASSED);
  EXPECT_FALSE(large.ended.has_value());
  EXPECT_FALSE(tangled.ended.has_value());
  gate.Open();
  large.loop.WaitForPost();
  tangled.loop.WaitForPost();
  EXPECT_EQ(large.ended->outcome(), v1::Outcome::PASSED);
  EXPECT_EQ(tangled.ended->outcome(), v1::Outcome::PASSED);
}

TEST(WorkerTest, AFullQueueIsInconclusive) {
  Gate gate;
  WorkerPool workers(1, 0);
  Bench bench(Always(Respond(200, std::string(200'000, 'x'))));
  bench.services.workers = &workers;
  const v1::Attempt attempt = bench.Run(
      "steps { expect { subject: body operations { operator: "
      "contains operand_json: '\"x\"' } } }");
  EXPECT_EQ(attempt.outcome(), v1::Outcome::INCONCLUSIVE);
  EXPECT_EQ(attempt.reason(), v1::FailureReason::agent_resources);
}

}  // namespace
}  // namespace picket
