#include "coordinator/core/core.h"

#include <algorithm>
#include <utility>

#include "coordinator/core/merge.h"
#include "coordinator/core/proto_time.h"

namespace picket {

Core::Core(CoreOptions options, absl::Time now)
    : options_(std::move(options)),
      now_(now),
      grace_until_(now + options_.lease_time),
      next_care_(now) {}

Core::~Core() = default;

Effects Core::Apply(absl::Time now, Event event) {
  now_ = std::max(now_, now);  // the store's clock may be corrected; decisions never go back
  Effects out;
  std::visit([&](auto& e) { On(e, out); }, event);
  SendAcks(out);
  std::sort(out.changed.begin(), out.changed.end());
  out.changed.erase(std::unique(out.changed.begin(), out.changed.end()), out.changed.end());
  return out;
}

absl::Time Core::NextDeadline() const {
  absl::Time next = absl::InfiniteFuture();
  for (const auto& [id, run] : runs_) {
    next = std::min(next, run->NextDue());
    if (run->end_wanted == v1::EndCause::END_CAUSE_UNSPECIFIED) {
      next = std::min(next, TimeOf(run->row().run.deadline_time()));
    }
  }
  if (!runs_.empty() || !sessions_.empty() || !agents_.empty()) next = std::min(next, next_care_);
  return next;
}

RunState* Core::Find(const std::string& run_id) {
  const auto it = runs_.find(run_id);
  return it == runs_.end() ? nullptr : it->second.get();
}

const RunState* Core::FindRun(const std::string& run_id) const {
  const auto it = runs_.find(run_id);
  return it == runs_.end() ? nullptr : it->second.get();
}

std::vector<std::string> Core::ActiveRuns() const {
  std::vector<std::string> ids;
  for (const auto& [id, run] : runs_) ids.push_back(id);
  return ids;
}

std::vector<uint64_t> Core::KnownRevs(const std::string& run_id) const {
  std::vector<uint64_t> revs;
  const RunState* run = FindRun(run_id);
  if (run == nullptr) return revs;
  for (uint32_t i = 0; i < run->shards(); ++i) revs.push_back(run->shard(i).row.rev);
  return revs;
}

RunView Core::View(const RunState& run) const {
  RunView view;
  view.run = run.row().run;
  *view.run.mutable_ledger() = run.LedgerNow();
  const Fleet& fleet = FleetNow();
  for (const auto& [name, location] : run.locations()) {
    v1::LocationProgress progress;
    progress.set_location(name);
    *progress.mutable_ledger() = location.ledger;
    progress.set_leased(location.held);
    const auto at = fleet.find(name);
    progress.set_agents(at == fleet.end() ? 0 : at->second.agents);
    view.failures += location.ledger.failed() + location.ledger.inconclusive();
    view.locations.push_back(std::move(progress));
  }
  return view;
}

const Fleet& Core::FleetNow() const {
  if (!fleet_stale_) return fleet_;
  fleet_.clear();
  for (const auto& [instance, row] : agents_) {
    if (row.agent.state() != v1::Agent::LIVE) continue;
    FleetLocation& at = fleet_[row.agent.location()];
    ++at.agents;
    at.capacity += row.agent.capacity();
  }
  fleet_stale_ = false;
  return fleet_;
}

Fleet Core::LiveFleet() const { return FleetNow(); }

std::map<std::string, QueueView> Core::Queue() const {
  std::map<std::string, QueueView> queue;
  for (const auto& [id, run] : runs_) {
    for (const auto& [name, location] : run->locations()) {
      QueueView& view = queue[name];
      if (location.undecided <= location.held) continue;
      view.executions += location.undecided - location.held;
      view.oldest = std::min(view.oldest, TimeOf(run->row().run.create_time()));
    }
  }
  return queue;
}

std::vector<v1::Agent> Core::Agents() const {
  std::vector<v1::Agent> agents;
  for (const auto& [instance, row] : agents_) {
    v1::Agent agent = row.agent;
    const auto holder = holders_.find(instance);
    agent.set_held(holder == holders_.end() ? 0 : holder->second.held);
    absl::Time seen = row.renewed;
    const auto peer = by_instance_.find(instance);
    if (peer != by_instance_.end()) seen = std::max(seen, sessions_.at(peer->second)->heard);
    SetTimestamp(seen, agent.mutable_seen_time());
    agents.push_back(std::move(agent));
  }
  std::sort(agents.begin(), agents.end(), [](const v1::Agent& a, const v1::Agent& b) {
    return std::tie(a.location(), a.name(), a.instance()) <
           std::tie(b.location(), b.name(), b.instance());
  });
  return agents;
}

}  // namespace picket
