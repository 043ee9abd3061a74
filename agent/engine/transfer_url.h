// File: transfer_url.h
//
// What the loop must know of a URL before libcurl sees it: whom to connect to.
//
// Thread rule: plain functions and values.

#ifndef AGENT_ENGINE_TRANSFER_URL_H_
#define AGENT_ENGINE_TRANSFER_URL_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace picket {

struct UrlTarget {
  bool https = false;
  std::string host;  // lower case, without brackets; in ASCII (IDNA) form
  uint16_t port = 0;
};

// InvalidArgument, as a phrase, unless `url` is an absolute http or https URL without
// spaces or control characters.
absl::StatusOr<UrlTarget> ParseUrlTarget(absl::string_view url);

// libidn2, which reads international names for libcurl, takes them in the locale's
// encoding, and a program starts in "C". For the calling thread alone: setlocale would
// change it under other threads.
void UseUtf8Locale();

struct ProxyTarget {
  bool socks = false;
  std::string host;
  uint16_t port = 0;
  std::string user, password;  // decoded; both empty = none
};

// "http://[user:password@]host[:port]" or "socks5h://…"; InvalidArgument otherwise.
absl::StatusOr<ProxyTarget> ParseProxy(absl::string_view proxy);

}  // namespace picket

#endif  // AGENT_ENGINE_TRANSFER_URL_H_
