#include "agent/session/compiled_cache.h"

#include <utility>

namespace picket {

const absl::StatusOr<std::shared_ptr<const CompiledTest>>& CompiledCache::Get(
    const TestUnit& unit) {
  const auto found = by_digest_.find(unit.digest);
  if (found != by_digest_.end()) {
    entries_.splice(entries_.begin(), entries_, found->second);
    return entries_.front().test;
  }
  entries_.push_front({unit.digest, CompileTest(unit.test, unit.files)});
  by_digest_[unit.digest] = entries_.begin();
  if (entries_.size() > tests_most_) {
    by_digest_.erase(entries_.back().digest);
    entries_.pop_back();
  }
  return entries_.front().test;
}

}  // namespace picket
