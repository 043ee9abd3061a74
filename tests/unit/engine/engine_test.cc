// The engine as a whole, against a server on loopback.

#include "agent/engine/engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/clock.h"
#include "common/base/cores.h"
#include "common/base/mutex.h"
#include "tests/support/scripted_server.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/engine/test_builder.h"

namespace picket {
namespace {

using ::testing::HasSubstr;

// Collects attempts from any thread.
class Results {
 public:
  Engine::Done Taker() {
    return [this](v1::Attempt attempt) {
      MutexLock lock(&mu_);
      all_.push_back(std::move(attempt));
      changed_.SignalAll();
    };
  }
  std::vector<v1::Attempt> Wait(size_t count) {
    MutexLock lock(&mu_);
    while (all_.size() < count) changed_.Wait(&mu_);
    return all_;
  }
  size_t size() {
    MutexLock lock(&mu_);
    return all_.size();
  }

 private:
  Mutex mu_;
  CondVar changed_;
  std::vector<v1::Attempt> all_ ABSL_GUARDED_BY(mu_);
};

class EngineTest : public ::testing::Test {
 protected:
  void SetUp() override {
    server_ = ScriptedServer::Start();
    StartEngine(EngineOptions());
  }

  void StartEngine(EngineOptions options) {
    if (options.loops == 0) options.loops = 2;
    engine_.reset();
    ASSERT_OK_AND_ASSIGN(engine_, Engine::Start(options));
  }

  CheckJob Job(const std::string& text, const FileContents& files = {}) {
    CheckJob job;
    auto test = CompileTest(MakeTest(text), files);
    PICKET_CHECK(test.ok());
    job.test = *test;
    return job;
  }

  std::string Get(const std::string& path, const std::string& rest = "") {
    return absl::StrCat("steps { http { url: '", server_->Url(path), "' ", rest, " } ",
                        "expect { subject: status operations { operator: is operand_json: '200' } "
                        "} }");
  }

  v1::Attempt Run(CheckJob job) {
    Results results;
    engine_->Submit(std::move(job), results.Taker());
    return results.Wait(1)[0];
  }

