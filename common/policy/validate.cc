#include "common/policy/validate.h"

#include <cmath>
#include <cstdint>
#include <set>
#include <string>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/base/ids.h"
#include "common/base/status_macros.h"
#include "common/policy/judge.h"
#include "common/policy/limits.h"
#include "common/policy/plan_shape.h"
#include "common/policy/regression.h"
#include "common/policy/syntax.h"
#include "common/policy/units.h"
#include "common/policy/validate_step.h"

namespace picket {
namespace {

template <typename... Parts>
absl::Status Bad(const Parts&... parts) {
  return absl::InvalidArgumentError(absl::StrCat(parts...));
}

template <typename... Parts>
absl::Status TooMany(const Parts&... parts) {
  return absl::ResourceExhaustedError(absl::StrCat(parts...));
}

// Every text distinct and of the right form.
template <typename Texts, typename Valid>
absl::Status CheckEach(const Texts& texts, absl::string_view what, Valid valid) {
  absl::flat_hash_set<std::string> seen;
  for (const std::string& text : texts) {
    if (!valid(text)) return Bad(what, " '", text, "' is not a valid one");
    if (!seen.insert(text).second) return Bad(what, " '", text, "' is there twice");
  }
  return absl::OkStatus();
}

absl::StatusOr<absl::Duration> ToDuration(const google::protobuf::Duration& proto,
                                          absl::string_view what) {
  // google/protobuf/duration.proto: at most 10,000 years, and one sign.
  if (proto.seconds() < 0 || proto.seconds() > 315'576'000'000 || proto.nanos() < 0 ||
      proto.nanos() > 999'999'999) {
    return Bad(what, " is negative or malformed");
  }
  return absl::Seconds(proto.seconds()) + absl::Nanoseconds(proto.nanos());
}

absl::Status CheckRetry(const v1::Retry& retry) {
  const Limits& limits = DefaultLimits();
  if (retry.attempts() < 1 || retry.attempts() > limits.attempts_most) {
    return Bad("retry.attempts is ", retry.attempts(), "; it must be from 1 to ",
               limits.attempts_most);
  }
  ABSL_ASSIGN_OR_RETURN(const absl::Duration delay, ToDuration(retry.delay(), "retry.delay"));
  if (delay > limits.retry_delay_longest) {
    return Bad("retry.delay is ", DurationText(delay), "; the longest is ",
               DurationText(limits.retry_delay_longest));
  }
  if (!(retry.backoff() >= 1 && retry.backoff() <= limits.retry_backoff_most)) {
    return Bad("retry.backoff is ", retry.backoff(), "; it must be from 1 to ",
               limits.retry_backoff_most);
  }
  if (retry.on().empty() || retry.where().empty()) {
    return Bad("retry.on and retry.where must not be empty");
  }
  std::set<int> on, where;
  for (int value : retry.on()) {
    if (!v1::Retry::On_IsValid(value) || value == 0 || !on.insert(value).second) {
      return Bad("retry.on holds an unknown value, or one twice");
    }
  }
  for (int value : retry.where()) {
    if (!v1::Retry::Where_IsValid(value) || value == 0 || !where.insert(value).second) {
      return Bad("retry.where holds an unknown value, or one twice");
    }
  }
  const auto anywhere =
      std::find(retry.where().begin(), retry.where().end(), static_cast<int>(v1::Retry::ANYWHERE));
  if (anywhere != retry.where().end() && anywhere + 1 != retry.where().end()) {
    return Bad("retry.where: nothing may follow anywhere: a probe never decides, so the "
               "execution was decided before it");
  }
  return absl::OkStatus();
}

absl::Status CheckMustFail(const v1::MustFail& must_fail) {
  if (must_fail.reasons().empty() == must_fail.statuses().empty()) {
    return Bad("must_fail must hold either reasons or status codes");
  }
  for (int reason : must_fail.reasons()) {
    if (!IsMustFailReason(static_cast<v1::FailureReason::Value>(reason))) {
      return Bad("must_fail.reason holds a reason that a target cannot fail with");
    }
  }
  for (uint32_t status : must_fail.statuses()) {
    if (!(status >= 1 && status <= 5) && !(status >= 100 && status <= 999)) {
      return Bad("must_fail.status ", status, " is no status code and no class");
    }
  }
  return absl::OkStatus();
}

// In a test of one request that is to fail before an answer is judged, nothing can be
// expected of the answer.
absl::Status CheckExpectBesideMustFail(const v1::Test& test) {
  if (test.steps_size() != 1 || test.steps(0).expect().empty() || !NeverJudges(test.must_fail())) {
    return absl::OkStatus();
  }
  return Bad("expect is never judged where must_fail names only reasons other than assertion; "
             "leave it out");
}

absl::Status CheckNames(const v1::Test& test) {
  absl::flat_hash_set<std::string> names;
  for (const v1::Variable& variable : test.vars()) {
    if (!IsName(variable.name())) return Bad("'", variable.name(), "' cannot name a variable");
    if (!names.insert(variable.name()).second) {
      return Bad("variable '", variable.name(), "' is there twice");
    }
    if (variable.json().empty()) return Bad("variable '", variable.name(), "' has no value");
    if (variable.json().size() > DefaultLimits().template_bytes) {
      return TooMany("variable '", variable.name(), "' has ", variable.json().size(), " bytes");
    }
  }
  for (const v1::SecretRef& secret : test.secrets()) {
    if (!IsName(secret.name())) return Bad("'", secret.name(), "' cannot name a secret");
    if (!names.insert(secret.name()).second) {
      return Bad("secret '", secret.name(), "' is there twice, or shares its name with a variable");
    }
    if (secret.source_case() == v1::SecretRef::SOURCE_NOT_SET) {
      return Bad("secret '", secret.name(), "' does not say where it comes from");
    }
  }
  for (const std::string& column : test.for_each().columns()) {
    for (const v1::SecretRef& secret : test.secrets()) {
      if (secret.name() == column)
        return Bad("column '", column, "' shares its name with a secret");
    }
  }
  return absl::OkStatus();
}

absl::Status CheckTable(const v1::Table& table) {
  if (static_cast<size_t>(table.rows_size()) > DefaultLimits().rows_per_test) {
    return TooMany("for_each has ", table.rows_size(), " rows; the most are ",
                   DefaultLimits().rows_per_test);
  }
  if (table.columns().empty() && !table.rows().empty()) return Bad("for_each has no columns");
  ABSL_RETURN_IF_ERROR(CheckEach(table.columns(), "for_each column", IsName));
  for (int i = 0; i < table.rows_size(); ++i) {
    if (table.rows(i).cells_size() != table.columns_size()) {
      return Bad("for_each row ", i, " has ", table.rows(i).cells_size(), " cells for ",
                 table.columns_size(), " columns");
    }
  }
  return absl::OkStatus();
}

absl::Status CheckFiles(const v1::Test& test) {
  absl::flat_hash_set<std::string> paths;
  for (const v1::FileRef& file : test.files()) {
    if (file.path().empty() || !paths.insert(file.path()).second) {
      return Bad("file '", file.path(), "' is there twice, or has no path");
    }
    if (file.sha256().size() != 32) return Bad("file '", file.path(), "' has no SHA-256");
  }
  return absl::OkStatus();
}

absl::Status CheckSteps(const v1::Test& test) {
  const Limits& limits = DefaultLimits();
  if (test.steps().empty()) return Bad("it has no steps");
  if (static_cast<size_t>(test.steps_size()) > limits.steps_per_test) {
    return TooMany("it has ", test.steps_size(), " steps; the most are ", limits.steps_per_test);
  }
  absl::flat_hash_set<std::string> names;
  for (int i = 0; i < test.steps_size(); ++i) {
    const v1::Step& step = test.steps(i);
    if (test.steps_size() > 1 && step.name().empty()) return Bad("step ", i + 1, " has no name");
    if (!step.name().empty() && (!IsTitle(step.name()) || !names.insert(step.name()).second)) {
      return Bad("step name '", step.name(), "' is there twice or not valid");
    }
    ABSL_RETURN_IF_ERROR(
        Annotate(ValidateStep(test, step),
                 step.name().empty() ? "request" : absl::StrCat("step '", step.name(), "'")));
  }
  return absl::OkStatus();
}

absl::Status CheckTest(const v1::Test& test) {
  const Limits& limits = DefaultLimits();
  if (!IsTestId(test.id())) return Bad("id '", test.id(), "' is not of [a-z0-9][a-z0-9-]{0,99}");
  if (!IsTitle(test.name())) return Bad("its name is empty, too long or holds control characters");
  ABSL_RETURN_IF_ERROR(CheckEach(test.tags(), "tag", IsTag));
  if (test.locations().empty()) return Bad("it has no location");
  if (static_cast<size_t>(test.locations_size()) > limits.locations_per_test) {
    return TooMany("it has ", test.locations_size(), " locations; the most are ",
                   limits.locations_per_test);
  }
  ABSL_RETURN_IF_ERROR(CheckEach(test.locations(), "location", IsLocation));
  if (test.has_must_fail()) {
    ABSL_RETURN_IF_ERROR(CheckMustFail(test.must_fail()));
    ABSL_RETURN_IF_ERROR(CheckExpectBesideMustFail(test));
  }
  ABSL_ASSIGN_OR_RETURN(const absl::Duration timeout, ToDuration(test.timeout(), "timeout"));
  if (timeout <= absl::ZeroDuration() || timeout > limits.timeout_longest) {
    return Bad("timeout is ", DurationText(timeout), "; it must be above 0 and at most ",
               DurationText(limits.timeout_longest));
  }
  ABSL_RETURN_IF_ERROR(CheckRetry(test.retry()));
  if (std::abs(int64_t{test.priority()}) > limits.priority_most) {
    return Bad("priority ", test.priority(), " is not from -", limits.priority_most, " to ",
               limits.priority_most);
  }
  ABSL_RETURN_IF_ERROR(ValidatePolicy(test.policy(), static_cast<uint32_t>(test.locations_size())));
  ABSL_RETURN_IF_ERROR(CheckNames(test));
  if (test.has_for_each()) ABSL_RETURN_IF_ERROR(CheckTable(test.for_each()));
  ABSL_RETURN_IF_ERROR(CheckEach(test.renamed_from(), "renamed_from", IsTestId));
  for (const std::string& earlier : test.renamed_from()) {
    if (earlier == test.id()) return Bad("renamed_from names the test's own id");
  }
  ABSL_RETURN_IF_ERROR(CheckFiles(test));
  if (test.has_replay() &&
      (!IsRunId(test.replay().run_id()) || test.replay().attempt() == 0)) {
    return Bad("replay names no attempt: a run id, and a number from 1");
  }
  ABSL_RETURN_IF_ERROR(CheckSteps(test));
  return ValidateRegression(
      test, test.has_for_each() ? static_cast<size_t>(test.for_each().rows_size()) : 1);
}

absl::Status CheckBlobs(const v1::RunSpec& spec) {
  absl::flat_hash_set<std::string> digests;
  for (const v1::Blob& blob : spec.blobs()) {
    if (blob.sha256().size() != 32 || !digests.insert(blob.sha256()).second) {
      return Bad("a blob is there twice or has no SHA-256");
    }
  }
  for (const v1::Suite& suite : spec.suites()) {
    for (const v1::Test& test : suite.tests()) {
      for (const v1::FileRef& file : test.files()) {
        if (!digests.contains(file.sha256())) {
          return Bad("suite '", suite.name(), "', test '", test.name(), "': the contents of file '",
                     file.path(), "' are missing");
        }
      }
    }
  }
  return absl::OkStatus();
}

absl::Status CheckLabels(const google::protobuf::Map<std::string, std::string>& labels) {
  const Limits& limits = DefaultLimits();
  if (labels.size() > limits.labels_per_run) {
    return TooMany(labels.size(), " labels; the most are ", limits.labels_per_run);
  }
  for (const auto& [name, value] : labels) {
    if (!IsTitle(name) || value.size() > limits.name_bytes) {
      return Bad("label '", name, "' is empty, too long or holds control characters");
    }
  }
  return absl::OkStatus();
}

}  // namespace

bool IsMustFailReason(v1::FailureReason::Value reason) {
  return v1::FailureReason::Value_IsValid(reason) && reason > v1::FailureReason::none &&
         reason < v1::FailureReason::agent_lost && reason != v1::FailureReason::must_fail_passed &&
         reason != v1::FailureReason::request_invalid;
}

bool NeverJudges(const v1::MustFail& must_fail) {
  return !must_fail.reasons().empty() &&
         std::find(must_fail.reasons().begin(), must_fail.reasons().end(),
                   static_cast<int>(v1::FailureReason::assertion)) == must_fail.reasons().end();
}

bool IsTag(absl::string_view text) {
  return IsTitle(text) && text.find_first_of(", ") == absl::string_view::npos;
}

absl::Status ValidateTest(const v1::Test& test) {
  return Annotate(CheckTest(test),
                  absl::StrCat("suite '", test.suite(), "', test '",
                               test.name().empty() ? test.id() : test.name(), "'"));
}

absl::Status ValidateRunSpec(const v1::RunSpec& spec) {
  const Limits& limits = DefaultLimits();
  size_t tests = 0;
  absl::flat_hash_set<std::string> identities;
  for (const v1::Suite& suite : spec.suites()) {
    if (!IsTitle(suite.name())) {
      return Bad("a suite's name is empty, too long or holds control characters");
    }
    ABSL_RETURN_IF_ERROR(
        Annotate(CheckLabels(suite.labels()), absl::StrCat("suite '", suite.name(), "'")));
    tests += static_cast<size_t>(suite.tests_size());
    if (tests > limits.tests_per_run) {
      return TooMany("the run has more than ", limits.tests_per_run, " tests");
    }
    for (const v1::Test& test : suite.tests()) {
      if (test.suite() != suite.name()) {
        return Bad("suite '", suite.name(), "' holds test '", test.id(), "' of suite '",
                   test.suite(), "'");
      }
      ABSL_RETURN_IF_ERROR(ValidateTest(test));
      if (!identities.insert(absl::StrCat(suite.name(), "\n", test.id())).second) {
        return Bad("suite '", suite.name(), "' has two tests with the id '", test.id(), "'");
      }
    }
  }
  if (tests == 0) return Bad("the run has no tests");
  ABSL_RETURN_IF_ERROR(PlanShape::Of(spec).status());
  if (spec.has_deadline()) {
    ABSL_ASSIGN_OR_RETURN(const absl::Duration deadline, ToDuration(spec.deadline(), "deadline"));
    if (deadline <= absl::ZeroDuration() || deadline > limits.deadline_longest) {
      return Bad("deadline is ", DurationText(deadline), "; it must be above 0 and at most ",
                 DurationText(limits.deadline_longest));
    }
  }
  if (std::abs(int64_t{spec.priority()}) > limits.priority_most) {
    return Bad("priority ", spec.priority(), " is not from -", limits.priority_most, " to ",
               limits.priority_most);
  }
  ABSL_RETURN_IF_ERROR(CheckLabels(spec.labels()));
  return CheckBlobs(spec);
}

}  // namespace picket
