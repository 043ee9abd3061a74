// File: statement.h
//
// The in-toto Statement v1 that says what a run found out about an artefact, with the
// predicate test-result v0.1 (github.com/in-toto/attestation, spec/v1 and
// spec/predicates/test-result.md).
//
// The predicate knows PASSED, WARNED and FAILED. A verdict of INCONCLUSIVE is written as
// FAILED, so that who does not know Picket stays on the safe side; `picketVerdict` beside
// it has the verdict as it was. Further members that are ours: `picketRun`.
//
// Thread rule: pure.

#ifndef COMMON_SIGNING_STATEMENT_H_
#define COMMON_SIGNING_STATEMENT_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "picket/v1/run.pb.h"

namespace picket {

inline constexpr absl::string_view kStatementPayloadType = "application/vnd.in-toto+json";
inline constexpr absl::string_view kStatementType = "https://in-toto.io/Statement/v1";
inline constexpr absl::string_view kTestResultType =
    "https://in-toto.io/attestation/test-result/v0.1";
// With more tests than this none is listed: `picketRun.testsListed` is false.
inline constexpr size_t kStatementTests = 10'000;

// What was tested, by digest.
struct Subject {
  std::string name;       // may be empty
  std::string algorithm;  // "sha256", "sha512", "gitCommit"
  std::string digest;     // lower-case hexadecimal

  friend bool operator==(const Subject& a, const Subject& b) = default;
};

// "sha256:HEX", "sha512:HEX", "gitCommit:HEX", or "NAME@" before one of them, as in the
// reference of an image. InvalidArgument names what is wrong.
absl::StatusOr<Subject> ParseSubject(absl::string_view text);
// As ParseSubject reads it.
std::string SubjectText(const Subject& subject);

// What the tests were: a suite by its name, or a file of it by its digest too.
struct Configuration {
  std::string name;
  std::string uri;
  std::string sha256;  // lower-case hexadecimal, or empty
};

struct TestResultStatement {
  std::vector<Subject> subjects;
  v1::Verdict::Value verdict = v1::Verdict::VERDICT_UNSPECIFIED;
  std::string run_id;
  std::string suite;
  std::string explanation;
  std::string seal_time;  // RFC 3339
  v1::Ledger ledger;
  std::string url;  // may be empty
  std::vector<Configuration> configuration;
  bool tests_listed = true;
  std::vector<std::string> passed, warned, failed;  // names of tests
};

// REQUIRES: a verdict, and subjects.
std::string StatementToJson(const TestResultStatement& statement);

// InvalidArgument if it is no such statement, or if its result and its verdict do not go
// together. A statement of another maker, without our members, is read too: its verdict is
// its result (WARNED counts as PASSED). Lists, configuration and ledger are not read.
absl::StatusOr<TestResultStatement> ParseStatement(absl::string_view json);

}  // namespace picket

#endif  // COMMON_SIGNING_STATEMENT_H_
