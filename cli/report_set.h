// File: report_set.h
//
// All reports of one run, written side by side from one reading of its executions. One
// that cannot be written does not hinder the others, nor the verdict.
//
// Thread rule: thread-compatible.

#ifndef CLI_REPORT_SET_H_
#define CLI_REPORT_SET_H_

#include <functional>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "cli/environment.h"
#include "cli/run_client.h"
#include "common/report/report.h"

namespace picket {

struct ReportRequest {
  ReportFormat format;
  std::string path;
};

// Whether two paths lead to one file, which need not exist.
bool IsSameFile(const std::string& a, const std::string& b);

// InvalidArgument, naming both flags (`prefix` as in "report-"), if two reports would go to
// one file.
absl::Status CheckReportPaths(const std::vector<ReportRequest>& reports,
                              absl::string_view prefix);
// InvalidArgument if a report would be written over a file that is read.
absl::Status CheckReportsSpare(const std::vector<ReportRequest>& reports,
                               const std::vector<std::string>& files);

struct ReadOptions {
  v1::ListExecutionsRequest::View view = v1::ListExecutionsRequest::FULL;
  bool only_failures = false;
  bool or_flaky = false;
  // Fetch the evidence of failed attempts where the page brought none.
  bool evidence = false;
};

// Calls `each` for every execution by number, page by page, again and again at lost
// connections until `patience` has passed without a page. `each` returns false to stop.
absl::Status ReadExecutions(Environment& env, RunClient& client, const std::string& run_id,
                            const ReadOptions& options,
                            absl::FunctionRef<bool(v1::Execution&)> each,
                            absl::Duration patience = absl::Seconds(30));

// Writes all; returns what went wrong, one status a report that was not written.
std::vector<absl::Status> WriteReports(Environment& env, RunClient& client,
                                       const std::vector<ReportRequest>& reports,
                                       const ReportHeader& header);

}  // namespace picket

#endif  // CLI_REPORT_SET_H_
