// File: ci_output.h
//
// What a CI system shows of a run besides its log: GitHub's step summary and outputs (also
// Gitea's and Forgejo's), GitLab's sections. Annotations belong to the log (run_end.h).
//
// Sources: GitHub's "Workflow commands" (GITHUB_STEP_SUMMARY, at most 1 MiB a step;
// GITHUB_OUTPUT), GitLab's "Custom collapsible sections".
//
// Thread rule: thread-compatible.

#ifndef CLI_CI_OUTPUT_H_
#define CLI_CI_OUTPUT_H_

#include <cstddef>
#include <string>

#include "absl/strings/string_view.h"
#include "cli/environment.h"
#include "cli/printer.h"
#include "cli/run_client.h"
#include "common/report/report.h"

namespace picket {

// GitHub refuses the summary of a step beyond this.
inline constexpr size_t kStepSummaryBytes = size_t{1} << 20;

// Appends the Markdown report to $GITHUB_STEP_SUMMARY and `run_id`, `verdict`, `planned`,
// `passed`, `failed`, `inconclusive` to $GITHUB_OUTPUT, each if it is set and
// GITHUB_ACTIONS=true. What cannot be written is printed as an error and changes nothing.
void WriteGithubFiles(Environment& env, RunClient& client, const ReportHeader& header);

// On GitLab (GITLAB_CI=true) a section of the log, which can be folded, from here to the
// end of its life; elsewhere nothing.
class CiSection {
 public:
  // `name`: [a-z_]. `title`: harmless text. Both outlive it.
  CiSection(Environment& env, Printer& printer, absl::string_view name, absl::string_view title);
  ~CiSection();
  CiSection(const CiSection&) = delete;
  CiSection& operator=(const CiSection&) = delete;

 private:
  Environment& env_;
  Printer& printer_;
  const absl::string_view name_;
  const bool open_;
};

}  // namespace picket

#endif  // CLI_CI_OUTPUT_H_
