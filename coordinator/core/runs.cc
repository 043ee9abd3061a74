// How runs come into the core's memory and leave it.

#include <utility>

#include "absl/strings/str_cat.h"
#include "coordinator/core/core.h"
#include "coordinator/core/proto_time.h"

namespace picket {

void Core::InsertRun(RunRow row, std::shared_ptr<const RunPlan> plan, std::vector<ShardRow> shards,
                     std::vector<LeaseRow> leases, Effects& out) {
  const std::string id = row.run.run_id();
  if (runs_.contains(id) || row.run.state() == v1::Run::SEALED) return;
  auto run = std::make_unique<RunState>(std::move(row), std::move(plan), std::move(shards),
                                        std::move(leases), now_, &holders_);
  for (const auto& [name, location] : run->locations()) inhabited_.try_emplace(name, now_);
  // A lease of one of our own agents that it does not know of: it was granted by
  // another coordinator and never reached it, or it is done and its results follow.
  for (uint32_t i = 0; i < run->shards(); ++i) {
    for (const Lease& lease : run->shard(i).leases) DoubtLease(lease);
  }
  runs_.emplace(id, std::move(run));
  out.changed.push_back(id);
}

void Core::DoubtLease(const Lease& lease) {
  if (SessionOf(lease.row.instance) == nullptr) return;
  doubts_.push_back(Doubt{.lease = {lease.row.run_id, lease.row.shard, lease.row.epoch},
                          .whole = true,
                          .positions = lease.row.positions,
                          .until = now_ + options_.lease_time});
}

void Core::On(event::RunLoaded& e, Effects& out) {
  InsertRun(std::move(e.run), std::move(e.plan), std::move(e.shards), std::move(e.leases), out);
}

void Core::On(event::ShardsLoaded& e, Effects& out) {
  RunState* run = Find(e.run_id);
  if (run == nullptr) return;
  std::set<uint32_t> renewed;
  for (ShardRow& row : e.shards) {
    if (row.shard >= run->shards()) continue;
    const uint32_t index = row.shard;
    const Shard& shard = run->shard(index);
    if (shard.stale && row.rev >= shard.stale_rev) renewed.insert(index);
    if (row.rev > shard.row.rev) {
      run->TakeRow(index, std::move(row), now_);
      renewed.insert(index);
      out.changed.push_back(e.run_id);
    }
  }
  // Leases were read after the shards: one that is missing has ended under a rev that
  // is newer than ours, and every write of ours will be refused until we know it.
  std::map<uint32_t, std::vector<LeaseRow>> leases;
  for (LeaseRow& lease : e.leases) {
    if (lease.shard < run->shards()) leases[lease.shard].push_back(std::move(lease));
  }
  bool again = false;
  for (uint32_t i = 0; i < run->shards(); ++i) {
    const Shard& shard = run->shard(i);
    const bool asked_since = i < e.known.size() && e.known[i] >= shard.stale_rev;
    if (!renewed.contains(i) && !(shard.stale && asked_since)) {
      again |= shard.stale;
      continue;
    }
    std::set<uint32_t> known;
    for (const Lease& lease : run->shard(i).leases) known.insert(lease.row.epoch);
    // What waited for them, and leases that ended meanwhile.
    if (shard.stale) run->Touch(i);
    run->TakeLeases(i, std::move(leases[i]), now_);
    for (const Lease& lease : run->shard(i).leases) {
      if (!known.contains(lease.row.epoch)) DoubtLease(lease);
    }
  }
  if (again) out.reload.push_back(e.run_id);
}

void Core::On(event::RunGone& e, Effects& out) {
  FinishRun(e.run_id, e.run.has_value() ? &*e.run : nullptr, out);
}

void Core::On(event::Admit& e, Effects&) { admits_.push_back(std::move(e)); }

void Core::On(event::Cancel& e, Effects&) {
  if (RunState* run = Find(e.run_id); run != nullptr) {
    run->cancel_tokens.push_back(e.token);
    run->end_wanted = v1::EndCause::CANCELLED;
  } else {
    cancels_[e.run_id].push_back(e.token);
  }
}

void Core::FinishRun(const std::string& run_id, const RunRow* sealed, Effects& out) {
  const auto it = runs_.find(run_id);
  if (it == runs_.end()) return;
  std::unique_ptr<RunState> run = std::move(it->second);
  runs_.erase(it);

  std::set<PeerId> peers;
  for (uint32_t i = 0; i < run->shards(); ++i) {
    Shard& shard = run->shard(i);
    for (const Lease& lease : shard.leases) {
      const Session* session = SessionOf(lease.row.instance);
      if (session != nullptr) peers.insert(session->peer);
    }
    if (shard.inputs == nullptr) continue;
    for (Incoming& incoming : shard.inputs->results) {
      if (sealed == nullptr || incoming.rejected) {
        DropResult(incoming.ack, run_id, incoming.row.execution,
                   sealed == nullptr ? "its run was deleted" : "it could not be read", out);
      } else {
        late_.push_back(std::move(incoming));
      }
    }
  }
  for (PeerId peer : peers) {
    Send send{.peer = peer, .message = {}};
    send.message.mutable_run_ended()->set_run_id(run_id);
    SetDuration(DefaultLimits().always_grace, send.message.mutable_run_ended()->mutable_grace());
    out.sends.push_back(std::move(send));
  }
  for (TokenId token : run->cancel_tokens) {
    Answer answer{.token = token};
    if (sealed != nullptr) {
      answer.run = *sealed;
    } else {
      answer.status = absl::NotFoundError(absl::StrCat("run ", run_id, " was deleted"));
    }
    out.answers.push_back(std::move(answer));
  }
  if (sealed != nullptr) {
    RunView view = View(*run);
    view.run = sealed->run;
    out.sealed.push_back(SealedRun{.row = *sealed,
                                   .plan = run->plan(),
                                   .locations = std::move(view.locations),
                                   .exact = run->undecided() == 0});
  }
}

void Core::CheckEnds(RunState& run) {
  if (run.end_wanted != v1::EndCause::END_CAUSE_UNSPECIFIED) return;
  const RunRow& row = run.row();
  if (row.fail_fast && run.failed_blocking() > 0) {
    run.end_wanted = v1::EndCause::FAIL_FAST;
  } else if (row.max_failures > 0 && run.failed() >= row.max_failures) {
    run.end_wanted = v1::EndCause::MAX_FAILURES;
  } else if (now_ >= TimeOf(row.run.deadline_time())) {
    run.end_wanted = v1::EndCause::DEADLINE;
  }
}

}  // namespace picket
