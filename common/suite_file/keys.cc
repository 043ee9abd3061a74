#include "common/suite_file/keys.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/suite_file/key_types.h"

namespace picket {
namespace {

using K = Type::Kind;
using namespace key_types;  // NOLINT: the table below is made of these

// Objects, innermost first.
const Key kPolicyQuorumKeys[] = {
    {"at_least", &kAtLeast, "How many locations must pass.", "", true}};
const ObjectSpec kPolicyQuorumSpec{"at least", "policy.locations", kPolicyQuorumKeys};
const Type kPolicyQuorum{
    .kind = K::kObject, .expected = "{at_least: N}", .brief = "", .object = &kPolicyQuorumSpec};
const Type kQuorum = Either(&kQuorumWord, &kPolicyQuorum, "all, majority or {at_least: N}",
                            "`all`, `majority` or `{at_least: N}`");
const Key kPolicyKeys[] = {
    {"locations", &kQuorum, "How many of a test's locations must pass for the test to pass.",
     "all"},
    {"flaky", &kFlaky, "What a pass after a failed attempt is.", "pass"},
    {"inconclusive", &kInconclusive,
     "What a blocking test that could not tell makes of the run: INCONCLUSIVE, FAILED, or nothing "
     "(`pass`: the test is left out).",
     "inconclusive"},
};
const ObjectSpec kPolicySpec{"policy", "policy", kPolicyKeys};
const Type kPolicy{
    .kind = K::kObject, .expected = "a map", .brief = "[policy](#policy)", .object = &kPolicySpec};

const Key kRetryKeys[] = {
    {"attempts", &kAttempts, "Attempts in all, the first one included.", "1"},
    {"delay", &kDelay, "Wait before the second attempt.", "0s"},
    {"backoff", &kBackoff, "Each further wait is the last one times this.", "1"},
    {"on", &kOn,
     "Which outcomes are tried again; `network` is a failure other than of an assertion "
     "or extract.",
     "[failed, inconclusive]"},
    {"where", &kWhere, "Where the next attempt runs.", "same_agent"},
};
const ObjectSpec kRetrySpec{"retry", "retry", kRetryKeys};
const Type kRetry{
    .kind = K::kObject, .expected = "a map", .brief = "[retry](#retry)", .object = &kRetrySpec};

const Key kMustFailKeys[] = {
    {"reason", &kReason, "The attempt passes only if it fails for one of these reasons."},
    {"status", &kFailStatus, "The attempt passes only if the last answer has one of these codes."},
};
const ObjectSpec kMustFailSpec{"must_fail", "must_fail", kMustFailKeys, "reason status"};
const Type kMustFail{.kind = K::kObject,
                     .expected = "a map with reason or status",
                     .brief = "[must_fail](#must_fail)",
                     .object = &kMustFailSpec};

const Key kForEachKeys[] = {
    {"file", &kPath, "A `.csv` file with a header line, or a `.json` file with a list of objects."},
    {"rows", &kRows, "The rows themselves; each has the same columns."},
};
const ObjectSpec kForEachSpec{"for_each", "for_each", kForEachKeys, "file rows"};
const Type kForEach{.kind = K::kObject,
                    .expected = "a map with file or rows",
                    .brief = "[for_each](#for_each)",
                    .object = &kForEachSpec};

const Key kPartKeys[] = {
    {"name", &kLine, "The field's name.", "", true},
    {"text", &kText, "The field's value."},
    {"file", &kPath, "A file that is sent as it is."},
    {"content_type", &kLine, "Its Content-Type.", "none; application/octet-stream for files"},
    {"file_name", &kPlainLine, "The name told for the file.", "the path's last element"},
};
const ObjectSpec kPartSpec{"multipart", "a part", kPartKeys, "text file"};
const Type kPart{.kind = K::kObject, .expected = "a map", .brief = "", .object = &kPartSpec};
const Type kParts = ListOf(&kPart, "a list of parts", "list of [parts](#multipart)");
const Key kBodyKeys[] = {
    {"text", &kText,
     "Sent as it is, rendered, as text/plain in UTF-8 unless `headers` sets another Content-Type."},
    {"json", &kJson, "Sent as JSON, with Content-Type application/json."},
    {"form", &kFields, "Sent as application/x-www-form-urlencoded."},
    {"multipart", &kParts, "Sent as multipart/form-data (RFC 7578)."},
    {"file", &kPath, "A file that is sent as it is, not rendered."},
    {"base64", &kBase64, "Decoded, then sent."},
};
const ObjectSpec kBodySpec{"body", "a body", kBodyKeys, "text json form multipart file base64"};
const Type kBody{.kind = K::kObject,
                 .expected =
                     "a map with one of text, json, form, multipart, "
                     "file, base64",
                 .brief = "[body](#body)",
                 .object = &kBodySpec};

const Key kBasicKeys[] = {
    {"username", &kFilled, "", "", true},
    {"password", &kText, "", "", true},
};
const ObjectSpec kBasicSpec{"basic", "basic or digest", kBasicKeys};
const Type kBasic{.kind = K::kObject,
                  .expected = "a map with username and password",
                  .brief = "map of `username` and `password`",
                  .object = &kBasicSpec};
const Key kSigV4Keys[] = {
    {"access_key_id", &kFilled, "", "", true},
    {"secret_access_key", &kFilled, "", "", true},
    {"session_token", &kText, ""},
    {"region", &kFilled, "", "", true},
    {"service", &kFilled, "", "", true},
};
const ObjectSpec kSigV4Spec{"aws_sigv4", "aws_sigv4", kSigV4Keys};
const Type kSigV4{.kind = K::kObject,
                  .expected = "a map",
                  .brief =
                      "map of `access_key_id` `secret_access_key` `session_token` `region` "
                      "`service`",
                  .object = &kSigV4Spec};
const Key kAuthKeys[] = {
    {"basic", &kBasic, "RFC 7617."},
    {"bearer", &kFilled, "The token (RFC 6750)."},
    {"digest", &kBasic, "RFC 7616. The exchange of the challenge is time to the first byte."},
    {"aws_sigv4", &kSigV4, "AWS Signature Version 4. `session_token` may be left out."},
};
const ObjectSpec kAuthSpec{"auth", "auth", kAuthKeys, "basic bearer digest aws_sigv4"};
const Type kAuth{.kind = K::kObject,
                 .expected = "a map with one of basic, bearer, digest, aws_sigv4",
                 .brief = "[auth](#auth)",
                 .object = &kAuthSpec};

const Key kTlsKeys[] = {
    {"verify", &kBool, "Whether the server's certificate must be good.", "true"},
    {"ca", &kPath, "PEM file of the roots to trust instead of the system's."},
    {"cert", &kPath, "PEM file of the client certificate and its chain."},
    {"key", &kPath, "PEM file of its key, where `cert` does not hold it."},
    {"min_version", &kMinVersion, "Lowest TLS version.", "1.2"},
    {"server_name", &kServerName, "SNI, and the name that is verified.", "the URL's host"},
};
const ObjectSpec kTlsSpec{"tls", "tls", kTlsKeys};
const Type kTls{
    .kind = K::kObject, .expected = "a map", .brief = "[tls](#tls)", .object = &kTlsSpec};

const Key kRequestKeys[] = {
    {"method", &kMethod, "The method.", "GET"},
    {"url", &kUrl, "Absolute, http or https.", "", true},
    {"query", &kFields, "Appended to the URL, percent-encoded; a list repeats the name."},
    {"body", &kBody, "What is sent."},
    {"headers", &kHeaders, "Sent in this order; a list repeats the header."},
    {"auth", &kAuth, "Credentials."},
    {"cookies", &kCookies, "Sent beside those that earlier steps received."},
    {"follow_redirects", &kBool, "Whether 301, 302, 303, 307 and 308 are followed.", "true"},
    {"max_redirects", &kRedirects, "More than these fail.", "10"},
    {"allow_insecure_redirect", &kBool, "Whether a redirect from https to http is followed.",
     "false"},
    {"http_version", &kHttpVersion, "Which HTTP is spoken.", "auto"},
    {"ip_version", &kIpVersion, "Which addresses are used; `any` races both.", "any"},
    {"resolve", &kResolve, "Addresses instead of DNS."},
    {"proxy", &kProxy, "The agent's environment is used only with `env`.", "none"},
    {"tls", &kTls, "How TLS is spoken."},
    {"connection", &kConnection, "A connection of its own, or one of the agent's pool.", "fresh"},
    {"compressed", &kBool, "Ask for, and decode, a compressed answer.", "false"},
    {"body_limit", &kBodyLimit, "More decoded bytes fail.", "1MiB"},
};
const ObjectSpec kRequestSpec{"request", "a request", kRequestKeys};
const Type kRequest{.kind = K::kObject,
                    .expected = "a map",
                    .brief = "[request](#request)",
                    .object = &kRequestSpec};
// `defaults.request`: what makes sense for every request, from `headers` on.
const ObjectSpec kRequestDefaultsSpec{"defaults.request", "defaults.request",
                                      std::span<const Key>(kRequestKeys).subspan(4)};
const Type kRequestDefaults{.kind = K::kObject,
                            .expected = "a map",
                            .brief = "[request](#request) without `method` `url` `query` `body`",
                            .object = &kRequestDefaultsSpec};

const Type kExpectation{.kind = K::kExpectation,
                        .expected = "a map of one subject",
                        .brief = "[expectation](#expectations)"};
const Type kExpect =
    ListOf(&kExpectation, "a list of expectations", "list of [expectations](#expectations)", true);

const Key kBodyGroupKeys[] = {
    {"regex", &kRegex, "Searched for in the decoded body.", "", true},
    {"group", &kGroup, "Which group is taken.", "1 if there is one, else 0: the whole match"},
};
const ObjectSpec kBodyGroupSpec{"extract.body", "extract.body", kBodyGroupKeys};
const Type kBodyGroup{.kind = K::kObject,
                      .expected = "a map with regex",
                      .brief = "map of `regex` and `group`",
                      .object = &kBodyGroupSpec};
const Key kExtractKeys[] = {
    {"name", &kName, "The variable, for the steps that follow.", "", true},
    {"json", &kJsonPath, "A value of the JSON body."},
    {"header", &kToken, "A header."},
    {"body", &kBodyGroup,
     "A part of the body: `regex`, and optionally the `group` (default 1 if there is one, else the "
     "whole match)."},
    {"xpath", &kXPath, "A node of the XML or HTML body, as text."},
    {"cookie", &kCookieName, "A cookie's value."},
    {"status", &kTrue, "The status code."},
};
const ObjectSpec kExtractSpec{"extract", "an extract", kExtractKeys,
                              "json header body xpath cookie status"};
const Type kExtract{.kind = K::kObject, .expected = "a map", .brief = "", .object = &kExtractSpec};
const Type kExtracts =
    ListOf(&kExtract, "a list of extracts", "list of [extracts](#extract)", true);

const Key kStepKeys[] = {
    {"name", &kTitle, "Unique within the test.", "", true},
    {"request", &kRequest, "What is sent.", "", true},
    {"expect", &kExpect, "What must hold of the answer."},
    {"extract", &kExtracts, "Variables taken from the answer."},
    {"always", &kBool, "Runs whatever happened before it. After a failure all of these have 10 s at least, whatever the timeout.", "false"},
    {"allow_failure", &kBool, "Its failure does not fail the test.", "false"},
};
const ObjectSpec kStepSpec{"step", "a step", kStepKeys};
const Type kStep{.kind = K::kObject, .expected = "a map", .brief = "", .object = &kStepSpec};
const Type kSteps = ListOf(&kStep, "a list of steps", "list of [steps](#step)");

const Key kTestKeys[] = {
    {"name", &kTitle, "As people know it.", "", true},
    {"id", &kId, "Unique within the suite; joins history.", "the name's slug"},
    {"renamed_from", &kIds, "Earlier ids, so that history is not lost."},
    {"tags", &kTags, "For `-t`."},
    {"locations", &kLocations, "Replaces the suite's.", "the suite's"},
    {"blocking", &kBool, "Whether it takes part in the verdict.", "true"},
    {"skip", &kSkip, "Planned, never run, ends `skipped`."},
    {"must_fail", &kMustFail, "Only the named failure passes."},
    {"repeatable", &kBool, "Whether the fleet may repeat it of its own accord.",
     "true if every step is GET, HEAD or OPTIONS"},
    {"timeout", &kTimeout, "Bounds one attempt, all steps together.", "30s"},
    {"retry", &kRetry, "How often, when and where it is tried again."},
    {"priority", &kPriority, "Higher first.", "0"},
    {"policy", &kPolicy, "Replaces the suite's, key by key.", "the suite's"},
    {"vars", &kVars, "Added to the suite's, or in place of them."},
    {"for_each", &kForEach, "Data rows: one execution a row and location."},
    {"request", &kRequest, "What is sent, in a test of one request."},
    {"expect", &kExpect, "What must hold of the answer."},
    {"extract", &kExtracts, "Variables taken from the answer."},
    {"steps", &kSteps, "Several requests in order, instead of `request`."},
};
const ObjectSpec kTestSpec{"test", "a test", kTestKeys, "request steps"};
const Type kTest{.kind = K::kObject, .expected = "a map", .brief = "", .object = &kTestSpec};
const Type kTests = ListOf(&kTest, "a list of tests", "list of [tests](#test)");

const Key kDefaultsKeys[] = {
    {"timeout", &kTimeout, "Of tests that set none.", "30s"},
    {"retry", &kRetry, "Of repeatable tests, key by key."},
    {"blocking", &kBool, "Of tests that do not say.", "true"},
    {"priority", &kPriority, "Of tests that set none.", "0"},
    {"request", &kRequestDefaults,
     "Of every request, key by key; `headers`, `cookies`, `resolve` and `tls` are joined."},
};
const ObjectSpec kDefaultsSpec{"defaults", "defaults", kDefaultsKeys};
const Type kDefaults{.kind = K::kObject,
                     .expected = "a map",
                     .brief = "[defaults](#defaults)",
                     .object = &kDefaultsSpec};

const Key kSuiteKeys[] = {
    {"version", &kVersion, "Of this format.", "", true},
    {"name", &kTitle, "Of the suite; part of every test's identity.", "", true},
    {"locations", &kLocations, "Where its tests run.", "[default]"},
    {"vars", &kVars, "Variables, evaluated once an attempt, in order."},
    {"secrets", &kNames, "Names of secrets; the values live on the agents alone."},
    {"defaults", &kDefaults, "For its tests."},
    {"policy", &kPolicy, "How results become a verdict."},
    {"max_failures", &kCount, "The run ends early after this many failed executions."},
    {"labels", &kLabels, "Given to the run."},
    {"tests", &kTests, "The tests, in order.", "", true},
};
const ObjectSpec kSuiteSpec{"suite", "a suite", kSuiteKeys};

const Key kRegressionKeys[] = {
    {"at_most", &kPercent, "How much slower it may be.", "", true},
    {"over", &kOver, "How many of the last passing runs it is compared with.", "", true},
};
const ObjectSpec kRegressionSpec{"regression", "regression", kRegressionKeys};
const Type kRegression{.kind = K::kObject,
                       .expected = "a map with at_most and over",
                       .brief = "",
                       .object = &kRegressionSpec};

}  // namespace

const ObjectSpec& SuiteSpec() { return kSuiteSpec; }
const Type& RegressionType() { return kRegression; }
const Type& StatusType() { return kStatus; }

const std::vector<const ObjectSpec*>& AllSpecs() {
  static const auto* const all = new std::vector<const ObjectSpec*>{
      &kSuiteSpec,    &kDefaultsSpec, &kPolicySpec, &kTestSpec,    &kRetrySpec,
      &kMustFailSpec, &kForEachSpec,  &kStepSpec,   &kRequestSpec, &kBodySpec,
      &kPartSpec,     &kAuthSpec,     &kTlsSpec,    &kExtractSpec, &kRegressionSpec,
      &kRequestDefaultsSpec};
  return *all;
}

const Key* FindKey(const ObjectSpec& spec, absl::string_view name) {
  for (const Key& key : spec.keys) {
    if (key.name == name) return &key;
  }
  return nullptr;
}

std::vector<absl::string_view> Words(absl::string_view words) {
  return absl::StrSplit(words, ' ', absl::SkipEmpty());
}

absl::string_view Nearest(absl::string_view word, const std::vector<absl::string_view>& words) {
  // Edit distance (Wagner and Fischer, 1974) over short words.
  if (word.size() < 3 || word.size() > 60 || absl::ascii_isdigit(word[0])) return "";
  absl::string_view best;
  size_t best_distance = word.size() <= 4 ? 2 : 3;
  for (absl::string_view candidate : words) {
    std::vector<size_t> row(candidate.size() + 1);
    for (size_t j = 0; j < row.size(); ++j) row[j] = j;
    for (size_t i = 0; i < word.size(); ++i) {
      size_t diagonal = row[0];
      row[0] = i + 1;
      for (size_t j = 0; j < candidate.size(); ++j) {
        const size_t above = row[j + 1];
        row[j + 1] = std::min({above + 1, row[j] + 1, diagonal + (word[i] != candidate[j])});
        diagonal = above;
      }
    }
    if (row.back() < best_distance) {
      best_distance = row.back();
      best = candidate;
    }
  }
  return best;
}

}  // namespace picket
