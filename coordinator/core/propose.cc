// What is to be written: one draft a shard, out of all that came in for it.

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/policy/retry.h"
#include "coordinator/core/core.h"
#include "coordinator/core/drafts.h"
#include "coordinator/core/history.h"
#include "coordinator/core/merge.h"
#include "coordinator/core/proto_time.h"

namespace picket {

namespace {

// A draft that would change nothing but the row's rev, and make every other coordinator
// read it.
bool SaysNothing(const ShardRow& row, const WriteShard& write) {
  return write.results.empty() && write.grant.empty() && write.end_epochs.empty() &&
         write.shard.ends == row.ends && write.shard.marks == row.marks;
}

}  // namespace

Core::Drafts::Entry& Core::Drafts::Of(RunState& run, uint32_t index) {
  const auto [it, fresh] = entries.try_emplace({run.id(), index});
  Entry& entry = it->second;
  if (fresh) {
    const ShardRow& row = run.shard(index).row;
    entry.write.shard = ShardRow{.run_id = row.run_id,
                                 .shard = row.shard,
                                 .location = row.location,
                                 .priority = row.priority,
                                 .executions = row.executions,
                                 .ends = row.ends,
                                 .marks = row.marks,
                                 .leased = row.leased,
                                 .rev = row.rev,
                                 .epoch = row.epoch,
                                 .expected_us = row.expected_us};
    entry.flight.plan = run.plan();
    entry.taken.resize(row.ends.size());
  }
  return entry;
}

Core::Flight& Core::Propose(Proposal proposal, Effects& out) {
  out.proposals.push_back(std::move(proposal));
  return flights_.emplace_back();
}

void Core::On(event::StoreIdle&, Effects& out) {
  if (under_way_) return;
  flights_.clear();
  freed_.clear();
  ProposeAgents(out);
  for (event::Admit& admit : admits_) {
    Flight& flight = Propose(std::move(admit.admit), out);
    flight.token = admit.token;
    flight.plan = std::move(admit.plan);
  }
  admits_.clear();

  Drafts drafts;
  DraftTouched(drafts);
  GrantAll(drafts);
  for (auto& [key, entry] : drafts.entries) {
    RunState& run = *Find(key.first);
    if (SaysNothing(run.shard(key.second).row, entry.write) && entry.flight.accepted.empty()) {
      if (entry.flight.unheld.empty()) continue;
      DropUnheld(run, key.second, entry.flight.unheld);
      run.Refresh(key.second, now_);
      run.Touch(key.second);  // its lease may hold nothing now
      continue;
    }
    out.proposals.emplace_back(std::move(entry.write));
    flights_.push_back(std::move(entry.flight));
  }
  for (const auto& [id, run] : runs_) {
    if (run->end_wanted != v1::EndCause::END_CAUSE_UNSPECIFIED) {
      Propose(EndRun{.run_id = id, .cause = run->end_wanted}, out);
    }
  }
  for (auto& [id, tokens] : cancels_) {
    Propose(EndRun{.run_id = id, .cause = v1::EndCause::CANCELLED}, out).tokens =
        std::move(tokens);
  }
  cancels_.clear();
  if (!late_.empty()) {
    AppendResults append;
    Flight flight;
    for (Incoming& incoming : late_) {
      incoming.row.late = true;
      incoming.row.deciding = false;  // a refused draft may have thought so
      flight.acks.push_back(incoming.ack);
      flight.instances.push_back(std::move(incoming.instance));
      append.results.push_back(std::move(incoming.row));
    }
    late_.clear();
    flight.tally.results_late = append.results.size();
    Propose(std::move(append), out) = std::move(flight);
  }
  // After an error the store is tried even if nothing waits: no run is let in before it has
  // been written, and no run would be there to write it for.
  if (store_failed_ && out.proposals.empty()) Propose(RenewAgents{}, out);
  under_way_ = !out.proposals.empty();
}

// Runs with little to write come first: they do not wait for a flood.
void Core::DraftTouched(Drafts& drafts) {
  std::vector<RunState*> order;
  for (const auto& [id, run] : runs_) {
    CheckEnds(*run);
    run->RefreshDue(now_);
    order.push_back(run.get());
  }
  std::stable_sort(order.begin(), order.end(), [](const RunState* a, const RunState* b) {
    return a->touched() < b->touched();
  });
  size_t results = 0;
  for (RunState* run : order) {
    for (uint32_t index : run->TakeTouched()) {
      if (results >= options_.batch_results) {
        run->Touch(index);
        continue;
      }
      const Shard& shard = run->shard(index);
      if (shard.stale && (shard.inputs == nullptr || shard.inputs->results.empty())) continue;
      Drafts::Entry& entry = drafts.Of(*run, index);
      DraftShard(*run, run->shard(index), entry.write, entry.flight);
      results += entry.write.results.size();
    }
  }
}

void Core::ProposeAgents(Effects& out) {
  for (CloseAgent& close : closing_) Propose(std::move(close), out);
  closing_.clear();
  for (auto& [instance, renewed] : expiring_) {
    Propose(ExpireAgent{.instance = instance, .renewed = renewed}, out);
  }
  expiring_.clear();
  for (PeerId peer : arriving_) {
    const Session* session = FindSession(peer);
    if (session == nullptr) continue;
    Flight& flight = Propose(
        PutAgent{.agent = RowOf(*session), .take_over = session->hello.take_over()}, out);
    flight.peer = peer;
  }
  arriving_.clear();
  for (auto& [row, token] : drains_) {
    Flight& flight = Propose(PutAgent{.agent = std::move(row), .take_over = true}, out);
    flight.token = token;
  }
  drains_.clear();
  if (!renewing_.empty()) {
    Propose(RenewAgents{.instances = std::exchange(renewing_, {})}, out);
  }
}

void Core::DraftShard(RunState& run, Shard& shard, WriteShard& write, Flight& flight) {
  ShardInputs inputs;
  if (shard.inputs != nullptr) inputs = std::move(*shard.inputs);
  shard.inputs.reset();
  write.results.reserve(inputs.results.size());
  for (Incoming& incoming : inputs.results) {
    DraftResult(run, shard, std::move(incoming), write, flight);
  }
  if (shard.stale) {
    inputs.results.clear();
    if (!inputs.starts.empty() || !inputs.unheld.empty() || !inputs.ends.empty() ||
        inputs.unassign) {
      shard.Inputs() = std::move(inputs);
    }
    return;
  }
  for (const Unheld& unheld : inputs.unheld) DraftUnheld(run, shard, unheld, write);
  for (const LeaseEnd& end : inputs.ends) DraftLoss(run, shard, end, write, flight);
  for (const StartRequest& start : inputs.starts) {
    DraftStart(run, shard, start, inputs.unheld, write, flight);
  }
  DraftOrphans(run, shard, write);
  flight.unheld = std::move(inputs.unheld);
  flight.ends = std::move(inputs.ends);
  flight.starts = std::move(inputs.starts);
  flight.unassign = inputs.unassign;
  DraftEnds(run, shard, inputs.unassign, write, flight);
}

void Core::DraftResult(RunState& run, Shard& shard, Incoming incoming, WriteShard& write,
                       Flight& flight) {
  if (incoming.row.result.attempts(0).probe()) {
    return DraftProbe(run, shard, std::move(incoming), write, flight);
  }
  ResultRow& row = incoming.row;
  const uint32_t position = run.PositionOf(row.execution);
  const Position at = run.plan()->shape.At(row.execution);
  const PlannedTest& test = run.plan()->tests[at.test];
  const TestShape& shape = run.plan()->shape.tests()[at.test];
  EndByte& end = write.shard.ends[position];
  const auto marked = write.shard.marks.find(position);
  Mark mark = marked == write.shard.marks.end() ? Mark() : marked->second;

  row.deciding = row.late = false;
  if (incoming.rejected) {
    row.late = end != kUndecided;
    row.deciding = !row.late;
    row.result = InventResult(row.execution, mark, v1::FailureReason::result_rejected,
                              row.result.attempts(0).message(), shard.row.location, now_);
    if (row.deciding) {
      end = MakeEnd(v1::End::INCONCLUSIVE);
      write.shard.marks.erase(position);
    }
  } else {
    const MergeOutcome merged = MergeResult(test.retry, shape.policy, incoming.instance, now_,
                                            row.result, end, mark);
    switch (merged.merge) {
      case Merge::kDecided:
        row.deciding = true;
        if (marked != write.shard.marks.end()) write.shard.marks.erase(marked);
        if (merged.probe) {
          mark.attempts = row.result.attempts().rbegin()->number();
          const absl::Time from = now_ + RetryDelay(test.retry, mark.attempts);
          AwaitProbe(run, row.execution, from, end, mark);
          if (IsProbing(end)) write.shard.marks[position] = std::move(mark);
        }
        RememberDuration(run, row, shard.row.location, write);
        break;
      case Merge::kAgain:
        write.shard.marks[position] = std::move(mark);
        break;
      case Merge::kLate:
        row.late = true;
        ++flight.tally.results_late;
        if (merged.disagrees) ++flight.tally.results_disagreeing;
        break;
    }
    // Whatever came of it, under this lease it is over.
    Lease* lease = shard.FindLease(row.epoch);
    if (lease != nullptr && lease->left[position]) {
      lease->left[position] = false;
      ++freed_[lease->row.instance];
    }
  }
  flight.acks.push_back(incoming.ack);
  flight.instances.push_back(std::move(incoming.instance));
  flight.rejected.push_back(incoming.rejected);
  write.results.push_back(std::move(row));
}

void Core::RememberDuration(RunState& run, const ResultRow& row, const std::string& location,
                            WriteShard& write) {
  std::optional<HistoryRow> history =
      RowToRemember(*run.plan(), row.execution, location, row.result, now_);
  if (history.has_value()) write.history.push_back(*std::move(history));
}

// Whether a lease that this write does not end still holds the execution. Of several that
// end together the last one counts the loss.
static bool HeldBesides(const Shard& shard, uint32_t position,
                        const std::vector<uint32_t>& ended) {
  if (shard.holders[position] <= 1) return false;
  return std::any_of(shard.leases.begin(), shard.leases.end(), [&](const Lease& lease) {
    return position < lease.left.size() && lease.left[position] &&
           std::find(ended.begin(), ended.end(), lease.row.epoch) == ended.end();
  });
}

void Core::DraftLoss(RunState& run, Shard& shard, const LeaseEnd& end, WriteShard& write,
                     Flight& flight) {
  Lease* lease = shard.FindLease(end.epoch);
  if (lease == nullptr) return;
  write.end_epochs.push_back(end.epoch);
  if (end.counted) ++flight.tally.leases_expired;
  // What can have been in flight: started, or within `capacity` after the last one that
  // is known to have been.
  const std::vector<uint32_t>& order = lease->row.positions;
  size_t started = lease->started;
  for (size_t i = order.size(); i-- > started;) {
    if (write.shard.ends[order[i]] != kUndecided) {
      started = i + 1;
      break;
    }
  }
  const size_t in_flight = started + std::max<uint32_t>(1, end.capacity);
  for (size_t i = 0; i < order.size(); ++i) {
    const uint32_t position = order[i];
    if (!lease->left[position] || !lease->Wants(write.shard.ends[position])) continue;
    if (HeldBesides(shard, position, write.end_epochs)) continue;
    if (lease->probe) {
      AfterProbe(run, shard, position, lease->row.location, nullptr, write);
      continue;
    }
    Mark& mark = write.shard.marks[position];
    const PlannedTest& test = run.TestOf(shard.row.executions[position]);
    if (LoseLease(test.repeatable, end.counted && i < in_flight, now_, mark) == Loss::kAgentLost) {
      EndWithout(run, position, v1::FailureReason::agent_lost,
                 absl::StrCat(mark.losses, " agents were lost while they ran it"), shard, write);
    }
  }
}

void Core::DraftStart(RunState& run, Shard& shard, const StartRequest& start,
                      const std::vector<Unheld>& unheld, WriteShard& write, Flight& flight) {
  // The agent waits for an answer even when nothing may start.
  StartRequest& accepted = flight.accepted.emplace_back(
      StartRequest{.peer = start.peer, .epoch = start.epoch, .positions = {}});
  const Lease* lease = shard.FindLease(start.epoch);
  if (lease == nullptr ||
      std::find(write.end_epochs.begin(), write.end_epochs.end(), start.epoch) !=
          write.end_epochs.end()) {
    return;
  }
  for (uint32_t position : start.positions) {
    if (!lease->left[position] || write.shard.ends[position] != kUndecided) continue;
    // Asked for before it was let go.
    if (std::any_of(unheld.begin(), unheld.end(), [&](const Unheld& entry) {
          return entry.epoch == start.epoch &&
                 std::find(entry.positions.begin(), entry.positions.end(), position) !=
                     entry.positions.end();
        })) {
      continue;
    }
    // Only the one lease that holds it can have marked it before.
    if (shard.holders[position] != 1) continue;
    if (!run.TestOf(shard.row.executions[position]).repeatable) {
      write.shard.marks[position].started = true;
    }
    accepted.positions.push_back(position);
  }
}

void Core::EndWithout(RunState& run, uint32_t position, v1::FailureReason::Value reason,
                      absl::string_view message, const Shard& shard, WriteShard& write) {
  ResultRow row;
  row.run_id = run.id();
  row.execution = shard.row.executions[position];
  row.shard = shard.row.shard;
  row.epoch = shard.row.epoch;
  row.deciding = true;
  row.result = InventResult(row.execution, write.shard.marks[position], reason, message,
                            shard.row.location, now_);
  write.results.push_back(std::move(row));
  write.shard.ends[position] = MakeEnd(v1::End::INCONCLUSIVE);
  write.shard.marks.erase(position);
}

// Ends that no result brings, and leases with nothing left.
void Core::DraftEnds(RunState& run, Shard& shard, bool unassign, WriteShard& write,
                     Flight& flight) {
  std::vector<uint32_t> given_up;
  for (const auto& [position, mark] : write.shard.marks) {
    if (mark.give_up <= now_ && write.shard.ends[position] == kUndecided) {
      given_up.push_back(position);
    }
  }
  for (uint32_t position : given_up) {
    EndWithout(run, position, v1::FailureReason::lost_maybe_ran,
               "its agent was lost; it may have run, and must not run twice", shard, write);
  }
  DraftProbesGivenUp(write);
  if (unassign) {
    for (uint32_t position = 0; position < write.shard.ends.size(); ++position) {
      if (write.shard.ends[position] != kUndecided || shard.holders[position] > 0) continue;
      const auto mark = write.shard.marks.find(position);
      if (mark != write.shard.marks.end() && mark->second.give_up != absl::InfiniteFuture()) {
        continue;
      }
      write.shard.ends[position] = MakeEnd(v1::End::UNASSIGNED);
      write.shard.marks.erase(position);
    }
  }
  for (const Lease& lease : shard.leases) {
    const bool ended = std::find(write.end_epochs.begin(), write.end_epochs.end(),
                                 lease.row.epoch) != write.end_epochs.end();
    if (ended) continue;
    const bool busy = std::any_of(
        lease.row.positions.begin(), lease.row.positions.end(), [&](uint32_t position) {
          return lease.left[position] && lease.Wants(write.shard.ends[position]);
        });
    if (!busy) write.end_epochs.push_back(lease.row.epoch);
  }
}

}  // namespace picket
