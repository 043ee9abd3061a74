#include "common/signing/statement.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/expr/json.h"
#include "common/policy/limits.h"

namespace picket {
namespace {

struct Algorithm {
  absl::string_view name;
  size_t digits, digits_too;
};
constexpr Algorithm kAlgorithms[] = {
    {"sha256", 64, 64}, {"sha512", 128, 128}, {"gitCommit", 40, 64}};

absl::Status NoStatement(absl::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat("not an in-toto test-result statement: ", why));
}

std::string TextOf(const Json& object, absl::string_view name) {
  const Json* member = FindMember(object, name);
  return member != nullptr && member->is_string() ? member->get<std::string>() : "";
}

Json ToJson(const v1::Ledger& l) {
  Json json = Json::object();
  json["planned"] = l.planned();
  json["passed"] = l.passed();
  json["failed"] = l.failed();
  json["inconclusive"] = l.inconclusive();
  json["skipped"] = l.skipped();
  json["cancelled"] = l.cancelled();
  json["expired"] = l.expired();
  json["unassigned"] = l.unassigned();
  json["flaky"] = l.flaky();
  return json;
}

Json ToJson(const Configuration& configuration) {
  Json json = Json::object();
  json["name"] = configuration.name;
  if (!configuration.uri.empty()) json["uri"] = configuration.uri;
  if (!configuration.sha256.empty()) json["digest"] = Json{{"sha256", configuration.sha256}};
  return json;
}

absl::StatusOr<v1::Verdict::Value> VerdictOf(const Json& predicate) {
  const std::string result = TextOf(predicate, "result");
  if (result != "PASSED" && result != "WARNED" && result != "FAILED") {
    return NoStatement("its result is not PASSED, WARNED or FAILED");
  }
  const bool passed = result != "FAILED";
  if (FindMember(predicate, "picketVerdict") == nullptr) {
    return passed ? v1::Verdict::PASSED : v1::Verdict::FAILED;
  }
  v1::Verdict::Value verdict = v1::Verdict::VERDICT_UNSPECIFIED;
  if (!v1::Verdict::Value_Parse(TextOf(predicate, "picketVerdict"), &verdict) ||
      verdict == v1::Verdict::VERDICT_UNSPECIFIED || passed != (verdict == v1::Verdict::PASSED)) {
    return NoStatement("its result and its picketVerdict do not go together");
  }
  return verdict;
}

}  // namespace

absl::StatusOr<Subject> ParseSubject(absl::string_view text) {
  const auto wrong = [&](absl::string_view why) {
    return absl::InvalidArgumentError(
        absl::StrCat("a subject is [NAME@]sha256:HEX, [NAME@]sha512:HEX or "
                     "[NAME@]gitCommit:HEX; '",
                     text.substr(0, 200), "' ", why));
  };
  Subject subject;
  absl::string_view rest = text;
  if (const size_t at = text.rfind('@'); at != absl::string_view::npos) {
    subject.name = std::string(text.substr(0, at));
    rest = text.substr(at + 1);
    if (subject.name.empty() || subject.name.size() > DefaultLimits().name_bytes ||
        !IsValidUtf8(subject.name)) {
      return wrong("has no usable name before its @");
    }
  }
  const size_t colon = rest.find(':');
  if (colon == absl::string_view::npos) return wrong("names no algorithm");
  subject.algorithm = std::string(rest.substr(0, colon));
  subject.digest = absl::AsciiStrToLower(rest.substr(colon + 1));
  const auto known = std::find_if(std::begin(kAlgorithms), std::end(kAlgorithms),
                                  [&](const Algorithm& a) { return a.name == subject.algorithm; });
  if (known == std::end(kAlgorithms)) return wrong("names another algorithm");
  if (!std::all_of(subject.digest.begin(), subject.digest.end(), absl::ascii_isxdigit) ||
      (subject.digest.size() != known->digits && subject.digest.size() != known->digits_too)) {
    return wrong(absl::StrCat("has no digest of ", known->digits, " hexadecimal digits"));
  }
  return subject;
}

std::string SubjectText(const Subject& subject) {
  return absl::StrCat(subject.name, subject.name.empty() ? "" : "@", subject.algorithm, ":",
                      subject.digest);
}

std::string StatementToJson(const TestResultStatement& s) {
  Json subjects = Json::array();
  for (const Subject& subject : s.subjects) {
    Json one = Json::object();
    if (!subject.name.empty()) one["name"] = subject.name;
    one["digest"] = Json{{subject.algorithm, subject.digest}};
    subjects.push_back(std::move(one));
  }
  Json configuration = Json::array();
  for (const Configuration& c : s.configuration) configuration.push_back(ToJson(c));

  Json run = Json::object();
  run["id"] = s.run_id;
  run["suite"] = s.suite;
  run["explanation"] = s.explanation;
  run["sealTime"] = s.seal_time;
  run["ledger"] = ToJson(s.ledger);
  run["testsListed"] = s.tests_listed;

  Json predicate = Json::object();
  predicate["result"] = s.verdict == v1::Verdict::PASSED ? "PASSED" : "FAILED";
  predicate["configuration"] = std::move(configuration);
  if (!s.url.empty()) predicate["url"] = s.url;
  if (s.tests_listed) {
    predicate["passedTests"] = s.passed;
    predicate["warnedTests"] = s.warned;
    predicate["failedTests"] = s.failed;
  }
  predicate["picketVerdict"] = v1::Verdict::Value_Name(s.verdict);
  predicate["picketRun"] = std::move(run);

  Json json = Json::object();
  json["_type"] = std::string(kStatementType);
  json["subject"] = std::move(subjects);
  json["predicateType"] = std::string(kTestResultType);
  json["predicate"] = std::move(predicate);
  return ToText(json);
}

absl::StatusOr<TestResultStatement> ParseStatement(absl::string_view text) {
  const absl::StatusOr<Json> json = ParseJson(text);
  if (!json.ok()) return NoStatement(json.status().message());
  if (TextOf(*json, "_type") != kStatementType) return NoStatement("its _type is another");
  if (TextOf(*json, "predicateType") != kTestResultType) {
    return NoStatement("its predicateType is another");
  }
  const Json* subjects = FindMember(*json, "subject");
  if (subjects == nullptr || !subjects->is_array() || subjects->empty()) {
    return NoStatement("it has no subject");
  }
  TestResultStatement statement;
  for (const Json& subject : *subjects) {
    const Json* digests = FindMember(subject, "digest");
    if (digests == nullptr || !digests->is_object() || digests->empty()) {
      return NoStatement("a subject has no digest");
    }
    for (const auto& [algorithm, digest] : digests->items()) {
      if (!digest.is_string()) return NoStatement("a digest is no text");
      statement.subjects.push_back({.name = TextOf(subject, "name"),
                                    .algorithm = algorithm,
                                    .digest = absl::AsciiStrToLower(digest.get<std::string>())});
    }
  }
  const Json* predicate = FindMember(*json, "predicate");
  if (predicate == nullptr || !predicate->is_object()) return NoStatement("it has no predicate");
  ABSL_ASSIGN_OR_RETURN(statement.verdict, VerdictOf(*predicate));
  statement.url = TextOf(*predicate, "url");
  if (const Json* run = FindMember(*predicate, "picketRun"); run != nullptr) {
    statement.run_id = TextOf(*run, "id");
    statement.suite = TextOf(*run, "suite");
    statement.explanation = TextOf(*run, "explanation");
    statement.seal_time = TextOf(*run, "sealTime");
  }
  return statement;
}

}  // namespace picket
