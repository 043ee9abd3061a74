#include "common/suite_file/keys.h"

#include <arpa/inet.h>

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/ids.h"
#include "common/expr/jsonpath.h"
#include "common/expr/template.h"
#include "common/policy/limits.h"
#include "common/policy/regex.h"
#include "common/policy/syntax.h"
#include "common/policy/validate.h"
#include "common/suite_file/xpath_syntax.h"

namespace picket {
namespace {

using K = Type::Kind;

template <typename... Parts>
absl::Status Bad(const Parts&... parts) {
  return absl::InvalidArgumentError(absl::StrCat(parts...));
}

absl::Status Title(absl::string_view text) {
  if (text.empty()) return Bad("must not be empty");
  return IsTitle(text) ? absl::OkStatus()
                       : Bad("is longer than ", DefaultLimits().name_bytes,
                             " bytes or holds a control character");
}
absl::Status Location(absl::string_view text) {
  return IsLocation(text) ? absl::OkStatus()
                          : Bad("'", text, "' is not a location: [a-z0-9][a-z0-9._:-]{0,62}");
}
absl::Status TestId(absl::string_view text) {
  return IsTestId(text) ? absl::OkStatus()
                        : Bad("'", text, "' is not an id: [a-z0-9][a-z0-9-]{0,99}");
}
absl::Status Tag(absl::string_view text) {
  return IsTag(text) ? absl::OkStatus() : Bad("'", text, "' is not a tag: no blanks, no commas");
}
absl::Status VariableName(absl::string_view text) {
  if (IsBuiltinName(text)) return Bad("'", text, "' is the name of a built-in");
  return IsVariableName(text) && IsName(text)
             ? absl::OkStatus()
             : Bad("'", text, "' cannot name a variable: [A-Za-z_][A-Za-z0-9_-]*");
}
absl::Status Token(absl::string_view text) {
  return IsToken(text) ? absl::OkStatus() : Bad("'", text, "' is not a token (RFC 9110)");
}
absl::Status Method(absl::string_view text) {
  const std::string upper = absl::AsciiStrToUpper(text);
  for (absl::string_view known :
       {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"}) {
    if (upper == known && text != known) return Bad("methods have capital letters; write ", known);
  }
  return Token(text);
}
absl::Status NotEmpty(absl::string_view text) {
  return text.empty() ? Bad("must not be empty") : absl::OkStatus();
}
absl::Status OneLine(absl::string_view text) {
  return text.find_first_of("\r\n") == absl::string_view::npos ? absl::OkStatus()
                                                               : Bad("must be one line");
}
absl::Status RegexText(absl::string_view text) { return Regex::Compile(text).status(); }
absl::Status JsonPathText(absl::string_view text) { return JsonPath::Compile(text).status(); }
absl::Status Base64(absl::string_view text) {
  std::string bytes;
  return absl::Base64Unescape(text, &bytes) ? absl::OkStatus() : Bad("is not base64 (RFC 4648)");
}
absl::Status Address(absl::string_view text) {
  unsigned char bytes[16];
  const std::string address(text);
  return inet_pton(AF_INET, address.c_str(), bytes) == 1 ||
                 inet_pton(AF_INET6, address.c_str(), bytes) == 1
             ? absl::OkStatus()
             : Bad("'", text, "' is not an IP address");
}
absl::Status HostName(absl::string_view text) {
  return text.empty() || text.find_first_of("/:@ {}") != absl::string_view::npos
             ? Bad("'", text, "' is not a host name")
             : absl::OkStatus();
}
absl::Status StatusClass(absl::string_view text) {
  return text.size() == 3 && text[0] >= '1' && text[0] <= '5' && text.substr(1) == "xx"
             ? absl::OkStatus()
             : Bad("'", text, "' is not a status code or one of 1xx, 2xx, 3xx, 4xx, 5xx");
}
absl::Status Percent(absl::string_view text) {
  double number = 0;
  if (absl::EndsWith(text, "%") && absl::SimpleAtod(text.substr(0, text.size() - 1), &number) &&
      number > 0 && number <= 10'000) {
    return absl::OkStatus();
  }
  return Bad("'", text, "' is not a percentage such as 20%");
}

// Those of IsMustFailReason; a test keeps the two equal.
constexpr absl::string_view kMustFailReasons =
    "assertion extract dns_not_found dns_timeout dns_no_address "
    "dns_server_failure connect_refused connect_timeout connect_reset "
    "connect_unreachable tls_expired tls_wrong_host tls_untrusted tls_protocol "
    "tls_client_certificate tls_timeout timeout_send timeout_first_byte "
    "timeout_transfer protocol_error headers_too_large body_too_large "
    "decode_error too_many_redirects redirect_invalid redirect_would_leak "
    "proxy_error";

const Limits& L() { return DefaultLimits(); }

// Scalars.
const Type kBool{.kind = K::kBool, .expected = "true or false", .brief = "bool"};
const Type kTrue{.kind = K::kTrue, .expected = "true", .brief = "true"};
const Type kVersion{.kind = K::kInteger, .expected = "1", .brief = "1", .least = 1, .most = 1};
const Type kText{.kind = K::kText, .expected = "a text", .brief = "text", .templated = true};
const Type kFilled{
    .kind = K::kText, .expected = "a text", .brief = "text", .check = NotEmpty, .templated = true};
const Type kTitle{.kind = K::kText, .expected = "a text", .brief = "text", .check = Title};
const Type kLocation{
    .kind = K::kText, .expected = "the name of a location", .brief = "location", .check = Location};
const Type kId{.kind = K::kText, .expected = "an id", .brief = "id", .check = TestId};
const Type kTag{.kind = K::kText, .expected = "a tag", .brief = "tag", .check = Tag};
const Type kName{
    .kind = K::kText, .expected = "the name of a variable", .brief = "name", .check = VariableName};
const Type kUrl{
    .kind = K::kText, .expected = "a URL", .brief = "URL", .check = CheckUrl, .templated = true};
const Type kMethod{.kind = K::kText,
                   .expected = "a method such as GET",
                   .brief = "method",
                   .check = Method,
                   .templated = true};
const Type kToken{.kind = K::kText,
                  .expected = "a header's name",
                  .brief = "header name",
                  .check = Token,
                  .templated = true};
const Type kCookieName{.kind = K::kText,
                       .expected = "a cookie's name",
                       .brief = "cookie name",
                       .check = Token,
                       .templated = true};
const Type kRegex{.kind = K::kText,
                  .expected = "a regular expression (RE2)",
                  .brief = "RE2",
                  .check = RegexText,
                  .templated = true};
const Type kJsonPath{.kind = K::kText,
                     .expected = "a JSONPath (RFC 9535)",
                     .brief = "JSONPath",
                     .check = JsonPathText,
                     .templated = true};
const Type kXPath{.kind = K::kText,
                  .expected = "an XPath 1.0 expression",
                  .brief = "XPath",
                  .check = CheckXPath,
                  .templated = true};
const Type kBase64{
    .kind = K::kText, .expected = "base64", .brief = "base64", .check = Base64, .templated = true};
const Type kPath{
    .kind = K::kText, .expected = "the path of a file", .brief = "path", .check = NotEmpty};
const Type kProxy{.kind = K::kText,
                  .expected = "none, env, http://host:port or socks5h://host:port",
                  .brief = "`none`, `env` or URL",
                  .check = CheckProxy,
                  .templated = true};
const Type kAddress{.kind = K::kText,
                    .expected = "an IP address",
                    .brief = "IP address",
                    .check = Address,
                    .templated = true};
const Type kLine{
    .kind = K::kText, .expected = "a text", .brief = "text", .check = OneLine, .templated = true};
const Type kServerName{.kind = K::kText,
                       .expected = "a host name",
                       .brief = "host name",
                       .check = HostName,
                       .templated = true};
const Type kWire{.kind = K::kWire,
                 .expected = "a text or a number",
                 .brief = "text or number",
                 .templated = true};
const Type kWireLine{.kind = K::kWire,
                     .expected = "a text or a number",
                     .brief = "text or number",
                     .check = OneLine,
                     .templated = true};
const Type kLabel{.kind = K::kWire, .expected = "a text or a number", .brief = "text or number"};
const Type kJson{.kind = K::kJson, .expected = "a value", .brief = "any value", .templated = true};
const Type kPercent{.kind = K::kText,
                    .expected = "a percentage such as 20%",
                    .brief = "percentage",
                    .check = Percent};
const Type kTimeout{.kind = K::kDuration,
                    .expected = "a duration such as 500ms, 10s or 5m",
                    .brief = "duration",
                    .least = 0.001,
                    .most = absl::ToDoubleSeconds(L().timeout_longest)};
const Type kDelay{.kind = K::kDuration,
                  .expected = "a duration such as 500ms, 10s or 5m",
                  .brief = "duration",
                  .least = 0,
                  .most = absl::ToDoubleSeconds(L().retry_delay_longest)};
const Type kBodyLimit{.kind = K::kSize,
                      .expected = "a size such as 64KiB or 1MB",
                      .brief = "size",
                      .least = 1,
                      .most = static_cast<double>(L().body_limit_most)};
const Type kAttempts{.kind = K::kInteger,
                     .expected = "a whole number",
                     .brief = "1..100",
                     .least = 1,
                     .most = static_cast<double>(L().attempts_most)};
const Type kBackoff{.kind = K::kNumber,
                    .expected = "a number",
                    .brief = "1..10",
                    .least = 1,
                    .most = L().retry_backoff_most};
const Type kPriority{.kind = K::kInteger,
                     .expected = "a whole number",
                     .brief = "-100..100",
                     .least = -100,
                     .most = 100};
const Type kCount{
    .kind = K::kInteger, .expected = "a whole number", .brief = "1..", .least = 1, .most = 4e9};
const Type kAtLeast{.kind = K::kInteger,
                    .expected = "a whole number",
                    .brief = "1..1000",
                    .least = 1,
                    .most = static_cast<double>(L().locations_per_test)};
const Type kRedirects{.kind = K::kInteger,
                      .expected = "a whole number",
                      .brief = "0..50",
                      .least = 0,
                      .most = static_cast<double>(L().max_redirects_most)};
const Type kGroup{
    .kind = K::kInteger, .expected = "a whole number", .brief = "0..", .least = 0, .most = 1000};
const Type kOver{
    .kind = K::kInteger, .expected = "a whole number", .brief = "5..200", .least = 5, .most = 200};

// Words.
constexpr Type Word(absl::string_view words, absl::string_view brief) {
  return Type{.kind = K::kWord, .expected = words, .brief = brief, .words = words};
}
const Type kHttpVersion = Word("auto 1.1 2", "`auto` `1.1` `2`");
const Type kIpVersion = Word("any 4 6", "`any` `4` `6`");
const Type kConnection = Word("fresh reuse", "`fresh` `reuse`");
const Type kMinVersion = Word("1.0 1.1 1.2 1.3", "`1.0` `1.1` `1.2` `1.3`");
const Type kOnWord = Word("failed network inconclusive", "`failed` `network` `inconclusive`");
const Type kWhereWord =
    Word("same_agent same_location anywhere", "`same_agent` `same_location` `anywhere`");
const Type kFlaky = Word("pass fail", "`pass` `fail`");
const Type kInconclusive = Word("inconclusive fail pass", "`inconclusive` `fail` `pass`");
const Type kQuorumWord = Word("all majority", "`all` `majority`");
const Type kReasonWord = Word(kMustFailReasons, "reason");

// Lists and maps of scalars.
constexpr Type ListOf(const Type* element, absl::string_view expected, absl::string_view brief,
                      bool may_be_empty = false) {
  return Type{.kind = K::kList,
              .expected = expected,
              .brief = brief,
              .element = element,
              .may_be_empty = may_be_empty};
}
constexpr Type Either(const Type* one, const Type* other, absl::string_view expected,
                      absl::string_view brief) {
  return Type{
      .kind = K::kEither, .expected = expected, .brief = brief, .element = one, .other = other};
}
constexpr Type MapOf(const Type* element, absl::Status (*check)(absl::string_view),
                     absl::string_view expected, absl::string_view brief) {
  return Type{
      .kind = K::kMap, .expected = expected, .brief = brief, .check = check, .element = element};
}
const Type kLocations = ListOf(&kLocation, "a list of locations", "list of locations");
const Type kTags = ListOf(&kTag, "a list of tags", "list of tags", true);
const Type kIds = ListOf(&kId, "a list of ids", "list of ids");
const Type kNames = ListOf(&kName, "a list of names", "list of names", true);
const Type kOnList = ListOf(&kOnWord, "a list of failed, network, inconclusive", "list");
const Type kOn = Either(&kOnWord, &kOnList, "failed, network, inconclusive or a list of them",
                        "list of `failed` `network` `inconclusive`");
const Type kWhereList =
    ListOf(&kWhereWord, "a list of same_agent, same_location, anywhere", "list");
const Type kWhere =
    Either(&kWhereWord, &kWhereList, "same_agent, same_location, anywhere or a list of them",
           "list of `same_agent` `same_location` `anywhere`");
const Type kReasons = ListOf(&kReasonWord, "a list of reasons", "list of reasons");
const Type kReason =
    Either(&kReasonWord, &kReasons, "a reason or a list of reasons", "reason or list of them");
const Type kCode{.kind = K::kInteger,
                 .expected = "a status code",
                 .brief = "100..999",
                 .least = 100,
                 .most = 999};
const Type kClass{.kind = K::kText,
                  .expected = "a status code such as 200, or a class such as 2xx",
                  .brief = "class",
                  .check = StatusClass,
                  .templated = true};
const Type kStatus = Either(&kCode, &kClass, "a status code such as 200, or a class such as 2xx",
                            "status code or class");
// must_fail is judged apart from templates.
const Type kPlainClass{.kind = K::kText,
                       .expected = "a status code such as 200, or a class such as 2xx",
                       .brief = "class",
                       .check = StatusClass};
const Type kPlainStatus =
    Either(&kCode, &kPlainClass, "a status code such as 200, or a class such as 2xx",
           "status code or class");
const Type kPlainStatuses = ListOf(&kPlainStatus, "a list of status codes", "list");
const Type kFailStatus = Either(&kPlainStatus, &kPlainStatuses, "a status code or a list of them",
                                "status code, class, or list of them");
const Type kWires = ListOf(&kWire, "a list of texts", "list");
const Type kWireOrList =
    Either(&kWire, &kWires, "a text, a number or a list of them", "text, number or list of them");
const Type kWireLines = ListOf(&kWireLine, "a list of texts", "list");
const Type kLineOrList = Either(&kWireLine, &kWireLines, "a text, a number or a list of them",
                                "text, number or list of them");
const Type kFields = MapOf(&kWireOrList, NotEmpty, "a map of names to values", "map of values");
const Type kHeaders =
    MapOf(&kLineOrList, Token, "a map of header names to values", "map of values");
const Type kCookies = MapOf(&kWireLine, Token, "a map of cookie names to values", "map of values");
const Type kResolve =
    MapOf(&kAddress, HostName, "a map of host names to IP addresses", "map of host to IP");
const Type kVars = MapOf(&kJson, VariableName, "a map of names to values", "map of any values");
const Type kLabels = MapOf(&kLabel, Title, "a map of names to values", "map of texts");
const Type kRow = MapOf(&kJson, VariableName, "a map of columns to values", "map");
const Type kRows = ListOf(&kRow, "a list of maps", "list of maps", true);
const Type kSkip = Either(&kBool, &kTitle, "the reason, as a text, or true", "reason or `true`");

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
    {"file_name", &kLine, "The name told for the file.", "the path's last element"},
};
const ObjectSpec kPartSpec{"multipart", "a part", kPartKeys, "text file"};
const Type kPart{.kind = K::kObject, .expected = "a map", .brief = "", .object = &kPartSpec};
const Type kParts = ListOf(&kPart, "a list of parts", "list of [parts](#multipart)");
const Key kBodyKeys[] = {
    {"text", &kText, "Sent as it is, rendered. No Content-Type unless `headers` sets one."},
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
    {"digest", &kBasic, "RFC 7616."},
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
    {"always", &kBool, "Runs whatever happened before it.", "false"},
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
      &kPartSpec,     &kAuthSpec,     &kTlsSpec,    &kExtractSpec, &kRegressionSpec};
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