  std::unique_ptr<ScriptedServer> server_;
  std::unique_ptr<Engine> engine_;
};

TEST_F(EngineTest, ACheckPassesWithItsMeasurement) {
  const v1::Attempt attempt = Run(Job(Get("/ok")));
  EXPECT_EQ(attempt.outcome(), v1::Outcome::PASSED) << attempt.ShortDebugString();
  EXPECT_EQ(attempt.measurement().http().status(), 200u);
  EXPECT_EQ(attempt.measurement().http().address(), absl::StrCat("127.0.0.1:", server_->port()));
  EXPECT_EQ(attempt.quality().in_flight(), 1u);
  bool total = false;
  for (const v1::Phase& phase : attempt.measurement().phases()) {
    total |= phase.name() == v1::Phase::total && phase.us() > 0;
  }
  EXPECT_TRUE(total);
}

TEST_F(EngineTest, ManyChecksEachEndExactlyOnce) {
  Results results;
  const CheckJob job = Job(Get("/ok"));
  constexpr size_t kChecks = 300;
  for (size_t i = 0; i < kChecks; ++i) engine_->Submit(job, results.Taker());
  for (const v1::Attempt& attempt : results.Wait(kChecks)) {
    EXPECT_EQ(attempt.outcome(), v1::Outcome::PASSED) << attempt.ShortDebugString();
  }
  engine_.reset();
  EXPECT_EQ(results.size(), kChecks);
}

TEST_F(EngineTest, MoreThanItsBoundIsRefusedNotQueued) {
  EngineOptions options;
  options.in_flight_most = 1;
  StartEngine(options);
  Results held, refused;
  const Engine::JobId id = engine_->Submit(Job(Get("/silence")), held.Taker());
  engine_->Submit(Job(Get("/ok")), refused.Taker());
  const v1::Attempt attempt = refused.Wait(1)[0];
  EXPECT_EQ(attempt.outcome(), v1::Outcome::INCONCLUSIVE);
  EXPECT_EQ(attempt.reason(), v1::FailureReason::agent_resources);
  EXPECT_EQ(engine_->TakeStats().in_flight, 1u);
  engine_->Abort(id, absl::ZeroDuration());
  EXPECT_EQ(held.Wait(1)[0].reason(), v1::FailureReason::attempt_aborted);
}

TEST_F(EngineTest, DestructionEndsWhatIsInFlight) {
  Results results;
  for (int i = 0; i < 10; ++i) engine_->Submit(Job(Get("/silence")), results.Taker());
  engine_.reset();
  ASSERT_EQ(results.size(), 10u);
  for (const v1::Attempt& attempt : results.Wait(10)) {
    EXPECT_EQ(attempt.reason(), v1::FailureReason::attempt_aborted);
  }
}

TEST_F(EngineTest, AnAttemptMayBeFollowedByTheNextFromItsCallback) {
  Results results;
  const CheckJob job = Job(Get("/ok"));
  std::atomic<int> left{20};
  std::function<void(v1::Attempt)> next = [&](v1::Attempt attempt) {
    if (--left > 0) {
      engine_->Submit(job, next);
    } else {
      results.Taker()(std::move(attempt));
    }
  };
  engine_->Submit(job, next);
  EXPECT_EQ(results.Wait(1)[0].outcome(), v1::Outcome::PASSED);
  EXPECT_EQ(engine_->TakeStats().checks, 20u);
}

TEST_F(EngineTest, ARequestReachesTheServerAsRendered) {
  std::string body;
  server_->On("/post", [&](ScriptedConnection& connection, const std::string& head) {
    body = absl::StrContains(head, "X-Who: me\r\n") ? connection.ReadBytes(12) : "no header";
    connection.Write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
  });
  const v1::Attempt attempt = Run(
      Job(absl::StrCat(R"(vars { name: "who" json: "\"me\"" } )",
                       Get("/post", R"(method: "POST" headers { name: "X-Who" value: "{{ who }}" }
                      body { json: "{ \"who\": \"{{ who }}\" }" })"))));
  EXPECT_EQ(attempt.outcome(), v1::Outcome::PASSED) << attempt.ShortDebugString();
  EXPECT_THAT(body, HasSubstr(R"({"who":"me"})"));
}

TEST_F(EngineTest, ARedirectLoopEndsAtItsLimit) {
  const v1::Attempt attempt = Run(Job(Get("/redirect-loop", "max_redirects: 3")));
  EXPECT_EQ(attempt.reason(), v1::FailureReason::too_many_redirects);
  ASSERT_EQ(attempt.steps_size(), 1);
  EXPECT_EQ(attempt.steps(0).hops_size(), 4);
}

TEST_F(EngineTest, ALargeAnswerIsJudgedToo) {
  const std::string document = absl::StrCat("[\"", std::string(300'000, 'x'), "\",7]");
  server_->On("/large", [&](ScriptedConnection& connection, const std::string&) {
    connection.Write(
        absl::StrCat("HTTP/1.1 200 OK\r\nContent-Length: ", document.size(), "\r\n\r\n", document));
  });
  const v1::Attempt attempt = Run(Job(absl::StrCat(
      "steps { http { url: '", server_->Url("/large"), "' body_limit_bytes: 1000000 } ",
      "expect { subject: json argument: '$[1]' operations { operator: is operand_json: '7' } } "
      "}")));
  EXPECT_EQ(attempt.outcome(), v1::Outcome::PASSED) << attempt.ShortDebugString();
}

TEST_F(EngineTest, ACertificateIsJudgedOverTls) {
  const TestIdentity ca = MakeTestCertificate({.common_name = "Bench CA", .is_ca = true});
  const TestIdentity leaf = MakeTestCertificate({.common_name = "shop"}, &ca);
  ScriptedServer::Options options;
  options.identity = &leaf;
  auto tls = ScriptedServer::Start(options);
  const std::string text = absl::StrCat(
      "files { path: 'ca.pem' sha256: 'd' } steps { http { url: '", tls->Url("/ok"),
      "' tls { verify: true ca: 'ca.pem' } }"
      "expect { subject: certificate argument: 'issuer' operations { operator: contains "
      "operand_json: '\"Bench CA\"' } } "
      "expect { subject: certificate argument: 'days_left' operations { operator: at_most "
      "operand_json: '1' } } "
      "expect { subject: tls argument: 'version' operations { operator: at_least operand_json: "
      "'1.2' } } }");
  const v1::Attempt attempt =
      Run(Job(text, {{"d", std::make_shared<const std::string>(ca.certificate)}}));
  EXPECT_EQ(attempt.outcome(), v1::Outcome::PASSED) << attempt.ShortDebugString();
  EXPECT_GT(attempt.measurement().http().certificate_expiry(), 0);
  // Nobody vouches for it without that CA.
  const v1::Attempt untrusted =
      Run(Job(absl::StrCat("steps { http { url: '", tls->Url("/ok"), "' } }")));
  EXPECT_EQ(untrusted.outcome(), v1::Outcome::FAILED);
  EXPECT_EQ(untrusted.reason(), v1::FailureReason::tls_untrusted);
  EXPECT_EQ(untrusted.evidence().certificates_size(), 1);
}

TEST_F(EngineTest, WallTimesFollowTheOffsetLearnt) {
  engine_->SetClockOffset(absl::Hours(1));
  const v1::Attempt attempt = Run(Job(Get("/ok")));
  const int64_t here = absl::ToUnixSeconds(Clock::Real()->TimeNow());
  EXPECT_NEAR(static_cast<double>(attempt.start_time().seconds() - here), 3600, 60);
}

TEST_F(EngineTest, ATimeThatFailsWhileTheLoopStoodStillIsInconclusiveAndCounted) {
  EngineOptions options;
  options.loops = 1;
  StartEngine(options);
  std::atomic<bool> released{false};
  server_->On("/held", [&](ScriptedConnection& c, const std::string&) {
    while (!released.load() && c.Pause(absl::Milliseconds(1))) {
    }
    c.Write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
  });
  const auto held = [&](absl::string_view status) {
    return Job(absl::StrCat(
        "steps { http { url: '", server_->Url("/held"), "' } ",
        "expect { subject: time argument: 'total' operations { operator: below operand_json: '1' "
        "} } expect { subject: status operations { operator: is operand_json: '",
        status, "' } } }"));
  };
  Results right, wrong;
  engine_->Submit(held("200"), right.Taker());
  engine_->Submit(held("500"), wrong.Taker());
  engine_->Submit(Job(Get("/ok")), [&](const v1::Attempt&) {
    const absl::Duration begin = Clock::Real()->Monotonic();
    while (Clock::Real()->Monotonic() - begin < absl::Milliseconds(30)) {
    }
    released.store(true);
  });
  const v1::Attempt excused = right.Wait(1)[0];
  EXPECT_EQ(excused.outcome(), v1::Outcome::INCONCLUSIVE) << excused.ShortDebugString();
  EXPECT_EQ(excused.reason(), v1::FailureReason::measurement_poor);
  EXPECT_TRUE(excused.quality().poor());
  EXPECT_GT(excused.quality().loop_stall_us(), 29'000u);
  EXPECT_GE(excused.quality().in_flight(), 1u);
  // What does not depend on time is judged as ever.
  const v1::Attempt failed = wrong.Wait(1)[0];
  EXPECT_EQ(failed.outcome(), v1::Outcome::FAILED) << failed.ShortDebugString();
  EXPECT_EQ(failed.reason(), v1::FailureReason::assertion);
  EXPECT_TRUE(failed.quality().poor());
  EXPECT_GE(engine_->TakeStats().poor, 2u);
}

int ThreadsNamed(absl::string_view name) {
  int found = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/task")) {
    std::ifstream file(entry.path() / "comm");
    std::string comm;
    if (std::getline(file, comm) && comm == name) ++found;
  }
  return found;
}

TEST_F(EngineTest, ThereIsALoopPerCoreUnlessToldOtherwise) {
  engine_.reset();
  ASSERT_OK_AND_ASSIGN(engine_, Engine::Start(EngineOptions()));
  Run(Job(Get("/ok")));  // threads name themselves
  EXPECT_EQ(ThreadsNamed("picket-loop"), UsableCores());
}

TEST_F(EngineTest, StepsShareAConnection) {
  const int before = server_->connections();
  const std::string step =
      absl::StrCat("steps { http { url: '", server_->Url("/keep"), "' connection: FRESH } }");
  const v1::Attempt attempt = Run(Job(absl::StrCat(step, step, step)));
  EXPECT_EQ(attempt.outcome(), v1::Outcome::PASSED) << attempt.ShortDebugString();
  EXPECT_EQ(server_->connections() - before, 1);
}

}  // namespace
}  // namespace picket
