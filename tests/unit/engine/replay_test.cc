// What an attempt tells of its hops, and all that a replay tells.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "agent/engine/limits.h"
#include "common/policy/limits.h"
#include "tests/unit/engine/test_builder.h"

namespace picket {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kReplay[] = "replay { run_id: 'r' execution: 3 attempt: 2 } ";

// /old redirects to /new.
TransferResult Moved(const TransferRequest& request) {
  const bool old = request.url.find("/old") != std::string::npos;
  TransferResult result = old ? Respond(302, "", {{"Location", "/new"}}) : Respond(200, "hello");
  result.tls_version = "TLSv1.3";
  result.tls_cipher = "AES";
  result.bytes_up = 10;
  result.bytes_down = old ? 20 : 30;
  result.addresses_tried = {"[::1]:80", "127.0.0.1:80"};
  return result;
}

TEST(HopsTest, EachTellsItsOwnPhasesAddressAndBytes) {
  Bench bench(Moved);
  const v1::Attempt attempt = bench.Run(
      "steps { http { url: 'http://shop.example/old' } "
      "expect { subject: status operations { operator: is operand_json: '201' } } }");
  EXPECT_EQ(attempt.outcome(), v1::Outcome::FAILED);
  ASSERT_EQ(attempt.steps_size(), 1);
  ASSERT_EQ(attempt.steps(0).hops_size(), 2);
  for (int i = 0; i < 2; ++i) {
    const v1::Hop& hop = attempt.steps(0).hops(i);
    EXPECT_EQ(hop.status(), i == 0 ? 302u : 200u);
    EXPECT_EQ(hop.measurement().phases_size(), 5);
    const v1::HttpDetail& http = hop.measurement().http();
    EXPECT_EQ(http.address(), "127.0.0.1:80");
    EXPECT_EQ(http.addresses_tried_size(), 2);
    EXPECT_EQ(http.tls_cipher(), "AES");
    EXPECT_EQ(http.bytes_up(), 10u);
    EXPECT_EQ(http.bytes_down(), i == 0 ? 20u : 30u);
  }
  EXPECT_EQ(attempt.measurement().http().bytes_down(), 50u);
  EXPECT_EQ(attempt.measurement().http().redirects(), 1u);
}

TEST(HopsTest, APassingRedirectKeepsThePhasesOfItsHops) {
  Bench bench(Moved);
  const v1::Attempt attempt =
      bench.Run(absl::StrCat("steps { http { url: 'http://shop.example/old' } ", kIs200, " }"));
  EXPECT_EQ(attempt.outcome(), v1::Outcome::PASSED);
  ASSERT_EQ(attempt.steps_size(), 1);
  EXPECT_EQ(attempt.steps(0).hops_size(), 2);
  EXPECT_EQ(attempt.steps(0).hops(0).measurement().phases_size(), 5);
  EXPECT_LE(attempt.ByteSizeLong(), DefaultLimits().passing_result_bytes);
}

TEST(ReplayTest, APassingReplayTellsEverything) {
  Bench bench(Moved);
  const v1::Attempt attempt =
      bench.Run(absl::StrCat(kReplay, "steps { name: 'a' http { url: 'http://shop.example/old' } ",
                             kIs200, " } steps { name: 'b' ", kIs200, " ", kIs200, " }"));
  EXPECT_EQ(attempt.outcome(), v1::Outcome::PASSED);
  EXPECT_FALSE(attempt.has_evidence());
  ASSERT_EQ(attempt.steps_size(), 2);
  EXPECT_EQ(attempt.steps(0).hops_size(), 2);
  EXPECT_EQ(attempt.steps(0).hops(1).measurement().http().bytes_down(), 30u);
  for (const v1::StepResult& step : attempt.steps()) {
    EXPECT_THAT(step.evidence().request(), HasSubstr("GET "));
    EXPECT_THAT(step.evidence().response(), HasSubstr("HTTP/1.1 200"));
    EXPECT_EQ(step.evidence().body_excerpt(), "hello");
  }
  EXPECT_EQ(attempt.assertions_size(), 3);
}

TEST(EvidenceTest, ShowsTheCookiesThatWereSentAndNoOthers) {
  const auto answer = [](const TransferRequest& request) {
    TransferResult result = Respond(200, "sid is abc123", {{"Set-Cookie", "sid=abc123"}});
    result.request_head = absl::StrCat(
        "GET / HTTP/1.1\r\nHost: h\r\n",
        HeaderOf(request, "cookie") == "(none)" ? "" : "Cookie: sid=abc123\r\n", "\r\n");
    return result;
  };
  Bench bench(answer);
  const v1::Attempt attempt =
      bench.Run(absl::StrCat(kReplay,
                             "steps { name: 'a' http { url: 'http://h/' } extract { name: 'sid' "
                             "cookie: 'sid' } } steps { name: 'b' ",
                             "http { url: 'http://h/{{ sid }}' } ", kIs200, " }"));
  ASSERT_EQ(attempt.steps_size(), 2) << attempt.message();
  EXPECT_THAT(attempt.steps(0).evidence().curl(), Not(HasSubstr("Cookie")));
  EXPECT_THAT(attempt.steps(1).evidence().curl(), HasSubstr("Cookie: ***"));
  // Once it is taken out it is kept out of all that is told.
  EXPECT_EQ(attempt.steps(1).evidence().body_excerpt(), "sid is ***");
  EXPECT_THAT(attempt.steps(1).evidence().curl(), Not(HasSubstr("abc123")));
}

TEST(ReplayTest, ItsEvidenceIsMaskedAndBounded) {
  Bench bench([](const TransferRequest&) {
    return Respond(200, absl::StrCat("token s3cret ", std::string(100'000, 'x')));
  });
  bench.Secrets({{"TOKEN", "s3cret"}});
  std::string steps;
  for (int i = 0; i < 100; ++i) {
    absl::StrAppend(&steps, "steps { name: 's", i,
                    "' http { headers { name: 'x-token' value: '{{ TOKEN }}' } } }");
  }
  const v1::Attempt attempt =
      bench.Run(absl::StrCat(kReplay, "secrets { name: 'TOKEN' agent_provided: true } ", steps));
  EXPECT_EQ(attempt.outcome(), v1::Outcome::PASSED) << attempt.message();
  size_t evidence = 0;
  for (const v1::StepResult& step : attempt.steps()) evidence += step.evidence().ByteSizeLong();
  EXPECT_GT(evidence, 0u);
  EXPECT_LE(evidence, DefaultEngineLimits().replay_evidence_bytes);
  EXPECT_LE(attempt.ByteSizeLong(), DefaultLimits().result_bytes);
  EXPECT_THAT(attempt.SerializeAsString(), Not(HasSubstr("s3cret")));
}

}  // namespace
}  // namespace picket
