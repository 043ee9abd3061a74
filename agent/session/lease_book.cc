#include "agent/session/lease_book.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/ids.h"
#include "common/base/random.h"

namespace picket {
namespace {

bool HoldsSlot(Stage stage) { return stage == Stage::kAsking || stage == Stage::kRunning; }
bool IsOpen(Stage stage) { return stage != Stage::kDone && stage != Stage::kGone; }

}  // namespace

uint64_t AttemptSeed(const std::string& run_id, uint32_t execution, uint32_t number) {
  return StableHash(ResultId(run_id, execution, number));
}

HeldLease& LeaseBook::Lease(const LeaseName& key, int32_t priority, bool isolated) {
  if (HeldLease* found = Find(key)) return *found;
  const uint64_t order = next_order_++;
  HeldLease& lease = leases_[order];
  lease.key = key;
  lease.order = order;
  lease.priority = priority;
  lease.isolated = isolated;
  finished_.insert({0, order});
  by_key_[key] = order;
  ++runs_[key.run_id].leases;
  return lease;
}

HeldLease* LeaseBook::Find(const LeaseName& key) {
  const auto it = by_key_.find(key);
  return it == by_key_.end() ? nullptr : &leases_.at(it->second);
}

HeldLease* LeaseBook::At(uint64_t order) {
  const auto it = leases_.find(order);
  return it == leases_.end() ? nullptr : &it->second;
}

bool LeaseBook::Add(HeldLease& lease, HeldExecution execution) {
  const uint32_t position = static_cast<uint32_t>(lease.executions.size());
  if (!lease.position.emplace(execution.number, position).second) return false;
  execution.stage = Stage::kWaiting;
  execution.result.set_execution(execution.number);
  lease.executions.push_back(std::move(execution));
  if (lease.open++ == 0) finished_.erase({lease.last_sequence, lease.order});
  ++open_;
  Refresh(lease);
  return true;
}

std::optional<uint32_t> LeaseBook::Head(HeldLease& lease) {
  while (!lease.again.empty() && lease.executions[lease.again.front()].stage != Stage::kWaiting) {
    lease.again.pop_front();
  }
  if (!lease.again.empty()) return lease.again.front();
  while (lease.cursor < lease.executions.size() &&
         lease.executions[lease.cursor].stage != Stage::kWaiting) {
    ++lease.cursor;
  }
  if (lease.cursor < lease.executions.size()) return lease.cursor;
  return std::nullopt;
}

void LeaseBook::Refresh(HeldLease& lease) {
  Run& run = runs_[lease.key.run_id];
  const std::pair<int64_t, uint64_t> entry(-static_cast<int64_t>(lease.priority), lease.order);
  if (Head(lease).has_value()) {
    run.ready.insert(entry);
  } else {
    run.ready.erase(entry);
  }
}

std::optional<LeaseBook::ExecutionRef> LeaseBook::Next(Choice choice, absl::Duration now) {
  Run* best_run = nullptr;
  HeldLease* best = nullptr;
  std::vector<HeldLease*> past;
  for (auto& [id, run] : runs_) {
    for (const auto& [negative_priority, order] : run.ready) {
      HeldLease& lease = leases_.at(order);
      if (lease.run_deadline <= now) {
        past.push_back(&lease);
        continue;
      }
      const HeldExecution& head = lease.executions[*Head(lease)];
      if (!head.started && (choice.only_started || (head.ask && !choice.can_ask))) continue;
      const auto rank = [](const HeldLease& l, const Run& r) {
        return std::make_tuple(-static_cast<int64_t>(l.priority), r.slots, r.served, l.order);
      };
      if (best == nullptr || rank(lease, run) < rank(*best, *best_run)) {
        best = &lease;
        best_run = &run;
      }
      break;  // the run's best
    }
  }
  // Past its run's deadline nothing is started: the run is sealed.
  for (HeldLease* lease : past) {
    for (uint32_t i = 0; i < lease->executions.size(); ++i) {
      if (lease->executions[i].stage == Stage::kWaiting) Move(*lease, i, Stage::kGone);
    }
  }
  if (best == nullptr) return std::nullopt;
  best_run->served = ++served_;
  return ExecutionRef(best, *Head(*best));
}

void LeaseBook::Move(HeldLease& lease, uint32_t position, Stage stage) {
  HeldExecution& execution = lease.executions[position];
  if (execution.stage == stage) return;
  if (execution.stage == Stage::kDelaying) {
    delays_.erase({execution.due, lease.order, position});
  }
  Run& run = runs_[lease.key.run_id];
  const int slots = HoldsSlot(stage) - HoldsSlot(execution.stage);
  lease.slots += slots;
  run.slots += slots;
  slots_ += slots;
  if (lease.isolated) isolated_slots_ += slots;
  const int open = IsOpen(stage) - IsOpen(execution.stage);
  lease.open += open;
  open_ += open;
  execution.stage = stage;
  if (open < 0 && lease.open == 0) finished_.insert({lease.last_sequence, lease.order});
  if (stage == Stage::kRunning) {
    execution.started = true;
    lease.progress = std::max(lease.progress, position + 1);
  }
  Refresh(lease);
}

void LeaseBook::Requeue(HeldLease& lease, uint32_t position) {
  Move(lease, position, Stage::kWaiting);
  if (lease.executions[position].started) {
    lease.again.push_front(position);  // nothing may keep it waiting, so that it ends
  } else {
    lease.again.push_back(position);
  }
  Refresh(lease);
}

void LeaseBook::Delay(HeldLease& lease, uint32_t position, absl::Duration due) {
  Move(lease, position, Stage::kDelaying);
  lease.executions[position].due = due;
  delays_.insert({due, lease.order, position});
}

void LeaseBook::WakeDue(absl::Duration now) {
  while (!delays_.empty() && delays_.begin()->at <= now) {
    const Due due = *delays_.begin();
    Requeue(leases_.at(due.order), due.position);
  }
}

absl::Duration LeaseBook::NextDue() const {
  return delays_.empty() ? absl::InfiniteDuration() : delays_.begin()->at;
}

void LeaseBook::HurryDelays(absl::Duration latest) {
  const std::set<Due> before = std::move(delays_);
  delays_.clear();
  for (Due due : before) {
    due.at = std::min(due.at, latest);
    leases_.at(due.order).executions[due.position].due = due.at;
    delays_.insert(due);
  }
}

void LeaseBook::Forget(uint64_t acknowledged) {
  while (!finished_.empty() && finished_.begin()->first <= acknowledged) {
    const auto it = leases_.find(finished_.begin()->second);
    PICKET_CHECK(it->second.open == 0 && it->second.slots == 0);
    finished_.erase(finished_.begin());
    by_key_.erase(it->second.key);
    const auto run = runs_.find(it->second.key.run_id);
    if (--run->second.leases == 0) runs_.erase(run);
    leases_.erase(it);
  }
}

void LeaseBook::ForEach(const std::function<void(HeldLease&)>& visit) {
  for (auto& [order, lease] : leases_) visit(lease);
}

}  // namespace picket
