// File: cookies.h
//
// The cookies of one execution (RFC 6265): what servers set, and what goes back to them.
//
// Thread rule: thread-compatible.

#ifndef AGENT_ENGINE_COOKIES_H_
#define AGENT_ENGINE_COOKIES_H_

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "agent/engine/url.h"

namespace picket {

struct Cookie {
  std::string name;
  std::string value;
  std::string domain;     // lower case, without a leading dot
  bool host_only = true;  // no Domain attribute
  std::string path;
  bool secure = false;
  absl::Time expires = absl::InfiniteFuture();
};

// Reads one Set-Cookie field received from `url` (section 5.2, 5.3). Nothing if it is to
// be ignored: no name, too large, or a Domain that is not the host's.
std::optional<Cookie> ParseSetCookie(absl::string_view field, const Url& url, absl::Time now);

// The date of an Expires attribute by the forgiving rules of section 5.1.1.
std::optional<absl::Time> ParseCookieDate(absl::string_view text);

// Section 5.1.3. `domain` has no leading dot; both are lower case.
bool DomainMatches(absl::string_view host, absl::string_view domain);
// Section 5.1.4.
bool PathMatches(absl::string_view request_path, absl::string_view cookie_path);

class CookieJar {
 public:
  // Stores, replaces or (when expired) removes.
  void Store(Cookie cookie, absl::Time now);
  // Name and value of those that go to `url`: longer paths first, then older ones.
  std::vector<std::pair<std::string, std::string>> For(const Url& url, absl::Time now) const;
  size_t size() const { return cookies_.size(); }

 private:
  std::vector<Cookie> cookies_;  // in order of creation
};

}  // namespace picket

#endif  // AGENT_ENGINE_COOKIES_H_
