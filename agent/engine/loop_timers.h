// File: loop_timers.h
//
// Deadlines in one heap: O(log n) to start, move and cancel, no system timer each.
//
// Thread rule: thread-compatible; the loop's own thread.

#ifndef AGENT_ENGINE_LOOP_TIMERS_H_
#define AGENT_ENGINE_LOOP_TIMERS_H_

#include <cstdint>
#include <limits>
#include <vector>

#include "absl/functional/any_invocable.h"

namespace picket {

class LoopTimers {
 public:
  // Never 0. Ids are not used again for a long time: a stale one is ignored.
  using Id = uint64_t;
  static constexpr int64_t kNever = std::numeric_limits<int64_t>::max();

  // `deadline_ns` is monotonic time in nanoseconds.
  Id Start(int64_t deadline_ns, absl::AnyInvocable<void()> fire);
  // Nothing happens if it has fired or was cancelled.
  void Cancel(Id id);

  // Deadline of the earliest timer, or kNever.
  int64_t Next() const { return heap_.empty() ? kNever : slots_[heap_[0]].deadline_ns; }

  // Takes out the earliest timer if it is due. Returns an empty callback if none is.
  // `deadline_ns` receives when it was due.
  absl::AnyInvocable<void()> PopDue(int64_t now_ns, int64_t* deadline_ns);

  size_t size() const { return heap_.size(); }

 private:
  struct Slot {
    int64_t deadline_ns = 0;
    uint32_t generation = 0;
    uint32_t position = 0;  // in heap_
    bool live = false;
    absl::AnyInvocable<void()> fire;
  };

  void SiftUp(uint32_t position);
  void SiftDown(uint32_t position);
  void Place(uint32_t position, uint32_t slot);
  absl::AnyInvocable<void()> Remove(uint32_t position);

  std::vector<Slot> slots_;
  std::vector<uint32_t> free_;
  std::vector<uint32_t> heap_;  // slots, earliest first
};

}  // namespace picket

#endif  // AGENT_ENGINE_LOOP_TIMERS_H_
