// File: run_end.h
//
// The end of a run as every command tells it: reports, failures in full, and the verdict
// with its ledger as the last line.
//
// Thread rule: thread-compatible.

#ifndef CLI_RUN_END_H_
#define CLI_RUN_END_H_

#include <memory>
#include <vector>

#include "cli/connection_flags.h"
#include "cli/display.h"
#include "cli/environment.h"
#include "cli/printer.h"
#include "cli/report_set.h"
#include "cli/run_client.h"
#include "picket/v1/run_service.pb.h"

namespace picket {

// --report-junit F and so on; `prefix` "" gives --junit F.
struct ReportFlags {
  std::string junit, json, ctrf, tap, markdown, html;

  void AddTo(FlagSet& flags, absl::string_view prefix);
  // InvalidArgument if two name one file.
  absl::StatusOr<std::vector<ReportRequest>> Requests() const;

 private:
  std::string prefix_;
};

std::unique_ptr<Display> MakeDisplay(Environment& env, const PrintFlags& print, Printer& printer);

// Failures in full, up to a number, and what else did not pass by location. Reading
// errors are printed, and change nothing.
void PrintFailures(Environment& env, RunClient& client, const v1::WatchRunResponse& state,
                   Printer& printer);

// Writes the reports and prints the end. Returns the exit code of the verdict.
int EndRun(Environment& env, RunClient& client, const v1::WatchRunResponse& state,
           const std::vector<ReportRequest>& reports, const PrintFlags& print, Printer& printer);

// The run's state now, whole.
absl::StatusOr<v1::WatchRunResponse> ReadState(Environment& env, RunClient& client,
                                               const std::string& run_id);

}  // namespace picket

#endif  // CLI_RUN_END_H_
