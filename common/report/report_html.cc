#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/report/escape.h"
#include "common/report/report.h"
#include "common/report/report_html_parts.h"
#include "common/report/run_text.h"

namespace picket {
namespace {

constexpr uint32_t kCellsMost = 20'000;    // executions drawn one by one; beyond, counts
constexpr size_t kQuietTestsMost = 5'000;  // of counted tests that passed everywhere
constexpr size_t kFailuresMost = 200;
constexpr size_t kSkipBytes = 200;  // of a reason in a cell
constexpr size_t kOpenMost = 3;  // of them shown unfolded

// One page without script: the sections are written as they become known. Failures are
// written last, since they are known last, and shown first.
class HtmlReport : public Report {
 public:
  explicit HtmlReport(TextSink* sink) : sink_(sink) {}

  void Begin(const ReportHeader& header) override {
    const v1::Run& run = header.run;
    several_ = HasSeveralSuites(run);
    counted_ = run.ledger().planned() > kCellsMost;
    for (const v1::LocationProgress& l : header.locations) Column(l.location());
    const std::string verdict = v1::Verdict::Value_Name(run.verdict());
    sink_->Write(absl::StrCat(kHtmlHead, "<title>", verdict, ": ", EscapeHtml(run.suite()),
                              "</title></head><body>\n<header class=", verdict, "><h1><b class=",
                              verdict, ">", verdict, "</b> ", EscapeHtml(run.suite()), "</h1>\n<p>",
                              EscapeHtml(run.explanation()), "</p>\n"));
    sink_->Write(absl::StrCat("<p class=dim>run <code>", EscapeHtml(run.run_id()), "</code> · ",
                              TimeText(run.create_time()), " · took ", Took(run),
                              run.local() ? " · all agents on one machine (--local)" : "",
                              "</p>\n"));
    Labels(run);
    sink_->Write(HtmlLedger(run.ledger()));
    sink_->Write("</header>\n");
    Locations(header);
    sink_->Write(absl::StrCat("<section id=tests><h2>Tests</h2>\n", counted_ ? "" : HtmlLegend(),
                              "<table class=grid>\n<tr><th>test</th>"));
    for (const std::string& name : columns_) {
      sink_->Write(absl::StrCat("<th>", EscapeHtml(name), "</th>"));
    }
    sink_->Write("</tr>\n");
  }

  void Add(const v1::Execution& execution) override {
    if (execution.suite() != suite_ || execution.test_id() != test_id_) {
      FlushTest();
      suite_ = execution.suite();
      test_id_ = execution.test_id();
      test_ = execution.test();
    }
    const bool shown = IsBad(execution.end()) && Failure(execution);
    if (counted_) {
      ++counts_[Column(execution.location())][execution.end()];
      all_passed_ = all_passed_ && !IsBad(execution.end());
    } else {
      std::vector<std::string>& row = rows_[execution.has_row() ? execution.row() : kNoRow];
      const size_t column = Column(execution.location());
      if (row.size() <= column) row.resize(column + 1);
      row[column] = Cell(execution, shown);
    }
  }

  void End() override {
    FlushTest();
    sink_->Write("</table>\n");
    if (quiet_tests_ > kQuietTestsMost) {
      sink_->Write(absl::StrCat("<p>and ", quiet_tests_ - kQuietTestsMost,
                                " more tests, none of which failed anywhere</p>\n"));
    }
    sink_->Write("</section>\n");
    if (failure_count_ > 0) {
      sink_->Write(absl::StrCat("<section id=failures><h2>Not passed: ", failure_count_, "</h2>\n"));
      for (const std::string& failure : failures_) sink_->Write(failure);
      if (failure_count_ > failures_.size()) {
        sink_->Write(absl::StrCat("<p>and ", failure_count_ - failures_.size(),
                                  " more; the JSON report has them all</p>\n"));
      }
      sink_->Write("</section>\n");
    }
    sink_->Write("<footer>Written by picket.</footer>\n</body></html>\n");
  }

 private:
  static constexpr uint32_t kNoRow = UINT32_MAX;

  size_t Column(const std::string& location) {
    const auto [it, fresh] = column_of_.try_emplace(location, columns_.size());
    if (fresh) columns_.push_back(location);
    return it->second;
  }

  static std::string Took(const v1::Run& run) {
    const absl::Duration took = ToTime(run.seal_time()) - ToTime(run.create_time());
    return MicrosText(static_cast<uint64_t>(
        std::max<int64_t>(0, absl::ToInt64Microseconds(took))));
  }

