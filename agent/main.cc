// picket-agent: one agent at one location. It only dials out; what it serves is its own
// metrics and health.

#include <stdio.h>
#include <unistd.h>

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "agent/session/agent.h"
#include "agent/session/grpc_session.h"
#include "common/base/clock.h"
#include "common/base/ids.h"
#include "common/base/log.h"
#include "common/base/mutex.h"
#include "common/base/random.h"
#include "common/base/scheduling.h"
#include "common/base/status_macros.h"
#include "common/base/version.h"
#include "common/config/flags.h"
#include "common/rpc/channel.h"
#include "common/telemetry/http_server.h"
#include "common/telemetry/info_file.h"
#include "common/telemetry/metrics.h"
#include "common/telemetry/signals.h"

namespace picket {
namespace {

constexpr int kExitUsage = 2;
// Descriptors beside one a check: logs, spool, link, HTTP, resolver, pools.
constexpr unsigned long kSpareFiles = 256;

struct Flags {
  std::string coordinator = "127.0.0.1:7700";
  std::string location = "default";
  std::string name;
  int capacity = 100;
  int loops = 0;
  std::string http_listen = "127.0.0.1:7702";
  std::vector<std::string> http_hosts;
  std::string spool;
  std::string info_file;
  bool take_over = false;
  std::string secrets_dir;
  std::vector<std::string> labels;
  std::vector<std::string> dns_servers;
  std::string ca_file;
  std::string log_level = "info";
  std::string log_format = "text";
  std::string refused;
};

std::string HostName() {
  char name[256] = "";
  if (gethostname(name, sizeof name - 1) != 0 || name[0] == '\0') return "agent";
  return name;
}

absl::Status CheckLabel(absl::string_view value) {
  const size_t equals = value.find('=');
  if (equals == absl::string_view::npos || equals == 0) {
    return absl::InvalidArgumentError("a label is KEY=VALUE");
  }
  return absl::OkStatus();
}

absl::Status CheckLocation(absl::string_view value) {
  if (IsLocation(value)) return absl::OkStatus();
  return absl::InvalidArgumentError("a location is [a-z0-9][a-z0-9._:-]{0,62}");
}

FlagCheck Refuse(std::string why) {
  return [why = std::move(why)](absl::string_view) { return absl::InvalidArgumentError(why); };
}

void AddRefused(FlagSet& flags, std::string* sink) {
  for (const char* name : {"token", "tls-ca", "tls-cert", "tls-key"}) {
    flags.Add(name, sink, "VALUE", "Refused in this version.",
              {.check = Refuse("refused: coordinators of this version speak plaintext without "
                               "tokens, so it would protect nothing; put a tunnel or a proxy "
                               "with TLS before the coordinator")});
  }
  flags.Add("project", sink, "NAME", "Refused in this version.",
            {.check = Refuse("refused: coordinators of this version have the one project "
                             "'default'")});
}

void AddFlags(FlagSet& set, Flags& flags) {
  set.Version(absl::StrCat("picket-agent ", kVersion));
  set.Add("coordinator", &flags.coordinator, "HOST:PORT",
          "The coordinator; several, separated by commas, are tried in turn.",
          {.check = [](absl::string_view v) { return ParseCoordinators(v).status(); }});
  set.Add("location", &flags.location, "NAME", "The place it runs checks from.",
          {.check = CheckLocation});
  set.Add("name", &flags.name, "NAME",
          "Its name, one live agent of that name a location; by default the host's.",
          {.check = NotEmpty()});
  set.Add("capacity", &flags.capacity, "N", "Checks it runs at once.",
          {.check = IntBetween(1, 20'000)});
  set.Add("loops", &flags.loops, "N", "Event loops; 0 = one for each core that it may use.",
          {.check = IntBetween(0, 64)});
  set.Add("http-listen", &flags.http_listen, "ADDR",
          "Where /metrics, /healthz and /readyz are served; 'none' = nowhere.");
  set.Add("http-host", &flags.http_hosts, "NAME",
          "A further name under which HTTP requests may come.");
  set.Add("spool", &flags.spool, "DIR",
          "Where results wait for a coordinator, over restarts too; without it in memory.");
  set.Add("info-file", &flags.info_file, "PATH",
          "Written once it serves: JSON with its HTTP address and process id.");
  set.Add("take-over", &flags.take_over, "",
          "Drain a live agent of the same name and location, and take its place.");
  set.Add("secrets-dir", &flags.secrets_dir, "DIR",
          "Secrets, one file each, beside PICKET_SECRET_<NAME> in the environment.");
  set.Add("label", &flags.labels, "KEY=VALUE", "Shown by `picket agents`.", {.check = CheckLabel});
  set.Add("dns-server", &flags.dns_servers, "IP[:PORT]",
          "DNS servers for checks, instead of the system's.");
  set.Add("ca-file", &flags.ca_file, "PATH",
          "Trusted roots for tests that bring none, instead of the system's.");
  set.Add("log-level", &flags.log_level, "LEVEL", "debug, info, warning, error or off.",
          {.check = OneOf({"debug", "info", "warning", "error", "off"})});
  set.Add("log-format", &flags.log_format, "FORMAT", "text or json.",
          {.check = OneOf({"text", "json"})});
  AddRefused(set, &flags.refused);
}

// What the main thread waits for.
class Progress {
 public:
  void Set(const AgentStatus& status) {
    MutexLock lock(&mu_);
    status_ = status;
    changed_.SignalAll();
  }
  void StopNow(int signal) {
    MutexLock lock(&mu_);
    signal_ = signal;
    changed_.SignalAll();
  }
  // Until the agent is drained or refused, or is to stop at once (its signal, else 0).
  int Wait(AgentStatus* status) {
    MutexLock lock(&mu_);
    while (!status_.drained && status_.refused.ok() && signal_ == 0) changed_.Wait(&mu_);
    *status = status_;
    return signal_;
  }
  absl::Status Ready() {
    MutexLock lock(&mu_);
    if (status_.draining) return absl::UnavailableError("draining");
    if (status_.connected) return absl::OkStatus();
    return absl::UnavailableError(absl::StrCat("no session with a coordinator",
                                               status_.last_error.empty() ? "" : ": ",
                                               status_.last_error));
  }

 private:
  Mutex mu_;
  CondVar changed_;
  AgentStatus status_ ABSL_GUARDED_BY(mu_);
  int signal_ ABSL_GUARDED_BY(mu_) = 0;
};

absl::StatusOr<std::unique_ptr<SessionDialer>> MakeLink(const Flags& flags) {
  ABSL_ASSIGN_OR_RETURN(const std::vector<std::string> addresses,
                        ParseCoordinators(flags.coordinator));
  std::vector<std::shared_ptr<grpc::Channel>> channels;
  for (const std::string& address : addresses) channels.push_back(MakeChannel(address));
  Random random = Random::FromSystem();
  return MakeDialer(std::move(channels), random.Below(addresses.size()));
}

AgentOptions OptionsOf(const Flags& flags, SecretSource* secrets, Metrics* metrics) {
  AgentOptions options;
  options.name = flags.name.empty() ? HostName() : flags.name;
  options.location = flags.location;
  options.capacity = static_cast<uint32_t>(flags.capacity);
  options.spool_directory = flags.spool;
  options.take_over = flags.take_over;
  options.metrics = metrics;
  for (const std::string& label : flags.labels) {
    const std::pair<std::string, std::string> parts =
        absl::StrSplit(label, absl::MaxSplits('=', 1));
    options.labels[parts.first] = parts.second;
  }
  options.engine.loops = flags.loops;
  options.engine.secrets = secrets;
  options.engine.dns_servers = flags.dns_servers;
  options.engine.ca_file = flags.ca_file;
  return options;
}

absl::StatusOr<int> Serve(const Flags& flags) {
  Progress progress;
  std::atomic<Agent*> agent_to_drain{nullptr};
  std::atomic<bool> drain_asked{false};
  // First of all threads, so that every other one inherits its mask.
  SignalWatcher signals([&](int signal, int count) {
    if (count > 1) return progress.StopNow(signal);
    Log(LogLevel::kInfo, "draining; a second signal stops at once",
        {{"signal", absl::StrCat(signal)}});
    drain_asked = true;
    if (Agent* agent = agent_to_drain) agent->Drain();
  });
  const unsigned long files = RaiseFileLimit();
  if (files < static_cast<unsigned long>(flags.capacity) + kSpareFiles) {
    Log(LogLevel::kWarning,
        "fewer files may be open than --capacity needs; checks may end "
        "inconclusive, agent_resources",
        {{"files", absl::StrCat(files)}, {"capacity", absl::StrCat(flags.capacity)}});
  }
  Metrics metrics("picket-agent", Clock::Real()->TimeNow());
  const std::unique_ptr<SecretSource> secrets = MakeSecretSource(flags.secrets_dir, {});
  ABSL_ASSIGN_OR_RETURN(const std::unique_ptr<SessionDialer> dialer, MakeLink(flags));
  std::unique_ptr<HttpServer> http;
  if (flags.http_listen != "none") {
    ABSL_ASSIGN_OR_RETURN(http, HttpServer::Start({.listen = flags.http_listen,
                                                   .hosts = flags.http_hosts,
                                                   .threads = 8,
                                                   .metrics = &metrics,
                                                   .ready = [&] { return progress.Ready(); }}));
  }
  const AgentOptions options = OptionsOf(flags, secrets.get(), &metrics);
  ABSL_ASSIGN_OR_RETURN(std::unique_ptr<Agent> agent, Agent::Start(options, dialer.get()));
  agent->OnChange([&](const AgentStatus& status) { progress.Set(status); });
  agent_to_drain = agent.get();
  if (drain_asked) agent->Drain();
  if (!flags.info_file.empty()) {
    std::vector<std::pair<std::string, std::string>> addresses;
    if (http != nullptr) addresses.emplace_back("http", http->address());
    ABSL_RETURN_IF_ERROR(WriteInfoFile(flags.info_file, addresses));
  }
  Log(LogLevel::kInfo, "agent started",
      {{"name", options.name},
       {"location", options.location},
       {"coordinator", flags.coordinator},
       {"http", http != nullptr ? http->address() : "none"},
       {"version", std::string(kVersion)}});
  AgentStatus status;
  const int signal = progress.Wait(&status);
  agent_to_drain = nullptr;
  http.reset();
  agent.reset();
  if (signal != 0) return 128 + signal;
  if (!status.refused.ok()) {
    return absl::Status(status.refused.code(),
                        absl::StrCat("the coordinator refused agent '", options.name, "' at '",
                                     options.location, "': ", status.refused.message()));
  }
  Log(LogLevel::kInfo, "agent drained", {{"name", options.name}});
  return 0;
}

int Main(int argc, char** argv) {
  Flags flags;
  FlagSet set("picket-agent", "Runs checks from one location and reports to a coordinator.");
  AddFlags(set, flags);
  if (const std::optional<int> code = set.ParseOrExitCode(argc, argv)) return *code;
  if (const absl::Status level = SetLogLevelByName(flags.log_level); !level.ok()) {
    fprintf(stderr, "picket-agent: %s\n", std::string(level.message()).c_str());
    return kExitUsage;
  }
  SetLogJson(flags.log_format == "json");
  GiveWay();  // but for the loops, which measure
  const absl::StatusOr<int> code = Serve(flags);
  if (code.ok()) return *code;
  fprintf(stderr, "picket-agent: %s\n", std::string(code.status().message()).c_str());
  return absl::IsInvalidArgument(code.status()) ? kExitUsage : 1;
}

}  // namespace
}  // namespace picket

int main(int argc, char** argv) { return picket::Main(argc, argv); }
