#include "common/report/report.h"

namespace picket {

absl::string_view ReportFormatName(ReportFormat format) {
  switch (format) {
    case ReportFormat::kJunit:
      return "junit";
    case ReportFormat::kJson:
      return "json";
    case ReportFormat::kCtrf:
      return "ctrf";
    case ReportFormat::kTap:
      return "tap";
    case ReportFormat::kMarkdown:
      return "markdown";
    case ReportFormat::kHtml:
      return "html";
  }
  return "";
}

std::optional<ReportFormat> ReportFormatNamed(absl::string_view name) {
  for (const ReportFormat format :
       {ReportFormat::kJunit, ReportFormat::kJson, ReportFormat::kCtrf, ReportFormat::kTap,
        ReportFormat::kMarkdown, ReportFormat::kHtml}) {
    if (ReportFormatName(format) == name) return format;
  }
  return std::nullopt;
}

std::unique_ptr<Report> MakeReport(ReportFormat format, TextSink* sink) {
  switch (format) {
    case ReportFormat::kJunit:
      return MakeJunitReport(sink);
    case ReportFormat::kJson:
      return MakeJsonReport(sink);
    case ReportFormat::kCtrf:
      return MakeCtrfReport(sink);
    case ReportFormat::kTap:
      return MakeTapReport(sink);
    case ReportFormat::kMarkdown:
      return MakeMarkdownReport(sink);
    case ReportFormat::kHtml:
      return MakeHtmlReport(sink);
  }
  return nullptr;
}

}  // namespace picket
