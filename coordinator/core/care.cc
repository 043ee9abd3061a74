// What is due because time has passed: silence, doubts, empty locations, stragglers.

#include <algorithm>
#include <utility>

#include "coordinator/core/core.h"
#include "coordinator/core/proto_time.h"

namespace picket {
namespace {

// A lease is not split before it is this old.
constexpr absl::Duration kYoung = absl::Seconds(1);

// How often the slow checks run.
absl::Duration CareInterval(const CoreOptions& options) {
  return std::min(absl::Milliseconds(250), options.lease_time / 8);
}

}  // namespace

void Core::On(event::Tick&, Effects& out) {
  for (const auto& [id, run] : runs_) run->RefreshDue(now_);
  if (now_ < next_care_) return;
  next_care_ = now_ + CareInterval(options_);
  CareForAgents(out);
  CareForDoubts(out);
  CareForLocations(out);
  CareForStragglers(out);
}

void Core::CareForAgents(Effects&) {
  const absl::Duration renew_after = std::min(absl::Seconds(1), options_.lease_time / 4);
  for (const auto& [peer, session] : sessions_) {
    if (session->state == Session::State::kArriving && !session->rival.empty()) {
      arriving_.insert(peer);
    }
    if (session->state != Session::State::kOpen) continue;
    if (session->heard > session->renewed && now_ - session->renewed >= renew_after) {
      session->renewed = now_;
      renewing_.push_back(session->instance());
    }
  }
  ForgetGoneAgents();
  if (now_ < grace_until_) return;
  for (const auto& [instance, row] : agents_) {
    if (row.agent.state() == v1::Agent::GONE || now_ - row.renewed <= options_.lease_time) continue;
    const Session* session = SessionOf(instance);
    if (session != nullptr && now_ - session->heard <= options_.lease_time) continue;
    expiring_[instance] = row.renewed;
  }
  // Whose agent is gone, or was never written down: nobody will finish it.
  std::vector<std::string> orphans;
  for (const auto& [instance, holder] : holders_) {
    const auto row = agents_.find(instance);
    if (row == agents_.end() || row->second.agent.state() == v1::Agent::GONE) {
      orphans.push_back(instance);
    }
  }
  std::sort(orphans.begin(), orphans.end());
  for (const std::string& instance : orphans) EndLeasesOf(instance, /*counted=*/true);
}

// Agents that come and go under ever new instances must not fill the memory.
void Core::ForgetGoneAgents() {
  std::vector<std::pair<absl::Time, std::string>> gone;
  for (const auto& [instance, row] : agents_) {
    if (row.agent.state() == v1::Agent::GONE) gone.emplace_back(row.renewed, instance);
  }
  if (gone.size() <= options_.gone_agents_most) return;
  const auto last = gone.begin() + static_cast<ptrdiff_t>(gone.size() - options_.gone_agents_most);
  std::nth_element(gone.begin(), last, gone.end());
  for (auto it = gone.begin(); it != last; ++it) agents_.erase(it->second);
}

void Core::CareForDoubts(Effects&) {
  std::vector<Doubt> due;
  std::erase_if(doubts_, [&](Doubt& doubt) {
    if (doubt.until > now_) return false;
    due.push_back(std::move(doubt));
    return true;
  });
  for (const Doubt& doubt : due) {
    RunState* run = Find(doubt.lease.run_id);
    if (run == nullptr) continue;
    Shard& shard = run->shard(doubt.lease.shard);
    Lease* lease = shard.FindLease(doubt.lease.epoch);
    if (lease == nullptr || (doubt.whole && lease->told)) continue;
    bool all = true;
    for (uint32_t position : lease->row.positions) {
      if (!lease->left[position]) continue;
      all &= std::find(doubt.positions.begin(), doubt.positions.end(), position) !=
             doubt.positions.end();
    }
    if (all) {
      shard.Inputs().ends.push_back({.epoch = doubt.lease.epoch, .counted = false});
      run->Touch(doubt.lease.shard);
    } else {
      LetGo(*run, doubt.lease.shard, *lease, doubt.positions, /*given_back=*/false);
    }
  }
}

void Core::CareForLocations(Effects&) {
  const Fleet& fleet = FleetNow();
  for (auto& [name, since] : inhabited_) {
    if (fleet.contains(name)) since = now_;
  }
  for (const auto& [id, run] : runs_) {
    for (auto& [name, location] : run->locations()) {
      if (location.undecided == 0 || fleet.contains(name)) continue;
      const absl::Time since =
          std::max(inhabited_[name], TimeOf(run->row().run.create_time()));
      if (now_ - since < options_.agent_grace) continue;
      for (uint32_t i = 0; i < run->shards(); ++i) {
        const Shard& shard = run->shard(i);
        if (shard.row.location != name || shard.stale) continue;
        bool any = false;
        for (size_t p = 0; p < shard.holders.size() && !any; ++p) {
          any = shard.row.ends[p] == kUndecided && shard.holders[p] == 0;
        }
        if (!any) continue;
        run->shard(i).Inputs().unassign = true;
        run->Touch(i);
      }
    }
  }
}

void Core::CareForStragglers(Effects& out) {
  splits_.clear();
  for (const auto& [location, peers] : open_at_) {
    if (peers.size() < 2) continue;
    bool work = false;  // there is something left that is not being split
    for (const auto& [id, run] : runs_) {
      const auto at = run->locations().find(location);
      work |= at != run->locations().end() && at->second.free > 0;
    }
    if (work) continue;
    std::vector<Session*> idle;
    for (PeerId peer : peers) {
      Session* session = FindSession(peer);
      if (session == nullptr || session->draining) continue;
      const auto holder = holders_.find(session->instance());
      if (holder == holders_.end() || holder->second.held == 0) idle.push_back(session);
    }
    if (idle.empty()) continue;
    std::vector<Straggler> stragglers = StragglersAt(location);
    for (Session* session : idle) SplitFor(*session, stragglers, out);
  }
}

// Those with the most left come last.
std::vector<Core::Straggler> Core::StragglersAt(const std::string& location) {
  std::vector<Straggler> stragglers;
  for (const auto& entry : runs_) {
    RunState* run = entry.second.get();
    if (run->end_wanted != v1::EndCause::END_CAUSE_UNSPECIFIED) continue;
    const auto at = run->locations().find(location);
    if (at == run->locations().end() || at->second.undecided == 0) continue;
    for (uint32_t i = 0; i < run->shards(); ++i) {
      const Shard& shard = run->shard(i);
      if (shard.stale || shard.leases.empty() || shard.row.location != location) continue;
      for (const Lease& lease : shard.leases) {
        if (lease.row.isolated || lease.probe || lease.recalled || lease.remaining == 0 ||
            now_ - lease.granted < kYoung) {
          continue;
        }
        const bool any = std::any_of(
            lease.row.positions.begin(), lease.row.positions.end(), [&](uint32_t position) {
              return lease.left[position] && shard.holders[position] == 1 &&
                     run->TestOf(shard.row.executions[position]).repeatable;
            });
        if (!any) continue;
        stragglers.push_back({run, i, lease.row.epoch, lease.remaining});
      }
    }
  }
  std::stable_sort(stragglers.begin(), stragglers.end(),
                   [](const Straggler& a, const Straggler& b) { return a.remaining < b.remaining; });
  return stragglers;
}

// The tail of the lease with the most left to do goes to `idle` as well, if it may be
// repeated; its holder is asked to give back what it has not started.
void Core::SplitFor(Session& idle, std::vector<Straggler>& stragglers, Effects& out) {
  RunState* best_run = nullptr;
  Lease* best = nullptr;
  size_t best_at = 0;
  std::vector<uint32_t> positions;
  for (size_t i = stragglers.size(); i-- > 0 && stragglers[i].remaining > positions.size();) {
    RunState& run = *stragglers[i].run;
    Shard& shard = run.shard(stragglers[i].shard);
    Lease* lease = shard.FindLease(stragglers[i].epoch);
    if (lease == nullptr || lease->row.instance == idle.instance()) continue;
    std::vector<uint32_t> rest;
    for (uint32_t position : lease->row.positions) {
      if (!lease->left[position] || shard.holders[position] != 1) continue;
      const uint32_t execution = shard.row.executions[position];
      const auto mark = shard.row.marks.find(position);
      if (mark != shard.row.marks.end() && mark->second.avoid_instance == idle.instance()) {
        continue;  // it is being tried elsewhere than there
      }
      if (run.TestOf(execution).repeatable && MayRun(run, idle, execution)) {
        rest.push_back(position);
      }
    }
    if (rest.size() <= positions.size()) continue;
    best_run = &run;
    best = lease;
    best_at = i;
    positions = std::move(rest);
  }
  if (best == nullptr) return;
  const bool alone = positions.size() == 1;
  if (alone && now_ - best->granted < 5 * kYoung) return;
  positions.erase(positions.begin(), positions.begin() + static_cast<ptrdiff_t>(positions.size() / 2));
  if (positions.size() > idle.window) positions.resize(idle.window);
  best->recalled = true;
  stragglers.erase(stragglers.begin() + static_cast<ptrdiff_t>(best_at));
  if (const Session* holder = SessionOf(best->row.instance); holder != nullptr) {
    Send send{.peer = holder->peer, .message = {}};
    v1::LeaseRecall& recall = *send.message.mutable_recall();
    recall.mutable_lease()->set_run_id(best->row.run_id);
    recall.mutable_lease()->set_shard(best->row.shard);
    recall.mutable_lease()->set_epoch(best->row.epoch);
    for (uint32_t position : positions) {
      recall.add_executions(best_run->shard(best->row.shard).row.executions[position]);
    }
    out.sends.push_back(std::move(send));
  }
  splits_.push_back(Split{.run_id = best_run->id(),
                          .shard = best->row.shard,
                          .positions = std::move(positions),
                          .peer = idle.peer});
}

}  // namespace picket
