#include "coordinator/gateway/gateway.h"

#include <google/protobuf/struct.pb.h>

#include <atomic>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/base/ids.h"
#include "common/base/random.h"
#include "common/base/status_macros.h"
#include "common/policy/limits.h"
#include "coordinator/gateway/await.h"
#include "coordinator/gateway/json.h"
#include "coordinator/gateway/openapi.h"
#include "coordinator/gateway/report_stream.h"
#include "coordinator/gateway/route_match.h"
#include "coordinator/gateway/run_watch.h"

namespace picket {
namespace {

// Query parameters that every list has.
template <typename Request>
absl::Status ReadPage(const HttpRequest& http, Request& request) {
  int32_t size = 0;
  const std::string written = http.Param("page_size").value_or("0");
  if (!absl::SimpleAtoi(written, &size)) {
    return absl::InvalidArgumentError(
        absl::StrCat("page_size must be a whole number, not '", written, "'"));
  }
  request.set_page_size(size);
  request.set_page_token(http.Param("page_token").value_or(""));
  return absl::OkStatus();
}

bool IsTrue(const std::optional<std::string>& value) {
  return value.has_value() && (*value == "true" || *value == "1" || value->empty());
}

class GatewayImpl final : public Gateway {
 public:
  explicit GatewayImpl(Coordinator* coordinator) : coordinator_(coordinator) {}

  absl::Status Serve(GatewayOptions options) {
    HttpServerOptions http;
    http.listen = options.listen;
    http.hosts = std::move(options.hosts);
    http.metrics = options.metrics;
    http.ready = [this] {
      if (coordinator_->Ready()) return absl::OkStatus();
      return absl::UnavailableError("the store does not answer");
    };
    for (const char* method : {"GET", "POST"}) {
      // Everything of ours lives below these; which handler it is, AllRoutes says.
      for (const char* path : {"/v1/", "/probes", "/openapi.json"}) {
        HttpRoute route;
        route.method = method;
        route.path = path;
        route.handle = [this](const HttpRequest& request) { return Dispatch(request); };
        route.open = route.path == "/probes";
        http.routes.push_back(std::move(route));
      }
    }
    // The one that takes more than a page of text.
    http.routes.push_back(
        {.method = "POST",
         .path = "/v1/runs",
         .handle = [this](const HttpRequest& request) { return Dispatch(request); },
         .body_bytes_most = DefaultLimits().create_run_bytes});
    http.routes.push_back(
        {.path = "/v1/runs",
         .handle = [this](const HttpRequest& request) { return Dispatch(request); }});
    ABSL_ASSIGN_OR_RETURN(server_, HttpServer::Start(std::move(http)));
    return absl::OkStatus();
  }

  ~GatewayImpl() override { stopping_ = true; }

  std::string address() const override { return server_->address(); }

  static std::vector<std::string> Routes() {
    std::vector<std::string> routes;
    for (const Route& route : AllRoutes()) {
      routes.push_back(absl::StrCat(route.method, " ", route.pattern));
    }
    return routes;
  }

 private:
  struct Route {
    const char* method;
    const char* pattern;
    HttpResponse (GatewayImpl::*handle)(const RouteParams&, const HttpRequest&);
  };
  static const std::vector<Route>& AllRoutes();

  HttpResponse Dispatch(const HttpRequest& http) {
    const std::string method = http.method == "HEAD" ? "GET" : http.method;
    std::string allow;
    for (const Route& route : AllRoutes()) {
      RouteParams params;
      if (!MatchRoute(route.pattern, http.path, params)) continue;
      if (method == route.method) return (this->*route.handle)(params, http);
      absl::StrAppend(&allow, allow.empty() ? "" : ", ", route.method);
    }
    if (allow.empty()) return HttpProblem(404, absl::StrCat("there is nothing at ", http.path));
    HttpResponse response = HttpProblem(405, absl::StrCat("this path takes ", allow));
    response.headers.emplace_back("Allow", allow);
    return response;
  }

  HttpResponse ListRuns(const RouteParams&, const HttpRequest& http) {
    v1::ListRunsRequest request;
    request.set_project(http.Param("project").value_or(""));
    if (auto status = ReadPage(http, request); !status.ok()) return HttpProblem(status);
    return JsonAnswer(Call(coordinator_, &Coordinator::ListRuns, std::move(request)));
  }

