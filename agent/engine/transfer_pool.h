// File: transfer_pool.h
//
// Which transfers may share a connection. libcurl keeps the connections; it picks one
// by where it believes to connect to. A partition is a made-up address (of fd70::/16,
// never contacted: the socket is opened by us) that only those who may share know.
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

struct Partition {
  std::string key;
  std::string address;  // the made-up IPv6 address, without brackets
  // Sockets without a transfer, libcurl's to reuse.
  std::vector<int> idle;
  int users = 0;  // transfers that hold this partition
};

// The partitions of one session, or of the loop's pool.
class PartitionMap {
 public:
  // `next` numbers partitions over all maps of a loop; must outlive this.
  explicit PartitionMap(uint64_t* next) : next_(next) {}

  // The partition of `key`, made if need be. Never null.
  std::shared_ptr<Partition> Get(const std::string& key);
  // Null if there is none.
  std::shared_ptr<Partition> Find(const std::string& key);
  // Drops partitions without sockets and users.
  void Tidy();

  const absl::flat_hash_map<std::string, std::shared_ptr<Partition>>& all() const { return map_; }

 private:
  uint64_t* const next_;
  absl::flat_hash_map<std::string, std::shared_ptr<Partition>> map_;
};

class CurlUser;

// An open socket that libcurl uses, and what is known of it.
struct OpenSocket {
  std::shared_ptr<Partition> partition;  // null = nobody else's
  IpAddress address;
  uint16_t port = 0;
  std::shared_ptr<TlsHandshake> tls;  // null without TLS
  bool idle = false;
  CurlUser* user = nullptr;  // whose transfer runs on it; null = nobody's, or given up
};

}  // namespace picket

#endif  // AGENT_ENGINE_TRANSFER_POOL_H_
