// File: connection_flags.h
//
// The flags that every command which speaks to a coordinator has, and the print flags
// that every command has.
//
// Thread rule: thread-compatible.

#ifndef CLI_CONNECTION_FLAGS_H_
#define CLI_CONNECTION_FLAGS_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "cli/environment.h"
#include "cli/printer.h"
#include "common/config/flags.h"

namespace picket {

struct ConnectionFlags {
  std::string coordinator = "127.0.0.1:7700";
  absl::Duration connect_timeout = absl::Seconds(10);

  // --coordinator, --connect-timeout, and those that are known by name and refused:
  // --token, --tls-ca, --tls-cert, --tls-key, --project.
  void AddTo(FlagSet& flags);
  // InvalidArgument when --coordinator is no list of HOST:PORT.
  absl::StatusOr<std::unique_ptr<RunClient>> Connect(Environment& env) const;

 private:
  std::string refused_;
};

// While it lives, a signal ends the client's calls. Lives shorter than the client.
class ScopedInterrupt {
 public:
  ScopedInterrupt(Environment& env, RunClient& client) : interrupts_(env.interrupts) {
    interrupts_->SetListener([&client] { client.Interrupt(); });
  }
  ~ScopedInterrupt() { interrupts_->SetListener(nullptr); }
  ScopedInterrupt(const ScopedInterrupt&) = delete;
  ScopedInterrupt& operator=(const ScopedInterrupt&) = delete;

 private:
  Interrupts* interrupts_;
};

struct PrintFlags {
  bool quiet = false;
  bool no_colour = false;

  void AddTo(FlagSet& flags);
  // NO_COLOR (no-color.org) and CI count; a pipe never gets colour.
  PrintStyle Style(const Environment& env) const;
  // Whether progress is redrawn in place.
  bool Redraws(const Environment& env) const;
};

// Parses the arguments of one command. The exit code if the command ends here: --help,
// or what was wrong, which has been printed.
std::optional<int> ParseArguments(Environment& env, FlagSet& flags,
                                  const std::vector<std::string>& args);

// "picket: MESSAGE" on standard error.
void PrintError(Environment& env, absl::string_view message);

// Prints why a call failed; the exit code that goes with it.
int FailedCall(Environment& env, const absl::Status& status);

// The run id that is the one argument of a command, or a usage error.
absl::StatusOr<std::string> RunIdArgument(const std::vector<std::string>& arguments);

}  // namespace picket

#endif  // CLI_CONNECTION_FLAGS_H_
