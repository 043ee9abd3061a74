#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/report/escape.h"
#include "common/report/report.h"
#include "common/report/run_text.h"

namespace picket {
namespace {

// GitHub refuses a step summary of more than 1 MiB; some room is left for what other
// steps write.
constexpr size_t kBytesMost = 900u << 10;
constexpr size_t kFailuresMost = 200;
constexpr size_t kLinesMost = 50;
constexpr size_t kValueBytes = 300;

std::string Row(const std::vector<std::string>& cells) {
  return absl::StrCat("| ", absl::StrJoin(cells, " | "), " |\n");
}

std::string Value(absl::string_view text) { return EscapeMarkdown(CutToBytes(text, kValueBytes)); }

// "connect_refused (blame: location)".
std::string Reason(const v1::Execution& execution) {
  std::string text = ReasonText(execution.reason());
  if (execution.blame() != v1::Blame::none) {
    absl::StrAppend(&text, text.empty() ? "" : " ", "(blame: ", BlameText(execution.blame()), ")");
  }
  return EscapeMarkdown(text);
}

std::vector<std::string> LedgerCells(const v1::Ledger& l) {
  std::vector<std::string> cells;
  for (uint32_t n : {l.planned(), l.passed(), l.failed(), l.inconclusive(), l.skipped(),
                     l.cancelled(), l.expired(), l.unassigned(), l.flaky(), l.learning()}) {
    cells.push_back(absl::StrCat(n));
  }
  return cells;
}

class MarkdownReport : public Report {
 public:
  explicit MarkdownReport(TextSink* sink) : sink_(sink) {}

  void Begin(const ReportHeader& header) override {
    const v1::Run& run = header.run;
    several_ = HasSeveralSuites(run);
    Put(absl::StrCat("## ", v1::Verdict::Value_Name(run.verdict()), ": ", Value(run.suite()),
                     "\n\n"));
    if (!run.explanation().empty()) Put(absl::StrCat(Value(run.explanation()), "\n\n"));
    Put(absl::StrCat("Run `", run.run_id(), "`: ", LedgerText(run.ledger()), "\n\n"));
    if (run.local()) Put("All agents were on one machine (`--local`).\n\n");
    Put("| location | planned | passed | failed | inconclusive | skipped | cancelled | expired | "
        "unassigned | flaky | learning |\n"
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n");
    for (const v1::LocationProgress& location : header.locations) {
      std::vector<std::string> cells = LedgerCells(location.ledger());
      cells.insert(cells.begin(), Value(location.location()));
      Put(Row(cells));
    }
    Put("\n");
  }

  void Add(const v1::Execution& execution) override {
    if (execution.flaky() && execution.end() == v1::End::PASSED) {
      flaky_.Add(absl::StrCat(Value(ExecutionTitle(execution, several_)), ": passed on attempt ",
                              AttemptCount(execution),
                              execution.blame() == v1::Blame::none
                                  ? ""
                                  : absl::StrCat(" (blame: ", BlameText(execution.blame()), ")")));
    }
    if (execution.learning()) {
      learning_.Add(absl::StrCat(Value(ExecutionTitle(execution, several_)), ": ",
                                 Value(LearningText(execution))));
    }
    if (execution.end() == v1::End::SKIPPED) {
      skipped_.Add(absl::StrCat(Value(ExecutionTitle(execution, several_)), ": ",
                                Value(SkipText(execution))));
    }
    if (!IsBad(execution.end())) return;
    ++failures_;
    if (failures_ > kFailuresMost) return;
    if (failures_ == 1) {
      Put("### Not passed\n\n| end | test | reason | asserted | expected | actual | timings |\n"
          "|---|---|---|---|---|---|---|\n");
    }
    std::string asserted, expected, actual, message, timings;
    for (const Detail& detail : FailureDetails(execution, 1)) {
      if (detail.label == "asserted" && asserted.empty()) asserted = detail.value;
      if (detail.label == "expected") expected = detail.value;
      if (detail.label == "actual") actual = detail.value;
      if (detail.label == "message") message = detail.value;
      if (detail.label == "timings") timings = detail.value;
    }
    if (asserted.empty()) asserted = message;
    const std::string row =
        Row({v1::End::Value_Name(execution.end()), Value(ExecutionTitle(execution, several_)),
             Reason(execution), Value(asserted), Value(expected),
             Value(actual), Value(timings)});
    if (written_ + row.size() > kBytesMost) return;
    ++shown_;
    Put(row);
  }

  void End() override {
    if (failures_ > shown_) {
      Put(absl::StrCat("\nand ", failures_ - shown_, " more; the JSON report has them all\n"));
    }
    Put("Flaky", flaky_);
    Put("Skipped", skipped_);
    Put("Learning: too little history for a latency gate, so neither passed nor failed by it",
        learning_);
  }

 private:
  void Put(absl::string_view text) {
    written_ += text.size();
    sink_->Write(text);
  }

  // The first few of many.
  struct Lines {
    size_t count = 0;
    std::vector<std::string> first;

    void Add(std::string line) {
      if (++count <= kLinesMost) first.push_back(std::move(line));
    }
  };

  void Put(absl::string_view title, const Lines& lines) {
    if (lines.count == 0) return;
    Put(absl::StrCat("\n### ", title, "\n\n"));
    for (const std::string& line : lines.first) Put(absl::StrCat("- ", line, "\n"));
    if (lines.count > lines.first.size()) {
      Put(absl::StrCat("- and ", lines.count - lines.first.size(), " more\n"));
    }
  }

  TextSink* sink_;
  bool several_ = false;
  size_t written_ = 0, failures_ = 0, shown_ = 0;
  Lines flaky_, learning_, skipped_;
};

}  // namespace

std::unique_ptr<Report> MakeMarkdownReport(TextSink* sink) {
  return std::make_unique<MarkdownReport>(sink);
}

}  // namespace picket
