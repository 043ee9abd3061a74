// File: memory_agents.h
//
// The agents' rows of the store in memory.
//
// Thread rule: thread-compatible.

#ifndef COORDINATOR_STORE_MEMORY_AGENTS_H_
#define COORDINATOR_STORE_MEMORY_AGENTS_H_

#include <map>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "coordinator/core/records.h"

namespace picket {

class MemoryAgents {
 public:
  Outcome Apply(const PutAgent& put, absl::Time now);
  Outcome Apply(const CloseAgent& close);
  Outcome Apply(const ExpireAgent& expire);
  Outcome Apply(const RenewAgents& renew, absl::Time now);

  // By instance.
  std::vector<AgentRow> All() const;
  // Deletes those that are gone and were not heard since.
  void ForgetGone(absl::Time before);

 private:
  std::map<std::string, AgentRow> rows_;  // by instance
};

}  // namespace picket

#endif  // COORDINATOR_STORE_MEMORY_AGENTS_H_
