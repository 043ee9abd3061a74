// File: drafts.h
//
// The batch that is being put together: which shards it writes already, and which of
// their executions it has given away.

#ifndef COORDINATOR_CORE_DRAFTS_H_
#define COORDINATOR_CORE_DRAFTS_H_

#include <map>
#include <utility>
#include <vector>

#include "coordinator/core/core.h"

namespace picket {

struct Core::Drafts {
  struct Entry {
    WriteShard write;
    Flight flight;
    std::vector<bool> taken;  // granted in this batch, by position
  };
  // By run and shard.
  std::map<std::pair<std::string, uint32_t>, Entry> entries;
  // Executions given to an instance in this batch.
  std::map<std::string, uint32_t> granted;
  std::map<std::string, uint32_t> isolated;
  std::map<std::string, uint32_t> probes;

  // The shard's draft, begun if there is none.
  Entry& Of(RunState& run, uint32_t shard);
};

}  // namespace picket

#endif  // COORDINATOR_CORE_DRAFTS_H_
