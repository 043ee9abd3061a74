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
    stream->CoordinatorDied(world_->Between(absl::ZeroDuration(), absl::Milliseconds(50)));
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
    if (message.has_hello()) spools_[peer] = message.hello().spool();
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
    it->second->ToAgent(std::move(send.message));
  }
  for (ClosePeer& close : effects.closes) {
    const auto it = streams_.find(close.peer);
    if (it == streams_.end()) continue;
    world_->Note(absl::StrCat(options_.coordinator, " closes a stream: ", close.status.ToString()));
    it->second->CloseByCoordinator(std::move(close.status));
  }
  for (const v1::LeaseId& id : effects.lookups) {
    Later(world_->Between(absl::Microseconds(100), absl::Milliseconds(3)), [this, id] {
      absl::StatusOr<std::optional<LeaseRow>> lease =
          store_->FindLease(id.run_id(), id.shard(), id.epoch());
      Later(world_->Between(absl::ZeroDuration(), absl::Milliseconds(3)),
            [this, id, lease = *std::move(lease)]() mutable {
              Apply(event::LeaseFound{.id = id, .lease = std::move(lease)});
              Pump();
            });
    });
  }
  reload_.insert(effects.reload.begin(), effects.reload.end());
  poll_wanted_ = std::max(poll_wanted_, effects.poll);
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
  if ((poll_wanted_ != 0 || !reload_.empty()) && !polling_) {
    polling_ = true;
    Later(absl::Milliseconds(1), [this] {
      polling_ = false;
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
  const bool refuse = world_->random().Chance(faults_->refuse);
  const bool mute = world_->random().Chance(faults_->mute);
  const absl::Duration after = world_->Between(faults_->commit_least, faults_->commit_most) / 2;
  // The store goes on even if this coordinator dies meanwhile.
  auto shared = std::make_shared<std::vector<Proposal>>(std::move(proposals));
  world_->After(before, [this, alive = alive_, world = world_, store = store_,
                         checkers = checkers_, shared, refuse, mute, after] {
    // Until `alive` says otherwise, `this` may be gone.
    if (!*alive && world->random().Chance(0.5)) return;  // it never left
    std::shared_ptr<CommitResult> result;
    if (!refuse) {
      result = std::make_shared<CommitResult>(*store->Commit(*shared));
      checkers->OnCommitted(*shared, *result);
      for (size_t i = 0; i < shared->size(); ++i) {
        const std::string line = Describe((*shared)[i], result->outcomes[i]);
        if (!line.empty()) world->Note(absl::StrCat(line));
      }
    }
    if (!*alive) return;
    Later(after, [this, shared, result, mute] {
      busy_ = false;
      if (result == nullptr || mute) {
        world_->Note(absl::StrCat(options_.coordinator, " store error",
                                  result == nullptr ? "" : ", though it was written"));
        commit_not_before_ =
            world_->now() + world_->Between(absl::Milliseconds(20), absl::Milliseconds(300));
        Apply(event::StoreFailed{.proposals = std::move(*shared)});
      } else {
        epoch_ = result->now - world_->now();
        Apply(event::Committed{.proposals = std::move(*shared),
                               .outcomes = std::move(result->outcomes)});
      }
      Pump();
    });
  });
}

// Reads one thing after the other, with time between, as a real one does.
void SimCoordinator::Poll() {
  if (polling_) return;
  polling_ = true;
  const uint64_t generation = std::exchange(poll_wanted_, 0);
  auto reload = std::make_shared<std::set<std::string>>(std::exchange(reload_, {}));
  const auto pause = [this] {
    return world_->Between(absl::ZeroDuration(), absl::Milliseconds(4));
  };
  auto known = std::make_shared<std::map<std::string, std::vector<uint64_t>>>();
  for (const std::string& id : core_.ActiveRuns()) (*known)[id] = core_.KnownRevs(id);
  Later(pause(), [this, generation, reload, known, pause] {
    auto agents = std::make_shared<std::vector<AgentRow>>(*store_->LoadAgents());
    Later(pause(), [this, generation, reload, known, pause, agents] {
      Apply(event::AgentsLoaded{.agents = std::move(*agents)});
      const std::vector<RunRow> active = *store_->ListActiveRuns();
      std::set<std::string> seen;
      absl::Duration at = absl::ZeroDuration();
      for (const RunRow& row : active) {
        const std::string id = row.run.run_id();
        seen.insert(id);
        at += pause();
        if (!known->contains(id)) {
          Later(at, [this, row, pause] { PollRun(row, false); });
          continue;
        }
        Later(at, [this, id, reload, known, pause] {
          auto loaded = std::make_shared<event::ShardsLoaded>();
          loaded->run_id = id;
          loaded->shards = *store_->LoadChangedShards(id, known->at(id), 1000);
          if (loaded->shards.empty() && !reload->contains(id)) return;
          Later(pause(), [this, loaded, pause] {
            loaded->leases = *store_->LoadLeases(loaded->run_id);
            Later(pause(), [this, loaded] {
              Apply(std::move(*loaded));
              Pump();
            });
          });
        });
      }
      for (const auto& [id, revs] : *known) {
        if (seen.contains(id)) continue;
        const absl::StatusOr<RunRow> row = store_->GetRun(id);
        if (row.ok() && row->run.state() != v1::Run::SEALED) continue;
        event::RunGone gone{.run_id = id, .run = std::nullopt};
        if (row.ok()) gone.run = *row;
        Apply(std::move(gone));
      }
      Later(at + absl::Milliseconds(13), [this, generation] {
        polling_ = false;
        loaded_ = true;
        if (generation != 0) Apply(event::Polled{.generation = generation});
        Pump();
        if (!options_.exclusive && !std::exchange(poll_armed_, true)) {
          Later(kPoll, [this] {
            poll_armed_ = false;
            Poll();
          });
        }
      });
    });
  });
}

void SimCoordinator::PollRun(const RunRow& row, bool) {
  auto loaded = std::make_shared<event::RunLoaded>();
  loaded->run = row;
  loaded->plan = MakeRunPlan(row, *store_->LoadTests(row.run.run_id(), DataRows::kLoad), {});
  loaded->shards = *store_->LoadShards(row.run.run_id());
  Later(world_->Between(absl::ZeroDuration(), absl::Milliseconds(4)), [this, loaded] {
    loaded->leases = *store_->LoadLeases(loaded->run.run.run_id());
    Later(world_->Between(absl::ZeroDuration(), absl::Milliseconds(4)), [this, loaded] {
      Apply(std::move(*loaded));
      Pump();
    });
  });
}

}  // namespace picket::simulation
