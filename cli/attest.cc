#include "cli/attest.h"

#include <set>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/policy/judge.h"
#include "common/report/run_text.h"

namespace picket {
namespace {

enum class Class { kSkipped, kPassed, kWarned, kFailed };

Class ClassOf(const StoredRun& stored, uint32_t test) {
  const TestShape& shape = stored.shape.tests()[test];
  bool failed = false, unclean = false, ran = false;
  for (uint32_t row = 0; row < shape.rows; ++row) {
    const RowVerdict verdict = JudgeRow(stored.shape, stored.ends, test, row);
    if (verdict == RowVerdict::kLeftOut) continue;
    ran = true;
    failed = failed || verdict == RowVerdict::kFailed;
    unclean = unclean || verdict != RowVerdict::kPassed;
  }
  for (uint32_t i = 0; i < shape.count(); ++i) {
    const EndByte end = stored.ends[shape.first + i];
    if (EndOf(end) == v1::End::SKIPPED) continue;
    unclean = unclean || EndOf(end) != v1::End::PASSED || IsFlaky(end);
  }
  if (!ran) return Class::kSkipped;
  if (failed && shape.blocking) return Class::kFailed;
  return unclean ? Class::kWarned : Class::kPassed;
}

}  // namespace

TestResultStatement StatementOf(const StoredRun& stored) {
  TestResultStatement statement;
  const v1::Run& run = stored.run;
  statement.verdict = run.verdict();
  statement.run_id = run.run_id();
  statement.suite = run.suite();
  statement.explanation = run.explanation();
  statement.seal_time = TimeText(run.seal_time());
  statement.ledger = run.ledger();
  std::set<std::string> suites;
  for (const StoredTest& test : stored.tests) {
    if (!suites.insert(test.suite).second) continue;
    statement.configuration.push_back(
        {.name = test.suite, .uri = absl::StrCat("urn:picket:run:", run.run_id())});
  }
  statement.tests_listed = stored.tests.size() <= kStatementTests;
  if (!statement.tests_listed) return statement;
  for (uint32_t test = 0; test < stored.tests.size(); ++test) {
    const std::string name = absl::StrCat(stored.tests[test].suite, "/", stored.tests[test].id);
    switch (ClassOf(stored, test)) {
      case Class::kSkipped:
        break;
      case Class::kPassed:
        statement.passed.push_back(name);
        break;
      case Class::kWarned:
        statement.warned.push_back(name);
        break;
      case Class::kFailed:
        statement.failed.push_back(name);
        break;
    }
  }
  return statement;
}

}  // namespace picket
