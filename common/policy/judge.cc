#include "common/policy/judge.h"

#include "absl/strings/str_cat.h"
#include "common/policy/limits.h"

namespace picket {
namespace {

uint32_t Quorum(const v1::Policy& policy, uint32_t planned) {
  switch (policy.locations()) {
    case v1::Policy::MAJORITY:
      return planned / 2 + 1;
    case v1::Policy::AT_LEAST:
      return policy.at_least();
    default:
      return planned;
  }
}

std::string Checks(uint32_t count) {
  return absl::StrCat(count, count == 1 ? " blocking check" : " blocking checks");
}

// What the blocking tests amount to, before the sentence is made.
struct Tally {
  bool any_blocking = false;       // the plan holds a blocking test
  uint32_t inconclusive_fail = 0;  // inconclusive, and policy.inconclusive says fail
  uint32_t inconclusive_pass = 0;  // inconclusive, and it says pass: left out
  uint32_t inconclusive = 0;       // inconclusive, and the run is too
};

void Decide(const Tally& tally, Judgement& j) {
  const uint32_t judged = j.passed + j.failed + j.inconclusive;
  const std::string left_out =
      tally.inconclusive_pass == 0
          ? ""
          : absl::StrCat("; ", tally.inconclusive_pass, " inconclusive left out by policy");
  if (j.failed > 0) {
    j.verdict = v1::Verdict::FAILED;
    j.explanation = absl::StrCat(j.failed, " of ", Checks(judged), " failed", left_out);
  } else if (tally.inconclusive_fail > 0) {
    j.verdict = v1::Verdict::FAILED;
    j.explanation = absl::StrCat(tally.inconclusive_fail, " of ", Checks(judged),
                                 " could not tell, which its policy counts as failed", left_out);
  } else if (tally.inconclusive > 0) {
    j.verdict = v1::Verdict::INCONCLUSIVE;
    j.explanation =
        absl::StrCat(tally.inconclusive, " of ", Checks(judged), " could not tell", left_out);
  } else if (tally.any_blocking) {
    j.verdict = j.passed > 0 ? v1::Verdict::PASSED : v1::Verdict::INCONCLUSIVE;
    j.explanation = j.passed > 0 ? absl::StrCat("all ", Checks(j.passed), " passed", left_out)
                                 : absl::StrCat("no blocking check passed or failed", left_out);
  } else if (j.ledger.passed() + j.ledger.failed() > 0) {
    j.verdict = v1::Verdict::PASSED;
    j.explanation = "no check is blocking, and at least one ended passed or failed";
  } else {
    j.verdict = v1::Verdict::INCONCLUSIVE;
    j.explanation =
        j.ledger.planned() == 0 ? "nothing was planned" : "nothing ended passed or failed";
  }
}

}  // namespace

RowVerdict JudgeRow(const PlanShape& shape, std::span<const EndByte> ends, uint32_t test,
                    uint32_t row) {
  const TestShape& t = shape.tests()[test];
  uint32_t planned = 0, passed = 0, failed = 0;
  for (uint32_t location = 0; location < t.locations.size(); ++location) {
    const v1::End::Value end = EndOf(ends[t.Number(location, row)]);
    if (t.skipped || end == v1::End::SKIPPED) continue;
    ++planned;
    passed += end == v1::End::PASSED;
    failed += end == v1::End::FAILED;
  }
  if (planned == 0) return RowVerdict::kLeftOut;
  const uint32_t quorum = Quorum(t.policy, planned);
  if (passed >= quorum) return RowVerdict::kPassed;
  if (planned - failed < quorum) return RowVerdict::kFailed;
  return RowVerdict::kInconclusive;
}

Judgement Judge(const PlanShape& shape, std::span<const EndByte> ends) {
  Judgement j;
  for (EndByte end : ends) AddToLedger(end, j.ledger);

  Tally tally;
  for (uint32_t test = 0; test < shape.tests().size(); ++test) {
    const TestShape& t = shape.tests()[test];
    if (!t.blocking) continue;
    tally.any_blocking = true;
    for (uint32_t row = 0; row < t.rows; ++row) {
      const RowVerdict verdict = JudgeRow(shape, ends, test, row);
      bool culprit = verdict == RowVerdict::kFailed;
      switch (verdict) {
        case RowVerdict::kLeftOut:
          ++j.left_out;
          break;
        case RowVerdict::kPassed:
          ++j.passed;
          break;
        case RowVerdict::kFailed:
          ++j.failed;
          break;
        case RowVerdict::kInconclusive:
          ++j.inconclusive;
          if (t.policy.inconclusive() == v1::Policy::INCONCLUSIVE_PASS) {
            ++tally.inconclusive_pass;
          } else {
            ++(t.policy.inconclusive() == v1::Policy::INCONCLUSIVE_FAIL ? tally.inconclusive_fail
                                                                        : tally.inconclusive);
            culprit = true;
          }
          break;
      }
      if (culprit && j.culprits.size() < DefaultLimits().judgement_culprits) {
        j.culprits.push_back({.test = test, .row = row, .verdict = verdict});
      }
    }
  }
  Decide(tally, j);
  return j;
}

absl::Status ValidatePolicy(const v1::Policy& policy, uint32_t locations) {
  if (!v1::Policy::Locations_IsValid(policy.locations()) ||
      policy.locations() == v1::Policy::LOCATIONS_UNSPECIFIED) {
    return absl::InvalidArgumentError(
        "policy.locations is not set; it must be all, majority or at_least");
  }
  if (!v1::Policy::Flaky_IsValid(policy.flaky()) ||
      policy.flaky() == v1::Policy::FLAKY_UNSPECIFIED) {
    return absl::InvalidArgumentError("policy.flaky is not set; it must be pass or fail");
  }
  if (!v1::Policy::Inconclusive_IsValid(policy.inconclusive()) ||
      policy.inconclusive() == v1::Policy::INCONCLUSIVE_UNSPECIFIED) {
    return absl::InvalidArgumentError(
        "policy.inconclusive is not set; it must be inconclusive, fail or pass");
  }
  if (policy.locations() != v1::Policy::AT_LEAST) return absl::OkStatus();
  if (policy.at_least() == 0) {
    return absl::InvalidArgumentError("policy.locations at_least must be at least 1");
  }
  if (policy.at_least() > locations) {
    return absl::InvalidArgumentError(absl::StrCat(
        "policy.locations wants at_least ", policy.at_least(), " locations to pass, but only ",
        locations, locations == 1 ? " is" : " are", " planned"));
  }
  return absl::OkStatus();
}

}  // namespace picket
