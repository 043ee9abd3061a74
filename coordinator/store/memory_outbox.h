// File: memory_outbox.h
//
// The outbox of the in-memory store.
//
// Thread rule: thread-compatible.

#ifndef COORDINATOR_STORE_MEMORY_OUTBOX_H_
#define COORDINATOR_STORE_MEMORY_OUTBOX_H_

#include <map>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "coordinator/store/store.h"

namespace picket {

class MemoryOutbox {
 public:
  void Keep(std::vector<std::string> targets) { targets_ = std::move(targets); }
  void Insert(const v1::Run& run, absl::Time now);
  std::vector<Store::OutboxView> View(absl::Time now) const;
  std::vector<OutboxRow> Claim(const std::string& target, absl::Time now, absl::Duration hold,
                               size_t most);
  void Settle(const std::vector<Store::OutboxEnd>& ends, absl::Time now);
  void ForgetOld(absl::Time now);

 private:
  struct Kept {
    OutboxRow row;
    absl::Time created, due;
  };
  static bool Due(const Kept& kept, absl::Time now);

  std::vector<std::string> targets_;
  int64_t last_id_ = 0;
  std::map<int64_t, Kept> rows_;
};

}  // namespace picket

#endif  // COORDINATOR_STORE_MEMORY_OUTBOX_H_
