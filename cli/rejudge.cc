#include "cli/rejudge.h"

#include <map>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"

namespace picket {
namespace {

absl::Status Wrong(const PolicyFile& file, const TestPolicyChange& change,
                   absl::string_view message) {
  return absl::InvalidArgumentError(
      Diagnostic{file.file, change.line, change.column, std::string(message)}.ToString());
}

std::string NameOf(const TestPolicyChange& change) {
  return change.suite.empty() ? change.test_id : absl::StrCat(change.suite, "/", change.test_id);
}

// Tests by suite and id.
using Index = std::map<std::pair<std::string, std::string>, uint32_t>;

absl::StatusOr<uint32_t> Find(const StoredRun& stored, const Index& index, const PolicyFile& file,
                              const TestPolicyChange& change) {
  if (!change.suite.empty()) {
    const auto it = index.find({change.suite, change.test_id});
    if (it != index.end()) return it->second;
  } else {
    const uint32_t none = static_cast<uint32_t>(stored.tests.size());
    uint32_t found = none;
    for (uint32_t test = 0; test < none; ++test) {
      if (stored.tests[test].id != change.test_id) continue;
      if (found != none) {
        return Wrong(file, change,
                     absl::StrCat("the suites '", stored.tests[found].suite, "' and '",
                                  stored.tests[test].suite, "' both have a test '", change.test_id,
                                  "'; write SUITE/", change.test_id));
      }
      found = test;
    }
    if (found != none) return found;
  }
  return Wrong(file, change,
               absl::StrCat("run ", stored.run.run_id(), " holds no test '", NameOf(change), "'"));
}

// A pass after a failure ends as the policy says.
EndByte Reend(EndByte end, const v1::Policy& policy) {
  if (!IsFlaky(end) || (EndOf(end) != v1::End::PASSED && EndOf(end) != v1::End::FAILED)) return end;
  return MakeEnd(EndOf(DecideEnd(v1::Outcome::PASSED, true, policy)), true, IsLearning(end));
}

}  // namespace

absl::StatusOr<StoredRun> UnderPolicy(const StoredRun& stored, const PolicyFile& file) {
  std::vector<TestShape> shapes = stored.shape.tests();
  for (TestShape& shape : shapes) file.policy.ApplyTo(shape.policy);
  Index index;
  for (uint32_t test = 0; test < stored.tests.size(); ++test) {
    index[{stored.tests[test].suite, stored.tests[test].id}] = test;
  }
  std::vector<const TestPolicyChange*> changed(shapes.size(), nullptr);
  for (const TestPolicyChange& change : file.tests) {
    ABSL_ASSIGN_OR_RETURN(const uint32_t test, Find(stored, index, file, change));
    if (changed[test] != nullptr) {
      return Wrong(file, change,
                   absl::StrCat("'", NameOf(change), "' and '", NameOf(*changed[test]),
                                "' are one test; name it once"));
    }
    changed[test] = &change;
    change.policy.ApplyTo(shapes[test].policy);
    if (change.blocking.has_value()) shapes[test].blocking = *change.blocking;
  }
  StoredRun judged = stored;
  for (uint32_t test = 0; test < shapes.size(); ++test) {
    const TestShape& shape = shapes[test];
    const absl::Status valid =
        ValidatePolicy(shape.policy, static_cast<uint32_t>(shape.locations.size()));
    if (!valid.ok()) {
      const TestPolicyChange nowhere;
      return Wrong(file, changed[test] == nullptr ? nowhere : *changed[test],
                   absl::StrCat("test '", stored.tests[test].suite, "/", stored.tests[test].id,
                                "': ", valid.message()));
    }
    for (uint32_t i = 0; i < shape.count(); ++i) {
      EndByte& end = judged.ends[shape.first + i];
      end = Reend(end, shape.policy);
    }
  }
  ABSL_ASSIGN_OR_RETURN(judged.shape, PlanShape::Make(std::move(shapes)));
  return judged;
}

RowCount CountRow(const StoredRun& stored, uint32_t test, uint32_t row) {
  const TestShape& shape = stored.shape.tests()[test];
  RowCount count;
  for (uint32_t location = 0; location < shape.locations.size(); ++location) {
    const v1::End::Value end = EndOf(stored.ends[shape.Number(location, row)]);
    if (shape.skipped || end == v1::End::SKIPPED) continue;
    ++count.planned;
    count.passed += end == v1::End::PASSED;
    count.failed += end == v1::End::FAILED;
  }
  count.needed = shape.policy.locations() == v1::Policy::MAJORITY   ? count.planned / 2 + 1
                 : shape.policy.locations() == v1::Policy::AT_LEAST ? shape.policy.at_least()
                                                                    : count.planned;
  count.verdict = JudgeRow(stored.shape, stored.ends, test, row);
  return count;
}

std::string RowRule(const v1::Policy& policy, const RowCount& count) {
  if (count.planned == 0) return "skipped everywhere: left out";
  std::string rule;
  if (count.planned == 1 && count.needed == 1) {
    rule = "must pass at its one location";
  } else if (policy.locations() == v1::Policy::ALL) {
    rule = absl::StrCat("all ", count.planned, " locations must pass");
  } else {
    rule = absl::StrCat(count.needed, " of ", count.planned, " locations must pass (",
                        policy.locations() == v1::Policy::MAJORITY ? "majority" : "at_least", ")");
  }
  const uint32_t unknown = count.planned - count.passed - count.failed;
  absl::StrAppend(&rule, ": ", count.passed, " passed, ", count.failed, " failed");
  if (unknown > 0) absl::StrAppend(&rule, ", ", unknown, " could not tell");
  switch (count.verdict) {
    case RowVerdict::kPassed:
      return absl::StrCat(rule, ", so it PASSED");
    case RowVerdict::kFailed:
      return absl::StrCat(rule, ", so it FAILED");
    default:
      break;
  }
  absl::StrAppend(&rule, ", so it is INCONCLUSIVE, which ");
  switch (policy.inconclusive()) {
    case v1::Policy::INCONCLUSIVE_FAIL:
      return absl::StrCat(rule, "its policy counts as failed (inconclusive: fail)");
    case v1::Policy::INCONCLUSIVE_PASS:
      return absl::StrCat(rule, "its policy leaves out (inconclusive: pass)");
    default:
      return absl::StrCat(rule, "makes the run INCONCLUSIVE unless a check failed");
  }
}

absl::string_view RowVerdictName(RowVerdict verdict) {
  switch (verdict) {
    case RowVerdict::kPassed:
      return "PASSED";
    case RowVerdict::kFailed:
      return "FAILED";
    case RowVerdict::kInconclusive:
      return "INCONCLUSIVE";
    case RowVerdict::kLeftOut:
      return "left out";
  }
  return "";
}

std::string RowTitle(const StoredRun& stored, uint32_t test, uint32_t row) {
  const StoredTest& t = stored.tests[test];
  return absl::StrCat(t.name, " (", t.suite, "/", t.id, ")",
                      stored.shape.tests()[test].has_rows ? absl::StrCat(" row ", row) : "");
}

}  // namespace picket
