// File: dns_hosts.h
//
// The hosts file (hosts(5)) and the name localhost (RFC 6761, section 6.3): what is
// known without a packet.
//
// Thread rule: thread-compatible; one owner a loop.

#ifndef AGENT_ENGINE_DNS_HOSTS_H_
#define AGENT_ENGINE_DNS_HOSTS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "agent/engine/dns_address.h"

namespace picket {

class HostsFile {
 public:
  // Empty = /etc/hosts. A file that cannot be read counts as empty.
  explicit HostsFile(std::string path);

  // Addresses of `name` (any case, a final dot ignored), in the file's order; for
  // localhost and names below it the loopback addresses if the file has none.
  // The file is looked at again when a second has passed.
  const std::vector<IpAddress>& Find(absl::string_view name, int64_t now_ns);

 private:
  void Reload();

  const std::string path_;
  absl::flat_hash_map<std::string, std::vector<IpAddress>> names_;
  std::vector<IpAddress> loopback_;
  const std::vector<IpAddress> none_;
  int64_t checked_ns_ = 0;
  // Of the file last read: a change means reading it again.
  int64_t changed_s_ = -1, changed_ns_ = -1, size_ = -1;
  uint64_t inode_ = 0;
};

}  // namespace picket

#endif  // AGENT_ENGINE_DNS_HOSTS_H_
