// picket-coordinator: admits runs, plans, leases, merges, seals.

#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/mutex.h"
#include "common/base/steady_wall_clock.h"
#include "common/base/version.h"
#include "common/config/flags.h"
#include "common/policy/limits.h"
#include "common/telemetry/info_file.h"
#include "common/telemetry/metrics.h"
#include "common/telemetry/signals.h"
#include "coordinator/app/coordinator.h"
#include "coordinator/gateway/gateway.h"
#include "coordinator/notify/webhooks.h"
#include "coordinator/rpc/rpc_server.h"
#include "coordinator/store/store.h"

namespace picket {
namespace {

// Calls that run may end by themselves; sessions then are cancelled, and reconnect.
constexpr absl::Duration kShutdownGrace = absl::Seconds(1);

struct Settings {
  std::string listen = "127.0.0.1:7700";
  std::string http_listen = "127.0.0.1:7701";
  std::vector<std::string> http_hosts;
  std::string store = "sqlite:picket.db";
  std::string info_file;
  int64_t keep_runs = 0;
  absl::Duration keep_results = absl::ZeroDuration();
  absl::Duration agent_grace = DefaultLimits().agent_grace;
  absl::Duration lease_time = DefaultLimits().lease_time;
  std::vector<std::string> webhook_urls, webhook_secret_files;
  absl::Duration webhook_timeout = WebhookOptions().timeout;
  int64_t webhook_tries = WebhookOptions().tries_most;
  std::string log_level = "info";
  std::string log_format = "text";
  // Named so that nobody takes them for something else; refused.
  std::string token, tls_ca, tls_cert, tls_key, project;
};

FlagOptions Checked(FlagCheck check) {
  FlagOptions options;
  options.check = std::move(check);
  return options;
}

FlagOptions Refused(const std::string& why) {
  return Checked([why](absl::string_view) {
    return absl::InvalidArgumentError(absl::StrCat("refused: ", why));
  });
}

void AddWebhookFlags(Settings& s, FlagSet& flags) {
  flags.Add("webhook-url", &s.webhook_urls, "NAME=URL",
            "A target that is told of every sealed run; repeatable.");
  flags.Add("webhook-secret-file", &s.webhook_secret_files, "NAME=FILE",
            "The secrets that sign what the target of that name is told, one whsec_… a line, the "
            "current one first; read anew before each try.");
  flags.Add("webhook-timeout", &s.webhook_timeout, "TIME", "For a target to answer one try.",
            Checked(DurationBetween(absl::Milliseconds(100), absl::Minutes(1))));
  flags.Add("webhook-tries", &s.webhook_tries, "N",
            "Tries before a webhook is given up; the delay between them grows to an hour.",
            Checked(IntBetween(1, 1000)));
}

void AddFlags(Settings& s, FlagSet& flags) {
  const std::string plain =
      "this version speaks plaintext and knows no users; keep it on loopback, or put a proxy "
      "that authenticates and encrypts before it";
  flags.Version(absl::StrCat("picket-coordinator ", kVersion));
  flags.Add("listen", &s.listen, "ADDR", "Where gRPC is served: host:port, port 0 for any free.",
            Checked(HostPort()));
  flags.Add("http-listen", &s.http_listen, "ADDR",
            "Where HTTP is served: JSON, gates, metrics, health.", Checked(HostPort()));
  flags.Add("http-host", &s.http_hosts, "NAME",
            "A further name that the Host header of an HTTP request may bear; repeatable.");
  flags.Add("store", &s.store, "URI",
            "What is remembered, and where: sqlite:PATH or postgresql://HOST/DATABASE.",
            Checked(NotEmpty()));
  flags.Add("info-file", &s.info_file, "PATH",
            "Written once everything serves: {\"grpc\":…,\"http\":…,\"pid\":…}.");
  flags.Add("keep-runs", &s.keep_runs, "N", "Sealed runs to keep, the newest; 0 keeps all.",
            Checked(IntBetween(0, 1'000'000'000)));
  flags.Add("keep-results", &s.keep_results, "TIME",
            "How long results of sealed runs are kept; 0 keeps them as long as the run.",
            Checked(DurationBetween(absl::ZeroDuration(), absl::Hours(24 * 3650))));
  flags.Add("agent-grace", &s.agent_grace, "TIME",
            "How long a location without a live agent is waited for before its executions end "
            "unassigned.",
            Checked(DurationBetween(absl::ZeroDuration(), absl::Hours(24))));
  flags.Add("lease-time", &s.lease_time, "TIME",
            "Silence after which an agent's work is leased again.",
            Checked(DurationBetween(absl::Seconds(1), absl::Hours(1))));
  AddWebhookFlags(s, flags);
  flags.Add("log-level", &s.log_level, "LEVEL", "debug, info, warning, error or off.",
            Checked(OneOf({"debug", "info", "warning", "error", "off"})));
  flags.Add("log-format", &s.log_format, "FORMAT", "text or json.",
            Checked(OneOf({"text", "json"})));
  flags.Add("token", &s.token, "TOKEN", "Refused by this version.", Refused(plain));
  flags.Add("tls-ca", &s.tls_ca, "FILE", "Refused by this version.", Refused(plain));
  flags.Add("tls-cert", &s.tls_cert, "FILE", "Refused by this version.",
            Refused(plain));
  flags.Add("tls-key", &s.tls_key, "FILE", "Refused by this version.", Refused(plain));
  flags.Add("project", &s.project, "NAME", "Refused by this version.",
            Refused("a coordinator serves every project of its store"));
}

// The signals that have come, for the main thread to wait for.
class Stop {
 public:
  void Notify(int signal, int count) {
    // Who asks twice does not want to wait.
    if (count > 1) _Exit(128 + signal);
    MutexLock lock(&mu_);
    asked_ = true;
    changed_.SignalAll();
  }
  void Wait() {
    MutexLock lock(&mu_);
    while (!asked_) changed_.Wait(&mu_);
  }

 private:
  Mutex mu_;
  CondVar changed_;
  bool asked_ ABSL_GUARDED_BY(mu_) = false;
};

int Fail(const absl::Status& status) {
  std::fprintf(stderr, "picket-coordinator: %s\n", std::string(status.message()).c_str());
  return status.code() == absl::StatusCode::kInvalidArgument ? 2 : 1;
}

CoordinatorOptions OptionsOf(const Settings& settings) {
  CoordinatorOptions options;
  options.agent_grace = settings.agent_grace;
  options.lease_time = settings.lease_time;
  options.heartbeat_interval =
      std::min(options.heartbeat_interval, settings.lease_time / 5);
  options.keep_runs = static_cast<size_t>(settings.keep_runs);
  if (settings.keep_results > absl::ZeroDuration()) options.keep_results = settings.keep_results;
  return options;
}

int Serve(const Settings& settings, Stop& stop) {
  Clock* const clock = Clock::Real();
  auto targets = ReadWebhookTargets(settings.webhook_urls, settings.webhook_secret_files);
  if (!targets.ok()) return Fail(targets.status());
  // Deadlines are wall times of the store's clock: with SQLite this process's, else the database's.
  const auto steady = SteadyWallClock::Real();
  auto store = OpenStore(settings.store, steady.get());
  if (!store.ok()) return Fail(store.status());
  Metrics metrics("picket-coordinator", clock->TimeNow());
  CoordinatorOptions options = OptionsOf(settings);
  std::optional<Webhooks> webhooks;
  if (!targets->empty()) {
    webhooks.emplace(WebhookOptions{.targets = *std::move(targets),
                                    .timeout = settings.webhook_timeout,
                                    .tries_most = static_cast<uint32_t>(settings.webhook_tries)},
                     store->get(), clock, &metrics);
    options.on_sealed = [&webhooks] { webhooks->Wake(); };
  }
  const std::unique_ptr<Coordinator> coordinator =
      Coordinator::Start(std::move(options), store->get(), clock, &metrics);
  auto rpc = CoordinatorRpc::Start(settings.listen, coordinator.get());
  if (!rpc.ok()) return Fail(rpc.status());
  auto gateway = Gateway::Start(
      {.listen = settings.http_listen, .hosts = settings.http_hosts, .metrics = &metrics},
      coordinator.get());
  if (!gateway.ok()) return Fail(gateway.status());
  if (!settings.info_file.empty()) {
    const absl::Status written =
        WriteInfoFile(settings.info_file,
                      {{"grpc", (*rpc)->address()}, {"http", (*gateway)->address()}});
    if (!written.ok()) return Fail(written);
  }
  Log(LogLevel::kInfo, "serving",
      {{"grpc", (*rpc)->address()}, {"http", (*gateway)->address()}});
  stop.Wait();
  Log(LogLevel::kInfo, "stopping");
  (*rpc)->SetServing(false);
  (*rpc)->Shutdown(kShutdownGrace);
  return 0;
}

int Main(int argc, char** argv) {
  Settings settings;
  FlagSet flags("picket-coordinator",
                "Plans runs, leases their executions to agents, merges the results into a verdict.");
  AddFlags(settings, flags);
  if (const std::optional<int> code = flags.ParseOrExitCode(argc, argv)) return *code;
  SetLogJson(settings.log_format == "json");
  if (const absl::Status status = SetLogLevelByName(settings.log_level); !status.ok()) {
    return Fail(status);
  }
  Stop stop;
  // Before any other thread, which would not inherit its mask.
  SignalWatcher signals([&](int signal, int count) { stop.Notify(signal, count); });
  RaiseFileLimit();
  return Serve(settings, stop);
}

}  // namespace
}  // namespace picket

int main(int argc, char** argv) { return picket::Main(argc, argv); }
