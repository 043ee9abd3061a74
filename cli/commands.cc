#include "cli/commands.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/connection_flags.h"
#include "cli/exit_code.h"
#include "common/base/version.h"
#include "common/report/escape.h"

namespace picket {
namespace {

struct Command {
  absl::string_view name;
  absl::string_view arguments;
  absl::string_view help;
  int (*run)(Environment&, const Arguments&);
};

constexpr Command kCommands[] = {
    {"run", "FILE...", "Run suites and exit with their verdict.", RunCommand},
    {"validate", "FILE...", "Check suite files; print every error with its place.",
     ValidateCommand},
    {"schema", "", "Print the JSON Schema of suite files, for editors.", SchemaCommand},
    {"watch", "RUN", "Follow a run to its verdict.", WatchCommand},
    {"wait", "RUN", "Wait for a run's verdict, silently.", WaitCommand},
    {"cancel", "RUN", "End a run; what is undecided ends cancelled.", CancelCommand},
    {"runs", "", "List runs, newest first.", RunsCommand},
    {"show", "RUN", "Show a run: ledger, locations, failures.", ShowCommand},
    {"report", "RUN", "Write reports of a run.", ReportCommand},
    {"replay", "RUN EXECUTION", "Repeat one execution of a run, and tell all of it.", ReplayCommand},
    {"explain", "RUN", "Say why a run's verdict is what it is.", ExplainCommand},
    {"judge", "RUN", "Judge a stored run under another policy.", JudgeCommand},
    {"attest", "RUN", "Sign a run's verdict on what was tested.", AttestCommand},
    {"verify", "FILE", "Check a signed verdict; needs no coordinator.", VerifyCommand},
    {"keygen", "", "Make a pair of keys for attest and verify.", KeygenCommand},
    {"agents", "", "List agents.", AgentsCommand},
    {"drain", "AGENT", "Let an agent finish what it has begun, and give it no more.", DrainCommand},
    {"query", "JSONPATH [FILE]", "Print what a JSONPath (RFC 9535) selects, as a JSON array.",
     QueryCommand},
    {"version", "", "Print the version.", VersionCommand},
};

// Its exit code is a verdict, or says that a run is stored.
bool TellsVerdict(absl::string_view command) {
  for (absl::string_view name : {"run", "watch", "wait", "replay", "judge", "verify"}) {
    if (command == name) return true;
  }
  return false;
}

std::string Help() {
  std::string out =
      "picket runs synthetic tests from many places at once and tells a delivery pipeline one\n"
      "word it can trust.\n\nUsage: picket COMMAND [OPTIONS]\n\n";
  for (const Command& command : kCommands) {
    absl::StrAppendFormat(&out, "  %-24s %s\n", absl::StrCat(command.name, " ", command.arguments),
                          command.help);
  }
  absl::StrAppend(&out,
                  "\n`picket COMMAND --help` shows the options of a command.\n\n"
                  "Exit codes of run, watch, wait and replay:\n"
                  "  0         PASSED\n"
                  "  1         FAILED\n"
                  "  2         wrong usage or an invalid suite; nothing was created\n"
                  "  3         INCONCLUSIVE (includes: nothing ran, deadline passed, no agents)\n"
                  "  4         the coordinator cannot be reached, or refused us\n"
                  "  130, 143  interrupted; the run has been cancelled on the coordinator\n");
  return out;
}

int Dispatch(Environment& env, const Arguments& args) {
  if (args.empty()) {
    env.err->Write(Help());
    return kExitUsage;
  }
  const std::string& name = args[0];
  if (name == "--help" || name == "-h" || name == "help") {
    env.out->Write(Help());
    return kExitPassed;
  }
  const Arguments rest(args.begin() + 1, args.end());
  if (name == "--version") return VersionCommand(env, rest);
  for (const Command& command : kCommands) {
    if (command.name == name) return command.run(env, rest);
  }
  PrintError(env, absl::StrCat("there is no command '", name, "'; `picket --help` lists them"));
  return kExitUsage;
}

}  // namespace

int VersionCommand(Environment& env, const Arguments& args) {
  FlagSet flags("picket version", "Prints the version.");
  if (std::optional<int> code = ParseArguments(env, flags, args)) return *code;
  env.out->Write(absl::StrCat("picket ", kVersion, "\n"));
  return kExitPassed;
}

int RunCli(Environment& env, const Arguments& args) {
  int code = Dispatch(env, args);
  const absl::Status told = env.out->Flush();
  // Who closes a pipe or our output has seen enough; a full disk is another matter.
  if (!told.ok() && !absl::IsFailedPrecondition(told)) {
    PrintError(env, absl::StrCat("standard output: ", told.message()));
    // A verdict stands whether or not it could be printed.
    if (code == kExitPassed && !args.empty() && !TellsVerdict(args[0])) code = kExitUsage;
  }
  env.err->Flush().IgnoreError();
  return code;
}

}  // namespace picket
