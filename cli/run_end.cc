#include "cli/run_end.h"

#include "absl/strings/str_cat.h"
#include "cli/ci_output.h"
#include "cli/exit_code.h"
#include "cli/failure_text.h"
#include "common/base/status_macros.h"
#include "common/report/escape.h"
#include "common/report/run_text.h"

namespace picket {
namespace {

constexpr size_t kBlocksMost = 20;
constexpr size_t kFlakyMost = 10;
// Among more failures than these, flaky ones are not looked for.
constexpr size_t kFlakyAmong = 10'000;
// GitHub shows ten errors a step.
constexpr size_t kAnnotationsMost = 10;

std::string AnnotationOf(const v1::Execution& execution, bool several) {
  const v1::Attempt* attempt = DecidingAttempt(execution);
  std::string message =
      absl::StrCat(v1::End::Value_Name(execution.end()), " ", ReasonText(execution.reason()));
  if (attempt != nullptr && !attempt->message().empty()) {
    absl::StrAppend(&message, ": ", CutToBytes(attempt->message(), 500));
  }
  const std::string blame = BlameText(execution.blame());
  if (!blame.empty()) absl::StrAppend(&message, " (blame: ", blame, ")");
  return absl::StrCat("::", execution.end() == v1::End::FAILED ? "error" : "warning",
                      " title=", EscapeGithubProperty(ExecutionTitle(execution, several)),
                      "::", EscapeGithubData(message));
}

// "2 expired, 3 unassigned" of what never got a result.
std::string WithoutResult(const v1::Ledger& l) {
  std::string out;
  const auto add = [&](uint32_t count, absl::string_view what) {
    if (count > 0) absl::StrAppend(&out, out.empty() ? "" : ", ", count, " ", what);
  };
  add(l.cancelled(), "cancelled");
  add(l.expired(), "expired");
  add(l.unassigned(), "unassigned");
  return out;
}

// What passed, but only after a failed attempt.
size_t PrintFlaky(Environment& env, RunClient& client, const v1::Run& run,
                  Printer& printer) {
  size_t seen = 0, shown = 0;
  const bool several = HasSeveralSuites(run);
  const absl::Status status = ReadExecutions(
      env, client, run.run_id(),
      {.view = v1::ListExecutionsRequest::BASIC, .only_failures = true, .or_flaky = true},
      [&](v1::Execution& execution) {
        if (!execution.flaky()) return true;
        if (execution.end() == v1::End::PASSED && ++shown <= kFlakyMost) {
          printer.Line(FlakyLine(execution, several, printer));
        }
        return ++seen < run.ledger().flaky();
      });
  if (!status.ok()) {
    PrintError(env, absl::StrCat("the flaky executions could not be read: ", status.message()));
  } else if (shown > kFlakyMost) {
    printer.Line(absl::StrCat("and ", shown - kFlakyMost, " more that were flaky"));
  }
  return shown;
}

}  // namespace

void ReportFlags::AddTo(FlagSet& flags, absl::string_view prefix) {
  prefix_ = std::string(prefix);
  const auto add = [&](absl::string_view format, std::string* path, absl::string_view help) {
    flags.Add(absl::StrCat(prefix, format), path, "FILE", std::string(help),
              {.check = NotEmpty(), .environment = !prefix.empty()});
  };
  add("junit", &junit, "Writes a JUnit report (Jenkins' dialect).");
  add("json", &json, "Writes a JSON report (message Report of run.proto).");
  add("ctrf", &ctrf, "Writes a CTRF report (ctrf.io).");
  add("tap", &tap, "Writes a TAP 14 report.");
  add("markdown", &markdown, "Writes a Markdown report, such as for $GITHUB_STEP_SUMMARY.");
  add("html", &html, "Writes an HTML report: one file, no network.");
}

absl::StatusOr<std::vector<ReportRequest>> ReportFlags::Requests() const {
  std::vector<ReportRequest> requests;
  const auto add = [&](ReportFormat format, const std::string& path) {
    if (!path.empty()) requests.push_back({format, path});
  };
  add(ReportFormat::kJunit, junit);
  add(ReportFormat::kJson, json);
  add(ReportFormat::kCtrf, ctrf);
  add(ReportFormat::kTap, tap);
  add(ReportFormat::kMarkdown, markdown);
  add(ReportFormat::kHtml, html);
  ABSL_RETURN_IF_ERROR(CheckReportPaths(requests, prefix_));
  return requests;
}

std::unique_ptr<Display> MakeDisplay(Environment& env, const PrintFlags& print, Printer& printer) {
  if (print.quiet) return MakeQuietDisplay();
  DisplayOptions options;
  options.columns = env.columns;
  options.lines = env.lines;
  return print.Redraws(env) ? MakeTerminalDisplay(&printer, options)
                            : MakeLineDisplay(&printer, env.clock, options);
}

void PrintFailures(Environment& env, RunClient& client, const v1::WatchRunResponse& state,
                   Printer& printer) {
  const v1::Ledger& ledger = state.run().ledger();
  const size_t total = size_t{ledger.failed()} + ledger.inconclusive();
  const bool several = HasSeveralSuites(state.run());
  std::vector<std::string> annotations;
  size_t shown = 0;
  if (total > 0) {
    const absl::Status status =
        ReadExecutions(env, client, state.run().run_id(), {.only_failures = true, .evidence = true},
                       [&](v1::Execution& execution) {
                         const v1::End::Value end = execution.end();
                         if (end != v1::End::FAILED && end != v1::End::INCONCLUSIVE) return true;
                         printer.Line("");
                         for (const std::string& line : FailureBlock(execution, several, printer)) {
                           printer.Line(line);
                         }
                         if (printer.style().github && annotations.size() < kAnnotationsMost) {
                           annotations.push_back(AnnotationOf(execution, several));
                         }
                         return ++shown < std::min(total, kBlocksMost);
                       });
    if (!status.ok()) {
      PrintError(env,
                 absl::StrCat("the failures could not be read: ", std::string(status.message())));
    } else if (shown < total) {
      printer.Line("");
      printer.Line(absl::StrCat("and ", total - shown, " more; --report-json has them all"));
    }
  }
  if (ledger.flaky() > 0 && total <= kFlakyAmong) {
    if (shown > 0) printer.Line("");
    shown += PrintFlaky(env, client, state.run(), printer);
  }
  for (const v1::LocationProgress& location : state.locations()) {
    const std::string text = WithoutResult(location.ledger());
    if (text.empty()) continue;
    printer.Line(absl::StrCat("at ", printer.Outside(location.location()), ": ", text));
  }
  for (const std::string& annotation : annotations) printer.Line(annotation);
  if (shown > 0) printer.Line("");
}

int EndRun(Environment& env, RunClient& client, const v1::WatchRunResponse& state,
           const std::vector<ReportRequest>& reports, const PrintFlags& print, Printer& printer) {
  ReportHeader header{state.run(), {state.locations().begin(), state.locations().end()}};
  for (const absl::Status& status : WriteReports(env, client, reports, header)) {
    PrintError(env, status.message());
  }
  WriteGithubFiles(env, client, header);
  if (!print.quiet) {
    if (state.run().verdict() == v1::Verdict::PASSED) {
      PrintFailures(env, client, state, printer);
    } else {
      CiSection section(env, printer, "picket_failures", "What did not pass");
      PrintFailures(env, client, state, printer);
    }
    if (!state.run().explanation().empty()) {
      printer.Line(printer.Outside(state.run().explanation()));
    }
  }
  const std::string line = VerdictLine(state.run());
  const std::string word = v1::Verdict::Value_Name(state.run().verdict());
  env.err->Flush().IgnoreError();
  printer.Line(absl::StrCat(printer.Paint(ColourOf(state.run().verdict()), word),
                            absl::string_view(line).substr(word.size())));
  return ExitCodeOf(state.run().verdict());
}

absl::StatusOr<v1::WatchRunResponse> ReadState(Environment& env, RunClient& client,
                                               const std::string& run_id) {
  v1::WatchRunResponse first;
  bool got = false;
  const absl::Status status =
      client.WatchRun(run_id, absl::Seconds(30), [&](const v1::WatchRunResponse& state) {
        first = state;
        got = true;
        return false;
      });
  if (got) return first;
  if (!status.ok()) return status;
  return absl::UnavailableError("the coordinator ended the stream without a state");
}

}  // namespace picket