  HttpResponse CreateRun(const RouteParams&, const HttpRequest& http) {
    v1::CreateRunRequest request;
    if (auto status = FromJson(http.body, request); !status.ok()) return HttpProblem(status);
    if (request.request_id().empty()) {
      Random random = Random::FromSystem();
      request.set_request_id(NewUuid(random));
    }
    if (request.spec().trigger() == v1::Trigger::TRIGGER_UNSPECIFIED) {
      request.mutable_spec()->set_trigger(v1::Trigger::API);
    }
    HttpResponse response =
        JsonAnswer(Call(coordinator_, &Coordinator::CreateRun, std::move(request)));
    if (response.status == 200) response.status = 201;
    return response;
  }

  HttpResponse GetOneRun(const RouteParams& params, const HttpRequest&) {
    return JsonAnswer(GetRun(params[0]));
  }

  absl::StatusOr<v1::Run> GetRun(const std::string& run_id) {
    v1::GetRunRequest request;
    request.set_run_id(run_id);
    return Call(coordinator_, &Coordinator::GetRun, std::move(request));
  }

  HttpResponse ListExecutions(const RouteParams& params, const HttpRequest& http) {
    v1::ListExecutionsRequest request;
    request.set_run_id(params[0]);
    if (auto status = ReadPage(http, request); !status.ok()) return HttpProblem(status);
    const std::string view = http.Param("view").value_or("BASIC");
    v1::ListExecutionsRequest::View value;
    if (!v1::ListExecutionsRequest::View_Parse(view, &value)) {
      return HttpProblem(400, absl::StrCat("view must be BASIC or FULL, not '", view, "'"));
    }
    request.set_view(value);
    request.set_only_failures(IsTrue(http.Param("only_failures")));
    request.set_or_flaky(IsTrue(http.Param("or_flaky")));
    return JsonAnswer(Call(coordinator_, &Coordinator::ListExecutions, std::move(request)));
  }

  HttpResponse GetEvidence(const RouteParams& params, const HttpRequest&) {
    v1::GetEvidenceRequest request;
    request.set_run_id(params[0]);
    uint32_t execution_number = 0, attempt_number = 0;
    if (!absl::SimpleAtoi(params[1], &execution_number) ||
        !absl::SimpleAtoi(params[2], &attempt_number)) {
      return HttpProblem(400, "executions and attempts are named by number");
    }
    request.set_execution(execution_number);
    request.set_attempt(attempt_number);
    return JsonAnswer(Call(coordinator_, &Coordinator::GetEvidence, std::move(request)));
  }

  // The run, once it is sealed or `wait=` has passed.
  absl::StatusOr<v1::Run> AwaitVerdict(const std::string& run_id, const HttpRequest& http) {
    ABSL_ASSIGN_OR_RETURN(v1::Run run, GetRun(run_id));
    const std::string written = http.Param("wait").value_or("0s");
    absl::Duration wait;
    if (!absl::ParseDuration(written, &wait) || wait < absl::ZeroDuration() ||
        wait > DefaultGatewayLimits().wait_longest) {
      return absl::InvalidArgumentError(
          absl::StrCat("wait must be a duration such as 30s, at most ",
                       absl::FormatDuration(DefaultGatewayLimits().wait_longest), ", not '",
                       written, "'"));
    }
    if (wait == absl::ZeroDuration() || run.state() == v1::Run::SEALED) return run;
    ABSL_RETURN_IF_ERROR(Hold());
    const absl::Cleanup release = [this] { --held_; };
    RunWatch watch(coordinator_, run_id);
    Clock* const clock = Clock::Real();
    const absl::Duration until = clock->Monotonic() + wait;
    while (run.state() != v1::Run::SEALED && !stopping_) {
      const absl::Duration left = until - clock->Monotonic();
      if (left <= absl::ZeroDuration()) break;
      watch.Wait(std::min(left, absl::Seconds(1)));
      if (auto state = watch.Take()) run = std::move(*state->mutable_run());
      if (auto ended = watch.Ended()) {
        ABSL_RETURN_IF_ERROR(*ended);
        break;
      }
    }
    return run;
  }

  HttpResponse GetVerdict(const RouteParams& params, const HttpRequest& http) {
    return JsonAnswer(AwaitVerdict(params[0], http));
  }

  HttpResponse GetGate(const RouteParams& params, const HttpRequest& http) {
    return GateOf(AwaitVerdict(params[0], http));
  }

