#include "cli/replay.h"

#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "common/policy/limits.h"
#include "common/report/run_text.h"

namespace picket {
namespace {

constexpr size_t kLineBytes = 8192;

// A label before its value; what follows stands under the value.
class Lines {
 public:
  explicit Lines(const Printer& printer) : printer_(printer) {}

  void Title(const std::string& text) { lines_.push_back(text); }
  void Add(absl::string_view label, absl::string_view value) {
    for (absl::string_view line : absl::StrSplit(value, '\n')) {
      lines_.push_back(absl::StrFormat("  %-10s %s", label, printer_.OutsideCut(line, kLineBytes)));
      label = "";
    }
  }
  // As Add, without the empty lines at its end.
  void AddText(absl::string_view label, absl::string_view value) {
    while (!value.empty() && (value.back() == '\n' || value.back() == '\r')) value.remove_suffix(1);
    if (!value.empty()) Add(label, value);
  }
  const Printer& printer() const { return printer_; }
  std::vector<std::string> Take() { return std::move(lines_); }

 private:
  const Printer& printer_;
  std::vector<std::string> lines_;
};

std::string LowerName(v1::Outcome::Value outcome) {
  switch (outcome) {
    case v1::Outcome::PASSED:
      return "passed";
    case v1::Outcome::FAILED:
      return "failed";
    default:
      return "inconclusive";
  }
}

std::string OutcomeText(v1::Outcome::Value outcome, v1::FailureReason::Value reason,
                        const std::string& message) {
  return absl::StrCat(LowerName(outcome), reason == v1::FailureReason::none ? "" : ", ",
                      ReasonText(reason), message.empty() ? "" : ": ", message);
}

std::string ConnectionText(const v1::HttpDetail& http) {
  std::vector<std::string> parts;
  if (!http.address().empty()) parts.push_back(http.address());
  if (!http.http_version().empty()) parts.push_back(absl::StrCat("HTTP/", http.http_version()));
  if (!http.tls_version().empty()) {
    parts.push_back(absl::StrCat(http.tls_version(), " ", http.tls_cipher()));
  }
  if (http.connection_reused()) parts.push_back("connection reused");
  parts.push_back(absl::StrCat(http.bytes_up(), " bytes up, ", http.bytes_down(), " down"));
  if (http.addresses_tried_size() > 1) {
    parts.push_back(absl::StrCat("tried ", absl::StrJoin(http.addresses_tried(), " ")));
  }
  return absl::StrJoin(parts, ", ");
}

void AddHop(const v1::Hop& hop, Lines& lines) {
  lines.Add("url",
            absl::StrCat(hop.url(), hop.status() == 0 ? "" : absl::StrCat("  ", hop.status())));
  lines.Add("timings", TimingsText(hop.measurement()));
  if (hop.measurement().has_http())
    lines.Add("connection", ConnectionText(hop.measurement().http()));
}

void AddEvidence(const v1::Evidence& evidence, Lines& lines) {
  lines.AddText("request", evidence.request());
  lines.AddText("response", evidence.response());
  lines.AddText(evidence.body_truncated() ? "body (cut)" : "body", evidence.body_excerpt());
  for (const v1::Certificate& certificate : evidence.certificates()) {
    lines.Add("certificate",
              absl::StrCat(certificate.subject(), ", issued by ", certificate.issuer(), ", until ",
                           TimeText(certificate.not_after_time())));
  }
  for (const v1::NameValue& variable : evidence.variables()) {
    lines.Add("variable", absl::StrCat(variable.name(), " = ", variable.value()));
  }
  lines.AddText("curl", evidence.curl());
}

void AddAssertions(const v1::Attempt& attempt, const std::string& step, Lines& lines) {
  for (const v1::Assertion& assertion : attempt.assertions()) {
    if (assertion.step() != step) continue;
    const std::string asserted =
        absl::StrCat(assertion.subject(), " ", assertion.operator_(), " ", assertion.expected());
    if (assertion.passed()) {
      lines.Add("passed", absl::StrCat(asserted, " (", assertion.actual(), ")"));
    } else if (!assertion.unjudged().empty()) {
      lines.Add("unjudged", absl::StrCat(asserted, ": ", assertion.unjudged()));
    } else {
      lines.Add("failed", absl::StrCat(asserted, ", but it was ", assertion.actual()));
    }
  }
}

}  // namespace

absl::StatusOr<uint32_t> AttemptToReplay(const v1::Definition& definition, uint32_t asked) {
  const v1::Execution& execution = definition.execution();
  if (execution.end() == v1::End::SKIPPED) {
    return absl::FailedPreconditionError(
        absl::StrCat("execution ", execution.execution(), " was skipped by its suite (",
                     definition.test().skip(), "): there is nothing to repeat"));
  }
  uint32_t last = 0;
  for (const v1::Attempt& attempt : execution.attempts()) {
    if (attempt.number() == asked) return asked;
    last = std::max(last, attempt.number());
  }
  if (asked == 0) {
    const v1::Attempt* deciding = DecidingAttempt(execution);
    return deciding == nullptr ? 1 : deciding->number();
  }
  return absl::InvalidArgumentError(
      last == 0 ? absl::StrCat("execution ", execution.execution(), " had no attempt")
                : absl::StrCat("execution ", execution.execution(), " had attempts 1 to ", last,
                               "; there is no attempt ", asked));
}

v1::RunSpec ReplaySpec(const std::string& run_id, const v1::Definition& definition,
                       uint32_t attempt) {
  v1::RunSpec spec;
  v1::Suite& suite = *spec.add_suites();
  suite.set_name(definition.test().suite());
  v1::Test& test = *suite.add_tests();
  test = definition.test();
  v1::Replay& replay = *test.mutable_replay();
  replay.set_run_id(run_id);
  replay.set_execution(definition.execution().execution());
  replay.set_attempt(attempt);
  test.mutable_retry()->set_attempts(1);
  // Its verdict is that of the one execution, whatever the suite makes of it.
  test.set_blocking(true);
  test.mutable_policy()->set_locations(v1::Policy::ALL);
  test.mutable_policy()->set_at_least(0);
  test.mutable_policy()->set_inconclusive(v1::Policy::INCONCLUSIVE_INCONCLUSIVE);
  *spec.mutable_blobs() = definition.blobs();
  spec.set_baseline(definition.baseline());
  spec.set_trigger(v1::Trigger::CLI);
  (*spec.mutable_labels())["replay.run"] = run_id;
  (*spec.mutable_labels())["replay.execution"] = absl::StrCat(definition.execution().execution());
  (*spec.mutable_labels())["replay.attempt"] = absl::StrCat(attempt);
  return spec;
}

std::string OutcomeText(const v1::Execution& execution, uint32_t attempt) {
  for (const v1::Attempt& a : execution.attempts()) {
    if (a.number() == attempt) return OutcomeText(a.outcome(), a.reason(), a.message());
  }
  if (execution.end() == v1::End::UNDECIDED) return "undecided so far";
  return absl::AsciiStrToLower(v1::End::Value_Name(execution.end()));
}

std::vector<std::string> AttemptText(const v1::Attempt& attempt, const Printer& printer) {
  Lines lines(printer);
  int number = 0;
  for (const v1::StepResult& step : attempt.steps()) {
    ++number;
    if (!step.name().empty()) {
      lines.Title(absl::StrCat(
          "step ", number, " '", printer.Outside(step.name()), "': ",
          step.skipped()
              ? absl::StrCat("skipped, ", printer.Outside(step.message()))
              : printer.Outside(OutcomeText(step.outcome(), step.reason(), step.message()))));
    }
    for (const v1::Hop& hop : step.hops()) AddHop(hop, lines);
    if (step.hops_size() > 1) lines.Add("in all", TimingsText(step.measurement()));
    AddEvidence(step.evidence(), lines);
    AddAssertions(attempt, step.name(), lines);
  }
  if (attempt.steps().empty()) AddAssertions(attempt, "", lines);
  for (const std::string& warning : attempt.warnings()) lines.Add("warning", warning);
  if (attempt.quality().poor()) {
    lines.Add("quality", "poor: the agent was too loaded to measure well");
  }
  return lines.Take();
}

}  // namespace picket
