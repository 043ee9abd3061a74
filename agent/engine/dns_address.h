// File: dns_address.h
//
// An IP address as the engine handles it.
//
// Thread rule: plain values.

#ifndef AGENT_ENGINE_DNS_ADDRESS_H_
#define AGENT_ENGINE_DNS_ADDRESS_H_

#include <sys/socket.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace picket {

struct IpAddress {
  bool v6 = false;
  std::array<uint8_t, 16> bytes{};  // network order; the first four for IPv4
  uint32_t scope = 0;               // of a link-local IPv6 address

  friend bool operator==(const IpAddress&, const IpAddress&) = default;
};

// "192.0.2.1", "2001:db8::1", "[2001:db8::1]", "fe80::1%eth0". The short and numeric
// forms of IPv4 that inet_aton takes ("127.1") count too, as libcurl reads them.
std::optional<IpAddress> ParseIp(absl::string_view text);

// Without brackets, in the form of RFC 5952.
std::string IpText(const IpAddress& address);
// "192.0.2.1:80", "[2001:db8::1]:80".
std::string IpPortText(const IpAddress& address, uint16_t port);

// Returns the length filled into `out`.
socklen_t FillSockaddr(const IpAddress& address, uint16_t port, sockaddr_storage* out);

// Families in turn, IPv6 first, the order within a family kept (RFC 8305, section 4).
std::vector<IpAddress> Interleave(const std::vector<IpAddress>& addresses);

}  // namespace picket

#endif  // AGENT_ENGINE_DNS_ADDRESS_H_
