// How agents come, speak and go.

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "coordinator/core/core.h"
#include "coordinator/core/proto_time.h"

namespace picket {

Session* Core::FindSession(PeerId peer) {
  const auto it = sessions_.find(peer);
  return it == sessions_.end() ? nullptr : it->second.get();
}

Session* Core::SessionOf(const std::string& instance) {
  const auto it = by_instance_.find(instance);
  return it == by_instance_.end() ? nullptr : FindSession(it->second);
}

void Core::On(event::PeerOpened& e, Effects&) {
  auto session = std::make_unique<Session>();
  session->peer = e.peer;
  session->opened = session->heard = now_;
  sessions_[e.peer] = std::move(session);
}

void Core::On(event::PeerSent& e, Effects& out) {
  Session* session = FindSession(e.peer);
  if (session == nullptr) return;
  session->heard = now_;
  const bool hello = e.message.kind_case() == v1::AgentMessage::kHello;
  if (hello != (session->state == Session::State::kSilent)) {
    ClosePeerWith(e.peer,
                  absl::InvalidArgumentError("Hello must be sent first, and once"), out);
    return;
  }
  switch (e.message.kind_case()) {
    case v1::AgentMessage::kHello:
      OnHello(*session, std::move(*e.message.mutable_hello()), out);
      break;
    case v1::AgentMessage::kHeartbeat:
      OnHeartbeat(*session, e.message.heartbeat(), out);
      break;
    case v1::AgentMessage::kResults:
      OnResults(*session, *e.message.mutable_results(), out);
      break;
    case v1::AgentMessage::kStarted:
      OnStarted(*session, e.message.started(), out);
      break;
    case v1::AgentMessage::kLeaseReturn:
      OnReturn(*session, e.message.lease_return(), out);
      break;
    case v1::AgentMessage::kGoodbye:
      OnGoodbye(*session, out);
      break;
    case v1::AgentMessage::KIND_NOT_SET:
      break;  // of a newer protocol
  }
}

void Core::On(event::PeerClosed& e, Effects&) { DropSession(e.peer); }

void Core::OnHello(Session& session, v1::Hello hello, Effects& out) {
  const absl::StatusOr<uint32_t> protocol = CheckHello(hello);
  if (!protocol.ok()) {
    ClosePeerWith(session.peer, protocol.status(), out);
    return;
  }
  session.hello = std::move(hello);
  session.state = Session::State::kArriving;
  session.capacity = std::max<uint32_t>(1, session.hello.capacity());
  session.window = std::min(session.hello.window(), DefaultLimits().window_most);
  if (!options_.exclusive && session.hello.held_size() > 0) {
    session.wait_poll = out.poll = ++poll_generation_;
  } else {
    arriving_.insert(session.peer);
  }
}

void Core::On(event::Polled& e, Effects&) {
  for (const auto& [peer, session] : sessions_) {
    if (session->wait_poll != 0 && session->wait_poll <= e.generation) {
      session->wait_poll = 0;
      arriving_.insert(peer);
    }
  }
}

AgentRow Core::RowOf(const Session& session) const {
  AgentRow row;
  const v1::Hello& hello = session.hello;
  v1::Agent& agent = row.agent;
  agent.set_name(hello.name());
  agent.set_location(hello.location());
  agent.set_version(hello.version());
  agent.set_capacity(session.capacity);
  agent.set_instance(hello.instance());
  *agent.mutable_labels() = hello.labels();
  const auto known = agents_.find(hello.instance());
  const bool draining =
      session.draining ||
      (known != agents_.end() && known->second.agent.state() == v1::Agent::DRAINING);
  agent.set_state(draining ? v1::Agent::DRAINING : v1::Agent::LIVE);
  SetTimestamp(session.opened, agent.mutable_connect_time());
  SetTimestamp(session.heard, agent.mutable_seen_time());
  if (hello.has_clock_time()) {
    const absl::Duration offset = TimeOf(hello.clock_time()) - session.opened;
    agent.set_clock_offset_ms(static_cast<int32_t>(
        std::clamp<int64_t>(absl::ToInt64Milliseconds(offset), -2'000'000'000, 2'000'000'000)));
  }
  row.spool = hello.spool();
  row.coordinator = options_.coordinator;
  row.renewed = now_;
  return row;
}

void Core::Welcome(Session& session, Effects& out) {
  const std::string& instance = session.instance();
  if (Session* older = SessionOf(instance); older != nullptr && older != &session) {
    const PeerId peer = older->peer;
    open_at_[older->location()].erase(peer);
    out.closes.push_back(
        {peer, absl::AbortedError("a newer stream of this instance has taken its place")});
    sessions_.erase(peer);
  }
  session.state = Session::State::kOpen;
  by_instance_[instance] = session.peer;
  open_at_[session.location()].insert(session.peer);

  Send send{.peer = session.peer, .message = {}};
  v1::Welcome& welcome = *send.message.mutable_welcome();
  SetDuration(options_.heartbeat_interval, welcome.mutable_heartbeat_interval());
  SetDuration(options_.lease_time, welcome.mutable_lease_time());
  welcome.set_protocol(std::min(session.hello.protocol_max(), kProtocol));
  welcome.set_coordinator(options_.coordinator);
  welcome.set_result_batch_bytes(static_cast<uint32_t>(DefaultLimits().result_batch_bytes));
  if (session.hello.has_clock_time()) {
    welcome.set_clock_offset_us(
        absl::ToInt64Microseconds(session.opened - TimeOf(session.hello.clock_time())));
  }
  std::set<LeaseKey> adopted;
  for (const v1::HeldLease& held : session.hello.held()) {
    const v1::LeaseId& id = held.lease();
    RunState* run = Find(id.run_id());
    Lease* lease = run == nullptr || id.shard() >= run->shards()
                       ? nullptr
                       : run->shard(id.shard()).FindLease(id.epoch());
    if (lease == nullptr || lease->row.instance != instance) {
      *welcome.add_dropped() = id;
      continue;
    }
    *welcome.add_adopted() = id;
    const LeaseKey key{id.run_id(), id.shard(), id.epoch()};
    adopted.insert(key);
    lease->told = true;
    std::set<uint32_t> named(held.executions().begin(), held.executions().end());
    Doubt doubt{.lease = key, .positions = {}, .until = now_ + options_.lease_time};
    const Shard& shard = run->shard(id.shard());
    for (uint32_t position : lease->row.positions) {
      if (lease->left[position] && !named.contains(shard.row.executions[position])) {
        doubt.positions.push_back(position);
      }
    }
    if (!doubt.positions.empty()) doubts_.push_back(std::move(doubt));
  }
  const auto holder = holders_.find(instance);
  if (holder != holders_.end()) {
    for (const LeaseKey& key : holder->second.leases) {
      if (adopted.contains(key)) continue;
      RunState* run = Find(key.run_id);
      Lease* lease = run == nullptr ? nullptr : run->shard(key.shard).FindLease(key.epoch);
      if (lease == nullptr) continue;
      lease->told = false;
      DoubtLease(*lease);
    }
  }
  out.sends.push_back(std::move(send));
  session.hello.clear_held();
  if (agents_[instance].agent.state() == v1::Agent::DRAINING) {
    session.draining = true;
    Send drain{.peer = session.peer, .message = {}};
    drain.message.mutable_drain()->set_reason("the agent was told to drain");
    out.sends.push_back(std::move(drain));
  }
}

void Core::DropSession(PeerId peer) {
  Session* session = FindSession(peer);
  if (session == nullptr) return;
  arriving_.erase(peer);
  if (session->state != Session::State::kSilent) {
    const auto it = by_instance_.find(session->instance());
    const bool current = it == by_instance_.end() || it->second == peer;
    if (it != by_instance_.end() && it->second == peer) by_instance_.erase(it);
    open_at_[session->location()].erase(peer);
    if (current) {
      closing_.push_back(CloseAgent{.instance = session->instance(),
                                    .coordinator = options_.coordinator,
                                    .goodbye = false});
    }
  }
  sessions_.erase(peer);
}

void Core::ClosePeerWith(PeerId peer, absl::Status status, Effects& out) {
  out.closes.push_back({peer, std::move(status)});
  DropSession(peer);
}

void Core::OnHeartbeat(Session& session, const v1::Heartbeat& heartbeat, Effects&) {
  session.window = std::min(heartbeat.window(), DefaultLimits().window_most);
  for (const v1::LeaseProgress& progress : heartbeat.progress()) {
    RunState* run = Find(progress.lease().run_id());
    if (run == nullptr || progress.lease().shard() >= run->shards()) continue;
    Lease* lease = run->shard(progress.lease().shard()).FindLease(progress.lease().epoch());
    if (lease == nullptr || lease->row.instance != session.instance()) continue;
    lease->started = std::max(
        lease->started,
        std::min(progress.started(), static_cast<uint32_t>(lease->row.positions.size())));
  }
  if (heartbeat.draining() && !session.draining && session.state == Session::State::kOpen) {
    session.draining = true;
    AgentRow row = RowOf(session);
    drains_.emplace_back(std::move(row), 0);
  }
}

void Core::OnStarted(Session& session, const v1::Started& started, Effects& out) {
  const v1::LeaseId& id = started.lease();
  RunState* run = Find(id.run_id());
  if (run != nullptr && id.shard() >= run->shards()) run = nullptr;
  Lease* lease = run == nullptr ? nullptr : run->shard(id.shard()).FindLease(id.epoch());
  if (lease == nullptr || lease->row.instance != session.instance()) {
    // Nothing of it may start; the agent waits for an answer all the same.
    Send send{.peer = session.peer, .message = {}};
    *send.message.mutable_started_ack()->mutable_lease() = id;
    out.sends.push_back(std::move(send));
    return;
  }
  Shard& shard = run->shard(id.shard());
  StartRequest request{.peer = session.peer, .epoch = id.epoch(), .positions = {}};
  for (uint32_t execution : started.executions()) {
    if (execution >= run->row().executions) continue;
    const uint32_t position = run->PositionOf(execution);
    if (position < shard.row.executions.size() && shard.row.executions[position] == execution) {
      request.positions.push_back(position);
      lease->asked.resize(shard.row.executions.size());
      lease->asked[position] = true;
    }
  }
  shard.Inputs().starts.push_back(std::move(request));
  run->Touch(id.shard());
}

void Core::OnReturn(Session& session, const v1::LeaseReturn& lease_return, Effects&) {
  const v1::LeaseId& id = lease_return.lease();
  RunState* run = Find(id.run_id());
  if (run == nullptr || id.shard() >= run->shards()) return;
  Shard& shard = run->shard(id.shard());
  Lease* lease = shard.FindLease(id.epoch());
  if (lease == nullptr || lease->row.instance != session.instance()) return;
  std::vector<uint32_t> positions;
  for (uint32_t execution : lease_return.executions()) {
    if (execution >= run->row().executions) continue;
    const uint32_t position = run->PositionOf(execution);
    if (position < shard.row.executions.size() && shard.row.executions[position] == execution) {
      positions.push_back(position);
    }
  }
  LetGo(*run, id.shard(), *lease, positions, /*given_back=*/true);
}

void Core::OnGoodbye(Session& session, Effects& out) {
  const PeerId peer = session.peer;
  const std::string instance = session.instance();
  DropSession(peer);
  if (!closing_.empty() && closing_.back().instance == instance) closing_.back().goodbye = true;
  EndLeasesOf(instance, /*counted=*/false);
  out.closes.push_back({peer, absl::OkStatus()});
}

void Core::EndLeasesOf(const std::string& instance, bool counted) {
  const auto holder = holders_.find(instance);
  if (holder == holders_.end()) return;
  const auto row = agents_.find(instance);
  const uint32_t capacity = row == agents_.end() ? 1 : row->second.agent.capacity();
  for (const LeaseKey& key : holder->second.leases) {
    RunState* run = Find(key.run_id);
    if (run == nullptr) continue;
    Shard& shard = run->shard(key.shard);
    std::vector<LeaseEnd>& ends = shard.Inputs().ends;
    if (std::none_of(ends.begin(), ends.end(),
                     [&](const LeaseEnd& end) { return end.epoch == key.epoch; })) {
      ends.push_back({.epoch = key.epoch, .counted = counted, .capacity = capacity});
    }
    run->Touch(key.shard);
  }
}

void Core::On(event::AgentsLoaded& e, Effects& out) {
  std::set<absl::string_view> named;
  for (const AgentRow& row : e.agents) {
    TakeAgentRow(row, out);
    named.insert(row.agent.instance());
  }
  // Only what is gone is ever deleted; a list that was read before an agent came lacks it.
  std::erase_if(agents_, [&](const auto& entry) {
    return entry.second.agent.state() == v1::Agent::GONE && !named.contains(entry.first);
  });
  fleet_stale_ = true;
}

void Core::TakeAgentRow(const AgentRow& row, Effects& out) {
  const std::string& instance = row.agent.instance();
  AgentRow& known = agents_[instance];
  // Whoever gave it up had not heard of it for a lease time. What is older than that was
  // read before it came back.
  const absl::Duration behind = row.agent.state() == v1::Agent::GONE ? options_.lease_time
                                                                     : absl::ZeroDuration();
  if (!known.agent.instance().empty() && row.renewed + behind < known.renewed) return;
  known = row;
  fleet_stale_ = true;
  Session* session = SessionOf(instance);
  if (session == nullptr) return;
  if (row.agent.state() == v1::Agent::GONE) {
    ClosePeerWith(session->peer, absl::UnavailableError("the agent was given up; say hello again"),
                  out);
  } else if (row.agent.state() == v1::Agent::DRAINING && !session->draining) {
    session->draining = true;
    Send send{.peer = session->peer, .message = {}};
    send.message.mutable_drain()->set_reason("the agent was told to drain");
    out.sends.push_back(std::move(send));
  }
}

void Core::On(event::Drain& e, Effects& out) {
  std::vector<const AgentRow*> found;
  for (const auto& [instance, row] : agents_) {
    if (row.agent.state() == v1::Agent::GONE) continue;
    if (row.agent.name() == e.agent ||
        absl::StrCat(row.agent.location(), "/", row.agent.name()) == e.agent) {
      found.push_back(&row);
    }
  }
  Answer answer{.token = e.token};
  if (found.empty()) {
    answer.status = absl::NotFoundError(absl::StrCat("no agent '", e.agent, "' is connected"));
    out.answers.push_back(std::move(answer));
    return;
  }
  if (found.size() > 1) {
    answer.status = absl::FailedPreconditionError(
        absl::StrCat("'", e.agent, "' names ", found.size(), " agents; name one as location/name: ",
                     found[0]->agent.location(), "/", found[0]->agent.name(), ", ",
                     found[1]->agent.location(), "/", found[1]->agent.name()));
    out.answers.push_back(std::move(answer));
    return;
  }
  AgentRow row = *found.front();
  row.agent.set_state(v1::Agent::DRAINING);
  drains_.emplace_back(std::move(row), e.token);
}

}  // namespace picket
