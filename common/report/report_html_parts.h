// File: report_html_parts.h
//
// The pieces of the HTML report: its head with all of its style, waterfalls, and the card
// of an execution that did not pass. Everything that came from outside is escaped here.
//
// Thread rule: pure.

#ifndef COMMON_REPORT_REPORT_HTML_PARTS_H_
#define COMMON_REPORT_REPORT_HTML_PARTS_H_

#include <string>

#include "absl/strings/string_view.h"
#include "picket/v1/run.pb.h"

namespace picket {

// From the doctype to the end of the style; the title comes after it. The sections are
// written in the order in which they are known, and shown in another (`order`).
extern const absl::string_view kHtmlHead;

// "PASSED" as a class and "passed" as a word.
std::string HtmlClass(v1::End::Value end);
std::string HtmlWord(v1::End::Value end);

// The phases of one measurement, each as wide as it took; the longer in all, the wider.
// Empty if nothing was measured.
std::string HtmlWaterfall(const v1::Measurement& measurement);

// What the colours of a waterfall mean.
std::string HtmlLegend();

// A ledger as a bar; the numbers are written beside it.
std::string HtmlLedgerBar(const v1::Ledger& ledger);
// The promise: planned, and the seven ends that add up to it.
std::string HtmlLedger(const v1::Ledger& ledger);

// The whole story of an execution that did not pass, open or closed, under the id that its
// cell in the grid links to ("e12").
std::string HtmlFailure(const v1::Execution& execution, bool with_suite, bool open);

}  // namespace picket

#endif  // COMMON_REPORT_REPORT_HTML_PARTS_H_
