#include "common/suite_file/key_checks.h"

#include <arpa/inet.h>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/base/ids.h"
#include "common/expr/jsonpath.h"
#include "common/expr/template.h"
#include "common/policy/limits.h"
#include "common/policy/regex.h"
#include "common/policy/syntax.h"
#include "common/policy/validate.h"

namespace picket::key_checks {
namespace {

template <typename... Parts>
absl::Status Bad(const Parts&... parts) {
  return absl::InvalidArgumentError(absl::StrCat(parts...));
}

}  // namespace

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
// Taken as they are written, by the engine too.
absl::Status PlainRegex(absl::string_view text) {
  return HasPlaceholder(text) ? Bad("this regular expression cannot hold placeholders ('{{')")
                              : RegexText(text);
}
absl::Status PlainLine(absl::string_view text) {
  return HasPlaceholder(text) ? Bad("placeholders ('{{') cannot stand here") : OneLine(text);
}
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

}  // namespace picket::key_checks
