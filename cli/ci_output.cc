#include "cli/ci_output.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "cli/connection_flags.h"
#include "cli/file_sink.h"
#include "cli/report_set.h"
#include "common/report/run_text.h"

namespace picket {
namespace {

bool IsTrue(const Environment& env, const std::string& name) {
  const std::optional<std::string> value = env.variable(name);
  return value.has_value() && *value == "true";
}

std::string PathOf(const Environment& env, const std::string& name) {
  return env.variable(name).value_or("");
}

// Appends, never truncates: other steps and tools write there too. Nothing is written if
// the file would grow past `bytes_max`.
absl::Status Append(const std::string& path, absl::string_view text, size_t bytes_max) {
  const int fd = open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot open ", path));
  absl::Cleanup closer = [fd] { close(fd); };
  struct stat info;
  if (fstat(fd, &info) == 0 && static_cast<uint64_t>(info.st_size) + text.size() > bytes_max) {
    return absl::ResourceExhaustedError(absl::StrCat(path, " holds ", info.st_size,
                                                     " bytes already; with ", text.size(),
                                                     " more it would pass ", bytes_max));
  }
  DescriptorSink sink(fd);
  sink.Write(text);
  const absl::Status status = sink.Flush();
  return status.ok() ? status
                     : absl::Status(status.code(),
                                    absl::StrCat("cannot write ", path, ": ", status.message()));
}

// Only what the report shows is read: failures, and passes with a mark where there are any.
absl::Status Summarise(Environment& env, RunClient& client, const ReportHeader& header,
                       TextSink* sink) {
  const std::unique_ptr<Report> report = MakeMarkdownReport(sink);
  report->Begin(header);
  const v1::Ledger& ledger = header.run.ledger();
  const bool clean = ledger.planned() == ledger.passed() + ledger.skipped();
  absl::Status read;
  const bool marked = ledger.flaky() + ledger.learning() > 0;
  if (!clean || marked) {
    read = ReadExecutions(
        env, client, header.run.run_id(),
        {.view = v1::ListExecutionsRequest::FULL, .only_failures = !marked},
        [&](v1::Execution& execution) {
          report->Add(execution);
          return true;
        });
  }
  report->End();
  return read;
}

// The values are of closed sets: a word, numbers, an id of [a-z2-7].
std::string Outputs(const v1::Run& run) {
  const v1::Ledger& l = run.ledger();
  return absl::StrCat("run_id=", run.run_id(), "\nverdict=", v1::Verdict::Value_Name(run.verdict()),
                      "\nplanned=", l.planned(), "\npassed=", l.passed(), "\nfailed=", l.failed(),
                      "\ninconclusive=", l.inconclusive(), "\n");
}

std::string EscapedId(absl::string_view id) {
  const bool plain = !id.empty() && std::all_of(id.begin(), id.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '2' && c <= '7');
  });
  return plain ? std::string(id) : "";
}

}  // namespace

void WriteGithubFiles(Environment& env, RunClient& client, const ReportHeader& header) {
  if (!IsTrue(env, "GITHUB_ACTIONS")) return;
  const auto tell = [&](absl::string_view what, const absl::Status& status) {
    if (!status.ok()) PrintError(env, absl::StrCat(what, ": ", status.message()));
  };
  if (const std::string path = PathOf(env, "GITHUB_STEP_SUMMARY"); !path.empty()) {
    StringSink text;
    const absl::Status read = Summarise(env, client, header, &text);
    tell("the step summary is not whole", read);
    tell("the step summary", Append(path, absl::StrCat(text.text(), "\n"), kStepSummaryBytes));
  }
  if (const std::string path = PathOf(env, "GITHUB_OUTPUT"); !path.empty()) {
    v1::Run run = header.run;
    run.set_run_id(EscapedId(run.run_id()));
    tell("the step's outputs", Append(path, Outputs(run), SIZE_MAX));
  }
}

CiSection::CiSection(Environment& env, Printer& printer, absl::string_view name,
                     absl::string_view title)
    : env_(env), printer_(printer), name_(name), open_(IsTrue(env, "GITLAB_CI")) {
  if (!open_) return;
  printer_.Raw(absl::StrCat("\x1b[0Ksection_start:", absl::ToUnixSeconds(env_.clock->TimeNow()),
                            ":", name_, "\r\x1b[0K", title, "\n"));
}

CiSection::~CiSection() {
  if (!open_) return;
  printer_.Raw(absl::StrCat("\x1b[0Ksection_end:", absl::ToUnixSeconds(env_.clock->TimeNow()), ":",
                            name_, "\r\x1b[0K\n"));
}

}  // namespace picket
