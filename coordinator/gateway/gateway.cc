#include "coordinator/gateway/gateway.h"

#include <google/protobuf/struct.pb.h>

#include <atomic>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/base/ids.h"
#include "common/base/random.h"
#include "common/base/status_macros.h"
#include "common/policy/limits.h"
#include "coordinator/gateway/await.h"
#include "coordinator/gateway/json.h"
#include "coordinator/gateway/openapi.h"
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
    const auto route = [&](std::string method, std::string path,
                           HttpResponse (GatewayImpl::*handle)(const HttpRequest&)) {
      http.routes.push_back({.method = std::move(method),
                             .path = std::move(path),
                             .handle = [this, handle](const HttpRequest& request) {
                               return (this->*handle)(request);
                             }});
    };
    route("GET", "/v1/runs", &GatewayImpl::ListRuns);
    route("POST", "/v1/runs", &GatewayImpl::CreateRun);
    http.routes.back().body_bytes_most = DefaultLimits().create_run_bytes;
    route("GET", "/v1/runs/", &GatewayImpl::GetOfRun);
    route("POST", "/v1/runs/", &GatewayImpl::CancelRun);
    route("GET", "/v1/agents", &GatewayImpl::ListAgents);
    route("POST", "/v1/agents/", &GatewayImpl::DrainAgent);
    route("POST", "/v1/gate/flagger", &GatewayImpl::FlaggerGate);
    route("GET", "/probes", &GatewayImpl::Probes);
    http.routes.back().open = true;
    http.routes.push_back({.path = "/openapi.json", .handle = [](const HttpRequest&) {
                             HttpResponse response;
                             response.body = OpenApiDocument();
                             return response;
                           }});
    ABSL_ASSIGN_OR_RETURN(server_, HttpServer::Start(std::move(http)));
    return absl::OkStatus();
  }

  ~GatewayImpl() override { stopping_ = true; }

  std::string address() const override { return server_->address(); }

 private:
  HttpResponse ListRuns(const HttpRequest& http) {
    v1::ListRunsRequest request;
    request.set_project(http.Param("project").value_or(""));
    if (auto status = ReadPage(http, request); !status.ok()) return HttpProblem(status);
    return JsonAnswer(Call(coordinator_, &Coordinator::ListRuns, std::move(request)));
  }

  HttpResponse CreateRun(const HttpRequest& http) {
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

  // /v1/runs/{id}[/executions[/{n}/attempts/{n}/evidence] | /verdict | /gate | /watch]
  HttpResponse GetOfRun(const HttpRequest& http) {
    absl::string_view path = http.path;
    absl::ConsumePrefix(&path, "/v1/runs/");
    const std::vector<std::string> parts = absl::StrSplit(path, '/');
    const std::string& run_id = parts[0];
    if (parts.size() == 1) return JsonAnswer(GetRun(run_id));
    if (parts[1] == "executions" && parts.size() == 2) return ListExecutions(run_id, http);
    if (parts[1] == "executions" && parts.size() == 6 && parts[3] == "attempts" &&
        parts[5] == "evidence") {
      return GetEvidence(run_id, parts[2], parts[4]);
    }
    if (parts[1] == "verdict" && parts.size() == 2) return GetVerdict(run_id, http);
    if (parts[1] == "gate" && parts.size() == 2) return GateOf(AwaitVerdict(run_id, http));
    if (parts[1] == "watch" && parts.size() == 2) return Watch(run_id);
    return HttpProblem(404, absl::StrCat("nothing is at ", http.path));
  }

  absl::StatusOr<v1::Run> GetRun(const std::string& run_id) {
    v1::GetRunRequest request;
    request.set_run_id(run_id);
    return Call(coordinator_, &Coordinator::GetRun, std::move(request));
  }

  HttpResponse ListExecutions(const std::string& run_id, const HttpRequest& http) {
    v1::ListExecutionsRequest request;
    request.set_run_id(run_id);
    if (auto status = ReadPage(http, request); !status.ok()) return HttpProblem(status);
    const std::string view = http.Param("view").value_or("BASIC");
    v1::ListExecutionsRequest::View value;
    if (!v1::ListExecutionsRequest::View_Parse(view, &value)) {
      return HttpProblem(400, absl::StrCat("view must be BASIC or FULL, not '", view, "'"));
    }
    request.set_view(value);
    request.set_only_failures(IsTrue(http.Param("only_failures")));
    return JsonAnswer(Call(coordinator_, &Coordinator::ListExecutions, std::move(request)));
  }

  HttpResponse GetEvidence(const std::string& run_id, const std::string& execution,
                           const std::string& attempt) {
    v1::GetEvidenceRequest request;
    request.set_run_id(run_id);
    uint32_t execution_number = 0, attempt_number = 0;
    if (!absl::SimpleAtoi(execution, &execution_number) ||
        !absl::SimpleAtoi(attempt, &attempt_number)) {
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

  HttpResponse GetVerdict(const std::string& run_id, const HttpRequest& http) {
    return JsonAnswer(AwaitVerdict(run_id, http));
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
  HttpResponse FlaggerGate(const HttpRequest& http) {
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

  HttpResponse Watch(const std::string& run_id) {
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

  HttpResponse CancelRun(const HttpRequest& http) {
    absl::string_view id = http.path;
    absl::ConsumePrefix(&id, "/v1/runs/");
    if (!absl::ConsumeSuffix(&id, ":cancel")) {
      return HttpProblem(404, absl::StrCat("nothing takes a POST at ", http.path));
    }
    v1::CancelRunRequest request;
    request.set_run_id(std::string(id));
    return JsonAnswer(Call(coordinator_, &Coordinator::CancelRun, std::move(request)));
  }

  HttpResponse ListAgents(const HttpRequest& http) {
    v1::ListAgentsRequest request;
    if (auto status = ReadPage(http, request); !status.ok()) return HttpProblem(status);
    return JsonAnswer(Call(coordinator_, &Coordinator::ListAgents, std::move(request)));
  }

  HttpResponse DrainAgent(const HttpRequest& http) {
    absl::string_view name = http.path;
    absl::ConsumePrefix(&name, "/v1/agents/");
    if (!absl::ConsumeSuffix(&name, ":drain")) {
      return HttpProblem(404, absl::StrCat("nothing takes a POST at ", http.path));
    }
    v1::DrainAgentRequest request;
    request.set_agent(std::string(name));
    return JsonAnswer(Call(coordinator_, &Coordinator::DrainAgent, std::move(request)));
  }

  HttpResponse Probes(const HttpRequest&) {
    HttpResponse response;
    response.content_type = "text/plain; version=0.0.4; charset=utf-8";
    response.body = coordinator_->ProbesText();
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
  std::atomic<int> held_{0};
  std::unique_ptr<HttpServer> server_;  // goes first
};

}  // namespace

absl::StatusOr<std::unique_ptr<Gateway>> Gateway::Start(GatewayOptions options,
                                                        Coordinator* coordinator) {
  auto gateway = std::make_unique<GatewayImpl>(coordinator);
  ABSL_RETURN_IF_ERROR(gateway->Serve(std::move(options)));
  return std::unique_ptr<Gateway>(std::move(gateway));
}

}  // namespace picket
