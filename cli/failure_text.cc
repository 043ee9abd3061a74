#include "cli/failure_text.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "common/report/run_text.h"

namespace picket {
namespace {

constexpr size_t kValueBytes = 500;   // of an expected or actual value in a log
constexpr size_t kLineBytes = 2'000;  // of a curl line in a log
constexpr int kAssertionsShown = 10;

size_t BytesShown(absl::string_view label) { return label == "curl" ? kLineBytes : kValueBytes; }

// "(connect_refused, agent eu-1, attempt 2 of 2)".
std::string Circumstances(const v1::Execution& execution, const Printer& printer) {
  std::vector<std::string> parts;
  const std::string reason = ReasonText(execution.reason());
  if (!reason.empty()) parts.push_back(reason);
  const v1::Attempt* attempt = DecidingAttempt(execution);
  if (attempt != nullptr) {
    if (!attempt->agent().empty()) {
      parts.push_back(absl::StrCat("agent ", printer.OutsideCut(attempt->agent(), 100)));
    }
    if (AttemptCount(execution) > 1) {
      parts.push_back(absl::StrCat("attempt ", attempt->number(), " of ", AttemptCount(execution)));
    }
  }
  if (execution.blame() != v1::Blame::none) {
    parts.push_back(absl::StrCat("blame: ", v1::Blame::Value_Name(execution.blame())));
  }
  if (!execution.blocking()) parts.push_back("not blocking");
  return parts.empty() ? "" : absl::StrCat("  (", absl::StrJoin(parts, ", "), ")");
}

}  // namespace

std::vector<std::string> FailureBlock(const v1::Execution& execution, bool with_suite,
                                      const Printer& printer) {
  const std::string name = v1::End::Value_Name(execution.end());
  std::vector<std::string> lines = {absl::StrCat(
      printer.Paint(ColourOf(execution.end()), name), "  ",
      printer.Outside(ExecutionTitle(execution, with_suite)), Circumstances(execution, printer))};
  for (const Detail& detail : FailureDetails(execution, kAssertionsShown)) {
    lines.push_back(absl::StrFormat("        %-9s %s", detail.label,
                                    printer.OutsideCut(detail.value, BytesShown(detail.label))));
  }
  return lines;
}

std::string FlakyLine(const v1::Execution& execution, bool with_suite, const Printer& printer) {
  const std::string blame = BlameText(execution.blame());
  return absl::StrCat(printer.Paint(Colour::kYellow, "FLAKY"), "  ",
                      printer.Outside(ExecutionTitle(execution, with_suite)), "  (",
                      printer.OutsideCut(AttemptsText(execution), kValueBytes),
                      blame.empty() ? "" : absl::StrCat("; blame: ", blame), ")");
}

std::string FailureLine(const v1::Execution& execution, bool with_suite, const Printer& printer) {
  const v1::Attempt* attempt = DecidingAttempt(execution);
  const std::string name = v1::End::Value_Name(execution.end());
  return absl::StrCat(printer.Paint(ColourOf(execution.end()), name), "  ",
                      printer.Outside(ExecutionTitle(execution, with_suite)),
                      Circumstances(execution, printer),
                      attempt != nullptr && !attempt->message().empty()
                          ? absl::StrCat(": ", printer.OutsideCut(attempt->message(), kValueBytes))
                          : "");
}

}  // namespace picket
