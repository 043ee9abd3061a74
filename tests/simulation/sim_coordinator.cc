#include "tests/simulation/sim_coordinator.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace picket::simulation {
namespace {

constexpr absl::Duration kPoll = absl::Milliseconds(200);

std::string Describe(const Proposal& proposal, const Outcome& outcome) {
  const char* word = outcome.committed ? "" : " REFUSED";
  if (const auto* p = std::get_if<WriteShard>(&proposal)) {
    std::string text = absl::StrCat("write ", p->shard.run_id, "/", p->shard.shard, " rev ",
                                    p->shard.rev, word);
    for (const LeaseRow& lease : p->grant) {
      absl::StrAppend(&text, " +", lease.epoch, "(", lease.agent, ":", lease.positions.size(),
                      ")");
    }
    for (uint32_t epoch : p->end_epochs) absl::StrAppend(&text, " -", epoch);
    for (const ResultRow& row : p->results) {
      absl::StrAppend(&text, row.deciding ? " =" : row.late ? " late" : " ~", row.execution);
    }
    const char* before = "; started";
    for (const auto& [position, mark] : p->shard.marks) {
      if (!mark.started) continue;
      absl::StrAppend(&text, std::exchange(before, ""), " ", p->shard.executions[position]);
    }
    return text;
  }
  if (const auto* p = std::get_if<AdmitRun>(&proposal)) {
    return absl::StrCat("admit ", p->run.run.run_id(), word);
  }
  if (const auto* p = std::get_if<EndRun>(&proposal)) {
    return absl::StrCat("end ", p->run_id, " ", v1::EndCause::Value_Name(p->cause), word);
  }
  if (const auto* p = std::get_if<PutAgent>(&proposal)) {
    return absl::StrCat("agent ", p->agent.agent.name(), " ", p->agent.agent.instance(), word);
  }
  if (const auto* p = std::get_if<ExpireAgent>(&proposal)) {
    return absl::StrCat("expire ", p->instance, word);
  }
  if (const auto* p = std::get_if<CloseAgent>(&proposal)) {
    return absl::StrCat("close ", p->instance, word);
  }
  return "";
}

}  // namespace

SimCoordinator::SimCoordinator(World* world, Store* store, Checkers* checkers,
                               const StoreFaults* faults, CoreOptions options)
    : world_(world),
      store_(store),
      checkers_(checkers),
      faults_(faults),
      options_(options),
      epoch_(*store->Now() - world->now()),
      core_(options, *store->Now()) {
  world_->Note(absl::StrCat(options_.coordinator, " starts"));
  Poll();
}

SimCoordinator::~SimCoordinator() {
  *alive_ = false;
  world_->Note(absl::StrCat(options_.coordinator, " dies"));
  for (auto& [peer, stream] : streams_) {
    stream->CoordinatorDied(world_->Between(absl::ZeroDuration(), absl::Milliseconds(50)),
                            world_->random().Chance(0.5));
  }
}

void SimCoordinator::Later(absl::Duration delay, absl::AnyInvocable<void()> what) {
  world_->After(delay, [alive = alive_, what = std::move(what)]() mutable {
    if (*alive) what();
  });
}

void SimCoordinator::Accept(std::shared_ptr<Stream> stream) {
  const PeerId peer = next_peer_++;
  streams_[peer] = stream;
  stream->coordinator.on_agent_message = [this, peer](v1::AgentMessage message) {
    if (message.has_hello()) {
      spools_[peer] = message.hello().spool();
      instances_[peer] = message.hello().instance();
    }
    Apply(event::PeerSent{.peer = peer, .message = std::move(message)});
    Pump();
  };
  stream->coordinator.on_closed = [this, peer](absl::Status) {
    streams_.erase(peer);
    Apply(event::PeerClosed{.peer = peer});
    Pump();
  };
  Apply(event::PeerOpened{.peer = peer});
}

