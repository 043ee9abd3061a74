// The agents' rows: who holds a name, and since when nothing was heard.

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "coordinator/store/codec.h"
#include "coordinator/store/sql_commit.h"
#include "coordinator/store/sql_rows.h"

namespace picket {
namespace {

using V = SqlValue;

}  // namespace

absl::Status SqlCommit::PutAgentRow(const AgentRow& row) {
  return driver_.Exec(
      "INSERT INTO agents (instance, location, name, state, spool, coordinator, renewed_us, agent) "
      "VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (instance) DO UPDATE SET "
      "location = excluded.location, name = excluded.name, state = excluded.state, "
      "spool = excluded.spool, coordinator = excluded.coordinator, "
      "renewed_us = excluded.renewed_us, agent = excluded.agent",
      {V::Text(row.agent.instance()), V::Text(row.agent.location()), V::Text(row.agent.name()),
       V::Int(row.agent.state()), V::Text(row.spool), V::Text(row.coordinator),
       V::Int(TimeToMicros(row.renewed)), V::Blob(row.agent.SerializeAsString())});
}

absl::StatusOr<std::vector<AgentRow>> SqlCommit::LockAgent(const std::string& instance) {
  std::vector<AgentRow> rows;
  ABSL_RETURN_IF_ERROR(driver_.Query(
      "SELECT " PICKET_AGENT_COLUMNS " FROM agents WHERE instance = $1 FOR UPDATE",
      {V::Text(instance)}, [&](const SqlRow& row) { return ReadAgent(row, rows.emplace_back()); }));
  return rows;
}

absl::Status SqlCommit::Apply(const PutAgent& put, Outcome& outcome) {
  const v1::Agent& agent = put.agent.agent;
  AgentRow row = put.agent;
  row.renewed = now_;
  notify_ = true;
  if (agent.state() != v1::Agent::LIVE) {
    outcome.committed = true;
    return PutAgentRow(row);
  }
  // Two rows of one name could otherwise be inserted side by side.
  ABSL_RETURN_IF_ERROR(
      driver_.LockName(absl::StrCat("picket agent ", agent.location(), "/", agent.name())));
  std::vector<AgentRow> others;
  ABSL_RETURN_IF_ERROR(driver_.Query(
      "SELECT " PICKET_AGENT_COLUMNS
      " FROM agents WHERE location = $1 AND name = $2 AND instance <> $3 AND state = $4 "
      "ORDER BY instance FOR UPDATE",
      {V::Text(agent.location()), V::Text(agent.name()), V::Text(agent.instance()),
       V::Int(v1::Agent::LIVE)},
      [&](const SqlRow& row) { return ReadAgent(row, others.emplace_back()); }));
  if (!put.take_over) {
    const auto holder = std::find_if(others.begin(), others.end(), HoldsName);
    if (holder != others.end()) {
      outcome.agent.push_back(*holder);
      return absl::OkStatus();
    }
  }
  for (AgentRow& other : others) {
    LoseName(other);
    ABSL_RETURN_IF_ERROR(PutAgentRow(other));
  }
  outcome.agent = std::move(others);
  outcome.committed = true;
  return PutAgentRow(row);
}

absl::Status SqlCommit::Apply(const CloseAgent& close, Outcome& outcome) {
  ABSL_ASSIGN_OR_RETURN(std::vector<AgentRow> rows, LockAgent(close.instance));
  if (rows.empty()) return absl::OkStatus();
  if (rows[0].coordinator != close.coordinator) {
    outcome.agent = std::move(rows);
    return absl::OkStatus();
  }
  outcome.committed = true;
  rows[0].coordinator.clear();
  if (close.goodbye) rows[0].agent.set_state(v1::Agent::GONE);
  return PutAgentRow(rows[0]);
}

absl::Status SqlCommit::Apply(const ExpireAgent& expire, Outcome& outcome) {
  ABSL_ASSIGN_OR_RETURN(std::vector<AgentRow> rows, LockAgent(expire.instance));
  if (rows.empty()) return absl::OkStatus();
  if (rows[0].renewed > expire.renewed || rows[0].agent.state() == v1::Agent::GONE) {
    outcome.agent = std::move(rows);
    return absl::OkStatus();
  }
  outcome.committed = true;
  rows[0].coordinator.clear();
  rows[0].agent.set_state(v1::Agent::GONE);
  return PutAgentRow(rows[0]);
}

absl::Status SqlCommit::Apply(const RenewAgents& renew, Outcome& outcome) {
  outcome.committed = true;
  std::vector<std::string> instances = renew.instances;
  std::sort(instances.begin(), instances.end());
  for (const std::string& instance : instances) {
    ABSL_RETURN_IF_ERROR(
        driver_.Exec("UPDATE agents SET renewed_us = $2 WHERE instance = $1 AND state <> $3",
                     {V::Text(instance), V::Int(TimeToMicros(now_)), V::Int(v1::Agent::GONE)}));
  }
  return absl::OkStatus();
}

}  // namespace picket
