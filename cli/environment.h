// File: environment.h
//
// All that a command may touch of the world: output, time, chance, signals, variables,
// and the ways to a coordinator. main() fills it in; a test fills it with fakes.
//
// Thread rule: thread-compatible; what it points to says its own rule.

#ifndef CLI_ENVIRONMENT_H_
#define CLI_ENVIRONMENT_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "cli/interrupts.h"
#include "cli/local_fleet.h"
#include "cli/run_client.h"
#include "common/base/clock.h"
#include "common/base/random.h"
#include "common/report/text_sink.h"

namespace picket {

// Nothing is owned.
struct Environment {
  TextSink* out = nullptr;
  TextSink* err = nullptr;
  // Whether `out` is a terminal that understands ECMA-48, and its size now.
  bool terminal = false;
  std::function<int()> columns = [] { return 80; };
  std::function<int()> lines = [] { return 24; };

  Clock* clock = nullptr;
  Random* random = nullptr;
  Interrupts* interrupts = nullptr;
  // Waits, or less if a signal comes; true if one has come.
  std::function<bool(absl::Duration)> wait;
  // Waits, whatever comes.
  std::function<void(absl::Duration)> pause;

  // A variable of the environment, if set.
  std::function<std::optional<std::string>(const std::string&)> variable;
  // All of standard input, at most `bytes_max` of it.
  std::function<absl::StatusOr<std::string>(size_t bytes_max)> read_input;

  std::function<std::unique_ptr<RunClient>(const std::vector<std::string>& targets)> connect;
  std::function<absl::StatusOr<std::unique_ptr<LocalFleet>>(const LocalFleetOptions&)> start_local;
};

}  // namespace picket

#endif  // CLI_ENVIRONMENT_H_
