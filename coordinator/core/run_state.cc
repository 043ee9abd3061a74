#include "coordinator/core/run_state.h"

#include <algorithm>

#include "common/base/check.h"
#include "common/policy/ends.h"
#include "coordinator/core/merge.h"

namespace picket {

bool MayLease(const Mark& mark, absl::Time now) {
  return !mark.started && mark.give_up == absl::InfiniteFuture() && mark.not_before <= now;
}

Lease* Shard::FindLease(uint32_t epoch) {
  for (Lease& lease : leases) {
    if (lease.row.epoch == epoch) return &lease;
  }
  return nullptr;
}

RunState::RunState(RunRow row, std::shared_ptr<const RunPlan> plan, std::vector<ShardRow> shards,
                   std::vector<LeaseRow> leases, absl::Time now, Holders* holders)
    : row_(std::move(row)), plan_(std::move(plan)), holders_(holders) {
  position_of_.resize(row_.executions);
  shards_.resize(shards.size());
  for (size_t i = 0; i < shards.size(); ++i) {
    Shard& shard = shards_[i];
    shard.row = std::move(shards[i]);
    PICKET_CHECK(shard.row.shard == i);
    shard.holders.resize(shard.row.executions.size());
    LocationState& location = locations_[shard.row.location];
    location.name = shard.row.location;
    for (uint32_t p = 0; p < shard.row.executions.size(); ++p) {
      position_of_[shard.row.executions[p]] = p;
      location.ledger.set_planned(location.ledger.planned() + 1);
      ++location.undecided;
      if (shard.row.ends[p] != kUndecided) CountEnd(shard, p, shard.row.ends[p]);
    }
  }
  for (LeaseRow& lease : leases) {
    if (lease.ended || lease.shard >= shards_.size()) continue;
    const uint32_t shard = lease.shard;
    AddLease(shard, std::move(lease), now);
  }
  for (uint32_t i = 0; i < shards_.size(); ++i) Refresh(i, now);
}

RunState::~RunState() {
  for (Shard& shard : shards_) {
    while (!shard.leases.empty()) ForgetLease(shard, shard.leases.size() - 1);
  }
}

void RunState::CountEnd(const Shard& shard, uint32_t position, EndByte end) {
  LocationState& location = locations_.at(shard.row.location);
  const uint32_t planned = location.ledger.planned();
  AddToLedger(end, location.ledger);
  location.ledger.set_planned(planned);
  --location.undecided;
  if (EndOf(end) == v1::End::FAILED) {
    ++failed_;
    const uint32_t test = plan_->shape.At(shard.row.executions[position]).test;
    if (plan_->shape.tests()[test].blocking) ++failed_blocking_;
  }
}

void RunState::TakeRow(uint32_t index, ShardRow row, absl::Time now) {
  Shard& shard = shards_[index];
  PICKET_CHECK(row.ends.size() == shard.row.ends.size());
  for (uint32_t p = 0; p < row.ends.size(); ++p) {
    if (row.ends[p] != shard.row.ends[p] && shard.row.ends[p] == kUndecided) {
      CountEnd(shard, p, row.ends[p]);
    }
  }
  shard.row.ends = std::move(row.ends);
  shard.row.marks = std::move(row.marks);
  shard.row.leased = std::move(row.leased);
  shard.row.rev = row.rev;
  shard.row.epoch = row.epoch;
  Refresh(index, now);
}

Lease& RunState::AddLease(uint32_t index, LeaseRow row, absl::Time now) {
  Shard& shard = shards_[index];
  if (Lease* known = shard.FindLease(row.epoch); known != nullptr) return *known;
  Lease lease;
  lease.probe = row.location != shard.row.location;
  lease.left.resize(shard.row.ends.size());
  for (uint32_t position : row.positions) {
    if (position < lease.left.size()) lease.left[position] = true;
  }
  lease.granted = now;
  Holder& holder = (*holders_)[row.instance];
  holder.leases.insert(LeaseKey{id(), index, row.epoch});
  holder.isolated += row.isolated ? 1 : 0;
  holder.probes += lease.probe ? 1 : 0;
  lease.row = std::move(row);
  return shard.leases.emplace_back(std::move(lease));
}

void RunState::ForgetLease(Shard& shard, size_t index) {
  Lease& lease = shard.leases[index];
  const auto holder = holders_->find(lease.row.instance);
  if (holder != holders_->end()) {
    holder->second.held -= lease.remaining;
    holder->second.isolated -= lease.row.isolated ? 1 : 0;
    holder->second.probes -= lease.probe ? 1 : 0;
    holder->second.leases.erase(LeaseKey{id(), shard.row.shard, lease.row.epoch});
    if (holder->second.leases.empty()) holders_->erase(holder);
  }
  shard.leases.erase(shard.leases.begin() + static_cast<ptrdiff_t>(index));
}

void RunState::EndLease(uint32_t index, uint32_t epoch) {
  Shard& shard = shards_[index];
  for (size_t i = 0; i < shard.leases.size(); ++i) {
    if (shard.leases[i].row.epoch == epoch) {
      ForgetLease(shard, i);
      return;
    }
  }
}

void RunState::TakeLeases(uint32_t index, std::vector<LeaseRow> leases, absl::Time now) {
  Shard& shard = shards_[index];
  for (size_t i = shard.leases.size(); i-- > 0;) {
    const uint32_t epoch = shard.leases[i].row.epoch;
    const auto still = std::find_if(leases.begin(), leases.end(),
                                    [&](const LeaseRow& row) { return row.epoch == epoch; });
    if (still == leases.end()) {
      ForgetLease(shard, i);
    } else {
      leases.erase(still);
    }
  }
  for (LeaseRow& lease : leases) AddLease(index, std::move(lease), now);
  shard.stale = false;
  Refresh(index, now);
}

void RunState::Refresh(uint32_t index, absl::Time now) {
  Shard& shard = shards_[index];
  LocationState& location = locations_.at(shard.row.location);
  uint32_t held = 0;
  std::fill(shard.holders.begin(), shard.holders.end(), 0);
  for (Lease& lease : shard.leases) {
    uint32_t remaining = 0;
    for (uint32_t p : lease.row.positions) {
      if (p >= lease.left.size() || !lease.left[p]) continue;
      if (!lease.Wants(shard.row.ends[p])) {
        lease.left[p] = false;
        continue;
      }
      ++remaining;
      if (shard.holders[p]++ == 0 && !lease.probe) ++held;
    }
    Holder& holder = (*holders_)[lease.row.instance];
    holder.held += remaining;
    holder.held -= lease.remaining;
    lease.remaining = remaining;
  }
  uint32_t free = 0;
  for (size_t p = 0; p < shard.holders.size(); ++p) {
    free += (shard.row.ends[p] == kUndecided && shard.holders[p] == 0) ? 1 : 0;
  }
  absl::Time due = absl::InfiniteFuture();
  bool probe = false;
  for (const auto& [p, mark] : shard.row.marks) {
    if (IsProbing(shard.row.ends[p])) {
      if (mark.give_up > now) {
        due = std::min(due, mark.give_up);
      } else {
        Touch(index);
      }
      if (shard.holders[p] > 0) continue;
      if (mark.not_before > now) {
        due = std::min(due, mark.not_before);
      } else {
        probe = true;
      }
      continue;
    }
    if (shard.row.ends[p] != kUndecided || shard.holders[p] > 0) continue;
    if (!MayLease(mark, now)) {
      --free;
      if (mark.not_before > now) due = std::min(due, mark.not_before);
      // Started, held by nobody and not waited for: it is to be given a time.
      const bool orphan = mark.started && mark.give_up == absl::InfiniteFuture();
      if (mark.give_up > now && !orphan) {
        due = std::min(due, mark.give_up);
      } else {
        Touch(index);
      }
    }
  }
  location.held += held;
  location.held -= shard.held;
  shard.held = held;
  location.free += free;
  location.free -= shard.free;
  shard.free = free;
  if (free > 0) {
    location.ready.insert(index);
  } else {
    location.ready.erase(index);
  }
  if (probe) {
    probing_.insert(index);
  } else {
    probing_.erase(index);
  }
  if (due != shard.due) {
    if (shard.due != absl::InfiniteFuture()) due_.erase({shard.due, index});
    shard.due = due;
    if (due != absl::InfiniteFuture()) due_.insert({due, index});
  }
}

void RunState::RefreshDue(absl::Time now) {
  std::vector<uint32_t> due;
  for (const auto& [when, index] : due_) {
    if (when > now) break;
    due.push_back(index);
  }
  for (uint32_t index : due) Refresh(index, now);
}

v1::Ledger RunState::LedgerNow() const {
  v1::Ledger ledger;
  for (const auto& [name, location] : locations_) AddLedger(location.ledger, ledger);
  return ledger;
}

uint32_t RunState::undecided() const {
  uint32_t undecided = 0;
  for (const auto& [name, location] : locations_) undecided += location.undecided;
  return undecided;
}

}  // namespace picket
