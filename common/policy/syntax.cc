#include "common/policy/syntax.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/policy/limits.h"

namespace picket {
namespace {

bool IsLowerOrDigit(char c) { return absl::ascii_islower(c) || absl::ascii_isdigit(c); }

template <typename Rest>
bool FirstAndRest(absl::string_view text, size_t most, Rest rest) {
  return !text.empty() && text.size() <= most && IsLowerOrDigit(text[0]) &&
         std::all_of(text.begin(), text.end(), rest);
}

bool HasControl(absl::string_view text) {
  return std::any_of(text.begin(), text.end(), [](char c) { return absl::ascii_iscntrl(c); });
}

// "host" or "host:port" at the front of an authority; no user information.
absl::Status CheckAuthority(absl::string_view authority, bool port_required) {
  if (absl::StrContains(authority, '@')) {
    return absl::InvalidArgumentError("a user name or password does not belong here; use auth");
  }
  absl::string_view host = authority, port;
  const size_t colon = authority.rfind(':');
  const size_t bracket = authority.rfind(']');
  const bool has_port =
      colon != absl::string_view::npos && (bracket == absl::string_view::npos || colon > bracket);
  if (has_port) {
    host = authority.substr(0, colon);
    port = authority.substr(colon + 1);
    uint32_t number = 0;
    if (!HasPlaceholder(port) &&
        (!absl::SimpleAtoi(port, &number) || number == 0 || number > 65535)) {
      return absl::InvalidArgumentError(absl::StrCat("'", port, "' is not a port from 1 to 65535"));
    }
  } else if (port_required) {
    return absl::InvalidArgumentError("it has no port");
  }
  if (host.empty()) return absl::InvalidArgumentError("it has no host");
  return absl::OkStatus();
}

}  // namespace

bool IsTestId(absl::string_view text) {
  return FirstAndRest(text, 100, [](char c) { return IsLowerOrDigit(c) || c == '-'; });
}

bool IsName(absl::string_view text) {
  return !text.empty() && text.size() <= DefaultLimits().name_bytes &&
         !absl::ascii_isdigit(text[0]) && text[0] != '-' &&
         std::all_of(text.begin(), text.end(),
                     [](char c) { return absl::ascii_isalnum(c) || c == '_' || c == '-'; });
}

bool IsToken(absl::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return absl::ascii_isalnum(c) ||
           absl::string_view("!#$%&'*+-.^_`|~").find(c) != absl::string_view::npos;
  });
}

bool IsTitle(absl::string_view text) {
  return !text.empty() && text.size() <= DefaultLimits().name_bytes && !HasControl(text);
}

bool HasPlaceholder(absl::string_view text) { return absl::StrContains(text, "{{"); }

absl::Status CheckProxy(absl::string_view text) {
  if (text == "none" || text == "env") return absl::OkStatus();
  absl::string_view rest = text;
  if (absl::ConsumePrefix(&rest, "http://") || absl::ConsumePrefix(&rest, "socks5h://")) {
    absl::ConsumeSuffix(&rest, "/");
    if (HasPlaceholder(rest) && !HasControl(rest)) return absl::OkStatus();
    if (rest.find_first_of("/?# \t") == absl::string_view::npos && !HasControl(rest)) {
      const absl::Status authority = CheckAuthority(rest, /*port_required=*/true);
      if (authority.ok()) return authority;
      return absl::InvalidArgumentError(
          absl::StrCat("'", text, "' is not a proxy: ", authority.message()));
    }
  } else if (absl::StartsWith(text, "{{")) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "'", text, "' is not a proxy; it may be none, env, http://host:port or socks5h://host:port"));
}

absl::Status CheckUrl(absl::string_view text) {
  if (HasControl(text)) return absl::InvalidArgumentError("a URL cannot hold control characters");
  if (absl::StartsWith(text, "{{")) return absl::OkStatus();
  absl::string_view rest = text;
  const bool http = absl::StartsWithIgnoreCase(rest, "http://");
  if (!http && !absl::StartsWithIgnoreCase(rest, "https://")) {
    return absl::InvalidArgumentError(
        absl::StrCat("'", text, "' is not an absolute http:// or https:// URL"));
  }
  rest.remove_prefix(http ? 7 : 8);
  // A placeholder may hold any of / ? # within, so the authority is only looked at when
  // none stands in it.
  const absl::string_view authority = rest.substr(0, rest.find_first_of("/?#"));
  if (HasPlaceholder(authority)) return absl::OkStatus();
  const absl::Status status = CheckAuthority(authority, /*port_required=*/false);
  if (status.ok() && authority.find(' ') == absl::string_view::npos) return status;
  return absl::InvalidArgumentError(absl::StrCat(
      "'", text, "' is not a URL: ", status.ok() ? "its host holds a blank" : status.message()));
}

}  // namespace picket
