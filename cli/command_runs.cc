// watch, wait, cancel, runs, show and report: runs that exist.

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/commands.h"
#include "cli/connection_flags.h"
#include "cli/exit_code.h"
#include "cli/follow.h"
#include "cli/run_end.h"
#include "cli/table.h"
#include "common/policy/limits.h"
#include "common/report/proto_json.h"
#include "common/report/run_text.h"

namespace picket {
namespace {

// The arguments that all these commands share.
struct RunArguments {
  std::vector<std::string> arguments;
  ConnectionFlags connection;
  PrintFlags print;
  std::string run_id;

  void AddTo(FlagSet& flags) {
    flags.Positional("RUN", &arguments, "The run's id.", 1, 1);
    connection.AddTo(flags);
    print.AddTo(flags);
  }
  std::optional<int> Parse(Environment& env, FlagSet& flags, const Arguments& args) {
    if (std::optional<int> code = ParseArguments(env, flags, args)) return code;
    auto id = RunIdArgument(arguments);
    if (!id.ok()) {
      PrintError(env, id.status().message());
      return kExitUsage;
    }
    run_id = *std::move(id);
    return std::nullopt;
  }
};

int Follow(Environment& env, const RunArguments& run, const PrintFlags& shown,
           const std::vector<ReportRequest>& reports) {
  auto client = run.connection.Connect(env);
  if (!client.ok()) return FailedCall(env, client.status());
  ScopedInterrupt interrupt(env, **client);
  Printer printer(env.out, shown.Style(env));
  std::unique_ptr<Display> display = MakeDisplay(env, shown, printer);
  const auto state = FollowRun(env, **client, run.run_id,
                               {.connect_timeout = run.connection.connect_timeout}, *display);
  display->Close();
  if (!state.ok()) return FailedCall(env, state.status());
  return EndRun(env, **client, *state, reports, shown, printer);
}

int FollowCommand(Environment& env, const Arguments& args, const char* name, const char* help,
                  bool silent) {
  FlagSet flags(name, help);
  RunArguments run;
  ReportFlags reports;
  run.AddTo(flags);
  reports.AddTo(flags, "report-");
  if (std::optional<int> code = run.Parse(env, flags, args)) return *code;
  const auto requests = reports.Requests();
  if (!requests.ok()) {
    PrintError(env, requests.status().message());
    return kExitUsage;
  }
  PrintFlags shown = run.print;
  shown.quiet = shown.quiet || silent;
  return Follow(env, run, shown, *requests);
}

std::string Took(const v1::Run& run, Clock& clock) {
  if (!run.has_create_time()) return "";
  const absl::Time end = run.has_seal_time() ? ToTime(run.seal_time()) : clock.TimeNow();
  const int64_t us = absl::ToInt64Microseconds(end - ToTime(run.create_time()));
  return us < 0 ? "" : MicrosText(static_cast<uint64_t>(us));
}

void PrintRun(Environment& env, const v1::WatchRunResponse& state, Printer& printer) {
  const v1::Run& run = state.run();
  printer.Line(absl::StrCat("run       ", printer.Outside(run.run_id())));
  printer.Line(absl::StrCat("suite     ", printer.Outside(run.suite())));
  printer.Line(
      absl::StrCat("state     ", v1::Run::State_Name(run.state()),
                   run.end_cause() == v1::EndCause::END_CAUSE_UNSPECIFIED
                       ? ""
                       : absl::StrCat(", ended by ", v1::EndCause::Value_Name(run.end_cause()))));
  printer.Line(
      absl::StrCat("created   ", TimeText(run.create_time()), ", took ", Took(run, *env.clock)));
  if (run.local()) printer.Line("local     all its agents were on one machine");
  for (const auto& [name, value] : run.labels()) {
    printer.Line(absl::StrCat("label     ", printer.Outside(name), "=", printer.Outside(value)));
  }
  Table table(
      {"LOCATION", "PLANNED", "PASSED", "FAILED", "INCONCLUSIVE", "SKIPPED", "OTHER", "AGENTS"});
  for (const v1::LocationProgress& location : state.locations()) {
    const v1::Ledger& l = location.ledger();
    table.Add({printer.Outside(location.location()), absl::StrCat(l.planned()),
               absl::StrCat(l.passed()), absl::StrCat(l.failed()), absl::StrCat(l.inconclusive()),
               absl::StrCat(l.skipped()),
               absl::StrCat(l.cancelled() + l.expired() + l.unassigned()),
               absl::StrCat(location.agents())});
  }
  printer.Line("");
  printer.Raw(table.ToString());
}

}  // namespace

int WatchCommand(Environment& env, const Arguments& args) {
  return FollowCommand(env, args, "picket watch",
                       "Follows a run to its verdict; exits with it. Interrupting it leaves the "
                       "run alone.",
                       false);
}

int WaitCommand(Environment& env, const Arguments& args) {
  return FollowCommand(env, args, "picket wait",
                       "Waits for a run's verdict, prints it in one line and exits with it.", true);
}

int CancelCommand(Environment& env, const Arguments& args) {
  FlagSet flags("picket cancel", "Ends a run. What is undecided ends cancelled.");
  RunArguments run;
  run.AddTo(flags);
  if (std::optional<int> code = run.Parse(env, flags, args)) return *code;
  auto client = run.connection.Connect(env);
  if (!client.ok()) return FailedCall(env, client.status());
  ScopedInterrupt interrupt(env, **client);
  const auto sealed = (*client)->CancelRun(run.run_id, absl::Seconds(30));
  if (!sealed.ok()) return FailedCall(env, sealed.status());
  Printer printer(env.out, run.print.Style(env));
  if (!run.print.quiet && !sealed->explanation().empty()) {
    printer.Line(printer.Outside(sealed->explanation()));
  }
  printer.Line(VerdictLine(*sealed));
  return kExitPassed;
}

int RunsCommand(Environment& env, const Arguments& args) {
  FlagSet flags("picket runs", "Lists runs, newest first.");
  ConnectionFlags connection;
  bool json = false;
  int64_t limit = 20;
  connection.AddTo(flags);
  flags.Add("json", &json, "", "Prints a JSON array of Run messages.", {.environment = false});
  flags.Add("limit", &limit, "N", "At most this many; 0 = all.",
            {.check = IntBetween(0, 1'000'000'000), .environment = false});
  if (std::optional<int> code = ParseArguments(env, flags, args)) return *code;
  auto client = connection.Connect(env);
  if (!client.ok()) return FailedCall(env, client.status());
  ScopedInterrupt interrupt(env, **client);
  Printer printer(env.out, {});
  Table table({"RUN", "SUITE", "STATE", "VERDICT", "CREATED", "PLANNED", "PASSED", "FAILED"});
  v1::ListRunsRequest request;
  int64_t left = limit == 0 ? INT64_MAX : limit;
  bool first = true;
  do {
    request.set_page_size(static_cast<int32_t>(
        std::min<int64_t>(left, static_cast<int64_t>(DefaultLimits().list_page_size))));
    const auto page = (*client)->ListRuns(request);
    if (!page.ok()) return FailedCall(env, page.status());
    for (const v1::Run& run : page->runs()) {
      if (left-- <= 0) break;
      if (json) {
        printer.Raw(absl::StrCat(first ? "[\n" : ",\n", ProtoJson(run)));
        first = false;
        continue;
      }
      table.Add({printer.Outside(run.run_id()), printer.OutsideCut(run.suite(), 60),
                 v1::Run::State_Name(run.state()),
                 run.state() == v1::Run::SEALED ? v1::Verdict::Value_Name(run.verdict()) : "-",
                 TimeText(run.create_time()), absl::StrCat(run.ledger().planned()),
                 absl::StrCat(run.ledger().passed()), absl::StrCat(run.ledger().failed())});
    }
    request.set_page_token(page->next_page_token());
  } while (left > 0 && !request.page_token().empty());
  printer.Raw(json ? (first ? "[]\n" : "\n]\n") : table.ToString());
  return kExitPassed;
}

int ShowCommand(Environment& env, const Arguments& args) {
  FlagSet flags("picket show", "Shows a run: ledger, locations, failures.");
  RunArguments run;
  bool json = false;
  run.AddTo(flags);
  flags.Add("json", &json, "", "Prints the JSON report.", {.environment = false});
  if (std::optional<int> code = run.Parse(env, flags, args)) return *code;
  auto client = run.connection.Connect(env);
  if (!client.ok()) return FailedCall(env, client.status());
  ScopedInterrupt interrupt(env, **client);
  const auto state = ReadState(env, **client, run.run_id);
  if (!state.ok()) return FailedCall(env, state.status());
  if (json) {
    const std::unique_ptr<Report> report = MakeJsonReport(env.out);
    report->Begin({state->run(), {}});
    const absl::Status read = ReadExecutions(env, **client, run.run_id, {.evidence = true},
                                             [&](v1::Execution& execution) {
                                               report->Add(execution);
                                               return true;
                                             });
    if (!read.ok()) return FailedCall(env, read);
    report->End();
    return kExitPassed;
  }
  Printer printer(env.out, run.print.Style(env));
  if (!run.print.quiet) {
    PrintRun(env, *state, printer);
    PrintFailures(env, **client, *state, printer);
    if (!state->run().explanation().empty()) {
      printer.Line(printer.Outside(state->run().explanation()));
    }
  }
  printer.Line(VerdictLine(state->run()));
  return kExitPassed;
}

int ReportCommand(Environment& env, const Arguments& args) {
  FlagSet flags("picket report", "Writes reports of a run, as `picket run` would have.");
  RunArguments run;
  ReportFlags reports;
  run.AddTo(flags);
  reports.AddTo(flags, "");
  if (std::optional<int> code = run.Parse(env, flags, args)) return *code;
  const auto requests = reports.Requests();
  if (!requests.ok() || requests->empty()) {
    PrintError(env, requests.ok() ? "name a report: --junit FILE, --json FILE, --ctrf FILE, --tap "
                                    "FILE, --markdown FILE or --html FILE"
                                  : std::string(requests.status().message()));
    return kExitUsage;
  }
  auto client = run.connection.Connect(env);
  if (!client.ok()) return FailedCall(env, client.status());
  ScopedInterrupt interrupt(env, **client);
  const auto state = ReadState(env, **client, run.run_id);
  if (!state.ok()) return FailedCall(env, state.status());
  if (state->run().state() != v1::Run::SEALED) {
    return FailedCall(env, absl::FailedPreconditionError(absl::StrCat(
                               "run ", run.run_id, " is not sealed, and reports are of sealed runs; ",
                               "`picket wait ", run.run_id, "` first")));
  }
  const ReportHeader header{state->run(), {state->locations().begin(), state->locations().end()}};
  const auto errors = WriteReports(env, **client, *requests, header);
  for (const absl::Status& error : errors) PrintError(env, error.message());
  return errors.empty() ? kExitPassed : kExitNoVerdict;
}

}  // namespace picket
