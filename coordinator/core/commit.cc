// What the store said. Only here does anything become true, and only from here is
// anything told.

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "coordinator/core/core.h"
#include "coordinator/core/proto_time.h"

namespace picket {
namespace {

void AddTally(const Tally& other, Tally& tally) {
  tally.leases_expired += other.leases_expired;
  tally.leases_granted += other.leases_granted;
  tally.results_late += other.results_late;
  tally.results_disagreeing += other.results_disagreeing;
  tally.splits += other.splits;
}

}  // namespace

void Core::On(event::Committed& e, Effects& out) {
  PICKET_CHECK(under_way_ && e.proposals.size() == flights_.size() &&
               e.outcomes.size() == flights_.size());
  under_way_ = false;
  if (store_failed_) {
    store_failed_ = false;
    grace_until_ = now_ + options_.lease_time;
    // What failed may have been written all the same: look.
    out.poll = ++poll_generation_;
  }
  std::vector<Flight> flights = std::move(flights_);
  flights_.clear();
  for (size_t i = 0; i < flights.size(); ++i) {
    if (!e.outcomes[i].committed) ++out.tally.refusals;
    std::visit([&](auto& proposal) { Done(proposal, flights[i], e.outcomes[i], out); },
               e.proposals[i]);
  }
}

void Core::On(event::StoreFailed& e, Effects& out) {
  PICKET_CHECK(under_way_ && e.proposals.size() == flights_.size());
  under_way_ = false;
  store_failed_ = true;
  std::vector<Flight> flights = std::move(flights_);
  flights_.clear();
  for (size_t i = 0; i < flights.size(); ++i) {
    Flight& flight = flights[i];
    Proposal& proposal = e.proposals[i];
    if (auto* admit = std::get_if<AdmitRun>(&proposal)) {
      // The client tries again with the same request id, so nothing is admitted twice.
      out.answers.push_back(
          Answer{.token = flight.token,
                 .status = absl::UnavailableError(
                     absl::StrCat("the store cannot be written; the run was not admitted for all "
                                  "that is known, try again (request ",
                                  admit->run.request_id, ")"))});
    } else if (auto* write = std::get_if<WriteShard>(&proposal)) {
      GiveBack(*write, flight);
    } else if (auto* append = std::get_if<AppendResults>(&proposal)) {
      for (size_t r = 0; r < append->results.size(); ++r) {
        late_.push_back(Incoming{.row = std::move(append->results[r]),
                                 .ack = flight.acks[r],
                                 .instance = std::move(flight.instances[r])});
      }
    } else if (auto* put = std::get_if<PutAgent>(&proposal)) {
      if (flight.token != 0) {
        drains_.emplace_back(std::move(put->agent), flight.token);
      } else if (flight.peer != 0) {
        if (FindSession(flight.peer) != nullptr) arriving_.insert(flight.peer);
      } else {
        drains_.emplace_back(std::move(put->agent), 0);
      }
    } else if (auto* close = std::get_if<CloseAgent>(&proposal)) {
      closing_.push_back(std::move(*close));
    } else if (auto* end = std::get_if<EndRun>(&proposal)) {
      for (TokenId token : flight.tokens) cancels_[end->run_id].push_back(token);
    }
    // Ends, expiries and renewals are proposed again by themselves.
  }
}

void Core::Done(AdmitRun& admit, Flight& flight, Outcome& outcome, Effects& out) {
  Answer answer{.token = flight.token};
  if (outcome.committed) {
    answer.run = admit.run;
    if (!outcome.sealed.empty()) answer.run = outcome.sealed.front();
    if (answer.run->run.state() == v1::Run::SEALED) {
      out.sealed.push_back(SealedRun{.row = *answer.run, .plan = flight.plan});
    } else {
      InsertRun(std::move(admit.run), std::move(flight.plan), std::move(admit.shards), {}, out);
    }
  } else if (outcome.run.empty()) {
    answer.status = absl::UnavailableError("the run was not admitted; try again");
  } else if (outcome.run.front().spec_digest != admit.run.spec_digest) {
    answer.status = absl::AlreadyExistsError(
        absl::StrCat("request ", admit.run.request_id, " was used for another spec, run ",
                     outcome.run.front().run.run_id(), "; draw a new request_id"));
  } else {
    answer.existed = true;
    if (outcome.run.front().run.state() != v1::Run::SEALED &&
        Find(outcome.run.front().run.run_id()) == nullptr) {
      out.poll = ++poll_generation_;  // it is active, and not in memory
    }
    answer.run = std::move(outcome.run.front());
  }
  out.answers.push_back(std::move(answer));
}

void Core::GiveBack(WriteShard& write, Flight& flight) {
  RunState* run = Find(write.shard.run_id);
  if (run == nullptr) {
    for (size_t i = 0; i < flight.acks.size(); ++i) {
      late_.push_back(Incoming{.row = std::move(write.results[i]),
                               .ack = flight.acks[i],
                               .instance = std::move(flight.instances[i])});
    }
    return;
  }
  Shard& shard = run->shard(write.shard.shard);
  ShardInputs& inputs = shard.Inputs();
  std::vector<Incoming> results;
  results.reserve(flight.acks.size() + inputs.results.size());
  for (size_t i = 0; i < flight.acks.size(); ++i) {
    results.push_back(Incoming{.row = std::move(write.results[i]),
                               .ack = flight.acks[i],
                               .instance = std::move(flight.instances[i]),
                               .rejected = flight.rejected[i]});
  }
  for (Incoming& later : inputs.results) results.push_back(std::move(later));
  inputs.results = std::move(results);
  inputs.starts.insert(inputs.starts.begin(), flight.starts.begin(), flight.starts.end());
  inputs.unheld.insert(inputs.unheld.begin(), flight.unheld.begin(), flight.unheld.end());
  for (const LeaseEnd& end : flight.ends) {
    if (std::none_of(inputs.ends.begin(), inputs.ends.end(),
                     [&](const LeaseEnd& other) { return other.epoch == end.epoch; })) {
      inputs.ends.push_back(end);
    }
  }
  inputs.unassign |= flight.unassign;
  run->Touch(write.shard.shard);
}

void Core::Done(WriteShard& write, Flight& flight, Outcome& outcome, Effects& out) {
  const std::string run_id = write.shard.run_id;
  const uint32_t index = write.shard.shard;
  const std::string location = write.shard.location;
  RunState* run = Find(run_id);
  if (!outcome.committed) {
    GiveBack(write, flight);
    if (run == nullptr) return;
    if (outcome.run.empty()) {
      FinishRun(run_id, nullptr, out);
    } else if (outcome.run.front().run.state() == v1::Run::SEALED) {
      FinishRun(run_id, &outcome.run.front(), out);
    } else {
      Shard& shard = run->shard(index);
      if (!outcome.shard.empty() && outcome.shard.front().rev > shard.row.rev) {
        run->TakeRow(index, std::move(outcome.shard.front()), now_);
      }
      shard.stale = true;
      shard.stale_rev = shard.row.rev;
      out.reload.push_back(run_id);
    }
    return;
  }

  AddTally(flight.tally, out.tally);
  for (size_t i = 0; i < flight.acks.size(); ++i) {
    if (flight.rejected[i]) {
      DropResult(flight.acks[i], run_id, write.results[i].execution,
                 write.results[i].result.attempts(0).message(), out);
    } else {
      Settle(flight.acks[i]);
    }
  }
  if (run != nullptr) {
    TellOtherHolders(*run, write, flight, out);
    write.shard.rev += 1;
    Shard& shard = run->shard(index);
    DropUnheld(*run, index, flight.unheld);
    for (uint32_t epoch : write.end_epochs) run->EndLease(index, epoch);
    for (const LeaseRow& lease : write.grant) run->AddLease(index, lease, now_);
    if (write.shard.rev > shard.row.rev) {
      run->TakeRow(index, std::move(write.shard), now_);
    } else {
      run->Refresh(index, now_);
    }
    for (const Unheld& unheld : flight.unheld) {
      const Lease* lease = shard.FindLease(unheld.epoch);
      if (lease != nullptr && lease->remaining == 0) run->Touch(index);
    }
    if (write.starts_run && run->row().run.state() == v1::Run::QUEUED) {
      run->row().run.set_state(v1::Run::RUNNING);
      SetTimestamp(now_, run->row().run.mutable_start_time());
    }
    for (size_t i = 0; i < write.grant.size(); ++i) {
      Lease* lease = shard.FindLease(write.grant[i].epoch);
      const bool sent = SendGrant(*run, write.grant[i], flight.grantees[i], out);
      if (lease != nullptr) lease->told = sent;
    }
    for (const StartRequest& start : flight.accepted) {
      Send send{.peer = start.peer, .message = {}};
      v1::StartedAck& ack = *send.message.mutable_started_ack();
      ack.mutable_lease()->set_run_id(run_id);
      ack.mutable_lease()->set_shard(index);
      ack.mutable_lease()->set_epoch(start.epoch);
      for (uint32_t position : start.positions) {
        ack.add_executions(shard.row.executions[position]);
      }
      if (FindSession(start.peer) != nullptr) out.sends.push_back(std::move(send));
    }
    out.changed.push_back(run_id);
  }
  if (!write.results.empty()) {
    out.stored.push_back(StoredResults{.plan = flight.plan,
                                       .location = location,
                                       .results = std::move(write.results)});
  }
  if (!outcome.sealed.empty()) FinishRun(run_id, &outcome.sealed.front(), out);
}

// Those who hold an execution that another lease has just decided may let go of it.
void Core::TellOtherHolders(RunState& run, const WriteShard& write, const Flight& flight,
                            Effects& out) {
  const Shard& shard = run.shard(write.shard.shard);
  if (shard.leases.size() < 2) return;
  for (const Lease& lease : shard.leases) {
    v1::LeaseRecall recall;
    for (const ResultRow& row : write.results) {
      if (!row.deciding || row.epoch == lease.row.epoch) continue;
      const uint32_t position = run.PositionOf(row.execution);
      if (lease.left[position]) recall.add_executions(row.execution);
    }
    if (recall.executions().empty()) continue;
    const Session* session = SessionOf(lease.row.instance);
    if (session == nullptr) continue;
    recall.mutable_lease()->set_run_id(run.id());
    recall.mutable_lease()->set_shard(shard.row.shard);
    recall.mutable_lease()->set_epoch(lease.row.epoch);
    recall.set_ended(std::find(write.end_epochs.begin(), write.end_epochs.end(),
                               lease.row.epoch) != write.end_epochs.end());
    Send send{.peer = session->peer, .message = {}};
    *send.message.mutable_recall() = std::move(recall);
    out.sends.push_back(std::move(send));
  }
}

void Core::Done(AppendResults& append, Flight& flight, Outcome& outcome, Effects& out) {
  if (outcome.committed) out.tally.results_late += append.results.size();
  for (size_t i = 0; i < flight.acks.size(); ++i) {
    if (outcome.committed) {
      Settle(flight.acks[i]);
    } else {
      DropResult(flight.acks[i], append.results[i].run_id, append.results[i].execution,
                 "the store would not take it", out);
    }
  }
}

void Core::Done(EndRun& end, Flight& flight, Outcome& outcome, Effects& out) {
  const std::vector<RunRow>& rows = outcome.sealed.empty() ? outcome.run : outcome.sealed;
  FinishRun(end.run_id, rows.empty() ? nullptr : &rows.front(), out);
  for (TokenId token : flight.tokens) {
    Answer answer{.token = token};
    if (rows.empty()) {
      answer.status = absl::NotFoundError(absl::StrCat("no run ", end.run_id));
    } else {
      answer.run = rows.front();
    }
    out.answers.push_back(std::move(answer));
  }
}

void Core::Done(PutAgent& put, Flight& flight, Outcome& outcome, Effects& out) {
  const std::string instance = put.agent.agent.instance();
  if (outcome.committed) {
    agents_[instance] = put.agent;
    fleet_stale_ = true;
    for (AgentRow& other : outcome.agent) {
      const bool gone = other.agent.state() == v1::Agent::GONE;
      const std::string displaced = other.agent.instance();
      agents_[displaced].renewed = absl::InfinitePast();
      TakeAgentRow(other, out);
      if (gone) EndLeasesOf(displaced, /*counted=*/true);
    }
  }
  if (flight.peer == 0) {  // a drain
    Answer answer{.token = flight.token};
    if (outcome.committed) {
      answer.agent = put.agent;
      if (Session* session = SessionOf(instance); session != nullptr) {
        session->draining = true;
        Send send{.peer = session->peer, .message = {}};
        send.message.mutable_drain()->set_reason("the agent was told to drain");
        out.sends.push_back(std::move(send));
      }
    } else {
      answer.status = absl::UnavailableError("the agent could not be marked; try again");
    }
    if (flight.token != 0) out.answers.push_back(std::move(answer));
    return;
  }
  Session* session = FindSession(flight.peer);
  if (session == nullptr) return;
  if (outcome.committed) {
    session->renewed = now_;
    Welcome(*session, out);
  } else {
    MeetRival(*session, outcome.agent.empty() ? AgentRow() : outcome.agent.front(), out);
  }
}

// The name is another instance's. Is that one alive?
void Core::MeetRival(Session& session, const AgentRow& rival, Effects& out) {
  const std::string& instance = rival.agent.instance();
  const absl::Duration patience = 2 * options_.heartbeat_interval + absl::Seconds(1);
  const Session* mine = SessionOf(instance);
  // A stream of our own that has closed, or one of a coordinator that can be no more
  // (nobody else writes here), is dead for certain. Of others a sign of life is awaited.
  const bool dead =
      mine == nullptr && (options_.exclusive || rival.coordinator == options_.coordinator);
  bool alive = false;
  if (!dead) {
    if (session.rival != instance) {
      session.rival = instance;
      session.rival_renewed = mine != nullptr ? now_ : rival.renewed;
      session.rival_until = now_ + patience;
    }
    alive = (mine != nullptr ? mine->heard : rival.renewed) > session.rival_renewed;
    if (!alive && now_ < session.rival_until) return;  // care asks again
  }
  if (alive) {
    ClosePeerWith(session.peer,
                  absl::AlreadyExistsError(absl::StrCat(
                      "the name '", session.hello.name(), "' at ", session.hello.location(),
                      " is held by the live instance ", instance,
                      "; stop it, choose another --name, or pass --take-over")),
                  out);
    return;
  }
  if (!instance.empty()) expiring_[instance] = rival.renewed;
  arriving_.insert(session.peer);
}

void Core::Done(CloseAgent& close, Flight&, Outcome& outcome, Effects&) {
  const auto it = agents_.find(close.instance);
  if (it == agents_.end()) return;
  if (!outcome.committed) {
    if (!outcome.agent.empty()) it->second = std::move(outcome.agent.front());
  } else {
    it->second.coordinator.clear();
    if (close.goodbye) it->second.agent.set_state(v1::Agent::GONE);
  }
  fleet_stale_ = true;
}

void Core::Done(ExpireAgent& expire, Flight&, Outcome& outcome, Effects& out) {
  const auto it = agents_.find(expire.instance);
  if (!outcome.committed) {
    if (it != agents_.end() && !outcome.agent.empty()) it->second = std::move(outcome.agent.front());
    fleet_stale_ = true;
    return;
  }
  ++out.tally.agents_lost;
  EndLeasesOf(expire.instance, /*counted=*/true);
  if (it != agents_.end()) {
    it->second.agent.set_state(v1::Agent::GONE);
    it->second.coordinator.clear();
  }
  fleet_stale_ = true;
  if (const Session* session = SessionOf(expire.instance); session != nullptr) {
    ClosePeerWith(session->peer,
                  absl::UnavailableError(absl::StrCat("no word from the agent for ",
                                                      absl::FormatDuration(options_.lease_time),
                                                      "; its leases were given up")),
                  out);
  }
}

void Core::Done(RenewAgents& renew, Flight&, Outcome& outcome, Effects&) {
  // Where others write too, their word may be that it is gone: the next poll tells.
  if (!outcome.committed || !options_.exclusive) return;
  for (const std::string& instance : renew.instances) {
    const auto it = agents_.find(instance);
    if (it != agents_.end()) it->second.renewed = std::max(it->second.renewed, now_);
  }
}

}  // namespace picket
