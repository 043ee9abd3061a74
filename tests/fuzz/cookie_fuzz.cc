// Set-Cookie fields, one a line, and what a jar gives back.

#include <cstdint>
#include <string>

#include "absl/strings/str_split.h"
#include "agent/engine/cookies.h"
#include "agent/engine/url.h"
#include "common/base/check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace picket;
  const absl::string_view input(reinterpret_cast<const char*>(data), size);
  const auto url = ParseUrl("https://shop.example.com/a/b");
  PICKET_CHECK(url.ok());
  const absl::Time now = absl::FromUnixSeconds(1'790'000'000);
  CookieJar jar;
  for (absl::string_view line : absl::StrSplit(input, '\n')) {
    (void)ParseCookieDate(line);
    const auto cookie = ParseSetCookie(line, *url, now);
    if (!cookie.has_value()) continue;
    PICKET_CHECK(DomainMatches("shop.example.com", cookie->domain));
    jar.Store(*cookie, now);
  }
  for (const auto& [name, value] : jar.For(*url, now)) {
    PICKET_CHECK(name.find_first_of(std::string(";\r\n\0", 4)) == std::string::npos);
    PICKET_CHECK(value.find_first_of(std::string(";\r\n\0", 4)) == std::string::npos);
  }
  return 0;
}
