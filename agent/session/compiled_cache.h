// File: compiled_cache.h
//
// Tests made ready to run, by digest: each is compiled once while it is in use, and a
// bounded number is kept for the next execution.
//
// Thread rule: thread-compatible.

#ifndef AGENT_SESSION_COMPILED_CACHE_H_
#define AGENT_SESSION_COMPILED_CACHE_H_

#include <list>
#include <memory>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "agent/engine/engine.h"
#include "agent/session/session_types.h"

namespace picket {

class CompiledCache {
 public:
  explicit CompiledCache(size_t tests_most) : tests_most_(tests_most) {}

  // The test, compiled now if it is not here; or why it cannot be.
  const absl::StatusOr<std::shared_ptr<const CompiledTest>>& Get(const TestUnit& unit);

 private:
  struct Entry {
    std::string digest;
    absl::StatusOr<std::shared_ptr<const CompiledTest>> test;
  };
  const size_t tests_most_;
  std::list<Entry> entries_;  // last used first
  absl::flat_hash_map<std::string, std::list<Entry>::iterator> by_digest_;
};

}  // namespace picket

#endif  // AGENT_SESSION_COMPILED_CACHE_H_