  // A verdict as a status code. Only PASSED is success; nothing a client might take for
  // "go on" stands for anything else.
  static HttpResponse GateOf(const absl::StatusOr<v1::Run>& run) {
    if (!run.ok()) return HttpProblem(run.status());
    const std::string what = absl::StrCat("run ", run->run_id(), " of ", run->suite());
    if (run->state() != v1::Run::SEALED) return HttpProblem(503, what + " is still running");
    const std::string why =
        run->explanation().empty() ? "" : absl::StrCat(": ", run->explanation());
    switch (run->verdict()) {
      case v1::Verdict::PASSED:
        return JsonAnswer(*run);
      case v1::Verdict::FAILED:
        return HttpProblem(412, absl::StrCat(what, " FAILED", why));
      default:
        return HttpProblem(409, absl::StrCat(what, " is INCONCLUSIVE", why));
    }
  }

  // Flagger posts {"name", "namespace", "phase", "metadata": {...}}; the canary's
  // metadata names the run.
  HttpResponse FlaggerGate(const RouteParams&, const HttpRequest& http) {
    google::protobuf::Struct body;
    if (auto status = FromJson(http.body, body); !status.ok()) return HttpProblem(status);
    const auto metadata = body.fields().find("metadata");
    if (metadata != body.fields().end()) {
      const auto& fields = metadata->second.struct_value().fields();
      const auto run_id = fields.find("run_id");
      if (run_id != fields.end() && !run_id->second.string_value().empty()) {
        return GateOf(GetRun(run_id->second.string_value()));
      }
    }
    return HttpProblem(400, "the body's metadata must name a run: {\"metadata\": {\"run_id\": …}}");
  }

  HttpResponse GetReport(const RouteParams& params, const HttpRequest& http) {
    const std::string& run_id = params[0];
    const std::string& name = params[1];
    const std::optional<ReportFormat> format = ReportFormatNamed(name);
    if (!format.has_value()) {
      return HttpProblem(404, absl::StrCat("reports are junit, json, ctrf, tap, markdown and html, "
                                           "not '", name, "'"));
    }
    const absl::StatusOr<v1::Run> run = AwaitVerdict(run_id, http);
    if (!run.ok()) return HttpProblem(run.status());
    if (run->state() != v1::Run::SEALED) {
      return HttpProblem(409, absl::StrCat("run ", run_id, " is still running; a report is written "
                                                           "of a sealed run (wait=30s waits)"));
    }
    if (++reports_ > DefaultGatewayLimits().reports_most) {
      --reports_;
      return HttpProblem(503, "too many reports are being written; try again");
    }
    const auto hold = std::shared_ptr<void>(nullptr, [this](void*) { --reports_; });
    absl::StatusOr<ReportHeader> header = ReadReportHeader(coordinator_, run_id);
    if (!header.ok()) return HttpProblem(header.status());
    HttpResponse response;
    response.content_type = ReportContentType(*format);
    if (*format == ReportFormat::kHtml) {
      response.headers.emplace_back("Content-Security-Policy",
                                    "default-src 'none'; style-src 'unsafe-inline'; sandbox");
    }
    response.stream = [this, format = *format, header = *std::move(header),
                       hold](HttpStream& stream) {
      StreamReport(coordinator_, format, header, stream);
    };
    return response;
  }

  HttpResponse Watch(const RouteParams& params, const HttpRequest&) {
    const std::string& run_id = params[0];
    if (auto run = GetRun(run_id); !run.ok()) return HttpProblem(run.status());
    if (auto status = Hold(); !status.ok()) return HttpProblem(status);
    HttpResponse response;
    response.content_type = "text/event-stream";
    response.headers.emplace_back("Cache-Control", "no-store");
    // Released with the answer, whether or not it is ever streamed.
    const auto hold = std::shared_ptr<void>(nullptr, [this](void*) { --held_; });
    response.stream = [this, run_id, hold](HttpStream& stream) { Stream(run_id, stream); };
    return response;
  }

