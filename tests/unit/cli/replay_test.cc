#include "cli/replay.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_join.h"
#include "cli/file_sink.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/cli/canned_run.h"

namespace picket {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using testing_support::CannedRun;
using testing_support::FakeWorld;
using testing_support::StatusIs;

constexpr char kId[] = "abcdefghijklmnop";

v1::Definition Flaky() {
  v1::Definition definition;
  v1::Execution& execution = *definition.mutable_execution();
  execution.set_execution(7);
  execution.set_location("eu-west");
  execution.set_end(v1::End::PASSED);
  v1::Attempt& first = *execution.add_attempts();
  first.set_number(1);
  first.set_outcome(v1::Outcome::FAILED);
  first.set_reason(v1::FailureReason::connect_reset);
  first.set_message("the connection was reset");
  v1::Attempt& second = *execution.add_attempts();
  second.set_number(2);
  second.set_outcome(v1::Outcome::PASSED);
  v1::Test& test = *definition.mutable_test();
  test.set_suite("shop");
  test.set_id("home");
  test.mutable_retry()->set_attempts(3);
  test.mutable_policy()->set_inconclusive(v1::Policy::INCONCLUSIVE_PASS);
  test.mutable_timeout()->set_seconds(10);
  definition.add_blobs()->set_data("pem");
  definition.set_baseline("main");
  return definition;
}

TEST(ReplayTest, RepeatsTheDecidingAttemptUnlessAnotherIsNamed) {
  v1::Definition definition = Flaky();
  EXPECT_THAT(AttemptToReplay(definition, 0), ::testing::Eq(absl::StatusOr<uint32_t>(2)));
  EXPECT_THAT(AttemptToReplay(definition, 1), ::testing::Eq(absl::StatusOr<uint32_t>(1)));
  EXPECT_THAT(AttemptToReplay(definition, 3),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("had attempts 1 to 2")));
  definition.mutable_execution()->clear_attempts();
  EXPECT_THAT(AttemptToReplay(definition, 0), ::testing::Eq(absl::StatusOr<uint32_t>(1)));
  EXPECT_THAT(AttemptToReplay(definition, 1),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("had no attempt")));
  definition.mutable_execution()->set_end(v1::End::SKIPPED);
  definition.mutable_test()->set_skip("not today");
  EXPECT_THAT(AttemptToReplay(definition, 0),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("not today")));
}

TEST(ReplayTest, TheVerdictIsThatOfTheOneAttempt) {
  const v1::RunSpec spec = ReplaySpec(kId, Flaky(), 1);
  ASSERT_EQ(spec.suites_size(), 1);
  ASSERT_EQ(spec.suites(0).tests_size(), 1);
  const v1::Test& test = spec.suites(0).tests(0);
  EXPECT_EQ(test.replay().run_id(), kId);
  EXPECT_EQ(test.replay().execution(), 7u);
  EXPECT_EQ(test.replay().attempt(), 1u);
  EXPECT_EQ(test.retry().attempts(), 1u);
  EXPECT_TRUE(test.blocking());
  EXPECT_EQ(test.policy().inconclusive(), v1::Policy::INCONCLUSIVE_INCONCLUSIVE);
  EXPECT_EQ(spec.blobs(0).data(), "pem");
  EXPECT_EQ(spec.baseline(), "main");
  EXPECT_EQ(spec.labels().at("replay.run"), kId);
}

