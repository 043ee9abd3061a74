#include "coordinator/gateway/gateway.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <thread>

#include "absl/strings/str_cat.h"
#include "coordinator/gateway/limits.h"
#include "tests/support/fake_coordinator.h"
#include "tests/support/http_get.h"
#include "tests/support/status_matchers.h"

namespace picket {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class GatewayTest : public ::testing::Test {
 protected:
  void SetUp() override {
    AddRun("passed", v1::Run::SEALED, v1::Verdict::PASSED);
    AddRun("failed", v1::Run::SEALED, v1::Verdict::FAILED);
    AddRun("unsure", v1::Run::SEALED, v1::Verdict::INCONCLUSIVE);
    AddRun("running", v1::Run::RUNNING, v1::Verdict::VERDICT_UNSPECIFIED);
    auto gateway = Gateway::Start({}, &coordinator_);
    ASSERT_OK(gateway);
    gateway_ = *std::move(gateway);
  }

  void AddRun(const std::string& id, v1::Run::State state, v1::Verdict::Value verdict) {
    v1::Run& run = coordinator_.runs[id];
    run.set_run_id(id);
    run.set_suite("shop");
    run.set_state(state);
    run.set_verdict(verdict);
    run.set_explanation("because of it");
    if (state == v1::Run::SEALED) *coordinator_.states[id].mutable_run() = run;
  }

  std::string Ask(const std::string& method, const std::string& target,
                  const std::string& body = "",
                  const std::string& type = "application/json") {
    return HttpAsk(gateway_->address(), method, target, body, type);
  }
  std::string Get(const std::string& target) { return Ask("GET", target); }

