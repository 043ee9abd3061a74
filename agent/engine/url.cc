#include "agent/engine/url.h"

#include <vector>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/base/status_macros.h"

namespace picket {
namespace {

bool HasControl(absl::string_view text) {
  for (unsigned char c : text) {
    if (c < 0x20 || c == 0x7f) return true;
  }
  return false;
}

// Percent-encodes what may not stand in a path or query; everything else stays.
std::string EncodeIllegal(absl::string_view text) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  std::string out;
  out.reserve(text.size());
  for (unsigned char c : text) {
    if (c <= 0x20 || c >= 0x7f || c == '"' || c == '<' || c == '>' || c == '\\' || c == '^' ||
        c == '`' || c == '{' || c == '|' || c == '}') {
      out += '%';
      out += kHex[c >> 4];
      out += kHex[c & 15];
    } else {
      out += static_cast<char>(c);
    }
  }
  return out;
}

bool IsScheme(absl::string_view text) {
  if (text.empty() || !absl::ascii_isalpha(text[0])) return false;
  for (char c : text) {
    if (!absl::ascii_isalnum(c) && c != '+' && c != '-' && c != '.') return false;
  }
  return true;
}

struct Parts {
  std::optional<absl::string_view> scheme, authority, query;
  absl::string_view path;
};

// RFC 3986, appendix B, by hand.
Parts Split(absl::string_view text) {
  Parts parts;
  text = text.substr(0, text.find('#'));
  if (size_t at = text.find('?'); at != absl::string_view::npos) {
    parts.query = text.substr(at + 1);
    text = text.substr(0, at);
  }
  if (size_t at = text.find(':'); at != absl::string_view::npos && IsScheme(text.substr(0, at))) {
    parts.scheme = text.substr(0, at);
    text.remove_prefix(at + 1);
  }
  if (absl::ConsumePrefix(&text, "//")) {
    const size_t end = text.find('/');
    parts.authority = text.substr(0, end);
    text = end == absl::string_view::npos ? absl::string_view() : text.substr(end);
  }
  parts.path = text;
  return parts;
}

absl::Status ParseHost(absl::string_view host, Url& url) {
  if (absl::ConsumePrefix(&host, "[")) {
    if (!absl::ConsumeSuffix(&host, "]") || host.empty()) {
      return absl::InvalidArgumentError("the URL's IPv6 address is not closed by ']'");
    }
    for (char c : host) {
      if (!absl::ascii_isxdigit(c) && c != ':' && c != '.') {
        return absl::InvalidArgumentError("the URL's IPv6 address is malformed");
      }
    }
  } else {
    for (char c : host) {
      if (!absl::ascii_isalnum(c) && c != '.' && c != '-' && c != '_') {
        return absl::InvalidArgumentError(
            "the URL's host holds a character that no host name has; international names are "
            "written in their xn-- form");
      }
    }
  }
  if (host.empty()) return absl::InvalidArgumentError("the URL has no host");
  url.host = absl::AsciiStrToLower(host);
  return absl::OkStatus();
}

absl::Status ParseAuthority(absl::string_view authority, Url& url) {
  if (size_t at = authority.rfind('@'); at != absl::string_view::npos) {
    url.userinfo = std::string(authority.substr(0, at));
    authority.remove_prefix(at + 1);
  }
  absl::string_view host = authority;
  url.port = url.scheme == "https" ? 443 : 80;
  const size_t colon = authority.rfind(':');
  const size_t bracket = authority.rfind(']');
  if (colon != absl::string_view::npos && (bracket == absl::string_view::npos || colon > bracket)) {
    host = authority.substr(0, colon);
    const absl::string_view port = authority.substr(colon + 1);
    uint32_t number = 0;
    if (!port.empty()) {
      if (port.size() > 5 || !absl::ascii_isdigit(port[0]) || !absl::SimpleAtoi(port, &number) ||
          number == 0 || number > 65535) {
        return absl::InvalidArgumentError("the URL's port is not a number from 1 to 65535");
      }
      url.port = static_cast<uint16_t>(number);
    }
  }
  return ParseHost(host, url);
}

// RFC 3986, section 5.2.4.
std::string RemoveDotSegments(absl::string_view path) {
  std::vector<absl::string_view> kept;
  const std::vector<absl::string_view> segments = absl::StrSplit(path, '/');
  for (size_t i = 1; i < segments.size(); ++i) {  // the path begins with '/'
    const bool last = i + 1 == segments.size();
    if (segments[i] == "..") {
      if (!kept.empty()) kept.pop_back();
      if (last) kept.push_back("");
    } else if (segments[i] == ".") {
      if (last) kept.push_back("");
    } else {
      kept.push_back(segments[i]);
    }
  }
  return absl::StrCat("/", absl::StrJoin(kept, "/"));
}

absl::Status SetScheme(absl::string_view scheme, Url& url) {
  url.scheme = absl::AsciiStrToLower(scheme);
  if (url.scheme == "http" || url.scheme == "https") return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("the URL's scheme is '", url.scheme.substr(0, 20),
                                                 "'; http and https are known"));
}

}  // namespace

