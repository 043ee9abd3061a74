// File: engine.h
//
// The check engine: turns one test into one attempt. It knows checks and the
// network; it knows no run, lease or coordinator. Checks run on a few event loops
// (one thread each, none per check); large bodies are evaluated on a worker thread.
//
// Thread rule: Engine is safe to call from any thread. A done callback runs on an
// engine thread and must return at once without calling back into its own Engine
// other than Submit or Abort.

#ifndef AGENT_ENGINE_ENGINE_H_
#define AGENT_ENGINE_ENGINE_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/policy/regression.h"
#include "picket/v1/result.pb.h"
#include "picket/v1/suite.pb.h"

namespace picket {

// Secret values of this machine. Safe to call from any thread.
class SecretSource {
 public:
  virtual ~SecretSource() = default;
  // The value of `name` for use towards `host`; nothing if there is none, or if it is
  // bound to other hosts. Never empty.
  virtual std::optional<std::string> Lookup(absl::string_view name, absl::string_view host) = 0;

  // The value of `name` whatever it is bound to: for variables, which are evaluated before
  // any host is known. The engine asks Lookup before a request that holds it is sent.
  virtual std::optional<std::string> Value(absl::string_view name) { return Lookup(name, ""); }
};

// PICKET_SECRET_<NAME> in the environment, then the file <NAME> in `directory`
// (empty = none; a trailing newline is cut). A file <NAME>.hosts beside it binds the
// secret to the hosts in it, one a line. `given` wins over both (picket run --local
// --secret). Files are read once, at the first use.
std::unique_ptr<SecretSource> MakeSecretSource(const std::string& directory,
                                               std::map<std::string, std::string> given);

// A test made ready to run: templates, expressions, regexes and schemas compiled,
// certificates parsed. Immutable; shared by all its executions.
class CompiledTest;

// Contents of a test's files by SHA-256 (32 bytes).
using FileContents = std::map<std::string, std::shared_ptr<const std::string>>;

// InvalidArgument naming the field, if the test cannot be run as it is.
absl::StatusOr<std::shared_ptr<const CompiledTest>> CompileTest(const v1::Test& test,
                                                                const FileContents& files);

// One attempt to make.
struct CheckJob {
  std::shared_ptr<const CompiledTest> test;
  // The execution's data row, if the test has rows: cells in the columns' order.
  std::optional<v1::Row> row;
  // Columns of the row.
  std::vector<std::string> columns;
  // Seeds the built-ins: each attempt's own, so that a replay of it repeats them.
  uint64_t seed = 0;
  // From 1; goes into Attempt.number.
  uint32_t number = 1;
  // What its regression gates compare with, and what earlier attempts measured for them.
  // A gate that is not here has no history.
  std::vector<GateTimes> gates;
};

struct EngineOptions {
  // Event loops; 0 = one per core that this process may use.
  int loops = 0;
  // Checks in flight at once, over all loops; more are refused by Submit's callback
  // (inconclusive, agent_resources).
  uint32_t in_flight_most = 20'000;
  // Must outlive the engine; null = no secrets.
  SecretSource* secrets = nullptr;
  // DNS servers as "ip[:port]"; empty = those of /etc/resolv.conf.
  std::vector<std::string> dns_servers;
  // Hosts file; empty = the system's.
  std::string hosts_file;
  // CA bundle for tests that bring none; empty = the system's.
  std::string ca_file;
  // Added to wall times that go into results.
  absl::Duration clock_offset = absl::ZeroDuration();
};

class Engine {
 public:
  using JobId = uint64_t;
  using Done = absl::AnyInvocable<void(v1::Attempt)>;

  static absl::StatusOr<std::unique_ptr<Engine>> Start(EngineOptions options);
  // Aborts what is in flight (callbacks still run) and joins its threads.
  virtual ~Engine() = default;

  // Starts an attempt. `done` is called exactly once, always.
  virtual JobId Submit(CheckJob job, Done done) = 0;

  // Ends an attempt early: its request in flight is aborted, `always` steps still run
  // within `grace`; it ends inconclusive, attempt_aborted. Unknown ids are ignored.
  virtual void Abort(JobId id, absl::Duration grace) = 0;

  struct Stats {
    uint32_t in_flight = 0;
    // Longest turn of any loop since the last call.
    absl::Duration loop_lag;
    uint64_t checks = 0;
    uint64_t poor = 0;  // results stamped as poorly measured
  };
  virtual Stats TakeStats() = 0;

  // Wall-clock correction learnt by the session.
  virtual void SetClockOffset(absl::Duration offset) = 0;
};

}  // namespace picket

#endif  // AGENT_ENGINE_ENGINE_H_