TEST(ReplayTest, AnAttemptIsToldWhole) {
  v1::Attempt attempt;
  v1::StepResult& step = *attempt.add_steps();
  step.set_name("log in");
  step.set_outcome(v1::Outcome::FAILED);
  step.set_reason(v1::FailureReason::assertion);
  for (const char* url : {"http://shop/old", "http://shop/new"}) {
    v1::Hop& hop = *step.add_hops();
    hop.set_url(url);
    hop.set_status(200);
    v1::Phase& phase = *hop.mutable_measurement()->add_phases();
    phase.set_name(v1::Phase::total);
    phase.set_us(1200);
    v1::HttpDetail& http = *hop.mutable_measurement()->mutable_http();
    http.set_address("127.0.0.1:443");
    http.set_tls_version("TLSv1.3");
    http.set_tls_cipher("AES");
    http.set_bytes_up(10);
    http.add_addresses_tried("[::1]:443");
    http.add_addresses_tried("127.0.0.1:443");
  }
  step.mutable_evidence()->set_request("GET /new HTTP/1.1\nHost: shop\n");
  step.mutable_evidence()->set_response("HTTP/1.1 200 OK\n");
  step.mutable_evidence()->set_body_excerpt("hello\n::error::no");
  step.mutable_evidence()->set_curl("curl -sS 'http://shop/new'");
  v1::Assertion& good = *attempt.add_assertions();
  good.set_step("log in");
  good.set_subject("status");
  good.set_operator_("is");
  good.set_expected("200");
  good.set_actual("200");
  good.set_passed(true);
  v1::Assertion& bad = *attempt.add_assertions();
  bad.set_step("log in");
  bad.set_subject("body");
  bad.set_operator_("is");
  bad.set_expected("x");
  bad.set_actual("y");
  v1::StepResult& skipped = *attempt.add_steps();
  skipped.set_name("log out");
  skipped.set_skipped(true);
  skipped.set_message("an earlier step failed");
  attempt.add_warnings("address_unreachable ::1");

  StringSink sink;
  const Printer printer(&sink, {.github = true});
  const std::string text = absl::StrJoin(AttemptText(attempt, printer), "\n");
  for (const char* part :
       {"step 1 'log in': failed, assertion", "http://shop/old  200", "total 1.2 ms",
        "127.0.0.1:443, TLSv1.3 AES, 10 bytes up, 0 down, tried [::1]:443 127.0.0.1:443",
        "GET /new HTTP/1.1", "Host: shop", "HTTP/1.1 200 OK", "passed     status is 200 (200)",
        "failed     body is x, but it was y", "curl -sS", "step 2 'log out': skipped",
        "address_unreachable ::1"}) {
    EXPECT_THAT(text, HasSubstr(part));
  }
  EXPECT_THAT(text, Not(HasSubstr("\n::error")));
}

class ReplayCommandTest : public ::testing::Test {
 protected:
  ReplayCommandTest() {
    world_.coordinator() = CannedRun();
    v1::Definition& definition = world_.coordinator().definitions[7];
    definition = Flaky();
    // What the replay itself comes to.
    world_.coordinator().executions = {definition.execution()};
    world_.coordinator().run.set_verdict(v1::Verdict::PASSED);
  }
  FakeWorld world_;
};

TEST_F(ReplayCommandTest, MakesARunOfItsOwnAndExitsWithIt) {
  EXPECT_EQ(world_.Run({"replay", kId, "7", "--attempt", "1"}), 0) << world_.err();
  ASSERT_EQ(world_.coordinator().created.size(), 1u);
  EXPECT_EQ(world_.coordinator().created[0].spec().suites(0).tests(0).replay().attempt(), 1u);
  EXPECT_FALSE(world_.coordinator().created[0].spec().local());
  EXPECT_THAT(world_.out(), AllOf(HasSubstr("then  failed, connect_reset"), HasSubstr("now   ")));
  EXPECT_THAT(world_.LastLine(), HasSubstr("PASSED"));
}

TEST_F(ReplayCommandTest, LocallyItRunsAtTheSameLocation) {
  world_.variables()["TOKEN"] = "x";
  EXPECT_EQ(world_.Run({"replay", kId, "7", "--local", "--secret", "TOKEN"}), 0) << world_.err();
  EXPECT_THAT(world_.local().locations, ::testing::ElementsAre("eu-west"));
  EXPECT_EQ(world_.local().secrets.at("TOKEN"), "x");
  EXPECT_TRUE(world_.coordinator().created[0].spec().local());
}

TEST_F(ReplayCommandTest, SaysWhatIsWrong) {
  EXPECT_EQ(world_.Run({"replay", kId}), 2);
  EXPECT_EQ(world_.Run({"replay", "nope", "7"}), 2);
  EXPECT_THAT(world_.err(), HasSubstr("a run id is"));
  EXPECT_EQ(world_.Run({"replay", kId, "first"}), 2);
  EXPECT_THAT(world_.err(), HasSubstr("an execution is a number"));
  EXPECT_EQ(world_.Run({"replay", kId, "99"}), 4);
  EXPECT_THAT(world_.err(), HasSubstr("no such execution"));
  EXPECT_EQ(world_.Run({"replay", kId, "7", "--attempt", "9"}), 2);
  EXPECT_THAT(world_.err(), HasSubstr("attempts 1 to 2"));
  EXPECT_EQ(world_.Run({"replay", kId, "7", "--secret", "TOKEN"}), 2);
  EXPECT_THAT(world_.err(), HasSubstr("--secret works with --local only"));
  EXPECT_TRUE(world_.coordinator().created.empty());
}

TEST_F(ReplayCommandTest, AnInterruptionCancelsTheReplay) {
  world_.coordinator().on_watch = [&] { world_.interrupts().Raise(SIGTERM); };
  EXPECT_EQ(world_.Run({"replay", kId, "7"}), 143);
  EXPECT_THAT(world_.coordinator().cancelled, ::testing::ElementsAre(kId));
}

}  // namespace
}  // namespace picket
