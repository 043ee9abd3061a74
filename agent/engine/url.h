// File: url.h
//
// http and https URLs as checks use them (RFC 3986, RFC 9110 section 4.2): reading,
// resolving a Location against the page it came from, comparing origins.
//
// Thread rule: all functions are pure.

#ifndef AGENT_ENGINE_URL_H_
#define AGENT_ENGINE_URL_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace picket {

struct Url {
  std::string scheme;                   // "http" or "https"
  std::optional<std::string> userinfo;  // as written, percent-encoded
  std::string host;                     // lower case; an IPv6 address without brackets
  uint16_t port = 0;                    // never 0: the scheme's own if none was written
  std::string path;                     // begins with '/', percent-encoded
  std::optional<std::string> query;     // without '?'

  bool default_port() const { return port == (scheme == "https" ? 443 : 80); }
};

// An absolute http or https URL. The fragment is cut off; bytes that no URL may hold
// (blanks, non-ASCII, quotes) are percent-encoded in path and query.
// InvalidArgument: control characters, another scheme, no host, a bad port. Messages
// name no part of the query or userinfo.
absl::StatusOr<Url> ParseUrl(absl::string_view text);

// `reference` as seen from `base` (RFC 3986, section 5.2.2). Userinfo is not inherited.
absl::StatusOr<Url> ResolveUrl(const Url& base, absl::string_view reference);

// "host", "host:port" where the port is not the scheme's own; IPv6 in brackets.
std::string HostAndPort(const Url& url);

// Without userinfo and fragment.
std::string ToText(const Url& url);

// Same scheme, host and port.
bool SameOrigin(const Url& a, const Url& b);

}  // namespace picket

#endif  // AGENT_ENGINE_URL_H_
