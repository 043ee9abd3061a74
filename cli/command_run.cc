// run: from suite files to an exit code.

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "cli/ci_metadata.h"
#include "cli/commands.h"
#include "cli/connection_flags.h"
#include "cli/exit_code.h"
#include "cli/follow.h"
#include "cli/load_suites.h"
#include "cli/run_end.h"
#include "cli/secret_flags.h"
#include "common/base/backoff.h"
#include "common/base/ids.h"
#include "common/base/status_macros.h"
#include "common/policy/limits.h"
#include "common/policy/plan_shape.h"
#include "common/policy/units.h"
#include "common/report/escape.h"
#include "common/report/proto_json.h"
#include "common/report/run_text.h"

namespace picket {
namespace {

constexpr absl::Duration kCreateTimeout = absl::Seconds(30);
constexpr absl::Duration kCancelTimeout = absl::Seconds(5);
// A dry run prints its plan even if no coordinator can be asked for an estimate.
constexpr absl::Duration kEstimateTimeout = absl::Seconds(2);
constexpr int kAgentsExpectedMost = 100'000;

struct RunFlags {
  SuiteFlags suites;
  ConnectionFlags connection;
  PrintFlags print;
  ReportFlags reports;
  std::vector<std::string> secrets, labels;
  std::string baseline;
  absl::Duration deadline = DefaultLimits().deadline_default;
  int priority = 0;
  int expect_agents = 0;
  bool local = false, fail_fast = false, detach = false, dry_run = false, json = false, list = false;

