#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/version.h"
#include "common/report/escape.h"
#include "common/report/report.h"
#include "common/report/report_names.h"
#include "common/report/run_text.h"

namespace picket {
namespace {

constexpr int kAssertionsMost = 20;
constexpr size_t kDetailBytes = 4'000;

absl::string_view StatusOf(v1::End::Value end) {
  switch (end) {
    case v1::End::PASSED:
      return "passed";
    case v1::End::FAILED:
      return "failed";
    case v1::End::SKIPPED:
      return "skipped";
    default:
      return "other";
  }
}

absl::string_view StatusOf(v1::Outcome::Value outcome) {
  switch (outcome) {
    case v1::Outcome::PASSED:
      return "passed";
    case v1::Outcome::FAILED:
      return "failed";
    default:
      return "other";
  }
}

int64_t Millis(const google::protobuf::Timestamp& time) { return absl::ToUnixMillis(ToTime(time)); }

// Common Test Report Format, schema of ctrf.io: no properties but its own, the rest in
// `extra`. What is neither passed, failed nor skipped is `other`, with its rawStatus.
class CtrfReport : public Report {
 public:
  explicit CtrfReport(TextSink* sink) : sink_(sink) {}

  void Begin(const ReportHeader& header) override {
    const v1::Run& run = header.run;
    const v1::Ledger& l = run.ledger();
    const int64_t start = Millis(run.create_time());
    const int64_t stop = std::max(start, Millis(run.seal_time()));
    sink_->Write(absl::StrCat(
        "{\"reportFormat\":\"CTRF\",\"specVersion\":\"0.0.0\",\"generatedBy\":\"picket\","
        "\"results\":{\"tool\":{\"name\":\"picket\",\"version\":",
        QuoteJson(kVersion), "},\"summary\":{\"tests\":", l.planned(), ",\"passed\":", l.passed(),
        ",\"failed\":", l.failed(), ",\"skipped\":", l.skipped(), ",\"pending\":0,\"other\":",
        l.inconclusive() + l.cancelled() + l.expired() + l.unassigned(), ",\"flaky\":", l.flaky(),
        ",\"start\":", start, ",\"stop\":", stop, ",\"duration\":", stop - start,
        ",\"extra\":{\"run_id\":", QuoteJson(run.run_id()), ",\"verdict\":\"",
        v1::Verdict::Value_Name(run.verdict()), "\",\"explanation\":", QuoteJson(run.explanation()),
        ",\"local\":", run.local() ? "true" : "false", ",\"learning\":", l.learning(), "}},\"tests\":["));
  }

  void Add(const v1::Execution& execution) override {
    const v1::Attempt* attempt = DecidingAttempt(execution);
    text_ = first_ ? "\n" : ",\n";
    first_ = false;
    const std::string name = names_.Of(execution);
    absl::StrAppend(&text_, "{\"name\":", QuoteJson(name), ",\"status\":\"",
                    StatusOf(execution.end()), "\",\"rawStatus\":\"",
                    v1::End::Value_Name(execution.end()),
                    "\",\"duration\":", attempt == nullptr ? 0 : attempt->duration_us() / 1000);
    if (attempt != nullptr && attempt->has_start_time()) {
      const int64_t start = Millis(attempt->start_time());
      absl::StrAppend(&text_, ",\"start\":", start,
                      ",\"stop\":", start + attempt->duration_us() / 1000);
    }
    absl::StrAppend(&text_, ",\"suite\":[", QuoteJson(execution.suite()),
                    "],\"type\":\"synthetic\"");
    if (execution.flaky()) text_ += ",\"flaky\":true";
    if (IsBad(execution.end())) Trouble(execution, attempt);
    if (execution.end() == v1::End::SKIPPED) {
      absl::StrAppend(&text_, ",\"message\":",
                      QuoteJson(CutToBytes(SkipText(execution), kDetailBytes)));
    }
    if (execution.attempts_size() > 1) Attempts(execution);
    absl::StrAppend(&text_, ",\"extra\":{\"execution\":", execution.execution(),
                    ",\"test_id\":", QuoteJson(execution.test_id()),
                    ",\"location\":", QuoteJson(execution.location()));
    if (execution.has_row()) absl::StrAppend(&text_, ",\"row\":", execution.row());
    if (execution.learning()) {
      absl::StrAppend(&text_, ",\"learning\":",
                      QuoteJson(CutToBytes(LearningText(execution), kDetailBytes)));
    }
    absl::StrAppend(&text_, ",\"blocking\":", execution.blocking() ? "true" : "false",
                    ",\"reason\":\"", v1::FailureReason::Value_Name(execution.reason()),
                    "\",\"blame\":\"", v1::Blame::Value_Name(execution.blame()), "\"}}");
    sink_->Write(text_);
  }

  void End() override { sink_->Write("\n]}}\n"); }

 private:
  void Trouble(const v1::Execution& execution, const v1::Attempt* attempt) {
    const std::string message = attempt != nullptr && !attempt->message().empty()
                                    ? attempt->message()
                                    : absl::StrCat(v1::End::Value_Name(execution.end()), " ",
                                                   ReasonText(execution.reason()));
    absl::StrAppend(&text_, ",\"message\":", QuoteJson(CutToBytes(message, kDetailBytes)));
    std::string trace;
    for (const Detail& detail : FailureDetails(execution, kAssertionsMost)) {
      absl::StrAppend(&trace, trace.empty() ? "" : "\n", detail.label, ": ",
                      CutToBytes(detail.value, kDetailBytes));
    }
    if (!trace.empty()) absl::StrAppend(&text_, ",\"trace\":", QuoteJson(trace));
  }

  void Attempts(const v1::Execution& execution) {
    absl::StrAppend(&text_, ",\"retries\":", std::max(0, AttemptCount(execution) - 1),
                    ",\"retryAttempts\":[");
    for (int i = 0; i < execution.attempts_size(); ++i) {
      const v1::Attempt& attempt = execution.attempts(i);
      absl::StrAppend(&text_, i == 0 ? "" : ",", "{\"attempt\":", i + 1, ",\"status\":\"",
                      StatusOf(attempt.outcome()),
                      "\",\"duration\":", attempt.duration_us() / 1000);
      if (!attempt.message().empty()) {
        absl::StrAppend(&text_,
                        ",\"message\":", QuoteJson(CutToBytes(attempt.message(), kDetailBytes)));
      }
      absl::StrAppend(&text_, ",\"extra\":{\"agent\":", QuoteJson(attempt.agent()));
      if (attempt.probe()) {
        absl::StrAppend(&text_, ",\"probe\":true,\"location\":", QuoteJson(attempt.location()));
      }
      text_ += "}}";
    }
    text_ += "]";
  }

  TextSink* sink_;
  CaseNames names_;
  std::string text_;
  bool first_ = true;
};

}  // namespace

std::unique_ptr<Report> MakeCtrfReport(TextSink* sink) {
  return std::make_unique<CtrfReport>(sink);
}

}  // namespace picket
