// replay: one execution of a stored run once more.

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "cli/commands.h"
#include "cli/connection_flags.h"
#include "cli/display.h"
#include "cli/exit_code.h"
#include "cli/follow.h"
#include "cli/load_suites.h"
#include "cli/replay.h"
#include "cli/report_set.h"
#include "cli/run_end.h"
#include "cli/secret_flags.h"
#include "common/base/ids.h"
#include "common/policy/limits.h"
#include "common/report/run_text.h"

namespace picket {
namespace {

constexpr absl::Duration kCreateTimeout = absl::Seconds(30);
constexpr absl::Duration kCancelTimeout = absl::Seconds(5);
// Beside the test's own timeout, for the fleet to find an agent.
constexpr absl::Duration kFleetTime = absl::Seconds(90);

struct ReplayFlags {
  std::vector<std::string> arguments, secrets;
  ConnectionFlags connection;
  PrintFlags print;
  ReportFlags reports;
  int attempt = 0;
  bool local = false;
  // From the arguments.
  std::string run_id;
  uint32_t execution = 0;

  void AddTo(FlagSet& flags) {
    flags.Positional("RUN EXECUTION", &arguments, "The run's id, and the number of the execution.",
                     2, 2);
    connection.AddTo(flags);
    print.AddTo(flags);
    reports.AddTo(flags, "");  // those of the environment are the run's own
    const FlagOptions here{.environment = false};
    flags.Add("attempt", &attempt, "N", "Which attempt is repeated; 0 = the one that decided.",
              {.check = IntBetween(0, static_cast<int>(DefaultLimits().attempts_most)),
               .environment = false});
    flags.Add("local", &local, "",
              "Repeats it inside this process instead of at its location's agents.", here);
    flags.Add("secret", &secrets, "NAME[=env:VAR|file:PATH]",
              "With --local: a secret's value, from a variable (default: NAME) or a file.", here);
  }