  void Locations(const ReportHeader& header) {
    sink_->Write(
        "<section><h2>Locations</h2>\n<table><tr><th>location</th><th></th>"
        "<th class=n>planned</th><th class=n>passed</th><th class=n>failed</th>"
        "<th class=n>inconclusive</th><th class=n>skipped</th><th class=n>cancelled</th>"
        "<th class=n>expired</th><th class=n>unassigned</th><th class=n>flaky</th>"
        "<th class=n>learning</th></tr>\n");
    for (const v1::LocationProgress& location : header.locations) {
      const v1::Ledger& l = location.ledger();
      sink_->Write(absl::StrCat("<tr><td>", EscapeHtml(location.location()), "</td><td>",
                                HtmlLedgerBar(l), "</td>"));
      for (uint32_t n : {l.planned(), l.passed(), l.failed(), l.inconclusive(), l.skipped(),
                         l.cancelled(), l.expired(), l.unassigned(), l.flaky(),
                         l.learning()}) {
        sink_->Write(absl::StrCat("<td class=\"n", n == 0 ? " z" : "", "\">", n, "</td>"));
      }
      sink_->Write("</tr>\n");
    }
    sink_->Write("</table></section>\n");
  }

  void Labels(const v1::Run& run) {
    const std::map<std::string, std::string> sorted(run.labels().begin(), run.labels().end());
    if (sorted.empty()) return;
    sink_->Write("<p>");
    for (const auto& [name, value] : sorted) {
      sink_->Write(absl::StrCat("<span class=chip>", EscapeHtml(name), " <b>", EscapeHtml(value),
                                "</b></span>"));
    }
    sink_->Write("</p>\n");
  }

  static std::string Marks(const v1::Execution& execution) {
    const std::string blame = BlameText(execution.blame());
    std::string marks;
    if (execution.flaky()) marks = blame.empty() ? " (flaky)" : absl::StrCat(" (flaky, blame: ", blame, ")");
    if (execution.learning()) marks += " (learning)";
    return marks;
  }

  // A cell leads to its failure, if that is shown.
  static std::string Cell(const v1::Execution& execution, bool shown) {
    const v1::Attempt* attempt = DecidingAttempt(execution);
    std::string cell = absl::StrCat("<td class=", HtmlClass(execution.end()));
    if (attempt != nullptr) {
      absl::StrAppend(&cell, " title=\"", TimingsText(attempt->measurement()), "\"");
    }
    cell += ">";
    if (shown) absl::StrAppend(&cell, "<a href=#e", execution.execution(), ">");
    absl::StrAppend(&cell, HtmlWord(execution.end()), Marks(execution));
    if (shown) cell += "</a>";
    if (!execution.skip_reason().empty()) {
      absl::StrAppend(&cell, " <small>", EscapeHtml(CutToBytes(execution.skip_reason(), kSkipBytes)),
                      "</small>");
    }
    if (attempt != nullptr) {
      absl::StrAppend(&cell, " <small>", MicrosText(attempt->duration_us()), "</small>",
                      HtmlWaterfall(attempt->measurement()));
    }
    return cell + "</td>";
  }

  void FlushTest() {
    const std::string title = EscapeHtml(several_ ? absl::StrCat(suite_, ": ", test_) : test_);
    for (auto& [row, cells] : rows_) {
      cells.resize(columns_.size());
      sink_->Write(absl::StrCat("<tr><th>", title,
                                row == kNoRow ? "" : absl::StrCat(" <small>row ", row, "</small>"),
                                "</th>"));
      for (const std::string& cell : cells) sink_->Write(cell.empty() ? "<td></td>" : cell);
      sink_->Write("</tr>\n");
    }
    rows_.clear();
    if (!counts_.empty() && (!all_passed_ || ++quiet_tests_ <= kQuietTestsMost)) {
      sink_->Write(absl::StrCat("<tr><th>", title, "</th>"));
      for (size_t i = 0; i < columns_.size(); ++i) {
        sink_->Write("<td>");
        for (const auto& [end, count] : counts_[i]) {
          sink_->Write(absl::StrCat("<span class=", HtmlClass(end), ">", count, " ", HtmlWord(end),
                                    "</span> "));
        }
        sink_->Write("</td>");
      }
      sink_->Write("</tr>\n");
    }
    counts_.clear();
    all_passed_ = true;
  }

  // True if it is among those that are shown.
  bool Failure(const v1::Execution& execution) {
    if (++failure_count_ > kFailuresMost) return false;
    failures_.push_back(HtmlFailure(execution, several_, failure_count_ <= kOpenMost));
    return true;
  }

  TextSink* sink_;
  bool several_ = false, counted_ = false, all_passed_ = true;
  std::vector<std::string> columns_;
  std::map<std::string, size_t> column_of_;
  std::string suite_, test_id_, test_;
  std::map<uint32_t, std::vector<std::string>> rows_;
  std::map<size_t, std::map<v1::End::Value, uint32_t>> counts_;
  size_t quiet_tests_ = 0, failure_count_ = 0;
  std::vector<std::string> failures_;
};

}  // namespace

std::unique_ptr<Report> MakeHtmlReport(TextSink* sink) {
  return std::make_unique<HtmlReport>(sink);
}

}  // namespace picket