  void AddTo(FlagSet& flags) {
    suites.AddTo(flags);
    suites.AddSelectionTo(flags);
    connection.AddTo(flags);
    print.AddTo(flags);
    reports.AddTo(flags, "report-");
    const FlagOptions here{.environment = false};
    flags.Add("local", &local, "", "Runs it inside this process: nothing else need be running.",
              here);
    flags.Add("secret", &secrets, "NAME[=env:VAR|file:PATH]",
              "With --local: a secret's value, from a variable (default: NAME) or a file.", here);
    flags.Add("deadline", &deadline, "TIME", "The run ends by then, whatever is undecided.",
              {.check = DurationBetween(absl::Milliseconds(1), DefaultLimits().deadline_longest)});
    const int most = DefaultLimits().priority_most;
    flags.Add("priority", &priority, "N", "Added to the priority of every test; higher is first.",
              {.check = IntBetween(-most, most)});
    flags.Add("expect-agents", &expect_agents, "N",
              "How many agents the run will have, if more than live now: it is cut for them.",
              {.check = IntBetween(0, kAgentsExpectedMost)});
    flags.Add("fail-fast", &fail_fast, "", "The first failed blocking test ends the run.");
    flags.Add("label", &labels, "NAME=VALUE", "A label kept with the run.", here);
    flags.Add("baseline", &baseline, "LABEL", "Compares latency within runs of this label only.");
    flags.Add("detach", &detach, "", "Prints the run's id and exits 0 once it is stored.", here);
    flags.Add("dry-run", &dry_run, "", "Prints the plan and creates nothing.", here);
    flags.Add("json", &json, "", "With --dry-run: prints the body of POST /v1/runs instead.", here);
    flags.Add("list", &list, "", "Lists the selected tests and creates nothing.", here);
  }
};

absl::Status CheckFlags(const RunFlags& flags) {
  if (!flags.secrets.empty() && !flags.local) {
    return absl::InvalidArgumentError(
        "--secret works with --local only: secret values live on the agents, as "
        "PICKET_SECRET_<NAME> or in their --secrets-dir");
  }
  if (flags.local && flags.detach) {
    return absl::InvalidArgumentError(
        "--detach with --local would leave nothing behind to run it; take away one of them");
  }
  if (flags.json && !flags.dry_run) {
    return absl::InvalidArgumentError(
        "--json is of --dry-run; a report in JSON is --report-json FILE");
  }
  for (const std::string& label : flags.labels) {
    if (label.find('=') == std::string::npos || label[0] == '=') {
      return absl::InvalidArgumentError(absl::StrCat("--label is NAME=VALUE, not '", label, "'"));
    }
  }
  return absl::OkStatus();
}

void FillSpec(Environment& env, const RunFlags& flags, v1::RunSpec& spec) {
  spec.mutable_deadline()->set_seconds(absl::ToInt64Seconds(flags.deadline));
  spec.mutable_deadline()->set_nanos(static_cast<int32_t>(
      absl::ToInt64Nanoseconds(flags.deadline - absl::Seconds(spec.deadline().seconds()))));
  spec.set_fail_fast(flags.fail_fast);
  spec.set_priority(flags.priority);
  spec.set_expect_agents(static_cast<uint32_t>(flags.expect_agents));
  spec.set_trigger(v1::Trigger::CLI);
  spec.set_local(flags.local);
  spec.set_baseline(flags.baseline);
  for (const auto& [name, value] : DetectCi(env.variable)) (*spec.mutable_labels())[name] = value;
  for (const v1::Suite& suite : spec.suites()) {
    for (const auto& [name, value] : suite.labels()) (*spec.mutable_labels())[name] = value;
  }
  for (const std::string& label : flags.labels) {
    const size_t equals = label.find('=');
    (*spec.mutable_labels())[label.substr(0, equals)] = label.substr(equals + 1);
  }
}

int CountTests(const v1::RunSpec& spec) {
  int tests = 0;
  for (const v1::Suite& suite : spec.suites()) tests += suite.tests_size();
  return tests;
}

std::string Plural(uint64_t count, absl::string_view thing) {
  return absl::StrCat(count, " ", thing, count == 1 ? "" : "s");
}

// "42 executions of 12 tests at eu-west (14), us-east (28)".
std::string PlanText(const v1::RunSpec& spec, const Printer& printer) {
  uint64_t executions = 0;
  std::vector<std::string> places;
  for (const auto& [location, count] : PlannedLocations(spec)) {
    executions += count;
    places.push_back(absl::StrCat(printer.Outside(location), " (", count, ")"));
  }
  constexpr size_t kPlacesMost = 10;
  const size_t more = places.size() > kPlacesMost ? places.size() - kPlacesMost : 0;
  places.resize(places.size() - more);
  return absl::StrCat(Plural(executions, "execution"), " of ",
                      Plural(static_cast<uint64_t>(CountTests(spec)), "test"), " at ",
                      absl::StrJoin(places, ", "),
                      more > 0 ? absl::StrCat(" and ", more, " more") : "");
}

void PrintTests(const v1::RunSpec& spec, bool plan, Printer& printer) {
  for (const v1::Suite& suite : spec.suites()) {
    for (const v1::Test& test : suite.tests()) {
      const TestShape shape = ShapeOf(test);
      std::vector<std::string> notes;
      if (shape.has_rows) notes.push_back(Plural(shape.rows, "row"));
      if (!test.tags().empty()) {
        notes.push_back(absl::StrCat("tags ", printer.Outside(absl::StrJoin(test.tags(), " "))));
      }
      if (!test.blocking()) notes.push_back("not blocking");
      if (test.has_skip()) notes.push_back(absl::StrCat("skip: ", printer.Outside(test.skip())));
      printer.Line(
          absl::StrCat(plan ? absl::StrCat("  ", shape.count(), "  ") : "",
                       printer.Outside(absl::StrCat(suite.name(), ": ", test.name())), "  [",
                       printer.Outside(absl::StrJoin(test.locations(), " ")), "]",
                       notes.empty() ? "" : absl::StrCat("  ", absl::StrJoin(notes, ", "))));
    }
  }
}

// Admits the run. Tries again, with the same request id, while the coordinator cannot be
// reached or cannot write.
absl::StatusOr<v1::CreateRunResponse> Create(Environment& env, RunClient& client,
                                             const v1::CreateRunRequest& request,
                                             absl::Duration patience) {
  const absl::Duration start = env.clock->Monotonic();
  Backoff backoff({.longest = absl::Seconds(2)});
  bool told = false;
  while (true) {
    auto response = client.CreateRun(request, kCreateTimeout);
    if (response.ok() || !absl::IsUnavailable(response.status())) return response;
    const absl::Duration left = start + patience - env.clock->Monotonic();
    if (left <= absl::ZeroDuration() || env.interrupts->raised()) return response;
    if (!told) {
      PrintError(env, absl::StrCat(std::string(response.status().message()), "; trying again for ",
                                   DurationText(patience)));
      env.err->Flush().IgnoreError();
    }
    told = true;
    env.wait(std::min(left, backoff.Next(*env.random)));
  }
}

// The run must not outlive the job that was stopped. `run_id` is empty when the answer to
// CreateRun had not come: asking again with the same request id tells which run it is.
int CancelInterrupted(Environment& env, RunClient& client, const v1::CreateRunRequest& request,
                      std::string run_id, Printer& printer) {
  const int code = ExitCodeOfSignal(env.interrupts->signal());
  client.Resume();
  const absl::Duration start = env.clock->Monotonic();
  absl::Status status;
  const auto left = [&] { return start + kCancelTimeout - env.clock->Monotonic(); };
  if (run_id.empty()) {
    const auto created = client.CreateRun(request, left());
    if (created.ok()) run_id = created->run().run_id();
    status = created.status();
  }
  while (!run_id.empty() && left() > absl::ZeroDuration()) {
    const auto sealed = client.CancelRun(run_id, left());
    if (sealed.ok()) {
      printer.Line(absl::StrCat("interrupted; run ", run_id, " has been cancelled"));
      printer.Line(VerdictLine(*sealed));
      return code;
    }
    status = sealed.status();
    if (!absl::IsUnavailable(status)) break;
    // A signal has come already, so this wait must not be cut short by it.
    env.pause(std::min(left(), absl::Milliseconds(200)));
  }
  PrintError(env,
             absl::StrCat("interrupted, and ",
                          run_id.empty() ? std::string("the run could not be found to be cancelled")
                                         : absl::StrCat("run ", run_id, " could not be cancelled"),
                          ": ", std::string(status.message())));
  return code;
}

// The estimate counts the checks alone. Of a short run what the fleet and the store do beside
// them is the larger part.
constexpr absl::Duration kEstimateLeast = absl::Milliseconds(100);

// "6 agents, about 4m10s; the 3m deadline needs 9".
std::string EstimateText(const v1::PlanEstimate& estimate, absl::Duration deadline) {
  std::string text = Plural(estimate.agents(), "agent");
  if (estimate.expected_ms() == 0) {
    return absl::StrCat(text, "; how long it takes is not known before it has run once");
  }
  const absl::Duration expected = absl::Milliseconds(estimate.expected_ms());
  if (expected < kEstimateLeast) {
    absl::StrAppend(&text, ", less than ", DurationText(kEstimateLeast), " of checks");
  } else {
    absl::StrAppend(&text, ", about ",
                    expected < absl::Seconds(10)
                        ? MicrosText(uint64_t{estimate.expected_ms()} * 1000)
                        : DurationText(absl::Trunc(expected, absl::Seconds(1))));
  }
  if (estimate.agents_needed() > estimate.agents()) {
    absl::StrAppend(&text, "; the ", DurationText(deadline), " deadline needs ",
                    estimate.agents_needed());
  }
  return text;
}

void PrintEstimate(const v1::PlanEstimate& estimate, absl::Duration deadline, Printer& printer) {
  if (estimate.locations_without_agents_size() > 0) {
    printer.Line(
        absl::StrCat("no agent yet at ",
                     printer.Outside(absl::StrJoin(estimate.locations_without_agents(), ", ")),
                     "; what is planned there waits for one"));
  }
  if (estimate.agents() > 0) printer.Line(EstimateText(estimate, deadline));
}

void PrintStart(const RunFlags& flags, const v1::CreateRunResponse& created, absl::string_view plan,
                Printer& printer) {
  if (flags.print.quiet) return;
  printer.Line(absl::StrCat("run ", printer.Outside(created.run().run_id()), ": ", plan,
                            "; deadline ", DurationText(flags.deadline)));
  if (flags.local) {
    printer.Line("local: every location of this run is this one machine");
    return;
  }
  PrintEstimate(created.estimate(), flags.deadline, printer);
  printer.Flush();
}

// The plan, and what a coordinator makes of it.
int DryRun(Environment& env, const RunFlags& flags, v1::RunSpec spec, Printer& printer) {
  printer.Line(absl::StrCat("plan: ", PlanText(spec, printer)));
  PrintTests(spec, true, printer);
  if (flags.local) return kExitPassed;
  printer.Flush();
  auto client = flags.connection.Connect(env);
  if (!client.ok()) {
    PrintError(env, client.status().message());
    return kExitUsage;
  }
  FillSpec(env, flags, spec);
  (*client)->SetConnectTimeout(kEstimateTimeout);
  ScopedInterrupt interrupt(env, **client);
  v1::EstimateRunRequest request;
  *request.mutable_spec() = std::move(spec);
  const auto estimate = (*client)->EstimateRun(request, kEstimateTimeout);
  if (env.interrupts->raised()) return ExitCodeOfSignal(env.interrupts->signal());
  if (estimate.ok()) {
    PrintEstimate(*estimate, flags.deadline, printer);
  } else {
    printer.Line(absl::StrCat("no estimate: ", printer.Outside(estimate.status().message())));
  }
  return kExitPassed;
}

// From a valid spec to the verdict.
int Execute(Environment& env, const RunFlags& flags, v1::RunSpec spec,
            const std::vector<ReportRequest>& reports, RunClient& client, Printer& printer) {
  ScopedInterrupt interrupt(env, client);
  const std::string plan = PlanText(spec, printer);
  v1::CreateRunRequest request;
  request.set_request_id(NewUuid(*env.random));
  *request.mutable_spec() = std::move(spec);
  if (env.interrupts->raised()) return ExitCodeOfSignal(env.interrupts->signal());
  const auto created = Create(env, client, request, flags.connection.connect_timeout);
  if (!created.ok()) {
    if (env.interrupts->raised()) return CancelInterrupted(env, client, request, "", printer);
    return FailedCall(env, created.status());
  }
  const std::string run_id = created->run().run_id();
  if (flags.detach) {
    printer.Line(run_id);
    return kExitPassed;
  }
  request.clear_spec();  // it may hold tens of megabytes
  PrintStart(flags, *created, plan, printer);
  std::unique_ptr<Display> display = MakeDisplay(env, flags.print, printer);
  const auto state = FollowRun(
      env, client, run_id,
      {.connect_timeout = flags.connection.connect_timeout, .deadline = flags.deadline}, *display);
  display->Close();
  if (!state.ok()) {
    if (env.interrupts->raised()) return CancelInterrupted(env, client, request, run_id, printer);
    return FailedCall(env, state.status());
  }
  return EndRun(env, client, *state, reports, flags.print, printer);
}

int Wrong(Environment& env, absl::string_view message) {
  PrintError(env, message);
  return kExitUsage;
}

// A table without rows makes no execution; that is never passed over in silence.
void TellTestsWithoutRows(Environment& env, const v1::RunSpec& spec) {
  constexpr size_t kMost = 10;
  const std::vector<std::string> tests = TestsWithoutRows(spec);
  for (size_t i = 0; i < std::min(tests.size(), kMost); ++i) {
    PrintError(env, absl::StrCat(tests[i], " runs not once: its for_each has no row"));
  }
  if (tests.size() > kMost) {
    PrintError(env, absl::StrCat("and ", tests.size() - kMost, " more tests without a row"));
  }
}

}  // namespace

int RunCommand(Environment& env, const Arguments& args) {
  FlagSet set("picket run", "Runs suites and exits with their verdict.");
  RunFlags flags;
  flags.AddTo(set);
  if (std::optional<int> code = ParseArguments(env, set, args)) return *code;
  const absl::Status valid = CheckFlags(flags);
  if (!valid.ok()) return Wrong(env, valid.message());
  const auto reports = flags.reports.Requests();
  if (!reports.ok()) return Wrong(env, reports.status().message());
  std::vector<std::string> inputs = flags.suites.files;
  if (!flags.suites.vars_file.empty()) inputs.push_back(flags.suites.vars_file);
  const absl::Status spared = CheckReportsSpare(*reports, inputs);
  if (!spared.ok()) return Wrong(env, spared.message());
  const auto secrets = ReadSecrets(flags.secrets, env.variable);
  if (!secrets.ok()) return Wrong(env, secrets.status().message());

  LoadedSuites loaded = LoadSuites(flags.suites);
  for (const std::string& error : loaded.errors) {
    env.err->Write(absl::StrCat(EscapeGithubLog(error), "\n"));
  }
  if (!loaded.errors.empty()) return kExitUsage;
  Printer printer(env.out, flags.print.Style(env));
  const auto locations = PlannedLocations(loaded.spec);
  uint64_t executions = 0;
  for (const auto& [location, count] : locations) executions += count;
  TellTestsWithoutRows(env, loaded.spec);
  if (executions == 0) {
    PrintError(env, TestsWithoutRows(loaded.spec).empty()
                        ? "nothing to run: no test is selected by -t, -g and -l"
                        : "nothing to run: the tables of all tests that are selected are empty");
    return kExitInconclusive;
  }
  if (flags.list) {
    PrintTests(loaded.spec, false, printer);
    return kExitPassed;
  }
  const std::vector<std::string> unsupported = UnsupportedIn(loaded.spec);
  for (const std::string& line : unsupported) PrintError(env, line);
  if (!unsupported.empty()) return kExitUsage;
  if (flags.json) {
    FillSpec(env, flags, loaded.spec);
    v1::CreateRunRequest request;
    *request.mutable_spec() = std::move(loaded.spec);
    request.mutable_spec()->clear_trigger();  // whoever posts it, posts it
    printer.Line(ProtoJson(request));
    return kExitPassed;
  }
  if (flags.dry_run) return DryRun(env, flags, std::move(loaded.spec), printer);
  FillSpec(env, flags, loaded.spec);
  if (!flags.local) {
    auto client = flags.connection.Connect(env);
    if (!client.ok()) return Wrong(env, client.status().message());
    return Execute(env, flags, std::move(loaded.spec), *reports, **client, printer);
  }
  LocalFleetOptions options;
  for (const auto& [location, count] : locations) options.locations.push_back(location);
  options.secrets = *secrets;
  auto fleet = env.start_local(options);
  if (!fleet.ok()) return FailedCall(env, fleet.status());
  const int code =
      Execute(env, flags, std::move(loaded.spec), *reports, *(*fleet)->client(), printer);
  printer.Flush();
  // `always` steps get their time though a signal comes; a second one ends that, too.
  env.interrupts->SetListener([] {});
  (*fleet)->Settle(DefaultLimits().always_grace);
  return code;
}

}  // namespace picket
