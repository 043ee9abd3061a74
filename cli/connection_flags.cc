#include "cli/connection_flags.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "cli/exit_code.h"
#include "common/base/ids.h"
#include "common/base/status_macros.h"
#include "common/policy/limits.h"
#include "common/report/escape.h"
#include "common/rpc/channel.h"

namespace picket {
namespace {

FlagCheck Refuse(absl::string_view why) {
  return [why = std::string(why)](absl::string_view) { return absl::InvalidArgumentError(why); };
}

bool IsSet(const Environment& env, const std::string& name) {
  const std::optional<std::string> value = env.variable(name);
  return value.has_value() && !value->empty();
}

}  // namespace

void ConnectionFlags::AddTo(FlagSet& flags) {
  flags.Add("coordinator", &coordinator, "HOST:PORT",
            "The coordinator; several, separated by commas, are tried in turn.",
            {.check = [](absl::string_view v) { return ParseCoordinators(v).status(); }});
  flags.Add("connect-timeout", &connect_timeout, "TIME",
            "How long a coordinator that cannot be reached is tried again.",
            {.check = DurationBetween(absl::ZeroDuration(), absl::Hours(1))});
  constexpr absl::string_view kNoTls =
      "refused: coordinators of this version speak plaintext without tokens, so it would "
      "protect nothing; put a tunnel or a proxy with TLS before the coordinator";
  for (const char* name : {"token", "tls-ca", "tls-cert", "tls-key"}) {
    flags.Add(name, &refused_, "VALUE", "Refused in this version.", {.check = Refuse(kNoTls)});
  }
  flags.Add("project", &refused_, "NAME", "Refused in this version.",
            {.check = Refuse("refused: coordinators of this version have the one project "
                             "'default'")});
}

absl::StatusOr<std::unique_ptr<RunClient>> ConnectionFlags::Connect(Environment& env) const {
  ABSL_ASSIGN_OR_RETURN(std::vector<std::string> targets, ParseCoordinators(coordinator));
  std::unique_ptr<RunClient> client = env.connect(targets);
  client->SetConnectTimeout(connect_timeout);
  return client;
}

void PrintFlags::AddTo(FlagSet& flags) {
  flags.Add("quiet", &quiet, "", "Print nothing but the last line.", {.short_name = 'q'});
  flags.Add("no-color", &no_colour, "", "No colours (also NO_COLOR).");
}

PrintStyle PrintFlags::Style(const Environment& env) const {
  const std::optional<std::string> github = env.variable("GITHUB_ACTIONS");
  return {.colour = env.terminal && !no_colour && !IsSet(env, "NO_COLOR"),
          .github = github.has_value() && *github == "true"};
}

bool PrintFlags::Redraws(const Environment& env) const { return env.terminal && !IsSet(env, "CI"); }

std::optional<int> ParseArguments(Environment& env, FlagSet& flags,
                                  const std::vector<std::string>& args) {
  flags.Environment(env.variable);
  const absl::StatusOr<FlagSet::Outcome> outcome = flags.Parse(args);
  if (!outcome.ok()) {
    PrintError(env, outcome.status().message());
    return kExitUsage;
  }
  if (!outcome->help) return std::nullopt;
  env.out->Write(outcome->text);
  return kExitPassed;
}

void PrintError(Environment& env, absl::string_view message) {
  env.err->Write("picket: ");
  // Each line by itself: a message may hold several, and must not hold anything worse.
  bool first = true;
  for (absl::string_view line : absl::StrSplit(message, '\n')) {
    if (!first) env.err->Write("\n  ");
    first = false;
    env.err->Write(EscapeGithubLog(line));
  }
  env.err->Write("\n");
}

int FailedCall(Environment& env, const absl::Status& status) {
  if (env.interrupts->raised()) return ExitCodeOfSignal(env.interrupts->signal());
  PrintError(env, status.message().empty() ? status.ToString() : std::string(status.message()));
  return kExitNoVerdict;
}

absl::StatusOr<std::string> RunIdArgument(const std::vector<std::string>& arguments) {
  if (arguments.size() == 1 && IsRunId(arguments[0])) return arguments[0];
  return absl::InvalidArgumentError(absl::StrCat("a run id is 16 characters of a-z and 2-7, not '",
                                                 arguments.empty() ? "" : arguments[0], "'"));
}

}  // namespace picket
