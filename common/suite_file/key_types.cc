#include "common/suite_file/key_types.h"

#include "common/policy/limits.h"
#include "common/policy/syntax.h"
#include "common/suite_file/key_checks.h"
#include "common/suite_file/xpath_syntax.h"

namespace picket::key_types {
namespace {

using K = Type::Kind;
using namespace key_checks;  // NOLINT: the types below are made of these

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

constexpr Type Word(absl::string_view words, absl::string_view brief) {
  return Type{.kind = K::kWord, .expected = words, .brief = brief, .words = words};
}
constexpr Type MapOf(const Type* element, absl::Status (*check)(absl::string_view),
                     absl::string_view expected, absl::string_view brief) {
  return Type{
      .kind = K::kMap, .expected = expected, .brief = brief, .check = check, .element = element};
}

}  // namespace

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
                  .check = PlainRegex};
const Type kPlainLine{
    .kind = K::kText, .expected = "a text", .brief = "text", .check = PlainLine};
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

}  // namespace picket::key_types