void SimCoordinator::CreateRun(AdmitRun admit,
                               std::function<void(absl::StatusOr<v1::Run>)> done) {
  const TokenId token = next_token_++;
  waiters_[token] = [done](Answer answer) {
    if (!answer.status.ok()) return done(answer.status);
    done(answer.run->run);
  };
  auto plan = MakeRunPlan(admit.run, admit.tests, admit.blobs);
  Apply(event::Admit{.token = token, .admit = std::move(admit), .plan = std::move(plan)});
  Pump();
}

void SimCoordinator::CancelRun(const std::string& run_id,
                               std::function<void(absl::StatusOr<v1::Run>)> done) {
  const TokenId token = next_token_++;
  waiters_[token] = [done](Answer answer) {
    if (!answer.status.ok()) return done(answer.status);
    done(answer.run->run);
  };
  Apply(event::Cancel{.token = token, .run_id = run_id});
  Pump();
}

void SimCoordinator::Apply(Event event) { Tell(core_.Apply(StoreNow(), std::move(event))); }

void SimCoordinator::Tell(Effects effects) {
  for (Send& send : effects.sends) {
    const auto it = streams_.find(send.peer);
    if (it == streams_.end()) continue;
    if (send.message.has_ack()) checkers_->OnAck(spools_[send.peer], send.message.ack());
    if (send.message.has_grant()) {
      checkers_->OnGrant(instances_[send.peer], send.message.grant());
    }
    if (send.message.has_started_ack()) checkers_->OnStartedAck(send.message.started_ack());
    it->second->ToAgent(std::move(send.message));
  }
  for (ClosePeer& close : effects.closes) {
    const auto it = streams_.find(close.peer);
    if (it == streams_.end()) continue;
    world_->Note(absl::StrCat(options_.coordinator, " closes a stream: ", close.status.ToString()));
    it->second->CloseByCoordinator(std::move(close.status));
  }
  for (const v1::LeaseId& id : effects.lookups) Lookup(id);
  reload_.insert(effects.reload.begin(), effects.reload.end());
  poll_wanted_ = std::max(poll_wanted_, effects.poll);
  for (const std::string& id : effects.changed) {
    const RunState* run = core_.FindRun(id);
    if (run != nullptr) checkers_->OnProgressTold(core_.View(*run).run);
  }
  for (const SealedRun& sealed : effects.sealed) checkers_->OnRunTold(sealed.row.run);
  for (Answer& answer : effects.answers) {
    const auto it = waiters_.find(answer.token);
    if (it == waiters_.end()) continue;
    auto waiter = std::move(it->second);
    waiters_.erase(it);
    waiter(std::move(answer));
  }
}

void SimCoordinator::Pump() {
  if (StoreNow() >= core_.NextDeadline()) Apply(event::Tick{});
  if (loaded_ && !busy_ && world_->now() >= commit_not_before_) {
    Effects effects = core_.Apply(StoreNow(), event::StoreIdle{});
    std::vector<Proposal> proposals = std::move(effects.proposals);
    effects.proposals.clear();
    Tell(std::move(effects));
    if (!proposals.empty()) Commit(std::move(proposals));
  }
  if ((poll_wanted_ != 0 || !reload_.empty()) && !polling_ && !wanted_armed_) {
    wanted_armed_ = true;
    Later(std::max(absl::Milliseconds(1), poll_not_before_ - world_->now()), [this] {
      wanted_armed_ = false;
      Poll();
    });
  }
  Arm();
}

// Wakes at the core's next deadline.
void SimCoordinator::Arm() {
  absl::Duration next = core_.NextDeadline() - epoch_;
  if (!busy_ && commit_not_before_ > world_->now()) next = std::min(next, commit_not_before_);
  next = std::max(next, world_->now() + absl::Milliseconds(1));
  if (next >= armed_ && armed_ > world_->now()) return;
  if (next == absl::InfiniteDuration()) return;
  armed_ = next;
  Later(next - world_->now(), [this, next] {
    if (armed_ == next) armed_ = absl::InfiniteDuration();
    Pump();
  });
}

