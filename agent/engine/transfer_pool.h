// File: transfer_pool.h
//
// Which transfers may share a connection. libcurl keeps the connections and picks one by
// where it believes to connect to; so each connection that may be used again has a route of
// its own, a made-up address (of fd70::/16, never contacted: the socket is opened by us)
// that only the transfer it was given to is told. Which one that is, is decided here.
//
// Thread rule: thread-compatible; the loop's own thread.

#ifndef AGENT_ENGINE_TRANSFER_POOL_H_
#define AGENT_ENGINE_TRANSFER_POOL_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "agent/engine/dns_address.h"
#include "agent/engine/tls_handshake.h"

namespace picket {

// Those who may share connections.
struct Partition {
  // Sockets without a transfer; the last one used last.
  std::vector<int> idle;
};

// The partitions of one session, or of the loop's pool.
class PartitionMap {
 public:
  // The partition of `key`, made if need be. Never null.
  std::shared_ptr<Partition> Get(const std::string& key);
  // Null if there is none.
  std::shared_ptr<Partition> Find(const std::string& key);
  // Drops partitions without sockets and users.
  void Tidy();

  bool empty() const { return map_.empty(); }
  const absl::flat_hash_map<std::string, std::shared_ptr<Partition>>& all() const { return map_; }

 private:
  absl::flat_hash_map<std::string, std::shared_ptr<Partition>> map_;
};

// The made-up IPv6 address of a route, without brackets. Route 0 is of connections that
// are used once.
std::string RouteAddress(uint64_t route);

class CurlUser;

// An open socket that libcurl uses, and what is known of it.
struct OpenSocket {
  std::shared_ptr<Partition> partition;  // null = used once
  uint64_t route = 0;
  IpAddress address;
  uint16_t port = 0;
  std::shared_ptr<TlsHandshake> tls;  // null without TLS
  bool idle = false;
  CurlUser* user = nullptr;  // whose transfer runs on it; null = nobody's, or given up
};

}  // namespace picket

#endif  // AGENT_ENGINE_TRANSFER_POOL_H_
