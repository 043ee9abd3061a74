#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/report/escape.h"
#include "common/report/report.h"
#include "common/report/run_text.h"

namespace picket {
namespace {

constexpr uint32_t kCellsMost = 20'000;    // executions drawn one by one; beyond, counts
constexpr size_t kQuietTestsMost = 5'000;  // of counted tests that passed everywhere
constexpr size_t kFailuresMost = 200;
constexpr int kAssertionsMost = 50;
constexpr size_t kValueBytes = 2'000;
constexpr size_t kEvidenceBytes = 16'000;

// Failures are written last, since they are known last, and shown first (`order`).
constexpr absl::string_view kHead = R"(<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<style>
:root{color-scheme:light dark;--ok:#1a7f37;--bad:#cf222e;--odd:#9a6700;--dim:#6e7781;--line:#8885}
body{font:14px/1.45 system-ui,sans-serif;margin:1.5rem auto;max-width:75rem;padding:0 1rem;
display:flex;flex-direction:column}
section{order:2;margin:.5rem 0;overflow-x:auto}header,#failures{order:1}footer{order:3;color:var(--dim)}
h1 b{padding:.1em .5em;border-radius:.3em;color:#fff}b.PASSED{background:var(--ok)}
b.FAILED{background:var(--bad)}b.INCONCLUSIVE,b.VERDICT_UNSPECIFIED{background:var(--odd)}
table{border-collapse:collapse}th,td{border:1px solid var(--line);padding:.25em .5em;text-align:left;
vertical-align:top}td.n{text-align:right}pre{white-space:pre-wrap;overflow-wrap:anywhere;margin:.2em 0}
.PASSED{color:var(--ok)}.FAILED{color:var(--bad)}.SKIPPED,.UNDECIDED{color:var(--dim)}
.INCONCLUSIVE,.CANCELLED,.EXPIRED,.UNASSIGNED{color:var(--odd)}h1 b{color:#fff!important}
.w{display:flex;height:.5em;width:9em;background:var(--line)}.w i{min-width:1px}
.dns{background:#8250df}.connect{background:#bf8700}.tls{background:#bc4c00}.send{background:#57606a}
.first_byte{background:#1a7f37}.transfer{background:#0969da}.k i{display:inline-block;width:1em;height:.7em}
details{border:1px solid var(--line);border-radius:.3em;padding:.4em .7em;margin:.4em 0}
summary{cursor:pointer}dl{display:grid;grid-template-columns:max-content 1fr;gap:.1em 1em}
dt{color:var(--dim)}dd{margin:0}
</style>
)";

std::string Waterfall(const v1::Measurement& measurement) {
  std::string bars;
  for (const v1::Phase& phase : measurement.phases()) {
    if (phase.name() == v1::Phase::total || phase.us() == 0) continue;
    absl::StrAppend(&bars, "<i class=", v1::Phase::Name_Name(phase.name()),
                    " style=flex:", phase.us(), "></i>");
  }
  return bars.empty() ? "" : absl::StrCat("<span class=w>", bars, "</span>");
}

class HtmlReport : public Report {
 public:
  explicit HtmlReport(TextSink* sink) : sink_(sink) {}

  void Begin(const ReportHeader& header) override {
    const v1::Run& run = header.run;
    several_ = HasSeveralSuites(run);
    counted_ = run.ledger().planned() > kCellsMost;
    for (const v1::LocationProgress& l : header.locations) Column(l.location());
    const std::string verdict = v1::Verdict::Value_Name(run.verdict());
    sink_->Write(absl::StrCat(
        kHead, "<title>", verdict, ": ", EscapeHtml(run.suite()),
        "</title></head><body>\n<header><h1><b class=", verdict, ">", verdict, "</b> ",
        EscapeHtml(run.suite()), "</h1>\n<p>", EscapeHtml(run.explanation()), "</p>\n<p>Run <code>",
        EscapeHtml(run.run_id()), "</code>, ", TimeText(run.create_time()), " to ",
        TimeText(run.seal_time()), run.local() ? ", all agents on one machine (--local)" : "",
        ".<br>", LedgerText(run.ledger()), "</p>\n"));
    Locations(header);
    Labels(run);
    sink_->Write("</header>\n<section><h2>Tests</h2>\n<p class=k>");
    for (absl::string_view phase : {"dns", "connect", "tls", "send", "first_byte", "transfer"}) {
      sink_->Write(absl::StrCat("<i class=", phase, "></i> ", phase, " "));
    }
    sink_->Write("</p>\n<table>\n<tr><th>test</th>");
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
    if (counted_) {
      ++counts_[Column(execution.location())][execution.end()];
      all_passed_ = all_passed_ && !IsBad(execution.end());
    } else {
      std::vector<std::string>& row = rows_[execution.has_row() ? execution.row() : kNoRow];
      const size_t column = Column(execution.location());
      if (row.size() <= column) row.resize(column + 1);
      row[column] = Cell(execution);
    }
    if (IsBad(execution.end())) Failure(execution);
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
      sink_->Write("<section id=failures><h2>Not passed</h2>\n");
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

  void Locations(const ReportHeader& header) {
    sink_->Write(
        "<table><tr><th>location</th><th>planned</th><th>passed</th><th>failed</th>"
        "<th>inconclusive</th><th>skipped</th><th>cancelled</th><th>expired</th>"
        "<th>unassigned</th><th>flaky</th><th>learning</th></tr>\n");
    for (const v1::LocationProgress& location : header.locations) {
      const v1::Ledger& l = location.ledger();
      sink_->Write(absl::StrCat("<tr><td>", EscapeHtml(location.location()), "</td>"));
      for (uint32_t n : {l.planned(), l.passed(), l.failed(), l.inconclusive(), l.skipped(),
                         l.cancelled(), l.expired(), l.unassigned(), l.flaky(),
                         l.learning()}) {
        sink_->Write(absl::StrCat("<td class=n>", n, "</td>"));
      }
      sink_->Write("</tr>\n");
    }
    sink_->Write("</table>\n");
  }

  void Labels(const v1::Run& run) {
    const std::map<std::string, std::string> sorted(run.labels().begin(), run.labels().end());
    if (sorted.empty()) return;
    sink_->Write("<dl>");
    for (const auto& [name, value] : sorted) {
      sink_->Write(absl::StrCat("<dt>", EscapeHtml(name), "</dt><dd>", EscapeHtml(value), "</dd>"));
    }
    sink_->Write("</dl>\n");
  }

  static std::string Flaky(const v1::Execution& execution) {
    if (!execution.flaky()) return " ";
    const std::string blame = BlameText(execution.blame());
    return blame.empty() ? " (flaky) " : absl::StrCat(" (flaky, blame: ", blame, ") ");
  }

  static std::string Cell(const v1::Execution& execution) {
    const std::string end = v1::End::Value_Name(execution.end());
    const v1::Attempt* attempt = DecidingAttempt(execution);
    std::string cell = absl::StrCat("<td class=", end);
    if (attempt == nullptr) return absl::StrCat(cell, ">", absl::AsciiStrToLower(end), "</td>");
    const std::string timings = TimingsText(attempt->measurement());
    return absl::StrCat(cell, " title=\"", timings, "\">", absl::AsciiStrToLower(end),
                        Flaky(execution), execution.learning() ? " (learning) " : "",
                        MicrosText(attempt->duration_us()),
                        Waterfall(attempt->measurement()), "</td>");
  }

  void FlushTest() {
    const std::string title = EscapeHtml(several_ ? absl::StrCat(suite_, ": ", test_) : test_);
    for (const auto& [row, cells] : rows_) {
      sink_->Write(absl::StrCat("<tr><th>", title, row == kNoRow ? "" : absl::StrCat(" row ", row),
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
          const std::string name = v1::End::Value_Name(end);
          sink_->Write(absl::StrCat("<span class=", name, ">", count, " ",
                                    absl::AsciiStrToLower(name), "</span> "));
        }
        sink_->Write("</td>");
      }
      sink_->Write("</tr>\n");
    }
    counts_.clear();
    all_passed_ = true;
  }

  void Failure(const v1::Execution& execution) {
    if (++failure_count_ > kFailuresMost) return;
    const std::string end = v1::End::Value_Name(execution.end());
    const v1::Attempt* attempt = DecidingAttempt(execution);
    std::string out =
        absl::StrCat("<details", failure_count_ <= 5 ? " open" : "", "><summary><b class=", end,
                     ">", end, "</b> ", EscapeHtml(ExecutionTitle(execution, several_)), " ",
                     ReasonText(execution.reason()), "</summary>\n<dl>");
    const auto item = [&out](absl::string_view label, absl::string_view value) {
      absl::StrAppend(&out, "<dt>", label, "</dt><dd>", EscapeHtml(CutToBytes(value, kValueBytes)),
                      "</dd>\n");
    };
    if (attempt != nullptr) item("agent", attempt->agent());
    if (execution.blame() != v1::Blame::none) {
      item("blame", v1::Blame::Value_Name(execution.blame()));
    }
    if (!execution.blocking()) item("blocking", "no");
    for (const Detail& d : FailureDetails(execution, kAssertionsMost)) item(d.label, d.value);
    out += "</dl>\n";
    if (attempt != nullptr) {
      absl::StrAppend(&out, Waterfall(attempt->measurement()), Evidence(attempt->evidence()));
    }
    failures_.push_back(out + "</details>\n");
  }

  // Lines of a header block stay lines: each is escaped by itself.
  static std::string Block(absl::string_view title, absl::string_view text) {
    if (text.empty()) return "";
    std::string out = absl::StrCat("<p>", title, "</p><pre>");
    const std::string cut = CutToBytes(text, kEvidenceBytes);
    absl::string_view rest = cut;
    while (!rest.empty()) {
      const size_t end = rest.find('\n');
      absl::StrAppend(&out, EscapeHtml(absl::StripTrailingAsciiWhitespace(rest.substr(0, end))),
                      "\n");
      rest.remove_prefix(end == absl::string_view::npos ? rest.size() : end + 1);
    }
    return out + "</pre>\n";
  }

  static std::string Evidence(const v1::Evidence& evidence) {
    return absl::StrCat(
        Block("request", evidence.request()), Block("response", evidence.response()),
        Block(evidence.body_truncated() ? "body (first part)" : "body", evidence.body_excerpt()));
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
