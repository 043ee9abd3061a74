#include "common/telemetry/http_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>

#include "common/telemetry/metrics.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/telemetry/raw_http.h"

namespace picket {
namespace {

using ::picket::testing_support::StatusIs;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

HttpRoute Echo(std::string method, std::string path) {
  return {.method = std::move(method), .path = std::move(path), .handle = [](const HttpRequest& r) {
            HttpResponse response;
            response.content_type = "text/plain";
            response.body = absl::StrCat(r.method, " ", r.path, " q=", r.Param("q").value_or("-"),
                                         " body=", r.body);
            return response;
          }};
}

std::unique_ptr<HttpServer> Serve(HttpServerOptions options) {
  options.threads = 8;
  auto server = HttpServer::Start(std::move(options));
  EXPECT_THAT(server, testing_support::IsOk());
  return *std::move(server);
}

std::string Post(const HttpServer& server, absl::string_view path, absl::string_view headers,
                 absl::string_view body) {
  return Exchange(server.address(), absl::StrCat("POST ", path, " HTTP/1.1\r\nContent-Length: ",
                                                 body.size(), "\r\n", headers, "\r\n", body));
}

TEST(HttpServerTest, TakesAFreePortAndSaysWhich) {
  auto server = Serve({});
  EXPECT_THAT(server->address(), StartsWith("127.0.0.1:"));
  EXPECT_THAT(server->address(), Not(EndsWith(":0")));
  EXPECT_THAT(Get(server->address(), "/healthz"), StartsWith("HTTP/1.1 200 "));
}

TEST(HttpServerTest, APortThatIsTakenIsNamed) {
  auto first = Serve({});
  EXPECT_THAT(HttpServer::Start({.listen = first->address(), .threads = 2}),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr(first->address())));
}

TEST(HttpServerTest, AnAddressThatIsNoneIsRefused) {
  for (const char* listen : {"", "7701", "host:7701", "127.0.0.1:70000", "::1:80", "[::1]:0"}) {
    EXPECT_THAT(HttpServer::Start({.listen = listen}), StatusIs(absl::StatusCode::kInvalidArgument))
        << listen;
  }
}

TEST(HttpServerTest, ReadyzSaysWhyNot) {
  std::atomic<bool> ready{false};
  auto server = Serve({.ready = [&] {
    return ready ? absl::OkStatus() : absl::UnavailableError("no coordinator yet");
  }});
  const std::string before = Get(server->address(), "/readyz");
  EXPECT_THAT(before, StartsWith("HTTP/1.1 503 "));
  EXPECT_THAT(before, HasSubstr("no coordinator yet"));
  ready = true;
  EXPECT_THAT(Get(server->address(), "/readyz"), StartsWith("HTTP/1.1 200 "));
}

TEST(HttpServerTest, ProbesAndMetricsAnswerAnyHost) {
  Metrics metrics("test", absl::FromUnixSeconds(7));
  auto server = Serve({.metrics = &metrics});
  const std::string text = Get(server->address(), "/metrics", "agent-1.example:9");
  EXPECT_THAT(text, StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(text, HasSubstr("Content-Type: text/plain; version=0.0.4"));
  EXPECT_THAT(text, HasSubstr("picket_build_info{"));
  EXPECT_THAT(Get(server->address(), "/healthz", "agent-1.example"), StartsWith("HTTP/1.1 200 "));
}

TEST(HttpServerTest, AForeignHostIsRefusedOnRoutes) {
  auto server = Serve({.hosts = {"picket.example"}, .routes = {Echo("GET", "/v1/x")}});
  EXPECT_THAT(Get(server->address(), "/v1/x", "evil.example"), StartsWith("HTTP/1.1 403 "));
  EXPECT_THAT(Get(server->address(), "/v1/x", "picket.example:7701"), StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(Get(server->address(), "/v1/x", "127.0.0.1:1"), StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(Exchange(server->address(), "GET /v1/x HTTP/1.0\r\n\r\n"),
              StartsWith("HTTP/1.1 403 "));
}

TEST(HttpServerTest, RoutesMatchExactlyOrByTheLongestPrefix) {
  HttpRoute special = Echo("GET", "/v1/runs/special/");
  special.handle = [](const HttpRequest&) { return HttpResponse{.body = "special"}; };
  auto server = Serve({.routes = {Echo("GET", "/v1/runs"), Echo("GET", "/v1/runs/"), special}});
  EXPECT_THAT(Get(server->address(), "/v1/runs?q=a%20b+c"), EndsWith("GET /v1/runs q=a b c body="));
  EXPECT_THAT(Get(server->address(), "/v1/runs/abc/gate"),
              EndsWith("GET /v1/runs/abc/gate q=- body="));
  EXPECT_THAT(Get(server->address(), "/v1/runs/special/x"), EndsWith("special"));
  EXPECT_THAT(Get(server->address(), "/v1/runsx"), StartsWith("HTTP/1.1 404 "));
}

TEST(HttpServerTest, AWrongMethodNamesTheRightOnes) {
  auto server = Serve({.routes = {Echo("GET", "/v1/x"), Echo("DELETE", "/v1/x")}});
  const std::string answer =
      Post(*server, "/v1/x", "Host: localhost\r\nContent-Type: application/json\r\n", "{}");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 405 "));
  EXPECT_THAT(answer, HasSubstr("Allow: GET, DELETE"));
  EXPECT_THAT(answer, HasSubstr("application/problem+json"));
}

TEST(HttpServerTest, HeadSendsNoBody) {
  auto server = Serve({.routes = {Echo("GET", "/v1/x")}});
  const std::string answer =
      Exchange(server->address(), "HEAD /v1/x HTTP/1.1\r\nHost: localhost\r\n\r\n");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(answer, EndsWith("\r\n\r\n"));
}

TEST(HttpServerTest, PostNeedsJson) {
  auto server = Serve({.routes = {Echo("POST", "/v1/x")}});
  EXPECT_THAT(Post(*server, "/v1/x", "Host: localhost\r\nContent-Type: text/plain\r\n", "{}"),
              StartsWith("HTTP/1.1 415 "));
  EXPECT_THAT(Post(*server, "/v1/x", "Host: localhost\r\n", "{}"), StartsWith("HTTP/1.1 415 "));
  EXPECT_THAT(
      Post(*server, "/v1/x", "Host: localhost\r\nContent-Type: application/json; charset=utf-8\r\n",
           "{\"a\":1}"),
      EndsWith("POST /v1/x q=- body={\"a\":1}"));
}

TEST(HttpServerTest, ABodyOverTheBoundIsRefusedUnread) {
  HttpRoute route = Echo("POST", "/v1/x");
  route.body_bytes_most = 10;
  auto server = Serve({.routes = {route}});
  const char* headers = "Host: localhost\r\nContent-Type: application/json\r\n";
  EXPECT_THAT(Post(*server, "/v1/x", headers, "0123456789"), StartsWith("HTTP/1.1 200 "));
  EXPECT_THAT(Post(*server, "/v1/x", headers, "01234567890"), StartsWith("HTTP/1.1 413 "));
}

TEST(HttpServerTest, AChunkedBodyIsBoundedToo) {
  HttpRoute route = Echo("POST", "/v1/x");
  route.body_bytes_most = 4;
  auto server = Serve({.routes = {route}});
  const auto chunked = [&](absl::string_view chunks) {
    return Exchange(server->address(),
                    absl::StrCat("POST /v1/x HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
                                 "application/json\r\nTransfer-Encoding: chunked\r\n\r\n",
                                 chunks));
  };
  EXPECT_THAT(chunked("2\r\nab\r\n2\r\ncd\r\n0\r\n\r\n"), EndsWith("body=abcd"));
  EXPECT_THAT(chunked("2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n"), StartsWith("HTTP/1.1 413 "));
}

TEST(HttpServerTest, AStreamRunsUntilTheServerStops) {
  std::atomic<bool> waited{false};
  HttpRoute route{.path = "/v1/events",
                  .handle =
                      [&](const HttpRequest&) {
                        HttpResponse response;
                        response.content_type = "text/event-stream";
                        response.stream = [&](HttpStream& stream) {
                          stream.Write("data: 1\n\n");
                          while (stream.Wait(absl::InfiniteDuration())) {
                          }
                          waited = true;
                        };
                        return response;
                      },
                  .held = true};
  auto server = Serve({.routes = {route}});
  const int fd = Connect(server->address());
  ASSERT_TRUE(SendAll(fd, "GET /v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n"));
  std::string seen;
  char buffer[512];
  while (seen.find("data: 1") == std::string::npos) {
    const ssize_t n = recv(fd, buffer, sizeof buffer, 0);
    ASSERT_GT(n, 0);
    seen.append(buffer, static_cast<size_t>(n));
  }
  server.reset();
  EXPECT_TRUE(waited);
  EXPECT_EQ(ReadAll(fd), "");
  close(fd);
}

TEST(HttpServerTest, HeldRequestsAreBoundedAndHealthStillAnswers) {
  HttpRoute route{.path = "/v1/wait",
                  .handle =
                      [](const HttpRequest&) {
                        HttpResponse response;
                        response.stream = [](HttpStream& stream) {
                          stream.Write("go\n");
                          while (stream.Wait(absl::InfiniteDuration())) {
                          }
                        };
                        return response;
                      },
                  .held = true};
  auto server = Serve({.held_most = 2, .routes = {route}});
  int fds[2];
  for (int& fd : fds) {
    fd = Connect(server->address());
    ASSERT_TRUE(SendAll(fd, "GET /v1/wait HTTP/1.1\r\nHost: localhost\r\n\r\n"));
    char byte;
    ASSERT_EQ(recv(fd, &byte, 1, 0), 1);  // its head is out, so it is being held
  }
  const std::string third = Get(server->address(), "/v1/wait");
  EXPECT_THAT(third, StartsWith("HTTP/1.1 503 "));
  EXPECT_THAT(third, HasSubstr("Retry-After: 1"));
  EXPECT_THAT(Get(server->address(), "/healthz"), StartsWith("HTTP/1.1 200 "));
  server.reset();
  for (int fd : fds) close(fd);
}

TEST(HttpServerTest, GarbageIsAnsweredAsAProblem) {
  auto server = Serve({});
  EXPECT_THAT(Exchange(server->address(), "\x01\x02\x03 / HTTP/1.1\r\n\r\n"),
              StartsWith("HTTP/1.1 400 "));
  EXPECT_THAT(Get(server->address(), "/healthz"), StartsWith("HTTP/1.1 200 "));
}

TEST(HttpProblemTest, CarriesTheDetailAsJson) {
  const HttpResponse response = HttpProblem(404, "no run \"x\"\n");
  EXPECT_EQ(response.content_type, "application/problem+json");
  EXPECT_THAT(response.body, HasSubstr("\"status\":404"));
  EXPECT_THAT(response.body, HasSubstr("\"detail\":\"no run \\\"x\\\"\\u000a\""));
}

TEST(HttpProblemTest, MapsStatusCodes) {
  EXPECT_EQ(HttpProblem(absl::NotFoundError("x")).status, 404);
  EXPECT_EQ(HttpProblem(absl::InvalidArgumentError("x")).status, 400);
  EXPECT_EQ(HttpProblem(absl::AlreadyExistsError("x")).status, 409);
  EXPECT_EQ(HttpProblem(absl::UnavailableError("x")).status, 503);
  EXPECT_EQ(HttpProblem(absl::InternalError("x")).status, 500);
}

TEST(HostAllowedTest, TakesAddressesLocalhostAndTheNamesGiven) {
  const std::vector<std::string> names = {"picket.example"};
  for (const char* host :
       {"127.0.0.1", "127.0.0.1:7701", "10.0.0.9:80", "[::1]:7701", "[::1]", "localhost",
        "LocalHost:1", "a.localhost", "picket.example", "PICKET.example:9"}) {
    EXPECT_TRUE(HostAllowed(host, names)) << host;
  }
  for (const char* host : {"", "evil.example", "localhost.evil.example", "127.0.0.1.evil.example",
                           "x.picket.example", "[evil]", "[::1", "notlocalhost"}) {
    EXPECT_FALSE(HostAllowed(host, names)) << host;
  }
}

}  // namespace
}  // namespace picket