  absl::Status Check() {
    auto id = RunIdArgument({arguments[0]});
    if (!id.ok()) return id.status();
    run_id = *std::move(id);
    if (!absl::SimpleAtoi(arguments[1], &execution)) {
      return absl::InvalidArgumentError(
          absl::StrCat("an execution is a number from 0, as `picket show --json` tells it, not '",
                       arguments[1], "'"));
    }
    if (!secrets.empty() && !local) {
      return absl::InvalidArgumentError(
          "--secret works with --local only: secret values live on the agents");
    }
    return absl::OkStatus();
  }
};

int Wrong(Environment& env, const absl::Status& status) {
  PrintError(env, status.message());
  return kExitUsage;
}

// The one execution of the replay, with all that is told of it.
absl::StatusOr<v1::Execution> ReadReplay(Environment& env, RunClient& client,
                                         const std::string& run_id) {
  v1::Execution found;
  const absl::Status status =
      ReadExecutions(env, client, run_id, {.evidence = true}, [&](v1::Execution& execution) {
        found = std::move(execution);
        return true;
      });
  if (!status.ok()) return status;
  return found;
}

void PrintReplay(const v1::Definition& original, const v1::Run& run, const v1::Execution& replay,
                 uint32_t attempt, const ReplayFlags& flags, Printer& printer) {
  printer.Line(absl::StrCat(printer.Outside(ExecutionTitle(original.execution(), true)),
                            ", execution ", flags.execution, " of run ", flags.run_id, ", attempt ",
                            attempt));
  printer.Line(absl::StrCat("then  ", printer.Outside(OutcomeText(original.execution(), attempt))));
  printer.Line(absl::StrCat("now   ", printer.Outside(OutcomeText(replay, 1))));
  if (replay.attempts().empty()) return;
  const v1::Attempt& made = replay.attempts(replay.attempts_size() - 1);
  printer.Line(absl::StrCat("run   ", printer.Outside(run.run_id()),
                            run.local() ? ", local: in this process"
                                        : absl::StrCat(", agent ", printer.Outside(made.agent()),
                                                       " at ", printer.Outside(made.location())),
                            ", at ", TimeText(made.start_time()), ", took ",
                            MicrosText(made.duration_us())));
  for (const std::string& line : AttemptText(made, printer)) printer.Line(line);
  if (made.reason() == v1::FailureReason::secret_missing) {
    printer.Line(flags.local
                     ? "A secret's value is given with --secret NAME, or as PICKET_SECRET_NAME."
                     : "A secret's value must be on the location's agents; with --local it "
                       "is given with --secret NAME.");
  }
}

int Cancel(Environment& env, RunClient& client, const std::string& run_id) {
  const int code = ExitCodeOfSignal(env.interrupts->signal());
  client.Resume();
  if (!run_id.empty()) client.CancelRun(run_id, kCancelTimeout).status().IgnoreError();
  return code;
}

int Replay(Environment& env, const ReplayFlags& flags, const v1::Definition& original,
           uint32_t attempt, v1::RunSpec spec, const std::vector<ReportRequest>& reports,
           RunClient& client) {
  ScopedInterrupt interrupt(env, client);
  const absl::Duration deadline = absl::Seconds(spec.deadline().seconds());
  v1::CreateRunRequest request;
  request.set_request_id(NewUuid(*env.random));
  *request.mutable_spec() = std::move(spec);
  const auto created = client.CreateRun(request, kCreateTimeout);
  if (!created.ok()) return FailedCall(env, created.status());
  const std::string run_id = created->run().run_id();
  const std::unique_ptr<Display> display = MakeQuietDisplay();
  const auto state = FollowRun(
      env, client, run_id,
      {.connect_timeout = flags.connection.connect_timeout, .deadline = deadline}, *display);
  if (!state.ok()) {
    if (env.interrupts->raised()) return Cancel(env, client, run_id);
    return FailedCall(env, state.status());
  }
  Printer printer(env.out, flags.print.Style(env));
  const auto replay = ReadReplay(env, client, run_id);
  if (!replay.ok()) return FailedCall(env, replay.status());
  if (!flags.print.quiet) {
    PrintReplay(original, state->run(), *replay, attempt, flags, printer);
  }
  const ReportHeader header{state->run(), {state->locations().begin(), state->locations().end()}};
  for (const absl::Status& error : WriteReports(env, client, reports, header)) {
    PrintError(env, error.message());
  }
  printer.Line(VerdictLine(state->run()));
  printer.Flush();
  return ExitCodeOf(state->run().verdict());
}

}  // namespace

int ReplayCommand(Environment& env, const Arguments& args) {
  FlagSet set("picket replay",
              "Repeats one execution of a run, with its test, row and random values, as a run of "
              "its own, and tells all of it. The run that it repeats does not change.");
  ReplayFlags flags;
  flags.AddTo(set);
  if (std::optional<int> code = ParseArguments(env, set, args)) return *code;
  if (absl::Status status = flags.Check(); !status.ok()) return Wrong(env, status);
  const auto reports = flags.reports.Requests();
  if (!reports.ok()) return Wrong(env, reports.status());
  const auto secrets = ReadSecrets(flags.secrets, env.variable);
  if (!secrets.ok()) return Wrong(env, secrets.status());

  auto client = flags.connection.Connect(env);
  if (!client.ok()) return Wrong(env, client.status());
  absl::StatusOr<v1::Definition> original;
  {
    ScopedInterrupt interrupt(env, **client);
    v1::GetDefinitionRequest request;
    request.set_run_id(flags.run_id);
    request.set_execution(flags.execution);
    original = (*client)->GetDefinition(request);
  }
  if (!original.ok()) return FailedCall(env, original.status());
  const auto attempt = AttemptToReplay(*original, static_cast<uint32_t>(flags.attempt));
  if (!attempt.ok()) return Wrong(env, attempt.status());
  v1::RunSpec spec = ReplaySpec(flags.run_id, *original, *attempt);
  const std::vector<std::string> unsupported = UnsupportedIn(spec);
  for (const std::string& line : unsupported) PrintError(env, line);
  if (!unsupported.empty()) return kExitUsage;
  spec.mutable_deadline()->set_seconds(original->test().timeout().seconds() + 1 +
                                       absl::ToInt64Seconds(kFleetTime));
  if (!flags.local) {
    return Replay(env, flags, *original, *attempt, std::move(spec), *reports, **client);
  }
  spec.set_local(true);
  LocalFleetOptions options;
  options.locations = {original->execution().location()};
  options.secrets = *secrets;
  auto fleet = env.start_local(options);
  if (!fleet.ok()) return FailedCall(env, fleet.status());
  return Replay(env, flags, *original, *attempt, std::move(spec), *reports, *(*fleet)->client());
}

}  // namespace picket