void SimCoordinator::Commit(std::vector<Proposal> proposals) {
  busy_ = true;
  absl::Duration before = world_->Between(faults_->commit_least, faults_->commit_most) / 2;
  if (world_->random().Chance(faults_->slow)) {
    before += world_->Between(absl::Seconds(1), absl::Seconds(8));
  }
  const bool cut = world_->now() < store_cut_until_;
  if (cut) before += world_->Between(absl::ZeroDuration(), absl::Seconds(3));
  const bool ghost = world_->random().Chance(cut ? 0.2 : faults_->ghost);
  const bool refuse = !ghost && (cut || world_->random().Chance(faults_->refuse));
  const bool mute = world_->random().Chance(faults_->mute);
  const absl::Duration after = world_->Between(faults_->commit_least, faults_->commit_most) / 2;
  // The store goes on even if this coordinator dies meanwhile.
  auto shared = std::make_shared<std::vector<Proposal>>(std::move(proposals));
  const auto write = [world = world_, store = store_, checkers = checkers_, shared,
                      name = options_.coordinator] {
    auto result = std::make_shared<CommitResult>(*store->Commit(*shared));
    checkers->OnCommitted(*shared, *result);
    for (size_t i = 0; i < shared->size(); ++i) {
      const std::string line = Describe((*shared)[i], result->outcomes[i]);
      if (!line.empty()) world->Note(absl::StrCat(name, " ", line));
    }
    return result;
  };
  if (ghost) {
    const auto kept = std::make_shared<std::vector<Proposal>>(*shared);
    Later(before, [this, kept] { Failed(kept, ", and it may be written yet"); });
    world_->After(before + world_->Between(absl::ZeroDuration(), absl::Seconds(4)), write);
    return;
  }
  world_->After(before, [this, alive = alive_, world = world_, write, shared, refuse, mute,
                         after] {
    // Until `alive` says otherwise, `this` may be gone.
    if (!*alive && world->random().Chance(0.5)) return;  // it never left
    std::shared_ptr<CommitResult> result;
    if (!refuse) result = write();
    if (!*alive) return;
    Later(after, [this, shared, result, mute] {
      if (result == nullptr) return Failed(shared, "");
      if (mute) return Failed(shared, ", though it was written");
      busy_ = false;
      epoch_ = result->now - world_->now();
      Apply(event::Committed{.proposals = std::move(*shared),
                             .outcomes = std::move(result->outcomes)});
      Pump();
    });
  });
}

void SimCoordinator::Failed(std::shared_ptr<std::vector<Proposal>> proposals, const char* how) {
  busy_ = false;
  world_->Note(absl::StrCat(options_.coordinator, " store error", how));
  commit_not_before_ =
      world_->now() + world_->Between(absl::Milliseconds(20), absl::Milliseconds(300));
  Apply(event::StoreFailed{.proposals = std::move(*proposals)});
  Pump();
}

void SimCoordinator::CutStore(absl::Duration until) {
  world_->Note(absl::StrCat(options_.coordinator, " is cut off from the store until ",
                            absl::FormatDuration(until)));
  store_cut_until_ = until;
}

bool SimCoordinator::ReadFails() {
  return world_->now() < store_cut_until_ || world_->random().Chance(faults_->read);
}

void SimCoordinator::Lookup(const v1::LeaseId& id) {
  Later(Pause(), [this, id] {
    if (ReadFails()) {
      Later(absl::Seconds(1), [this, id] { Lookup(id); });
      return;
    }
    Later(Pause(), [this, id,
                    lease = *store_->FindLease(id.run_id(), id.shard(), id.epoch())]() mutable {
      Apply(event::LeaseFound{.id = id, .lease = std::move(lease)});
      Pump();
    });
  });
}

struct SimCoordinator::PollState {
  uint64_t generation = 0;
  std::set<std::string> reload;
  std::map<std::string, std::vector<uint64_t>> known;  // run -> revs
  std::set<std::string> seen;
  bool failed = false;
};

