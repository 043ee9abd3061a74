#include "cli/report_set.h"

#include <sys/stat.h>

#include <filesystem>
#include <memory>

#include "absl/strings/str_cat.h"
#include "cli/file_sink.h"
#include "common/base/backoff.h"
#include "common/policy/limits.h"
#include "common/report/evidence_reader.h"

namespace picket {
namespace {

// One report on its way into a file.
struct Writing {
  ReportRequest request;
  AtomicFileSink sink;
  std::unique_ptr<Report> report;
  absl::Status status;
};

}  // namespace

bool IsSameFile(const std::string& a, const std::string& b) {
  std::error_code error;
  const auto resolve = [&error](const std::string& path) {
    return std::filesystem::weakly_canonical(std::filesystem::absolute(path, error), error);
  };
  if (a == b || resolve(a) == resolve(b)) return true;
  struct stat of_a, of_b;
  return stat(a.c_str(), &of_a) == 0 && stat(b.c_str(), &of_b) == 0 && of_a.st_dev == of_b.st_dev &&
         of_a.st_ino == of_b.st_ino;
}

absl::Status CheckReportPaths(const std::vector<ReportRequest>& reports,
                              absl::string_view prefix) {
  for (size_t i = 0; i < reports.size(); ++i) {
    for (size_t j = 0; j < i; ++j) {
      if (!IsSameFile(reports[i].path, reports[j].path)) continue;
      return absl::InvalidArgumentError(
          absl::StrCat("--", prefix, ReportFormatName(reports[j].format), " and --", prefix,
                       ReportFormatName(reports[i].format), " both name ", reports[i].path,
                       "; give each report a file of its own"));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckReportsSpare(const std::vector<ReportRequest>& reports,
                               const std::vector<std::string>& files) {
  for (const ReportRequest& report : reports) {
    for (const std::string& file : files) {
      if (!IsSameFile(report.path, file)) continue;
      return absl::InvalidArgumentError(
          absl::StrCat("the ", ReportFormatName(report.format), " report would be written over ",
                       file, ", which is read; give it a file of its own"));
    }
  }
  return absl::OkStatus();
}

absl::Status ReadExecutions(Environment& env, RunClient& client, const std::string& run_id,
                            const ReadOptions& options,
                            absl::FunctionRef<bool(v1::Execution&)> each, absl::Duration patience) {
  v1::ListExecutionsRequest request;
  request.set_run_id(run_id);
  request.set_page_size(static_cast<int32_t>(DefaultLimits().list_page_size));
  request.set_view(options.view);
  request.set_only_failures(options.only_failures);
  request.set_or_flaky(options.or_flaky);
  EvidenceReader evidence([&](uint32_t execution, uint32_t attempt) {
    v1::GetEvidenceRequest one;
    one.set_run_id(run_id);
    one.set_execution(execution);
    one.set_attempt(attempt);
    return client.GetEvidence(one);
  });
  Backoff backoff;
  absl::Duration last = env.clock->Monotonic();
  while (true) {
    absl::StatusOr<v1::ListExecutionsResponse> page = client.ListExecutions(request);
    if (!page.ok()) {
      // A page of executions with much to say may be more than a message holds.
      if (absl::IsResourceExhausted(page.status()) && request.page_size() > 1) {
        request.set_page_size(request.page_size() / 2);
        continue;
      }
      if (!absl::IsUnavailable(page.status()) || env.interrupts->raised() ||
          env.clock->Monotonic() - last >= patience) {
        return page.status();
      }
      env.wait(backoff.Next(*env.random));
      continue;
    }
    last = env.clock->Monotonic();
    backoff.Reset();
    for (v1::Execution& execution : *page->mutable_executions()) {
      if (options.evidence) evidence.Fill(execution);
      if (!each(execution)) return absl::OkStatus();
    }
    if (page->next_page_token().empty()) return absl::OkStatus();
    request.set_page_token(page->next_page_token());
  }
}

std::vector<absl::Status> WriteReports(Environment& env, RunClient& client,
                                       const std::vector<ReportRequest>& reports,
                                       const ReportHeader& header) {
  std::vector<std::unique_ptr<Writing>> writings;
  std::vector<absl::Status> errors;
  bool evidence = false;
  for (const ReportRequest& request : reports) {
    auto writing = std::make_unique<Writing>();
    writing->request = request;
    const absl::Status opened = writing->sink.Open(request.path);
    if (!opened.ok()) {
      errors.push_back(opened);
      continue;
    }
    evidence = evidence || request.format != ReportFormat::kMarkdown;
    writing->report = MakeReport(request.format, &writing->sink);
    writing->report->Begin(header);
    writings.push_back(std::move(writing));
  }
  if (writings.empty()) return errors;
  const absl::Status read = ReadExecutions(
      env, client, header.run.run_id(),
      {.view = v1::ListExecutionsRequest::FULL, .evidence = evidence}, [&](v1::Execution& e) {
        for (auto& writing : writings) writing->report->Add(e);
        return true;
      });
  for (auto& writing : writings) {
    if (!read.ok()) {
      errors.push_back(absl::Status(
          read.code(), absl::StrCat("cannot write ", writing->request.path,
                                    ": the executions could not be read: ", read.message())));
      continue;
    }
    writing->report->End();
    const absl::Status status = writing->sink.Commit();
    if (!status.ok()) errors.push_back(status);
  }
  return errors;
}

}  // namespace picket