absl::StatusOr<Url> ParseUrl(absl::string_view text) {
  if (HasControl(text)) {
    return absl::InvalidArgumentError("the URL holds a control character");
  }
  const Parts parts = Split(absl::StripAsciiWhitespace(text));
  if (!parts.scheme.has_value() || !parts.authority.has_value()) {
    return absl::InvalidArgumentError(
        "the URL is not absolute: it must begin with http:// or https://");
  }
  Url url;
  ABSL_RETURN_IF_ERROR(SetScheme(*parts.scheme, url));
  ABSL_RETURN_IF_ERROR(ParseAuthority(*parts.authority, url));
  url.path = parts.path.empty() ? "/" : EncodeIllegal(parts.path);
  if (parts.query.has_value()) url.query = EncodeIllegal(*parts.query);
  return url;
}

absl::StatusOr<Url> ResolveUrl(const Url& base, absl::string_view reference) {
  if (HasControl(reference)) {
    return absl::InvalidArgumentError("the URL holds a control character");
  }
  const Parts parts = Split(absl::StripAsciiWhitespace(reference));
  Url url = base;
  url.userinfo.reset();
  if (parts.scheme.has_value()) {
    ABSL_RETURN_IF_ERROR(SetScheme(*parts.scheme, url));
    if (!parts.authority.has_value()) return absl::InvalidArgumentError("the URL has no host");
  }
  if (parts.authority.has_value()) {
    ABSL_RETURN_IF_ERROR(ParseAuthority(*parts.authority, url));
    url.path = RemoveDotSegments(parts.path.empty() ? "/" : EncodeIllegal(parts.path));
    url.query.reset();
  } else if (!parts.path.empty()) {
    const std::string path = EncodeIllegal(parts.path);
    if (path[0] == '/') {
      url.path = RemoveDotSegments(path);
    } else {
      url.path =
          RemoveDotSegments(absl::StrCat(base.path.substr(0, base.path.rfind('/') + 1), path));
    }
    url.query.reset();
  }
  if (parts.query.has_value()) url.query = EncodeIllegal(*parts.query);
  return url;
}

std::string HostAndPort(const Url& url) {
  const bool ipv6 = absl::StrContains(url.host, ':');
  return absl::StrCat(ipv6 ? "[" : "", url.host, ipv6 ? "]" : "",
                      url.default_port() ? "" : absl::StrCat(":", url.port));
}

std::string ToText(const Url& url) {
  return absl::StrCat(url.scheme, "://", HostAndPort(url), url.path,
                      url.query.has_value() ? "?" : "", url.query.value_or(""));
}

bool SameOrigin(const Url& a, const Url& b) {
  return a.port == b.port && a.host == b.host && a.scheme == b.scheme;
}

}  // namespace picket