// Reads one thing after the other, with time between, as a real one does. Whatever read
// fails ends the poll; what it was asked for is asked again.
void SimCoordinator::Poll() {
  if (polling_) return;
  polling_ = true;
  auto poll = std::make_shared<PollState>();
  poll->generation = std::exchange(poll_wanted_, 0);
  poll->reload = std::exchange(reload_, {});
  for (const std::string& id : core_.ActiveRuns()) poll->known[id] = core_.KnownRevs(id);
  Later(Pause(), [this, poll] {
    if (ReadFails()) {
      poll->failed = true;
      return EndPoll(poll);
    }
    auto agents = std::make_shared<std::vector<AgentRow>>(*store_->LoadAgents());
    Later(Pause(), [this, poll, agents] {
      Apply(event::AgentsLoaded{.agents = std::move(*agents)});
      PollRuns(poll);
    });
  });
}

void SimCoordinator::PollRuns(PollPtr poll) {
  if (ReadFails()) {
    poll->failed = true;
    return EndPoll(poll);
  }
  absl::Duration at = absl::ZeroDuration();
  const std::vector<RunRow> active = *store_->ListActiveRuns();
  for (const RunRow& row : active) {
    const std::string id = row.run.run_id();
    poll->seen.insert(id);
    at += Pause();
    if (!poll->known.contains(id)) {
      Later(at, [this, row, poll] { PollRun(row, poll); });
      continue;
    }
    Later(at, [this, id, poll] {
      if (poll->failed |= ReadFails()) return;
      auto loaded = std::make_shared<event::ShardsLoaded>();
      loaded->run_id = id;
      loaded->known = poll->known.at(id);
      loaded->shards = *store_->LoadChangedShards(id, poll->known.at(id), 1000);
      if (loaded->shards.empty() && !poll->reload.contains(id)) return;
      Later(Pause(), [this, loaded, poll] {
        if (poll->failed |= ReadFails()) return;
        loaded->leases = *store_->LoadLeases(loaded->run_id);
        Later(Pause(), [this, loaded] {
          Apply(std::move(*loaded));
          Pump();
        });
      });
    });
  }
  PollGone(poll);
  Later(at + absl::Milliseconds(13), [this, poll] { EndPoll(poll); });
}

void SimCoordinator::PollGone(PollPtr poll) {
  for (const auto& [id, revs] : poll->known) {
    if (poll->seen.contains(id)) continue;
    if (poll->failed |= ReadFails()) return;
    const absl::StatusOr<RunRow> row = store_->GetRun(id);
    if (row.ok() && row->run.state() != v1::Run::SEALED) continue;
    event::RunGone gone{.run_id = id, .run = std::nullopt};
    if (row.ok()) gone.run = *row;
    Apply(std::move(gone));
  }
}

void SimCoordinator::EndPoll(PollPtr poll) {
  polling_ = false;
  if (poll->failed) {
    world_->Note(absl::StrCat(options_.coordinator, " cannot read the store"));
    poll_not_before_ = world_->now() + kPoll;
    poll_wanted_ = std::max(poll_wanted_, poll->generation);
    reload_.insert(poll->reload.begin(), poll->reload.end());
  } else {
    loaded_ = true;
    if (poll->generation != 0) Apply(event::Polled{.generation = poll->generation});
  }
  Pump();
  const bool again = !options_.exclusive || poll->failed;
  if (again && !std::exchange(poll_armed_, true)) {
    Later(kPoll, [this] {
      poll_armed_ = false;
      Poll();
    });
  }
}

void SimCoordinator::PollRun(const RunRow& row, PollPtr poll) {
  if (poll->failed |= ReadFails()) return;
  auto loaded = std::make_shared<event::RunLoaded>();
  loaded->run = row;
  loaded->plan = MakeRunPlan(row, *store_->LoadTests(row.run.run_id(), DataRows::kLoad), {});
  loaded->shards = *store_->LoadShards(row.run.run_id());
  Later(Pause(), [this, loaded, poll] {
    if (poll->failed |= ReadFails()) return;
    loaded->leases = *store_->LoadLeases(loaded->run.run.run_id());
    Later(Pause(), [this, loaded] {
      Apply(std::move(*loaded));
      Pump();
    });
  });
}

}  // namespace picket::simulation
