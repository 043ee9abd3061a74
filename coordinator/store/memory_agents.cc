#include "coordinator/store/memory_agents.h"

#include <algorithm>

#include "coordinator/store/compare.h"
#include "coordinator/store/limits.h"

namespace picket {

Outcome MemoryAgents::Apply(const PutAgent& put, absl::Time now) {
  Outcome outcome;
  std::vector<AgentRow*> displaced;
  const v1::Agent& agent = put.agent.agent;
  for (auto& [instance, other] : rows_) {
    if (agent.state() != v1::Agent::LIVE || instance == agent.instance() ||
        other.agent.state() != v1::Agent::LIVE || other.agent.name() != agent.name() ||
        other.agent.location() != agent.location()) {
      continue;
    }
    if (HoldsName(other) && !put.take_over) {
      outcome.agent.push_back(other);
      return outcome;
    }
    displaced.push_back(&other);
  }
  for (AgentRow* other : displaced) {
    LoseName(*other);
    outcome.agent.push_back(*other);
  }
  AgentRow& row = rows_[agent.instance()];
  row = put.agent;
  row.renewed = now;
  outcome.committed = true;
  return outcome;
}

Outcome MemoryAgents::Apply(const CloseAgent& close) {
  Outcome outcome;
  const auto it = rows_.find(close.instance);
  if (it == rows_.end()) return outcome;
  if (it->second.coordinator != close.coordinator) {
    outcome.agent.push_back(it->second);
    return outcome;
  }
  it->second.coordinator.clear();
  if (close.goodbye) it->second.agent.set_state(v1::Agent::GONE);
  outcome.committed = true;
  return outcome;
}

Outcome MemoryAgents::Apply(const ExpireAgent& expire) {
  Outcome outcome;
  const auto it = rows_.find(expire.instance);
  if (it == rows_.end()) return outcome;
  if (it->second.renewed > expire.renewed || it->second.agent.state() == v1::Agent::GONE) {
    outcome.agent.push_back(it->second);
    return outcome;
  }
  it->second.coordinator.clear();
  it->second.agent.set_state(v1::Agent::GONE);
  outcome.committed = true;
  return outcome;
}

Outcome MemoryAgents::Apply(const RenewAgents& renew, absl::Time now) {
  for (const std::string& instance : renew.instances) {
    const auto it = rows_.find(instance);
    if (it != rows_.end() && it->second.agent.state() != v1::Agent::GONE) it->second.renewed = now;
  }
  Outcome outcome;
  outcome.committed = true;
  return outcome;
}

std::vector<AgentRow> MemoryAgents::All() const {
  std::vector<AgentRow> rows;
  for (const auto& [instance, row] : rows_) rows.push_back(row);
  return rows;
}

void MemoryAgents::ForgetGone(absl::Time before) {
  std::erase_if(rows_, [&](const auto& entry) {
    return entry.second.agent.state() == v1::Agent::GONE && entry.second.renewed < before;
  });
  std::vector<absl::Time> gone;
  for (const auto& [instance, row] : rows_) {
    if (row.agent.state() == v1::Agent::GONE) gone.push_back(row.renewed);
  }
  const size_t most = DefaultStoreLimits().gone_agents_most;
  if (gone.size() <= most) return;
  const auto oldest_kept = gone.begin() + static_cast<std::ptrdiff_t>(gone.size() - most);
  std::nth_element(gone.begin(), oldest_kept, gone.end());
  std::erase_if(rows_, [&](const auto& entry) {
    return entry.second.agent.state() == v1::Agent::GONE && entry.second.renewed < *oldest_kept;
  });
}

}  // namespace picket
