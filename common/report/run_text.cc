#include "common/report/run_text.h"

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"

namespace picket {
namespace {

constexpr size_t kAttemptsShown = 10;

void AddAssertion(const v1::Assertion& assertion, std::vector<Detail>& details) {
  details.push_back(
      {"asserted", absl::StrCat(assertion.step().empty() ? "" : assertion.step() + ": ",
                                assertion.subject(), " ", assertion.operator_())});
  details.push_back({"expected", assertion.expected()});
  details.push_back({"actual", assertion.actual()});
  if (!assertion.unjudged().empty()) details.push_back({"unjudged", assertion.unjudged()});
}

}  // namespace

std::string LedgerText(const v1::Ledger& l) {
  std::vector<std::string> marks;
  if (l.flaky() > 0) marks.push_back(absl::StrCat(l.flaky(), " flaky"));
  if (l.learning() > 0) marks.push_back(absl::StrCat(l.learning(), " learning"));
  return absl::StrCat("planned ", l.planned(), " = ", l.passed(), " passed + ", l.failed(),
                      " failed + ", l.inconclusive(), " inconclusive + ", l.skipped(),
                      " skipped + ", l.cancelled(), " cancelled + ", l.expired(), " expired + ",
                      l.unassigned(), " unassigned",
                      marks.empty() ? "" : absl::StrCat(" (", absl::StrJoin(marks, ", "), ")"));
}

std::string VerdictLine(const v1::Run& run) {
  const v1::Ledger& l = run.ledger();
  if (run.state() == v1::Run::SEALED) {
    return absl::StrCat(v1::Verdict::Value_Name(run.verdict()), "  ", LedgerText(l));
  }
  const uint32_t decided = l.passed() + l.failed() + l.inconclusive() + l.skipped() +
                           l.cancelled() + l.expired() + l.unassigned();
  return absl::StrCat(v1::Run::State_Name(run.state()), "  ", decided, " of ", l.planned(),
                      " decided: ", l.passed(), " passed, ", l.failed(), " failed, ",
                      l.inconclusive(), " inconclusive, ", l.skipped(), " skipped");
}

std::string ExecutionTitle(const v1::Execution& execution, bool with_suite) {
  return absl::StrCat(with_suite ? absl::StrCat(execution.suite(), ": ") : "", execution.test(),
                      " [", execution.location(), "]",
                      execution.has_row() ? absl::StrCat(" row ", execution.row()) : "");
}

bool HasSeveralSuites(const v1::Run& run) { return absl::StrContains(run.suite(), ", "); }

const v1::Attempt* DecidingAttempt(const v1::Execution& execution) {
  const bool flaky_failed = execution.flaky() && execution.end() == v1::End::FAILED;
  const v1::Attempt* last = nullptr;
  for (const v1::Attempt& attempt : execution.attempts()) {
    if (attempt.probe()) continue;
    if (flaky_failed && last != nullptr && attempt.outcome() == v1::Outcome::PASSED) continue;
    if (last == nullptr || attempt.outcome() != v1::Outcome::INCONCLUSIVE ||
        last->outcome() == v1::Outcome::INCONCLUSIVE) {
      last = &attempt;
    }
  }
  return last;
}

std::string LearningText(const v1::Execution& execution) {
  if (!execution.learning()) return "";
  const v1::Attempt* attempt = DecidingAttempt(execution);
  if (attempt == nullptr) attempt = &v1::Attempt::default_instance();
  for (const v1::Assertion& assertion : attempt->assertions()) {
    absl::string_view why = assertion.unjudged();
    if (absl::ConsumePrefix(&why, "learning: ")) {
      return absl::StrCat(assertion.subject(), " ", assertion.operator_(), ": ", why);
    }
  }
  return "a latency gate lacks history";
}

std::string SkipText(const v1::Execution& execution) {
  return execution.skip_reason().empty() ? "skipped by the suite" : execution.skip_reason();
}

int AttemptCount(const v1::Execution& execution) {
  int count = 0;
  for (const v1::Attempt& attempt : execution.attempts()) count += attempt.probe() ? 0 : 1;
  return count;
}

std::string AttemptsText(const v1::Execution& execution) {
  std::vector<std::string> parts;
  for (const v1::Attempt& attempt : execution.attempts()) {
    if (parts.size() == kAttemptsShown) {
      const size_t all = static_cast<size_t>(execution.attempts_size());
      parts.push_back(absl::StrCat("and ", all - kAttemptsShown, " more"));
      break;
    }
    const std::string reason = ReasonText(attempt.reason());
    parts.push_back(absl::StrCat(
        attempt.probe() ? "probe #" : "#", attempt.number(), attempt.agent().empty() ? "" : " ",
        attempt.agent(), attempt.probe() ? absl::StrCat(" [", attempt.location(), "]") : "", ": ",
        reason.empty() ? absl::AsciiStrToLower(v1::Outcome::Value_Name(attempt.outcome()))
                       : reason));
  }
  return absl::StrJoin(parts, "; ");
}

std::string BlameText(v1::Blame::Value blame) {
  return blame == v1::Blame::none ? "" : v1::Blame::Value_Name(blame);
}

bool IsBad(v1::End::Value end) {
  return end != v1::End::UNDECIDED && end != v1::End::PASSED && end != v1::End::SKIPPED;
}

std::string MicrosText(uint64_t us) {
  if (us < 1'000) return absl::StrCat(us, " us");
  if (us < 10'000) return absl::StrFormat("%.1f ms", us / 1e3);
  if (us < 1'000'000) return absl::StrFormat("%.0f ms", us / 1e3);
  return absl::StrFormat("%.2f s", us / 1e6);
}

std::string TimingsText(const v1::Measurement& measurement) {
  std::vector<std::string> parts;
  for (const v1::Phase& phase : measurement.phases()) {
    parts.push_back(absl::StrCat(v1::Phase::Name_Name(phase.name()), " ", MicrosText(phase.us())));
  }
  return absl::StrJoin(parts, ", ");
}

std::string ReasonText(v1::FailureReason::Value reason) {
  return reason == v1::FailureReason::none ? "" : v1::FailureReason::Value_Name(reason);
}

absl::Time ToTime(const google::protobuf::Timestamp& time) {
  return absl::FromUnixSeconds(time.seconds()) + absl::Nanoseconds(time.nanos());
}

std::string TimeText(const google::protobuf::Timestamp& time) {
  if (time.seconds() == 0) return "";
  return absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", ToTime(time), absl::UTCTimeZone());
}

std::vector<Detail> FailureDetails(const v1::Execution& execution, int assertions_most) {
  std::vector<Detail> details;
  const v1::Attempt* attempt = DecidingAttempt(execution);
  if (attempt == nullptr) return details;
  if (execution.flaky() && execution.end() == v1::End::FAILED) {
    details.push_back({"policy", "it passed after a failed attempt, and flaky: fail counts that "
                                 "as failed"});
  }
  if (!attempt->message().empty()) details.push_back({"message", attempt->message()});
  int shown = 0, left = 0;
  for (const v1::Assertion& assertion : attempt->assertions()) {
    if (assertion.passed()) continue;
    if (shown == assertions_most) {
      ++left;
      continue;
    }
    ++shown;
    AddAssertion(assertion, details);
  }
  if (left > 0) details.push_back({"asserted", absl::StrCat("and ", left, " more")});
  if (execution.attempts_size() > 1) details.push_back({"attempts", AttemptsText(execution)});
  std::string timings = TimingsText(attempt->measurement());
  if (!timings.empty()) details.push_back({"timings", std::move(timings)});
  if (attempt->quality().poor()) {
    details.push_back({"quality", "poor: the agent was too loaded to measure well"});
  }
  for (const std::string& warning : attempt->warnings()) details.push_back({"warning", warning});
  if (!attempt->evidence().curl().empty()) details.push_back({"curl", attempt->evidence().curl()});
  return details;
}

}  // namespace picket
