#include "agent/engine/cookies.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "agent/engine/limits.h"

namespace picket {
namespace {

bool IsIpAddress(absl::string_view host) {
  if (absl::StrContains(host, ':')) return true;
  for (char c : host) {
    if (!absl::ascii_isdigit(c) && c != '.') return false;
  }
  return !host.empty();
}

std::string DefaultPath(const Url& url) {
  const size_t slash = url.path.rfind('/');
  return slash == 0 || slash == std::string::npos ? "/" : url.path.substr(0, slash);
}

bool IsDateDelimiter(char c) {
  const unsigned char b = static_cast<unsigned char>(c);
  return b == 0x09 || (b >= 0x20 && b <= 0x2f) || (b >= 0x3b && b <= 0x40) ||
         (b >= 0x5b && b <= 0x60) || (b >= 0x7b && b <= 0x7e);
}

// The number at the start of `token`, of `least` to `most` digits, followed by no digit.
std::optional<int> LeadingNumber(absl::string_view token, size_t least, size_t most) {
  size_t digits = 0;
  int number = 0;
  while (digits < token.size() && absl::ascii_isdigit(token[digits])) {
    if (++digits > most) return std::nullopt;
    number = number * 10 + (token[digits - 1] - '0');
  }
  if (digits < least) return std::nullopt;
  return number;
}

struct DateParts {
  std::optional<int> hour, minute, second, day, month, year;
};

bool TakeTime(absl::string_view token, DateParts& date) {
  const std::vector<absl::string_view> fields = absl::StrSplit(token, absl::MaxSplits(':', 2));
  if (fields.size() != 3) return false;
  const auto hour = LeadingNumber(fields[0], 1, 2);
  const auto minute = LeadingNumber(fields[1], 1, 2);
  const auto second = LeadingNumber(fields[2], 1, 2);
  if (!hour || !minute || !second || fields[0].size() > 2 || fields[1].size() > 2) return false;
  date.hour = hour;
  date.minute = minute;
  date.second = second;
  return true;
}

bool TakeMonth(absl::string_view token, DateParts& date) {
  static constexpr absl::string_view kMonths[] = {"jan", "feb", "mar", "apr", "may", "jun",
                                                  "jul", "aug", "sep", "oct", "nov", "dec"};
  for (int i = 0; i < 12; ++i) {
    if (absl::StartsWithIgnoreCase(token, kMonths[i])) {
      date.month = i + 1;
      return true;
    }
  }
  return false;
}

}  // namespace

std::optional<absl::Time> ParseCookieDate(absl::string_view text) {
  DateParts date;
  size_t at = 0;
  while (at < text.size()) {
    if (IsDateDelimiter(text[at])) {
      ++at;
      continue;
    }
    size_t end = at;
    while (end < text.size() && !IsDateDelimiter(text[end])) ++end;
    const absl::string_view token = text.substr(at, end - at);
    at = end;
    if (!date.hour && TakeTime(token, date)) continue;
    if (!date.day) {
      if (auto day = LeadingNumber(token, 1, 2)) {
        date.day = day;
        continue;
      }
    }
    if (!date.month && TakeMonth(token, date)) continue;
    if (!date.year) date.year = LeadingNumber(token, 2, 4);
  }
  if (!date.hour || !date.day || !date.month || !date.year) return std::nullopt;
  int year = *date.year;
  if (year >= 70 && year <= 99) year += 1900;
  if (year >= 0 && year <= 69) year += 2000;
  if (*date.day < 1 || *date.day > 31 || year < 1601 || *date.hour > 23 || *date.minute > 59 ||
      *date.second > 59) {
    return std::nullopt;
  }
  const absl::CivilSecond civil(year, *date.month, *date.day, *date.hour, *date.minute,
                                *date.second);
  if (civil.day() != *date.day) return std::nullopt;
  return absl::FromCivil(civil, absl::UTCTimeZone());
}

bool DomainMatches(absl::string_view host, absl::string_view domain) {
  if (host == domain) return true;
  return host.size() > domain.size() && absl::EndsWith(host, domain) &&
         host[host.size() - domain.size() - 1] == '.' && !IsIpAddress(host);
}

bool PathMatches(absl::string_view request_path, absl::string_view cookie_path) {
  if (!absl::StartsWith(request_path, cookie_path)) return false;
  return request_path.size() == cookie_path.size() || absl::EndsWith(cookie_path, "/") ||
         request_path[cookie_path.size()] == '/';
}

std::optional<Cookie> ParseSetCookie(absl::string_view field, const Url& url, absl::Time now) {
  if (field.size() > DefaultEngineLimits().cookie_bytes) return std::nullopt;
  // It would go out in a request: control characters, NUL included, end its acceptance.
  for (unsigned char c : field) {
    if ((c < 0x20 && c != '\t') || c == 0x7f) return std::nullopt;
  }
  std::vector<absl::string_view> parts = absl::StrSplit(field, ';');
  const size_t equals = parts[0].find('=');
  if (equals == absl::string_view::npos) return std::nullopt;
  Cookie cookie;
  cookie.name = std::string(absl::StripAsciiWhitespace(parts[0].substr(0, equals)));
  cookie.value = std::string(absl::StripAsciiWhitespace(parts[0].substr(equals + 1)));
  if (cookie.name.empty()) return std::nullopt;
  cookie.domain = url.host;
  cookie.path = DefaultPath(url);
  bool max_age_seen = false;
  for (size_t i = 1; i < parts.size(); ++i) {
    const size_t at = parts[i].find('=');
    const absl::string_view name = absl::StripAsciiWhitespace(parts[i].substr(0, at));
    const absl::string_view value =
        at == absl::string_view::npos ? "" : absl::StripAsciiWhitespace(parts[i].substr(at + 1));
    if (absl::EqualsIgnoreCase(name, "expires") && !max_age_seen) {
      if (auto date = ParseCookieDate(value)) cookie.expires = *date;
    } else if (absl::EqualsIgnoreCase(name, "max-age")) {
      int64_t seconds = 0;
      if (!absl::SimpleAtoi(value, &seconds)) continue;
      max_age_seen = true;
      cookie.expires = seconds <= 0 ? absl::InfinitePast() : now + absl::Seconds(seconds);
    } else if (absl::EqualsIgnoreCase(name, "domain") && !value.empty()) {
      std::string domain = absl::AsciiStrToLower(value);
      if (domain[0] == '.') domain.erase(0, 1);
      if (domain.empty()) continue;
      cookie.domain = domain;
      cookie.host_only = false;
    } else if (absl::EqualsIgnoreCase(name, "path")) {
      cookie.path = !value.empty() && value[0] == '/' ? std::string(value) : DefaultPath(url);
    } else if (absl::EqualsIgnoreCase(name, "secure")) {
      cookie.secure = true;
    }
  }
  if (!cookie.host_only) {
    if (!DomainMatches(url.host, cookie.domain)) return std::nullopt;
    // Without a list of public suffixes at least no cookie for a whole top-level domain.
    if (!absl::StrContains(cookie.domain, '.') && cookie.domain != url.host) return std::nullopt;
    if (cookie.domain == url.host && IsIpAddress(url.host)) cookie.host_only = true;
  }
  if (cookie.secure && url.scheme != "https") return std::nullopt;
  return cookie;
}

void CookieJar::Store(Cookie cookie, absl::Time now) {
  auto same = std::find_if(cookies_.begin(), cookies_.end(), [&](const Cookie& c) {
    return c.name == cookie.name && c.domain == cookie.domain && c.path == cookie.path;
  });
  const bool expired = cookie.expires <= now;
  if (same != cookies_.end()) {
    if (expired) {
      cookies_.erase(same);
    } else {
      *same = std::move(cookie);
    }
    return;
  }
  if (expired) return;
  if (cookies_.size() >= DefaultEngineLimits().cookies_per_jar) cookies_.erase(cookies_.begin());
  cookies_.push_back(std::move(cookie));
}

std::vector<std::pair<std::string, std::string>> CookieJar::For(const Url& url,
                                                                absl::Time now) const {
  std::vector<const Cookie*> matching;
  for (const Cookie& cookie : cookies_) {
    if (cookie.expires <= now || (cookie.secure && url.scheme != "https")) continue;
    const bool domain =
        cookie.host_only ? url.host == cookie.domain : DomainMatches(url.host, cookie.domain);
    if (domain && PathMatches(url.path, cookie.path)) matching.push_back(&cookie);
  }
  std::stable_sort(matching.begin(), matching.end(), [](const Cookie* a, const Cookie* b) {
    return a->path.size() > b->path.size();
  });
  std::vector<std::pair<std::string, std::string>> pairs;
  for (const Cookie* cookie : matching) pairs.emplace_back(cookie->name, cookie->value);
  return pairs;
}

}  // namespace picket
