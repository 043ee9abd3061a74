#include <cstdlib>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "agent/engine/render_request.h"

namespace picket {
namespace {

std::string Env(const char* lower, const char* upper) {
  for (const char* name : {lower, upper}) {
    if (name == nullptr) continue;
    const char* value = std::getenv(name);
    if (value != nullptr && *value != '\0') return value;
  }
  return "";
}

// Names in the list stand for themselves and everything below them; "*" for all.
bool IsExempt(absl::string_view list, const Url& url) {
  for (absl::string_view entry : absl::StrSplit(list, absl::ByAnyChar(", "), absl::SkipEmpty())) {
    if (entry == "*") return true;
    absl::ConsumePrefix(&entry, ".");
    if (absl::EqualsIgnoreCase(url.host, entry) ||
        absl::EqualsIgnoreCase(HostAndPort(url), entry)) {
      return true;
    }
    if (absl::EndsWithIgnoreCase(url.host, absl::StrCat(".", entry))) return true;
  }
  return false;
}

}  // namespace

std::string ProxyFromEnvironment(const Url& url) {
  if (IsExempt(Env("no_proxy", "NO_PROXY"), url)) return "";
  // HTTP_PROXY in capitals can be set by a CGI request; only the lower-case name counts.
  std::string proxy =
      url.scheme == "https" ? Env("https_proxy", "HTTPS_PROXY") : Env("http_proxy", nullptr);
  if (proxy.empty()) proxy = Env("all_proxy", "ALL_PROXY");
  if (!proxy.empty() && !absl::StrContains(proxy, "://")) proxy = absl::StrCat("http://", proxy);
  return proxy;
}

}  // namespace picket