  void Stream(const std::string& run_id, HttpStream& stream) {
    const GatewayLimits& limits = DefaultGatewayLimits();
    RunWatch watch(coordinator_, run_id);
    absl::Duration silent;
    while (!stopping_) {
      if (auto state = watch.Take()) {
        if (!stream.Write(absl::StrCat("event: state\ndata: ", ToJson(*state), "\n"))) return;
        silent = absl::ZeroDuration();
        continue;
      }
      if (auto ended = watch.Ended()) {
        stream.Write(absl::StrCat("event: end\ndata: ",
                                  ended->ok() ? "{}\n" : HttpProblem(*ended).body, "\n"));
        return;
      }
      if (silent >= limits.keep_alive) {
        if (!stream.Write(": still there\n\n")) return;
        silent = absl::ZeroDuration();
      }
      if (!stream.Wait(limits.watch_interval)) return;
      silent += limits.watch_interval;
    }
  }

  HttpResponse CancelRun(const RouteParams& params, const HttpRequest&) {
    v1::CancelRunRequest request;
    request.set_run_id(params[0]);
    return JsonAnswer(Call(coordinator_, &Coordinator::CancelRun, std::move(request)));
  }

  HttpResponse ListAgents(const RouteParams&, const HttpRequest& http) {
    v1::ListAgentsRequest request;
    if (auto status = ReadPage(http, request); !status.ok()) return HttpProblem(status);
    return JsonAnswer(Call(coordinator_, &Coordinator::ListAgents, std::move(request)));
  }

  HttpResponse DrainAgent(const RouteParams& params, const HttpRequest&) {
    v1::DrainAgentRequest request;
    request.set_agent(params[0]);
    return JsonAnswer(Call(coordinator_, &Coordinator::DrainAgent, std::move(request)));
  }

  HttpResponse Probes(const RouteParams&, const HttpRequest&) {
    HttpResponse response;
    response.content_type = "text/plain; version=0.0.4; charset=utf-8";
    response.body = coordinator_->ProbesText();
    return response;
  }

  HttpResponse OpenApi(const RouteParams&, const HttpRequest&) {
    HttpResponse response;
    response.body = OpenApiDocument();
    return response;
  }

  // Takes one of the places for requests that wait; the taker gives it back.
  absl::Status Hold() {
    if (++held_ <= DefaultGatewayLimits().held_most) return absl::OkStatus();
    --held_;
    return absl::UnavailableError("too many requests are waiting; try again");
  }

  Coordinator* const coordinator_;
  std::atomic<bool> stopping_{false};
  std::atomic<int> held_{0}, reports_{0};
  std::unique_ptr<HttpServer> server_;  // goes first
};

// What is served, besides /metrics, /healthz and /readyz; openapi.cc describes each.
const std::vector<GatewayImpl::Route>& GatewayImpl::AllRoutes() {
  static const std::vector<Route> routes = {
      {"GET", "/v1/runs", &GatewayImpl::ListRuns},
      {"POST", "/v1/runs", &GatewayImpl::CreateRun},
      {"GET", "/v1/runs/{run_id}", &GatewayImpl::GetOneRun},
      {"POST", "/v1/runs/{run_id}:cancel", &GatewayImpl::CancelRun},
      {"GET", "/v1/runs/{run_id}/executions", &GatewayImpl::ListExecutions},
      {"GET", "/v1/runs/{run_id}/executions/{execution}/attempts/{attempt}/evidence",
       &GatewayImpl::GetEvidence},
      {"GET", "/v1/runs/{run_id}/watch", &GatewayImpl::Watch},
      {"GET", "/v1/runs/{run_id}/verdict", &GatewayImpl::GetVerdict},
      {"GET", "/v1/runs/{run_id}/gate", &GatewayImpl::GetGate},
      {"GET", "/v1/runs/{run_id}/reports/{format}", &GatewayImpl::GetReport},
      {"POST", "/v1/gate/flagger", &GatewayImpl::FlaggerGate},
      {"GET", "/v1/agents", &GatewayImpl::ListAgents},
      {"POST", "/v1/agents/{agent...}:drain", &GatewayImpl::DrainAgent},
      {"GET", "/probes", &GatewayImpl::Probes},
      {"GET", "/openapi.json", &GatewayImpl::OpenApi},
  };
  return routes;
}

}  // namespace

std::vector<std::string> Gateway::Routes() { return GatewayImpl::Routes(); }

absl::StatusOr<std::unique_ptr<Gateway>> Gateway::Start(GatewayOptions options,
                                                        Coordinator* coordinator) {
  auto gateway = std::make_unique<GatewayImpl>(coordinator);
  ABSL_RETURN_IF_ERROR(gateway->Serve(std::move(options)));
  return std::unique_ptr<Gateway>(std::move(gateway));
}

}  // namespace picket
