// What no agent holds any more although it may have been started.

#include <algorithm>
#include <utility>
#include <vector>

#include "coordinator/core/core.h"
#include "coordinator/core/merge.h"

namespace picket {

// The agent does not hold these any more. What is marked as started, or may be by a write
// under way, or is a probe that may have been, changes its mark first, in the store.
void Core::LetGo(RunState& run, uint32_t index, Lease& lease,
                 const std::vector<uint32_t>& positions, bool given_back) {
  Shard& shard = run.shard(index);
  Unheld unheld{.epoch = lease.row.epoch, .positions = {}, .given_back = given_back};
  for (uint32_t position : positions) {
    const auto mark = shard.row.marks.find(position);
    const bool started =
        lease.probe ? !given_back
                    : (mark != shard.row.marks.end() && mark->second.started) ||
                          (position < lease.asked.size() && lease.asked[position]);
    if (lease.left[position] && started) {
      unheld.positions.push_back(position);
    } else {
      lease.left[position] = false;
    }
  }
  run.Refresh(index, now_);
  if (!unheld.positions.empty()) {
    shard.Inputs().unheld.push_back(std::move(unheld));
    run.Touch(index);
  } else if (lease.remaining == 0) {
    run.Touch(index);
  }
}

void Core::DraftUnheld(RunState& run, Shard& shard, const Unheld& unheld, WriteShard& write) {
  const Lease* lease = shard.FindLease(unheld.epoch);
  if (lease == nullptr) return;
  for (uint32_t position : unheld.positions) {
    // Without a mark its start was asked for and never written.
    const auto mark = write.shard.marks.find(position);
    if (!lease->left[position] || mark == write.shard.marks.end()) continue;
    if (lease->probe) {
      if (lease->Wants(write.shard.ends[position])) {
        AfterProbe(run, shard, position, lease->row.location, nullptr, write);
      }
    } else if (unheld.given_back) {
      mark->second.started = false;
    } else {
      LoseLease(run.TestOf(shard.row.executions[position]).repeatable, /*counted=*/false, now_,
                mark->second);
    }
  }
}

void Core::DropUnheld(RunState& run, uint32_t index, const std::vector<Unheld>& unheld) {
  for (const Unheld& entry : unheld) {
    Lease* lease = run.shard(index).FindLease(entry.epoch);
    if (lease == nullptr) continue;
    for (uint32_t position : entry.positions) lease->left[position] = false;
  }
}

// Marked as started, and no lease will bring its result: the mark was written when its lease
// had been given back elsewhere, or by a write that was taken for lost. It may have run.
void Core::DraftOrphans(RunState& run, const Shard& shard, WriteShard& write) {
  for (auto& [position, mark] : write.shard.marks) {
    if (!mark.started || mark.give_up != absl::InfiniteFuture() ||
        write.shard.ends[position] != kUndecided) {
      continue;
    }
    const bool held = std::any_of(
        shard.leases.begin(), shard.leases.end(), [&, position = position](const Lease& lease) {
          return position < lease.left.size() && lease.left[position] && !lease.probe &&
                 std::find(write.end_epochs.begin(), write.end_epochs.end(), lease.row.epoch) ==
                     write.end_epochs.end();
        });
    if (held) continue;
    LoseLease(run.TestOf(shard.row.executions[position]).repeatable, /*counted=*/false, now_, mark);
  }
}

}  // namespace picket
