#include "absl/strings/str_cat.h"
#include "common/report/escape.h"
#include "common/report/report.h"
#include "common/report/report_names.h"
#include "common/report/run_text.h"

namespace picket {
namespace {

constexpr int kAssertionsMost = 20;
constexpr size_t kDetailBytes = 4'000;

// TAP 14: a version, a plan, one test point a line, YAML diagnostics two blanks deeper.
class TapReport : public Report {
 public:
  explicit TapReport(TextSink* sink) : sink_(sink) {}

  void Begin(const ReportHeader& header) override {
    run_ = header.run;
    several_ = HasSeveralSuites(run_);
    sink_->Write(absl::StrCat("TAP version 14\n1..", run_.ledger().planned(), "\n"));
  }

  void Add(const v1::Execution& execution) override {
    const bool ok = !IsBad(execution.end()) && execution.end() != v1::End::UNDECIDED;
    std::string name = names_.Of(execution);
    if (several_) name = absl::StrCat(execution.suite(), ": ", name);
    text_ = absl::StrCat(ok ? "ok " : "not ok ", execution.execution() + 1, " - ", EscapeTap(name),
                         SkipMark(execution), "\n");
    if (!ok) {
      text_ += "  ---\n";
      Field("end", v1::End::Value_Name(execution.end()));
      if (execution.reason() != v1::FailureReason::none) {
        Field("reason", ReasonText(execution.reason()));
      }
      if (execution.blame() != v1::Blame::none) Field("blame", BlameText(execution.blame()));
      if (!execution.blocking()) Field("blocking", "no");
      for (const Detail& detail : FailureDetails(execution, kAssertionsMost)) Add(detail);
      CloseList();
      text_ += "  ...\n";
    } else if (execution.flaky()) {
      text_ += "  ---\n";
      Field("flaky", "passed after a failed attempt");
      if (execution.blame() != v1::Blame::none) Field("blame", BlameText(execution.blame()));
      Field("attempts", AttemptsText(execution));
      text_ += "  ...\n";
    }
    if (execution.learning() && !IsBad(execution.end())) {
      absl::StrAppend(&text_, "# learning: ",
                      EscapeTap(CutToBytes(LearningText(execution), kDetailBytes)), "\n");
    }
    sink_->Write(text_);
  }

  void End() override { sink_->Write(absl::StrCat("# ", EscapeTerminal(VerdictLine(run_)), "\n")); }

 private:
  static std::string SkipMark(const v1::Execution& execution) {
    if (execution.end() != v1::End::SKIPPED) return "";
    return absl::StrCat(" # SKIP ", EscapeTap(CutToBytes(SkipText(execution), kDetailBytes)));
  }

  void Field(absl::string_view name, absl::string_view value) {
    absl::StrAppend(&text_, "  ", name, ": ", QuoteJson(CutToBytes(value, kDetailBytes)), "\n");
  }

  // YAML keys are unique, so what can come several times goes into lists.
  void Add(const Detail& detail) {
    const std::string value = QuoteJson(CutToBytes(detail.value, kDetailBytes));
    if (detail.label == "asserted") {
      if (!in_list_) text_ += "  assertions:\n";
      in_list_ = true;
      absl::StrAppend(&text_, "    - asserted: ", value, "\n");
    } else if (detail.label == "expected" || detail.label == "actual" ||
               detail.label == "unjudged") {
      absl::StrAppend(&text_, "      ", detail.label, ": ", value, "\n");
    } else if (detail.label == "warning") {
      if (!in_warnings_) text_ += "  warnings:\n";
      in_warnings_ = true;
      absl::StrAppend(&text_, "    - ", value, "\n");
    } else {
      CloseList();
      absl::StrAppend(&text_, "  ", detail.label, ": ", value, "\n");
    }
  }

  void CloseList() { in_list_ = in_warnings_ = false; }

  TextSink* sink_;
  v1::Run run_;
  bool several_ = false;
  CaseNames names_;
  std::string text_;
  bool in_list_ = false, in_warnings_ = false;
};

}  // namespace

std::unique_ptr<Report> MakeTapReport(TextSink* sink) { return std::make_unique<TapReport>(sink); }

}  // namespace picket
