#include "agent/engine/dns_address.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>

#include <cstring>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace picket {
namespace {

bool LooksNumeric(absl::string_view text) {
  if (text.empty() || !absl::ascii_isdigit(text[0])) return false;
  for (const char c : text) {
    if (!absl::ascii_isxdigit(c) && c != '.' && c != 'x' && c != 'X') return false;
  }
  return true;
}

}  // namespace

std::optional<IpAddress> ParseIp(absl::string_view text) {
  if (text.size() >= 2 && text.front() == '[' && text.back() == ']') {
    text = text.substr(1, text.size() - 2);
    if (text.find(':') == absl::string_view::npos) return std::nullopt;
  }
  if (text.empty() || text.size() > 80) return std::nullopt;
  IpAddress address;
  if (text.find(':') != absl::string_view::npos) {
    address.v6 = true;
    std::string plain(text);
    const size_t percent = plain.find('%');
    if (percent != std::string::npos) {
      std::string zone = plain.substr(percent + 1);
      if (zone.size() > 2 && zone[0] == '2' && zone[1] == '5') zone = zone.substr(2);  // RFC 6874
      plain.resize(percent);
      if (!absl::SimpleAtoi(zone, &address.scope)) address.scope = if_nametoindex(zone.c_str());
    }
    if (inet_pton(AF_INET6, plain.c_str(), address.bytes.data()) != 1) return std::nullopt;
    return address;
  }
  if (!LooksNumeric(text)) return std::nullopt;
  in_addr v4{};
  if (inet_aton(std::string(text).c_str(), &v4) == 0) return std::nullopt;
  std::memcpy(address.bytes.data(), &v4, 4);
  return address;
}

std::string IpText(const IpAddress& address) {
  char text[INET6_ADDRSTRLEN] = {};
  inet_ntop(address.v6 ? AF_INET6 : AF_INET, address.bytes.data(), text, sizeof(text));
  return text;
}

std::string IpPortText(const IpAddress& address, uint16_t port) {
  if (address.v6) return absl::StrCat("[", IpText(address), "]:", port);
  return absl::StrCat(IpText(address), ":", port);
}

socklen_t FillSockaddr(const IpAddress& address, uint16_t port, sockaddr_storage* out) {
  if (address.v6) {
    auto* v6 = reinterpret_cast<sockaddr_in6*>(out);
    *v6 = {};
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(port);
    v6->sin6_scope_id = address.scope;
    std::memcpy(&v6->sin6_addr, address.bytes.data(), 16);
    return sizeof(sockaddr_in6);
  }
  auto* v4 = reinterpret_cast<sockaddr_in*>(out);
  *v4 = {};
  v4->sin_family = AF_INET;
  v4->sin_port = htons(port);
  std::memcpy(&v4->sin_addr, address.bytes.data(), 4);
  return sizeof(sockaddr_in);
}

std::vector<IpAddress> Interleave(const std::vector<IpAddress>& addresses) {
  std::vector<IpAddress> six, four, mixed;
  for (const IpAddress& address : addresses) (address.v6 ? six : four).push_back(address);
  for (size_t i = 0; i < six.size() || i < four.size(); ++i) {
    if (i < six.size()) mixed.push_back(six[i]);
    if (i < four.size()) mixed.push_back(four[i]);
  }
  return mixed;
}

}  // namespace picket
