#include "agent/engine/loop_timers.h"

#include <utility>

namespace picket {

LoopTimers::Id LoopTimers::Start(int64_t deadline_ns, absl::AnyInvocable<void()> fire) {
  uint32_t index;
  if (free_.empty()) {
    index = static_cast<uint32_t>(slots_.size());
    slots_.emplace_back();
  } else {
    index = free_.back();
    free_.pop_back();
  }
  Slot& slot = slots_[index];
  slot.deadline_ns = deadline_ns;
  slot.live = true;
  ++slot.generation;
  slot.fire = std::move(fire);
  heap_.push_back(index);
  slot.position = static_cast<uint32_t>(heap_.size() - 1);
  SiftUp(slot.position);
  return (static_cast<uint64_t>(slots_[index].generation) << 32) | (index + 1);
}

void LoopTimers::Cancel(Id id) {
  const uint64_t low = id & 0xffffffffu;
  if (low == 0 || low > slots_.size()) return;
  Slot& slot = slots_[low - 1];
  if (!slot.live || slot.generation != static_cast<uint32_t>(id >> 32)) return;
  Remove(slot.position);
}

absl::AnyInvocable<void()> LoopTimers::PopDue(int64_t now_ns, int64_t* deadline_ns) {
  if (heap_.empty() || slots_[heap_[0]].deadline_ns > now_ns) return nullptr;
  *deadline_ns = slots_[heap_[0]].deadline_ns;
  return Remove(0);
}

absl::AnyInvocable<void()> LoopTimers::Remove(uint32_t position) {
  const uint32_t index = heap_[position];
  Slot& slot = slots_[index];
  slot.live = false;
  absl::AnyInvocable<void()> fire = std::move(slot.fire);
  slot.fire = nullptr;
  free_.push_back(index);
  const uint32_t last = heap_.back();
  heap_.pop_back();
  if (position < heap_.size()) {
    Place(position, last);
    SiftUp(position);
    SiftDown(slots_[last].position);
  }
  return fire;
}

void LoopTimers::Place(uint32_t position, uint32_t slot) {
  heap_[position] = slot;
  slots_[slot].position = position;
}

void LoopTimers::SiftUp(uint32_t position) {
  const uint32_t moving = heap_[position];
  while (position > 0) {
    const uint32_t parent = (position - 1) / 2;
    if (slots_[heap_[parent]].deadline_ns <= slots_[moving].deadline_ns) break;
    Place(position, heap_[parent]);
    position = parent;
  }
  Place(position, moving);
}

void LoopTimers::SiftDown(uint32_t position) {
  const uint32_t moving = heap_[position];
  while (true) {
    uint32_t child = 2 * position + 1;
    if (child >= heap_.size()) break;
    if (child + 1 < heap_.size() &&
        slots_[heap_[child + 1]].deadline_ns < slots_[heap_[child]].deadline_ns) {
      ++child;
    }
    if (slots_[moving].deadline_ns <= slots_[heap_[child]].deadline_ns) break;
    Place(position, heap_[child]);
    position = child;
  }
  Place(position, moving);
}

}  // namespace picket
