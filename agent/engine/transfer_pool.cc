#include "agent/engine/transfer_pool.h"

#include <utility>

#include "absl/strings/str_format.h"

namespace picket {

std::shared_ptr<Partition> PartitionMap::Get(const std::string& key) {
  std::shared_ptr<Partition>& partition = map_[key];
  if (partition == nullptr) {
    const uint64_t number = ++*next_;
    partition = std::make_shared<Partition>();
    partition->key = key;
    partition->address = absl::StrFormat("fd70::%x:%x:%x:%x", number >> 48, (number >> 32) & 0xffff,
                                         (number >> 16) & 0xffff, number & 0xffff);
  }
  return partition;
}

std::shared_ptr<Partition> PartitionMap::Find(const std::string& key) {
  const auto found = map_.find(key);
  return found == map_.end() ? nullptr : found->second;
}

void PartitionMap::Tidy() {
  absl::erase_if(map_, [](const auto& entry) {
    return entry.second->idle.empty() && entry.second->users == 0;
  });
}

}  // namespace picket
