// File: report.h
//
// A report is a pure function of a run and the stream of its executions by number. It
// holds no more than it must: a million executions pass through in bounded memory.
//
// Formats: JUnit as Jenkins' junit-10.xsd has it · JSON as message Report in
// run.proto · CTRF (ctrf.io, schema 0.0.0 line) · TAP 14 (testanything.org) · Markdown
// (GitHub's, at most 1 MiB) · HTML (one file, no script, no network).
//
// Thread rule: thread-compatible. Calls come in order: Begin, Add..., End.

#ifndef COMMON_REPORT_REPORT_H_
#define COMMON_REPORT_REPORT_H_

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/report/text_sink.h"
#include "picket/v1/run.pb.h"

namespace picket {

enum class ReportFormat { kJunit, kJson, kCtrf, kTap, kMarkdown, kHtml };

// "junit", "json", "ctrf", "tap", "markdown", "html".
absl::string_view ReportFormatName(ReportFormat format);
// The format of that name, if there is one.
std::optional<ReportFormat> ReportFormatNamed(absl::string_view name);

struct ReportHeader {
  v1::Run run;
  std::vector<v1::LocationProgress> locations;
};

class Report {
 public:
  virtual ~Report() = default;
  virtual void Begin(const ReportHeader& header) = 0;
  // Views are FULL. By number, each once.
  virtual void Add(const v1::Execution& execution) = 0;
  virtual void End() = 0;
};

// `sink` must outlive the report.
std::unique_ptr<Report> MakeReport(ReportFormat format, TextSink* sink);

std::unique_ptr<Report> MakeJunitReport(TextSink* sink);
std::unique_ptr<Report> MakeJsonReport(TextSink* sink);
std::unique_ptr<Report> MakeCtrfReport(TextSink* sink);
std::unique_ptr<Report> MakeTapReport(TextSink* sink);
std::unique_ptr<Report> MakeMarkdownReport(TextSink* sink);
std::unique_ptr<Report> MakeHtmlReport(TextSink* sink);

}  // namespace picket

#endif  // COMMON_REPORT_REPORT_H_
