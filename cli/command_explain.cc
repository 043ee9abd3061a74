// explain and judge: why a verdict is what it is, and what it would be.

#include <algorithm>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/commands.h"
#include "cli/connection_flags.h"
#include "cli/exit_code.h"
#include "cli/rejudge.h"
#include "common/base/files.h"
#include "common/policy/limits.h"
#include "common/report/escape.h"
#include "common/report/run_text.h"
#include "common/suite_file/policy_file.h"

namespace picket {
namespace {

// Locations shown of one check; a failing one always comes before a passing one.
constexpr size_t kLocationsShown = 50;

struct ExplainArguments {
  std::vector<std::string> arguments;
  ConnectionFlags connection;
  PrintFlags print;
  int limit = 20;
  bool all = false;
  std::string run_id;

  void AddTo(FlagSet& flags) {
    flags.Positional("RUN", &arguments, "The run's id.", 1, 1);
    connection.AddTo(flags);
    print.AddTo(flags);
    flags.Add("limit", &limit, "N", "Shows at most this many checks.",
              {.check = IntBetween(0, 1'000'000'000), .environment = false});
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

Colour ColourOfRow(RowVerdict verdict) {
  switch (verdict) {
    case RowVerdict::kPassed:
      return ColourOf(v1::Verdict::PASSED);
    case RowVerdict::kFailed:
      return ColourOf(v1::Verdict::FAILED);
    case RowVerdict::kInconclusive:
      return ColourOf(v1::Verdict::INCONCLUSIVE);
    default:
      return Colour::kDim;
  }
}

std::string EndLine(const StoredRun& stored, uint32_t execution, const std::string& location,
                    const Printer& printer) {
  const EndByte end = stored.ends[execution];
  const v1::End::Value value = EndOf(end);
  std::string line = absl::StrFormat("      %-20s %s", printer.Outside(location),
                                     printer.Paint(ColourOf(value), v1::End::Value_Name(value)));
  const auto reason = static_cast<v1::FailureReason::Value>(stored.reasons[execution]);
  if (reason != v1::FailureReason::none && value != v1::End::PASSED) {
    absl::StrAppend(&line, "  ", ReasonText(reason));
  }
  const auto blame = static_cast<v1::Blame::Value>(stored.blames[execution]);
  if (blame != v1::Blame::none && v1::Blame::Value_IsValid(blame)) {
    absl::StrAppend(&line, "  (blame: ", v1::Blame::Value_Name(blame), ")");
  }
  if (IsFlaky(end)) {
    absl::StrAppend(&line, value == v1::End::FAILED
                               ? "  flaky: passed after a failed attempt, and flaky: fail"
                               : "  flaky: passed after a failed attempt");
  }
  if (IsLearning(end)) line += "  learning: a latency gate lacks history";
  absl::StrAppend(&line, "  #", execution);
  return line;
}

// One check: its verdict, the rule that gave it, and its locations.
void PrintCheck(const StoredRun& stored, uint32_t test, uint32_t row, Printer& printer) {
  const TestShape& shape = stored.shape.tests()[test];
  const RowCount count = CountRow(stored, test, row);
  printer.Line(absl::StrCat(
      "  ", printer.Paint(ColourOfRow(count.verdict), std::string(RowVerdictName(count.verdict))),
      "  ", printer.OutsideCut(RowTitle(stored, test, row), 500),
      shape.blocking ? "" : "  (not blocking: it does not count)"));
  printer.Line(absl::StrCat("    ", RowRule(shape.policy, count)));
  // What went wrong first.
  size_t shown = 0;
  for (const bool good : {false, true}) {
    for (uint32_t location = 0; location < shape.locations.size(); ++location) {
      const uint32_t execution = shape.Number(location, row);
      if ((EndOf(stored.ends[execution]) == v1::End::PASSED) != good) continue;
      if (++shown > kLocationsShown) continue;
      printer.Line(EndLine(stored, execution, shape.locations[location], printer));
    }
  }
  if (shown > kLocationsShown) {
    printer.Line(absl::StrCat("      and ", shown - kLocationsShown, " more locations"));
  }
}

// Whether a check took part in making the verdict what it is.
bool Decided(const StoredRun& stored, const Judgement& judgement, uint32_t test,
             RowVerdict verdict) {
  const TestShape& shape = stored.shape.tests()[test];
  if (!shape.blocking) return false;
  if (judgement.failed > 0) return verdict == RowVerdict::kFailed;
  return verdict == RowVerdict::kInconclusive &&
         shape.policy.inconclusive() != v1::Policy::INCONCLUSIVE_PASS;
}

struct NotCounted {
  uint32_t not_blocking = 0, left_out = 0, inconclusive_pass = 0, passed = 0, other = 0;
};

// Prints the checks that decided, up to the limit; counts the others.
void PrintChecks(const StoredRun& stored, const Judgement& judgement,
                 const ExplainArguments& arguments, Printer& printer) {
  const auto most = static_cast<size_t>(arguments.limit);
  size_t decided = 0, shown = 0, checks = 0;
  NotCounted rest;
  for (uint32_t test = 0; test < stored.tests.size(); ++test) {
    const TestShape& shape = stored.shape.tests()[test];
    for (uint32_t row = 0; row < shape.rows; ++row) {
      const RowVerdict verdict = JudgeRow(stored.shape, stored.ends, test, row);
      const bool deciding = Decided(stored, judgement, test, verdict);
      ++checks;
      decided += deciding;
      if ((deciding || arguments.all) && shown < most) {
        ++shown;
        PrintCheck(stored, test, row, printer);
      }
      if (deciding) continue;
      if (!shape.blocking) {
        ++rest.not_blocking;
      } else if (verdict == RowVerdict::kLeftOut) {
        ++rest.left_out;
      } else if (verdict == RowVerdict::kPassed) {
        ++rest.passed;
      } else if (shape.policy.inconclusive() == v1::Policy::INCONCLUSIVE_PASS) {
        ++rest.inconclusive_pass;
      } else {
        ++rest.other;
      }
    }
  }
  if (arguments.all) {
    if (checks > shown) {
      printer.Line(absl::StrCat("  and ", checks - shown, " more; --limit N shows N"));
    }
    return;
  }
  if (decided > shown) {
    printer.Line(absl::StrCat("  and ", decided - shown, " more that decided; --limit N shows N"));
  }
  const auto tell = [&](uint32_t count, absl::string_view what) {
    if (count > 0) printer.Line(absl::StrCat("  ", count, " ", what));
  };
  tell(rest.passed, "passed");
  tell(rest.other, "inconclusive, which does not matter beside what failed");
  tell(rest.inconclusive_pass, "inconclusive and left out by policy (inconclusive: pass)");
  tell(rest.left_out, "skipped: left out");
  tell(rest.not_blocking, "not blocking: they do not count; --all shows them");
}

std::string RunRule(const StoredRun& stored, const Judgement& judgement) {
  const bool blocking = std::any_of(stored.shape.tests().begin(), stored.shape.tests().end(),
                                    [](const TestShape& shape) { return shape.blocking; });
  if (!blocking) {
    return "no test is blocking: the run PASSED if any execution passed or failed, else it is "
           "INCONCLUSIVE";
  }
  if (judgement.failed > 0) return "one failed blocking check makes the run FAILED";
  switch (judgement.verdict) {
    case v1::Verdict::FAILED:
      return "a blocking check could not tell, and its policy says inconclusive: fail";
    case v1::Verdict::PASSED:
      return "no blocking check failed, none that counts was inconclusive, and at least one passed";
    default:
      return judgement.inconclusive > 0
                 ? "no blocking check failed, but one could not tell, and could not tell is never "
                   "PASSED"
                 : "no blocking check passed or failed, and a run in which nothing ran is never "
                   "PASSED";
  }
}

std::string EndedBy(const v1::Run& run) {
  switch (run.end_cause()) {
    case v1::EndCause::CANCELLED:
      return "a user ended the run: what was undecided then ended CANCELLED";
    case v1::EndCause::DEADLINE:
      return "the deadline ended the run: what was undecided then ended EXPIRED or UNASSIGNED";
    case v1::EndCause::FAIL_FAST:
      return "fail-fast ended the run at its first failed blocking test: what was undecided then "
             "ended CANCELLED";
    case v1::EndCause::MAX_FAILURES:
      return "max_failures ended the run: what was undecided then ended CANCELLED";
    default:
      return "";
  }
}

// A line as VerdictLine makes it, of a judgement.
std::string JudgedLine(const v1::Run& run, const Judgement& judgement) {
  v1::Run judged = run;
  judged.set_state(v1::Run::SEALED);
  judged.set_verdict(judgement.verdict);
  *judged.mutable_ledger() = judgement.ledger;
  return VerdictLine(judged);
}

void PrintWhy(const StoredRun& stored, const Judgement& judgement,
              const ExplainArguments& arguments, Printer& printer) {
  printer.Line(absl::StrCat("because ", judgement.explanation));
  printer.Line(absl::StrCat("rule: ", RunRule(stored, judgement)));
  if (const std::string ended = EndedBy(stored.run); !ended.empty()) printer.Line(ended);
  printer.Line("");
  PrintChecks(stored, judgement, arguments, printer);
  printer.Line("");
}

// Checks of which the other policy makes something else.
void PrintChanges(const StoredRun& before, const StoredRun& after, size_t most, Printer& printer) {
  size_t changed = 0;
  for (uint32_t test = 0; test < before.tests.size(); ++test) {
    for (uint32_t row = 0; row < before.shape.tests()[test].rows; ++row) {
      const RowVerdict was = JudgeRow(before.shape, before.ends, test, row);
      const RowVerdict is = JudgeRow(after.shape, after.ends, test, row);
      const bool counted = before.shape.tests()[test].blocking;
      const bool counts = after.shape.tests()[test].blocking;
      if ((was == is && counted == counts) || ++changed > most) continue;
      const auto text = [](RowVerdict verdict, bool blocking) {
        return absl::StrCat(RowVerdictName(verdict), blocking ? "" : " (not blocking)");
      };
      printer.Line(absl::StrCat("  ", text(was, counted), " -> ", text(is, counts), "  ",
                                printer.OutsideCut(RowTitle(before, test, row), 500)));
    }
  }
  if (changed > most) printer.Line(absl::StrCat("  and ", changed - most, " more"));
  if (changed == 0) printer.Line("  no check comes out otherwise");
}

}  // namespace

int ExplainCommand(Environment& env, const Arguments& args) {
  FlagSet flags("picket explain",
                "Says why a run's verdict is what it is: the rule, and each check that decided, "
                "with its locations. Exits 0.");
  ExplainArguments arguments;
  arguments.AddTo(flags);
  flags.Add("all", &arguments.all, "", "Shows every check, not only those that decided.",
            {.environment = false});
  if (std::optional<int> code = arguments.Parse(env, flags, args)) return *code;
  auto client = arguments.connection.Connect(env);
  if (!client.ok()) return FailedCall(env, client.status());
  ScopedInterrupt interrupt(env, **client);
  const auto stored = ReadStoredRun(env, **client, arguments.run_id);
  if (!stored.ok()) return FailedCall(env, stored.status());
  Printer printer(env.out, arguments.print.Style(env));
  const Judgement judgement = Judge(stored->shape, stored->ends);
  const bool sealed = stored->run.state() == v1::Run::SEALED;
  if (!arguments.print.quiet) {
    printer.Line(sealed ? absl::StrCat("run ", stored->run.run_id(), " is ",
                                       v1::Verdict::Value_Name(stored->run.verdict()))
                        : absl::StrCat("run ", stored->run.run_id(), " is not sealed; ended now, ",
                                       "it would be ", v1::Verdict::Value_Name(judgement.verdict)));
    PrintWhy(*stored, judgement, arguments, printer);
    if (sealed && judgement.verdict != stored->run.verdict()) {
      PrintError(env, absl::StrCat("its executions and policies amount to ",
                                   v1::Verdict::Value_Name(judgement.verdict),
                                   ", which is not what was sealed; the sealed verdict stands"));
    }
  }
  printer.Line(VerdictLine(stored->run));
  return kExitPassed;
}

int JudgeCommand(Environment& env, const Arguments& args) {
  FlagSet flags("picket judge",
                "Judges a stored run under another policy, without running anything, and exits "
                "with that verdict. The run and its own verdict stay as they are.");
  ExplainArguments arguments;
  std::string policy_path;
  arguments.AddTo(flags);
  flags.Add("policy", &policy_path, "FILE",
            "The policy: a YAML map of version: 1, policy and tests (docs/PIPELINES.md).",
            {.check = NotEmpty(), .environment = false});
  if (std::optional<int> code = arguments.Parse(env, flags, args)) return *code;
  const auto wrong = [&](absl::string_view message) {
    PrintError(env, message);
    return kExitUsage;
  };
  if (policy_path.empty()) return wrong("name the policy to judge by: --policy FILE");
  const auto text = ReadFile(policy_path, DefaultLimits().suite_file_bytes);
  if (!text.ok()) return wrong(text.status().message());
  const ParsedPolicy parsed = ParsePolicyFile(*text, policy_path);
  for (const Diagnostic& diagnostic : parsed.diagnostics) {
    env.err->Write(absl::StrCat(EscapeGithubLog(diagnostic.ToString()), "\n"));
  }
  if (!parsed.diagnostics.empty()) return kExitUsage;

  auto client = arguments.connection.Connect(env);
  if (!client.ok()) return FailedCall(env, client.status());
  ScopedInterrupt interrupt(env, **client);
  const auto stored = ReadStoredRun(env, **client, arguments.run_id);
  if (!stored.ok()) return FailedCall(env, stored.status());
  if (stored->run.state() != v1::Run::SEALED) {
    return FailedCall(env, absl::FailedPreconditionError(absl::StrCat(
                               "run ", stored->run.run_id(),
                               " is not sealed; `picket wait` it first, then judge it again")));
  }
  const auto judged = UnderPolicy(*stored, parsed.policy);
  if (!judged.ok()) return wrong(judged.status().message());
  Printer printer(env.out, arguments.print.Style(env));
  const Judgement judgement = Judge(judged->shape, judged->ends);
  if (!arguments.print.quiet) {
    printer.Line(absl::StrCat("run ", stored->run.run_id(), " was sealed ",
                              v1::Verdict::Value_Name(stored->run.verdict()), "; under ",
                              printer.Outside(policy_path), " it is ",
                              v1::Verdict::Value_Name(judgement.verdict)));
    PrintChanges(*stored, *judged, static_cast<size_t>(arguments.limit), printer);
    PrintWhy(*judged, judgement, arguments, printer);
  }
  printer.Line(JudgedLine(stored->run, judgement));
  return ExitCodeOf(judgement.verdict);
}

}  // namespace picket
