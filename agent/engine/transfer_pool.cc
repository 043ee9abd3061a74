#include "agent/engine/transfer_pool.h"

#include <utility>

#include "absl/strings/str_format.h"

namespace picket {

std::shared_ptr<Partition> PartitionMap::Get(const std::string& key) {
  std::shared_ptr<Partition>& partition = map_[key];
  if (partition == nullptr) partition = std::make_shared<Partition>();
  return partition;
}

std::shared_ptr<Partition> PartitionMap::Find(const std::string& key) {
  const auto found = map_.find(key);
  return found == map_.end() ? nullptr : found->second;
}

void PartitionMap::Tidy() {
  absl::erase_if(map_, [](const auto& entry) {
    return entry.second->idle.empty() && entry.second.use_count() == 1;
  });
}

std::string RouteAddress(uint64_t route) {
  if (route == 0) return "fd70::";
  return absl::StrFormat("fd70::%x:%x:%x:%x", route >> 48, (route >> 32) & 0xffff,
                         (route >> 16) & 0xffff, route & 0xffff);
}

}  // namespace picket
