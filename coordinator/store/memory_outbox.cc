#include "coordinator/store/memory_outbox.h"

#include <algorithm>
#include <utility>

#include "coordinator/store/limits.h"

namespace picket {

void MemoryOutbox::Insert(const v1::Run& run, absl::Time now) {
  for (const std::string& target : targets_) {
    const int64_t id = ++last_id_;
    rows_[id] = {.row = {.id = id, .target = target, .run = run}, .created = now, .due = now};
  }
}

bool MemoryOutbox::Due(const Kept& kept, absl::Time now) {
  return kept.due <= now || kept.due > now + DefaultStoreLimits().outbox_delay_longest;
}

std::vector<Store::OutboxView> MemoryOutbox::View(absl::Time now) const {
  std::map<std::string, Store::OutboxView> views;
  for (const auto& [id, kept] : rows_) {
    Store::OutboxView& view = views[kept.row.target];
    view.target = kept.row.target;
    ++view.rows;
    view.due += Due(kept, now);
    view.oldest = std::max(view.oldest, now - kept.created);
  }
  std::vector<Store::OutboxView> list;
  for (auto& [target, view] : views) list.push_back(std::move(view));
  return list;
}

std::vector<OutboxRow> MemoryOutbox::Claim(const std::string& target, absl::Time now,
                                           absl::Duration hold, size_t most) {
  std::vector<std::pair<absl::Time, int64_t>> due;
  for (const auto& [id, kept] : rows_) {
    if (kept.row.target == target && Due(kept, now)) due.emplace_back(kept.due, id);
  }
  std::sort(due.begin(), due.end());
  std::vector<OutboxRow> claimed;
  for (const auto& [at, id] : due) {
    if (claimed.size() == most) break;
    Kept& kept = rows_.at(id);
    ++kept.row.tries;
    kept.due = now + hold;
    claimed.push_back(kept.row);
  }
  return claimed;
}

void MemoryOutbox::Settle(const std::vector<Store::OutboxEnd>& ends, absl::Time now) {
  for (const Store::OutboxEnd& end : ends) {
    const auto it = rows_.find(end.id);
    if (it == rows_.end() || it->second.row.tries != end.tries) continue;
    if (!end.again.has_value()) {
      rows_.erase(it);
    } else {
      it->second.due = now + std::min(*end.again, DefaultStoreLimits().outbox_delay_longest);
    }
  }
}

void MemoryOutbox::ForgetOld(absl::Time now) {
  std::erase_if(rows_, [&](const auto& entry) {
    return entry.second.created < now - DefaultStoreLimits().outbox_kept;
  });
}

}  // namespace picket