  FakeCoordinator coordinator_;
  std::unique_ptr<Gateway> gateway_;
};

TEST_F(GatewayTest, ARunIsProtobufJsonWithEveryFieldUnderItsOwnName) {
  const std::string answer = Get("/v1/runs/passed");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(answer, AllOf(HasSubstr("\"run_id\":\"passed\""), HasSubstr("\"verdict\":\"PASSED\""),
                            HasSubstr("\"plan_version\":0"), HasSubstr("\"state\":\"SEALED\"")));
  EXPECT_THAT(answer, HasSubstr("application/json"));
}

TEST_F(GatewayTest, AnUnknownRunIsAProblem) {
  const std::string answer = Get("/v1/runs/nope");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 404"));
  EXPECT_THAT(answer, AllOf(HasSubstr("application/problem+json"), HasSubstr("no run nope")));
  EXPECT_THAT(Get("/v1/runs/passed/nothing"), StartsWith("HTTP/1.1 404"));
}

TEST_F(GatewayTest, ListsTakePages) {
  EXPECT_THAT(Get("/v1/runs?page_size=7&page_token=x%2By&project=p"),
              HasSubstr("\"next_page_token\":\"more\""));
  EXPECT_THAT(coordinator_.requests().back(),
              AllOf(HasSubstr("page_size: 7"), HasSubstr("\"x+y\""), HasSubstr("project: \"p\"")));
  EXPECT_THAT(Get("/v1/runs?page_size=seven"), StartsWith("HTTP/1.1 400"));
  EXPECT_THAT(Get("/v1/runs/passed/executions?view=FULL&only_failures=true"),
              HasSubstr("\"test_id\":\"home\""));
  EXPECT_THAT(coordinator_.requests().back(),
              AllOf(HasSubstr("view: FULL"), HasSubstr("only_failures: true")));
  EXPECT_THAT(Get("/v1/runs/passed/executions?view=HUGE"), StartsWith("HTTP/1.1 400"));
  EXPECT_THAT(Get("/v1/agents"), HasSubstr("\"name\":\"web-1\""));
}

TEST_F(GatewayTest, EvidenceIsReadByExecutionAndAttempt) {
  EXPECT_THAT(Get("/v1/runs/failed/executions/12/attempts/2/evidence"), HasSubstr("curl "));
  EXPECT_THAT(coordinator_.requests().back(),
              AllOf(HasSubstr("execution: 12"), HasSubstr("attempt: 2")));
  EXPECT_THAT(Get("/v1/runs/failed/executions/x/attempts/2/evidence"), StartsWith("HTTP/1.1 400"));
}

TEST_F(GatewayTest, TheGateOpensForPassedAlone) {
  EXPECT_THAT(Get("/v1/runs/passed/gate"), StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(Get("/v1/runs/failed/gate"),
              AllOf(StartsWith("HTTP/1.1 412"), HasSubstr("because of it")));
  EXPECT_THAT(Get("/v1/runs/unsure/gate"), StartsWith("HTTP/1.1 409"));
  EXPECT_THAT(Get("/v1/runs/running/gate"),
              AllOf(StartsWith("HTTP/1.1 503"), HasSubstr("Retry-After")));
  EXPECT_THAT(Get("/v1/runs/nope/gate"), StartsWith("HTTP/1.1 404"));
}

TEST_F(GatewayTest, FlaggersGateReadsTheRunFromTheMetadata) {
  const auto ask = [&](const std::string& run) {
    return Ask("POST", "/v1/gate/flagger",
               absl::StrCat(R"({"name":"shop","namespace":"prod","phase":"Progressing",)",
                            R"("metadata":{"run_id":")", run, R"("}})"));
  };
  EXPECT_THAT(ask("passed"), StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(ask("failed"), StartsWith("HTTP/1.1 412"));
  EXPECT_THAT(ask("running"), StartsWith("HTTP/1.1 503"));
  EXPECT_THAT(ask("nope"), StartsWith("HTTP/1.1 404"));
  EXPECT_THAT(Ask("POST", "/v1/gate/flagger", "{}"), StartsWith("HTTP/1.1 400"));
  EXPECT_THAT(Ask("POST", "/v1/gate/flagger", "not json"), StartsWith("HTTP/1.1 400"));
}

TEST_F(GatewayTest, AVerdictIsData) {
  EXPECT_THAT(Get("/v1/runs/failed/verdict"),
              AllOf(StartsWith("HTTP/1.1 200"), HasSubstr("\"verdict\":\"FAILED\"")));
  EXPECT_THAT(Get("/v1/runs/running/verdict"),
              AllOf(StartsWith("HTTP/1.1 200"), HasSubstr("\"verdict\":\"VERDICT_UNSPECIFIED\"")));
  EXPECT_THAT(Get("/v1/runs/running/verdict?wait=1ms"), HasSubstr("\"state\":\"RUNNING\""));
  EXPECT_THAT(Get("/v1/runs/running/verdict?wait=soon"), StartsWith("HTTP/1.1 400"));
  EXPECT_THAT(Get("/v1/runs/running/verdict?wait=-1s"), StartsWith("HTTP/1.1 400"));
}

TEST_F(GatewayTest, AWaitEndsWithTheSeal) {
  std::string answer;
  std::thread client([&] { answer = Get("/v1/runs/running/verdict?wait=5m"); });
  coordinator_.WithWatch(1, [&](FakeCoordinator::Watch& watch) {
    v1::WatchRunResponse state;
    *state.mutable_run() = coordinator_.runs["passed"];
    watch.update(state);
    watch.end(absl::OkStatus());
  });
  client.join();
  EXPECT_THAT(answer, HasSubstr("\"verdict\":\"PASSED\""));
}

TEST_F(GatewayTest, AWatchIsAStreamOfStates) {
  const int fd = HttpConnect(gateway_->address());
  HttpSend(fd, "GET /v1/runs/running/watch HTTP/1.1\r\nHost: localhost\r\n\r\n");
  coordinator_.WithWatch(1, [&](FakeCoordinator::Watch& watch) {
    v1::WatchRunResponse state;
    state.set_failure_count(3);
    watch.update(state);
  });
  EXPECT_THAT(HttpReadUntil(fd, "event: state\ndata: {"), HasSubstr("text/event-stream"));
  coordinator_.WithWatch(1, [&](FakeCoordinator::Watch& watch) {
    v1::WatchRunResponse state;
    *state.mutable_run() = coordinator_.runs["passed"];
    watch.update(state);
    watch.end(absl::OkStatus());
  });
  const std::string rest = HttpReadUntil(fd, "");
  EXPECT_THAT(rest, AllOf(HasSubstr("\"verdict\":\"PASSED\""), HasSubstr("event: end\ndata: {}\n\n")));
  close(fd);
  coordinator_.AwaitUnwatched(1);
  EXPECT_THAT(Get("/v1/runs/nope/watch"), StartsWith("HTTP/1.1 404"));
}

TEST_F(GatewayTest, ASealedRunHasEveryReport) {
  const auto report = [&](const std::string& format) {
    return Get(absl::StrCat("/v1/runs/failed/reports/", format));
  };
  EXPECT_THAT(report("junit"),
              AllOf(StartsWith("HTTP/1.1 200"), HasSubstr("Content-Type: application/xml"),
                    HasSubstr("<testcase name=\"home page &lt;b&gt; [eu-west]\"")));
  EXPECT_THAT(coordinator_.requests(),
              Contains(AllOf(HasSubstr("ListExecutions"), HasSubstr("view: FULL"))));
  EXPECT_THAT(coordinator_.requests(), Contains(HasSubstr("GetEvidence run_id: \"failed\"")));
  EXPECT_THAT(report("json"), HasSubstr("\"executions\":["));
  EXPECT_THAT(report("ctrf"), HasSubstr("\"reportFormat\":\"CTRF\""));
  EXPECT_THAT(report("tap"), AllOf(HasSubstr("text/plain"), HasSubstr("TAP version 14")));
  EXPECT_THAT(report("markdown"), AllOf(HasSubstr("text/markdown"), HasSubstr("## FAILED")));
  EXPECT_THAT(report("html"), AllOf(HasSubstr("text/html"), HasSubstr("Content-Security-Policy: "),
                                    HasSubstr("home page &lt;b&gt;"), HasSubstr("\r\n0\r\n\r\n")));
  EXPECT_THAT(report("pdf"), AllOf(StartsWith("HTTP/1.1 404"), HasSubstr("junit, json, ctrf")));
  EXPECT_THAT(Get("/v1/runs/nope/reports/junit"), StartsWith("HTTP/1.1 404"));
  EXPECT_THAT(Get("/v1/runs/running/reports/junit"), StartsWith("HTTP/1.1 409"));
}

TEST_F(GatewayTest, AReportThatCannotBeReadToItsEndIsCutAndNotEnded) {
  coordinator_.list_status = absl::UnavailableError("the store is away");
  const std::string answer = Get("/v1/runs/failed/reports/junit");
  EXPECT_THAT(answer, AllOf(StartsWith("HTTP/1.1 200"), HasSubstr("Transfer-Encoding: chunked")));
  EXPECT_THAT(answer, Not(HasSubstr("\r\n0\r\n\r\n")));
}

TEST_F(GatewayTest, ReportsWrittenAtOnceAreBounded) {
  // A watch that tells nothing keeps a report waiting for its beginning.
  coordinator_.states.clear();
  std::vector<std::thread> clients;
  const int most = DefaultGatewayLimits().reports_most;
  for (int i = 0; i < most; ++i) {
    clients.emplace_back([&] { Get("/v1/runs/passed/reports/tap"); });
  }
  for (int i = 1; i <= most; ++i) {
    coordinator_.WithWatch(static_cast<uint64_t>(i), [](FakeCoordinator::Watch&) {});
  }
  EXPECT_THAT(Get("/v1/runs/passed/reports/tap"),
              AllOf(StartsWith("HTTP/1.1 503"), HasSubstr("Retry-After")));
  for (int i = 1; i <= most; ++i) {
    coordinator_.WithWatch(static_cast<uint64_t>(i), [](FakeCoordinator::Watch& watch) {
      watch.end(absl::NotFoundError("deleted"));
    });
  }
  for (std::thread& client : clients) client.join();
}

TEST_F(GatewayTest, RunsAreStartedAndCancelled) {
  EXPECT_THAT(Ask("POST", "/v1/runs", R"({"request_id":"q1","spec":{"baseline":"main"}})"),
              AllOf(StartsWith("HTTP/1.1 201"), HasSubstr("\"run_id\":\"created\"")));
  EXPECT_THAT(coordinator_.requests().back(),
              AllOf(HasSubstr("request_id: \"q1\""), HasSubstr("trigger: API")));
  EXPECT_THAT(Ask("POST", "/v1/runs", R"({"spec":{}})"), StartsWith("HTTP/1.1 201"));
  EXPECT_THAT(coordinator_.requests().back(), HasSubstr("request_id: "));
  EXPECT_THAT(Ask("POST", "/v1/runs", R"({"unknown":1})"), StartsWith("HTTP/1.1 400"));
  coordinator_.create_status = absl::AlreadyExistsError("another spec");
  EXPECT_THAT(Ask("POST", "/v1/runs", "{}"), StartsWith("HTTP/1.1 409"));
  EXPECT_THAT(Ask("POST", "/v1/runs/running:cancel"), StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(coordinator_.requests().back(), HasSubstr("CancelRun run_id: \"running\""));
  EXPECT_THAT(Ask("POST", "/v1/runs/running"),
              AllOf(StartsWith("HTTP/1.1 405"), HasSubstr("Allow: GET\r\n")));
  EXPECT_THAT(Ask("POST", "/v1/runs/:cancel"), StartsWith("HTTP/1.1 405"));
  EXPECT_THAT(Ask("POST", "/v1/nothing"), StartsWith("HTTP/1.1 404"));
  EXPECT_THAT(Ask("POST", "/v1/agents/eu-west/web-1:drain"), HasSubstr("DRAINING"));
  EXPECT_THAT(coordinator_.requests().back(), HasSubstr("agent: \"eu-west/web-1\""));
}

TEST_F(GatewayTest, APostThatAFormCouldSendIsRefused) {
  EXPECT_THAT(Ask("POST", "/v1/runs", "{}", "text/plain"), StartsWith("HTTP/1.1 415"));
}

TEST_F(GatewayTest, ProbesAndHealthAreServed) {
  EXPECT_THAT(Get("/probes"), HasSubstr("probe_success{suite=\"shop\"} 1"));
  EXPECT_THAT(Get("/healthz"), StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(Get("/readyz"), StartsWith("HTTP/1.1 200"));
  coordinator_.ready = false;
  EXPECT_THAT(Get("/readyz"), AllOf(StartsWith("HTTP/1.1 503"), HasSubstr("store")));
  EXPECT_THAT(Get("/healthz"), Not(HasSubstr("503")));
}

}  // namespace
}  // namespace picket
