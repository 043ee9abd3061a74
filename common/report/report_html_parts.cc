#include "common/report/report_html_parts.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/report/escape.h"
#include "common/report/run_text.h"

namespace picket {
namespace {

constexpr int kAssertionsMost = 50;
constexpr int kStepsMost = 50;
constexpr int kAttemptsMost = 20;
constexpr size_t kValueBytes = 2'000;
constexpr size_t kEvidenceBytes = 16'000;

std::string Text(absl::string_view text) { return EscapeHtml(CutToBytes(text, kValueBytes)); }

uint32_t TotalOf(const v1::Measurement& measurement) {
  uint32_t total = 0, sum = 0;
  for (const v1::Phase& phase : measurement.phases()) {
    (phase.name() == v1::Phase::total ? total : sum) += phase.us();
  }
  return std::max(total, sum);
}

std::string Segments(const v1::Measurement& measurement) {
  std::string bars;
  for (const v1::Phase& phase : measurement.phases()) {
    if (phase.name() == v1::Phase::total || phase.us() == 0) continue;
    absl::StrAppend(&bars, "<i class=", v1::Phase::Name_Name(phase.name()),
                    " style=flex-grow:", phase.us(), "></i>");
  }
  return bars;
}

// Lines of a header block stay lines: each is escaped by itself.
std::string Block(absl::string_view title, absl::string_view text) {
  if (text.empty()) return "";
  std::string out = absl::StrCat("<h4>", title, "</h4><pre>");
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

std::string Evidence(const v1::Evidence& evidence) {
  const std::string blocks = absl::StrCat(
      Block("request", evidence.request()), Block("response", evidence.response()),
      Block(evidence.body_truncated() ? "body (its first part)" : "body", evidence.body_excerpt()));
  if (blocks.empty()) return "";
  return absl::StrCat("<details><summary>what went over the wire</summary>\n", blocks,
                      "</details>\n");
}

// One row a step, each where it began on the attempt's own scale.
std::string Steps(const v1::Attempt& attempt) {
  uint64_t whole = 0;
  for (const v1::StepResult& step : attempt.steps()) whole += TotalOf(step.measurement());
  if (attempt.steps_size() < 2 || whole == 0) {
    const std::string bars = Segments(attempt.measurement());
    if (bars.empty()) return "";
    return absl::StrCat("<div class=wf><b></b><span class=track><span class=w style=width:100%>",
                        bars, "</span></span><small>", TimingsText(attempt.measurement()),
                        "</small></div>\n");
  }
  std::string out = "<div class=wf>";
  uint64_t before = 0;
  for (int i = 0; i < std::min(attempt.steps_size(), kStepsMost); ++i) {
    const v1::StepResult& step = attempt.steps(i);
    const uint64_t total = TotalOf(step.measurement());
    absl::StrAppend(
        &out, "<b>", Text(step.name()), "</b><span class=track><span class=w style=\"",
        absl::StrFormat("margin-left:%.2f%%;width:%.2f%%", 100.0 * before / whole,
                        100.0 * total / whole),
        "\">", Segments(step.measurement()), "</span></span><small title=\"",
        TimingsText(step.measurement()), "\">", MicrosText(total), "</small>");
    before += total;
  }
  return out + "</div>\n";
}

std::string Assertions(const v1::Attempt& attempt) {
  std::string rows;
  int shown = 0, left = 0;
  for (const v1::Assertion& a : attempt.assertions()) {
    if (a.passed()) continue;
    if (++shown > kAssertionsMost) {
      ++left;
      continue;
    }
    absl::StrAppend(&rows, "<tr><th>", a.step().empty() ? "" : Text(a.step()) + ": ",
                    Text(a.subject()), " <em>", Text(a.operator_()), "</em></th><td>",
                    Text(a.expected()), "</td><td class=actual>", Text(a.actual()),
                    a.unjudged().empty()
                        ? ""
                        : absl::StrCat("<small>not judged: ", Text(a.unjudged()), "</small>"),
                    "</td></tr>\n");
  }
  if (rows.empty()) return "";
  if (left > 0) {
    absl::StrAppend(&rows, "<tr><td colspan=3>and ", left, " more</td></tr>\n");
  }
  return absl::StrCat(
      "<table class=as><tr><th>asserted</th><th>expected</th><th>actual</th></tr>\n", rows,
      "</table>\n");
}

std::string Attempts(const v1::Execution& execution) {
  if (execution.attempts_size() < 2) return "";
  std::string out =
      "<table class=at><tr><th>attempt</th><th>outcome</th><th>agent</th><th>took</th>"
      "<th></th></tr>\n";
  for (int i = 0; i < std::min(execution.attempts_size(), kAttemptsMost); ++i) {
    const v1::Attempt& a = execution.attempts(i);
    const std::string outcome = v1::Outcome::Value_Name(a.outcome());
    absl::StrAppend(&out, "<tr><td class=n>", a.number(), a.probe() ? " (probe)" : "",
                    "</td><td class=", outcome, ">", absl::AsciiStrToLower(outcome), " ",
                    ReasonText(a.reason()), "</td><td>", Text(a.agent()),
                    a.location().empty() || a.location() == execution.location()
                        ? ""
                        : absl::StrCat(" at ", Text(a.location())),
                    "</td><td class=n>", MicrosText(a.duration_us()), "</td><td>",
                    Text(a.message()), "</td></tr>\n");
  }
  return out + "</table>\n";
}

std::string Badge(absl::string_view what, absl::string_view value) {
  if (value.empty()) return "";
  return absl::StrCat("<span class=chip>", what, what.empty() ? "" : " ", "<b>", Text(value),
                      "</b></span>");
}

}  // namespace

const absl::string_view kHtmlHead = R"(<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<style>
:root{color-scheme:light dark;--bg:#f6f7f9;--card:#fff;--ink:#1c2128;--dim:#66707b;--line:#d9dee4;
--ok:#1a7f37;--bad:#cf222e;--odd:#9a6700;--off:#8c959f;--dns:#8250df;--connect:#bf8700;--tls:#bc4c00;
--send:#57606a;--first_byte:#2da44e;--transfer:#0969da}
@media(prefers-color-scheme:dark){:root{--bg:#0f1318;--card:#171c23;--ink:#e3e8ee;--dim:#8d97a3;
--line:#2b323c;--ok:#3fb950;--bad:#f85149;--odd:#d29922;--off:#6e7681}}
*{box-sizing:border-box}
body{font:14px/1.5 system-ui,-apple-system,"Segoe UI",sans-serif;margin:0 auto;max-width:76rem;padding:1.5rem;
background:var(--bg);color:var(--ink);display:flex;flex-direction:column;gap:1.25rem}
header,section{background:var(--card);border:1px solid var(--line);border-radius:.6rem;padding:1.1rem 1.4rem;
overflow-x:auto}
header{border-left:.5rem solid var(--odd)}header.PASSED{border-left-color:var(--ok)}
header.FAILED{border-left-color:var(--bad)}section{order:2}#failures{order:1}footer{order:3;color:var(--dim)}
h1{font-size:1.7rem;line-height:1.25;margin:0;overflow-wrap:anywhere}h1 b{margin-right:.35em}
h2{font-size:1.1rem;margin:0 0 .7rem}h4{margin:.7rem 0 .2rem;color:var(--dim);font-weight:600}
p{margin:.35rem 0}.dim,small,.dim a{color:var(--dim)}code,pre{font:12.5px/1.5 ui-monospace,"SF Mono",Menlo,Consolas,monospace}
pre{white-space:pre-wrap;overflow-wrap:anywhere;margin:.2rem 0;padding:.6rem .8rem;background:var(--bg);
border:1px solid var(--line);border-radius:.4rem}
.PASSED{color:var(--ok)}.FAILED{color:var(--bad)}.SKIPPED,.UNDECIDED{color:var(--off)}
.INCONCLUSIVE,.CANCELLED,.EXPIRED,.UNASSIGNED,.VERDICT_UNSPECIFIED{color:var(--odd)}header{color:var(--ink)!important}
.chip{display:inline-block;border:1px solid var(--line);border-radius:1em;padding:0 .6em;margin:.15em .3em .15em 0;
color:var(--dim);overflow-wrap:anywhere}.chip b{color:var(--ink);font-weight:600}
table{border-collapse:collapse}th,td{border-bottom:1px solid var(--line);padding:.3em .9em .3em 0;text-align:left;
vertical-align:top;overflow-wrap:anywhere}th{font-weight:600}tr:first-child>th{color:var(--dim);font-weight:500;
white-space:nowrap}td.n,th.n{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}td.z{color:var(--off)}
.bar{display:flex;height:.7rem;border-radius:.35rem;overflow:hidden;background:var(--line);min-width:8rem}
.bar i{background:currentColor;min-width:2px}
.sum{display:flex;flex-wrap:wrap;align-items:baseline;gap:.3rem 1.1rem;margin:.7rem 0 0;padding:0;list-style:none}
.sum b{font-size:1.35rem;font-variant-numeric:tabular-nums}.sum .z{opacity:.45}
.w{display:flex;height:.5em;border-radius:.25em;overflow:hidden;background:var(--line)}.w i{min-width:1px;flex-basis:0}
.dns{background:var(--dns)}.connect{background:var(--connect)}.tls{background:var(--tls)}.send{background:var(--send)}
.first_byte{background:var(--first_byte)}.transfer{background:var(--transfer)}
.k{color:var(--dim)}.k i{display:inline-block;width:.9em;height:.9em;border-radius:.2em;vertical-align:-.1em;margin:0 .3em 0 .9em}
.card{border:1px solid var(--line);border-left:.3rem solid var(--odd);border-radius:.4rem;padding:.5rem .9rem;margin:.6rem 0}
.card.FAILED{border-left-color:var(--bad)}.card,.card>*{color:var(--ink)}.card:target{outline:2px solid var(--transfer)}
summary{cursor:pointer;overflow-wrap:anywhere}.card>summary>b:first-child{margin-right:.5em}.msg{font-size:1.02rem;margin:.5rem 0}
.card table{margin:.5rem 0}.as td,.as th{font-family:ui-monospace,Menlo,Consolas,monospace;font-size:12.5px}
.as tr:first-child>th{font-family:inherit;font-size:inherit}.as em{color:var(--dim);font-style:normal}.as .actual{color:var(--bad)}
.actual small{display:block}
.wf{display:grid;grid-template-columns:fit-content(14rem) 1fr fit-content(24rem);gap:.25rem .8rem;align-items:center;margin:.6rem 0}
.wf b{font-weight:500;overflow-wrap:anywhere}.track{background:var(--bg);border-radius:.25em}.wf .w{height:.75em;min-width:2px}
.grid td{min-width:8.5rem}.grid a{color:inherit;text-decoration:none}.grid a:hover{text-decoration:underline}
.grid th:first-child{min-width:14rem}.grid .w{margin-top:.2em}.grid td small{white-space:nowrap}
@media print{body{background:#fff;padding:0}header,section{break-inside:avoid}}
</style>
)";

std::string HtmlClass(v1::End::Value end) { return v1::End::Value_Name(end); }
std::string HtmlWord(v1::End::Value end) {
  return absl::AsciiStrToLower(v1::End::Value_Name(end));
}

std::string HtmlWaterfall(const v1::Measurement& measurement) {
  const std::string bars = Segments(measurement);
  if (bars.empty()) return "";
  // 1 ms is 2 em, and ten times as long is 2 em more.
  const double width = 2 + 2 * std::log10(std::max(1.0, TotalOf(measurement) / 1e3));
  return absl::StrCat("<span class=w style=width:",
                      absl::StrFormat("%.1f", std::min(width, 10.0)), "em>", bars, "</span>");
}

std::string HtmlLegend() {
  std::string out = "<p class=k>";
  for (absl::string_view phase : {"dns", "connect", "tls", "send", "first_byte", "transfer"}) {
    absl::StrAppend(&out, "<i class=", phase, "></i>", phase == "first_byte" ? "first byte" : phase);
  }
  return out + "</p>\n";
}

std::string HtmlLedgerBar(const v1::Ledger& l) {
  std::string out = "<div class=bar>";
  const auto part = [&out](absl::string_view name, uint32_t count) {
    if (count > 0) {
      absl::StrAppend(&out, "<i class=", name, " style=flex-grow:", count, " title=\"", count, " ",
                      absl::AsciiStrToLower(name), "\"></i>");
    }
  };
  part("PASSED", l.passed());
  part("FAILED", l.failed());
  part("INCONCLUSIVE", l.inconclusive());
  part("SKIPPED", l.skipped());
  part("CANCELLED", l.cancelled());
  part("EXPIRED", l.expired());
  part("UNASSIGNED", l.unassigned());
  return out + "</div>";
}

std::string HtmlLedger(const v1::Ledger& l) {
  std::string out = absl::StrCat(HtmlLedgerBar(l), "\n<ul class=sum><li><b>", l.planned(),
                                 "</b> planned =</li>");
  const auto part = [&out](absl::string_view name, uint32_t count, absl::string_view plus) {
    absl::StrAppend(&out, "<li class=\"", name, count == 0 ? " z" : "", "\"><b>", count, "</b> ",
                    absl::AsciiStrToLower(name), plus, "</li>");
  };
  part("PASSED", l.passed(), " +");
  part("FAILED", l.failed(), " +");
  part("INCONCLUSIVE", l.inconclusive(), " +");
  part("SKIPPED", l.skipped(), " +");
  part("CANCELLED", l.cancelled(), " +");
  part("EXPIRED", l.expired(), " +");
  part("UNASSIGNED", l.unassigned(), "");
  if (l.flaky() > 0) absl::StrAppend(&out, "<li class=dim>(", l.flaky(), " flaky)</li>");
  if (l.learning() > 0) {
    absl::StrAppend(&out, "<li class=dim>(", l.learning(), " learning)</li>");
  }
  return out + "</ul>\n";
}

std::string HtmlFailure(const v1::Execution& execution, bool with_suite, bool open) {
  const std::string end = HtmlClass(execution.end());
  const v1::Attempt* attempt = DecidingAttempt(execution);
  std::string out = absl::StrCat(
      "<details class=\"card ", end, "\" id=e", execution.execution(), open ? " open" : "",
      "><summary><b class=", end, ">", end, "</b>", Text(ExecutionTitle(execution, with_suite)),
      "</summary>\n");
  absl::StrAppend(&out, "<p>", Badge("", ReasonText(execution.reason())));
  if (execution.blame() != v1::Blame::none) {
    absl::StrAppend(&out, Badge("blame", v1::Blame::Value_Name(execution.blame())));
  }
  if (attempt != nullptr) absl::StrAppend(&out, Badge("agent", attempt->agent()));
  if (!execution.blocking()) absl::StrAppend(&out, Badge("", "not blocking"));
  absl::StrAppend(&out, Badge("execution", absl::StrCat("#", execution.execution())), "</p>\n");
  if (attempt == nullptr) return out + "<p class=dim>It never ran.</p></details>\n";
  if (!attempt->message().empty()) {
    absl::StrAppend(&out, "<p class=msg>", Text(attempt->message()), "</p>\n");
  }
  absl::StrAppend(&out, Assertions(*attempt), Attempts(execution), Steps(*attempt));
  if (attempt->quality().poor()) {
    out += "<p>The measurement is poor: the agent was too loaded to measure well.</p>\n";
  }
  for (const std::string& warning : attempt->warnings()) {
    absl::StrAppend(&out, "<p class=dim>warning: ", Text(warning), "</p>\n");
  }
  absl::StrAppend(&out, Block("again by hand", attempt->evidence().curl()),
                  Evidence(attempt->evidence()), "</details>\n");
  return out;
}

}  // namespace picket
