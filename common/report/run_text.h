// File: run_text.h
//
// Runs and executions in words, the same in every command. Nothing here is escaped:
// whoever prints passes the text through its sink's function.
//
// Thread rule: pure.

#ifndef COMMON_REPORT_RUN_TEXT_H_
#define COMMON_REPORT_RUN_TEXT_H_

#include <string>
#include <vector>

#include "absl/time/time.h"
#include "picket/v1/run.pb.h"

namespace picket {

// "planned 42 = 40 passed + 0 failed + ... + 0 unassigned (1 flaky)".
std::string LedgerText(const v1::Ledger& ledger);

// "PASSED  planned 42 = ..."; "RUNNING  ..." while it is not sealed.
std::string VerdictLine(const v1::Run& run);

// "buy a chair [eu-west] row 3"; with its suite before it, "checkout: ", if asked.
std::string ExecutionTitle(const v1::Execution& execution, bool with_suite);

// True if the run holds several suites, so that titles need them.
bool HasSeveralSuites(const v1::Run& run);

// The attempt that decided: the last that is not inconclusive and no probe, else the
// last; null if there was none. Of a pass that policy.flaky: fail made a failure, the
// last that failed.
const v1::Attempt* DecidingAttempt(const v1::Execution& execution);

// What its regression gates still wait for; empty without Execution::learning.
std::string LearningText(const v1::Execution& execution);
// Why it was skipped: what the suite says, or that it does.
std::string SkipText(const v1::Execution& execution);
// How many attempts there were, probes aside.
int AttemptCount(const v1::Execution& execution);

// "#1 eu-1: connect_refused; #2 eu-2: passed; probe #3 us-1 [us-east]: passed", of at
// most ten.
std::string AttemptsText(const v1::Execution& execution);

// The blame's name; empty for none.
std::string BlameText(v1::Blame::Value blame);

// Ended, but neither passed nor skipped.
bool IsBad(v1::End::Value end);

// "1.2 ms", "340 us", "12.4 s".
std::string MicrosText(uint64_t us);
// "dns 1.2 ms, connect 340 us, total 12.4 ms"; empty when nothing was measured.
std::string TimingsText(const v1::Measurement& measurement);

// The reason's name, e.g. "connect_refused"; empty for none.
std::string ReasonText(v1::FailureReason::Value reason);

// Of a proto time; "" when it is absent (0).
std::string TimeText(const google::protobuf::Timestamp& time);
absl::Time ToTime(const google::protobuf::Timestamp& time);

// What a person needs to know of an execution that did not pass, as label and value:
// the policy that made it a failure, message, what was asserted, expected and actual (of
// at most `assertions_most` that did not pass), all attempts if there were several,
// timings, warnings, and the curl line that repeats the request. Not escaped.
struct Detail {
  std::string label;
  std::string value;
};
std::vector<Detail> FailureDetails(const v1::Execution& execution, int assertions_most);

}  // namespace picket

#endif  // COMMON_REPORT_RUN_TEXT_H_
