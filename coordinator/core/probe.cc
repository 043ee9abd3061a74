// Probes: a failing execution is tried once more at another of its test's locations, so
// that it is known whether the place or the target is to blame. It was decided before;
// what a probe finds is kept and changes no end.

#include <algorithm>
#include <utility>

#include "common/policy/retry.h"
#include "coordinator/core/core.h"
#include "coordinator/core/drafts.h"
#include "coordinator/core/merge.h"

namespace picket {
namespace {

bool WasProbed(const Mark& mark, const std::string& location) {
  return std::find(mark.probed.begin(), mark.probed.end(), location) != mark.probed.end();
}

void EndProbe(uint32_t position, WriteShard& write) {
  write.shard.ends[position] = WithoutProbe(write.shard.ends[position]);
  write.shard.marks.erase(position);
}

// The test's other locations, from the one after its own.
std::vector<std::string> OtherLocations(const RunPlan& plan, uint32_t execution) {
  const Position at = plan.shape.At(execution);
  const std::vector<std::string>& all = plan.shape.tests()[at.test].locations;
  std::vector<std::string> others;
  for (size_t i = 1; i < all.size(); ++i) others.push_back(all[(at.location + i) % all.size()]);
  return others;
}

}  // namespace

bool Core::MayProbeElsewhere(const RunState& run, uint32_t execution, const Mark& mark) const {
  for (const std::string& location : OtherLocations(*run.plan(), execution)) {
    if (WasProbed(mark, location)) continue;
    // Just started, the fleet may not have come back yet.
    if (FleetNow().contains(location) || now_ < grace_until_) return true;
  }
  return false;
}

// Waits from then on, if there is a place to ask; otherwise all stays as it is.
void Core::AwaitProbe(RunState& run, uint32_t execution, absl::Time from, EndByte& end,
                      Mark& mark) {
  if (!MayProbeElsewhere(run, execution, mark)) return;
  end = WithProbe(end);
  mark.not_before = from;
  mark.give_up = from + run.TestOf(execution).timeout + DefaultLimits().elsewhere_patience;
}

// One probe is over: `attempt` is what it found, null if its agent was lost or never
// began. Another place is asked while the retry policy wants it.
void Core::AfterProbe(RunState& run, const Shard& shard, uint32_t position,
                      const std::string& location, const v1::Attempt* attempt,
                      WriteShard& write) {
  const uint32_t execution = shard.row.executions[position];
  const PlannedTest& test = run.TestOf(execution);
  Mark mark = std::move(write.shard.marks[position]);
  if (!WasProbed(mark, location)) mark.probed.push_back(location);
  EndProbe(position, write);
  if (attempt != nullptr) mark.attempts = std::max(mark.attempts, attempt->number());
  // A lost one is no attempt, but it may have run: only what may be repeated is.
  const bool again = attempt == nullptr ? test.repeatable
                                        : RetryWanted(test.retry, *attempt, mark.attempts);
  if (!again) return;
  const absl::Time from =
      attempt == nullptr ? now_ : now_ + RetryDelay(test.retry, mark.attempts);
  EndByte& end = write.shard.ends[position];
  AwaitProbe(run, execution, from, end, mark);
  if (IsProbing(end)) write.shard.marks[position] = std::move(mark);
}

void Core::DraftProbe(RunState& run, Shard& shard, Incoming incoming, WriteShard& write,
                      Flight& flight) {
  ResultRow& row = incoming.row;
  const uint32_t position = run.PositionOf(row.execution);
  const auto marked = write.shard.marks.find(position);
  row.deciding = false;
  if (incoming.rejected) {
    const v1::Attempt refused = row.result.attempts(0);
    row.result = InventResult(row.execution,
                              marked == write.shard.marks.end() ? Mark() : marked->second,
                              v1::FailureReason::result_rejected, refused.message(),
                              refused.location(), now_);
    row.result.mutable_attempts(0)->set_probe(true);
  } else {
    FoldAttempts(/*failed_before=*/false, row.result);
  }
  const v1::Attempt& attempt = row.result.attempts(0);
  row.late = !IsProbing(write.shard.ends[position]) || marked == write.shard.marks.end() ||
             attempt.number() <= marked->second.attempts;
  if (row.late) {
    ++flight.tally.results_late;
  } else {
    AfterProbe(run, shard, position, attempt.location(), &attempt, write);
  }
  if (Lease* lease = shard.FindLease(row.epoch); lease != nullptr) lease->left[position] = false;
  flight.acks.push_back(incoming.ack);
  flight.instances.push_back(std::move(incoming.instance));
  flight.rejected.push_back(incoming.rejected);
  write.results.push_back(std::move(row));
}

void Core::DraftProbesGivenUp(WriteShard& write) {
  std::vector<uint32_t> over;
  for (const auto& [position, mark] : write.shard.marks) {
    if (IsProbing(write.shard.ends[position]) && mark.give_up <= now_) over.push_back(position);
  }
  for (uint32_t position : over) EndProbe(position, write);
}

// Probes take at most a quarter of an agent, so that its own work goes on.
bool Core::HasRoomForProbe(const Session& session, Drafts& drafts) const {
  const auto it = holders_.find(session.instance());
  const uint32_t held = it == holders_.end() ? 0 : it->second.held;
  const uint32_t probes = it == holders_.end() ? 0 : it->second.probes;
  return !session.draining && held + drafts.granted[session.instance()] < Bound(session) &&
         probes + drafts.probes[session.instance()] < std::max(1u, session.capacity / 4);
}

// Who makes it; null = nobody here has room.
Session* Core::Prober(const RunState& run, uint32_t execution, const Mark& mark,
                      Drafts& drafts) {
  for (const std::string& location : OtherLocations(*run.plan(), execution)) {
    const auto open = open_at_.find(location);
    if (open == open_at_.end() || WasProbed(mark, location)) continue;
    Session* best = nullptr;
    double least = 0;
    for (PeerId peer : open->second) {
      Session* session = FindSession(peer);
      if (session == nullptr || !HasRoomForProbe(*session, drafts) ||
          !MayRun(run, *session, execution)) {
        continue;
      }
      const auto holder = holders_.find(session->instance());
      const uint32_t held = (holder == holders_.end() ? 0 : holder->second.held) +
                            drafts.granted[session->instance()];
      const double load = static_cast<double>(held) / session->capacity;
      if (best != nullptr && load >= least) continue;
      best = session;
      least = load;
    }
    if (best != nullptr) return best;
  }
  return nullptr;
}

void Core::GrantProbes(Drafts& drafts) {
  const auto wanted = [&](const auto& entry) {
    return entry.second->end_wanted == v1::EndCause::END_CAUSE_UNSPECIFIED &&
           !entry.second->probing().empty();
  };
  const auto room = [&](const auto& entry) { return HasRoomForProbe(*entry.second, drafts); };
  if (std::none_of(runs_.begin(), runs_.end(), wanted) ||
      std::none_of(sessions_.begin(), sessions_.end(), room)) {
    return;
  }
  for (const auto& entry : runs_) {
    if (!wanted(entry)) continue;
    RunState& run = *entry.second;
    for (const uint32_t index : run.probing()) GrantProbesOf(run, index, drafts);
  }
}

void Core::GrantProbesOf(RunState& run, uint32_t index, Drafts& drafts) {
  const Shard& shard = run.shard(index);
  if (shard.stale) return;
  for (const auto& [position, mark] : shard.row.marks) {
    if (!IsProbing(shard.row.ends[position]) || shard.holders[position] > 0 ||
        mark.not_before > now_ || mark.give_up <= now_) {
      continue;
    }
    Session* session = Prober(run, shard.row.executions[position], mark, drafts);
    if (session == nullptr) continue;
    Drafts::Entry& entry = drafts.Of(run, index);
    // A result in this very batch may have been the last word.
    const auto now = entry.write.shard.marks.find(position);
    if (now == entry.write.shard.marks.end() || now->second.attempts != mark.attempts ||
        now->second.probed != mark.probed || entry.taken[position]) {
      continue;
    }
    ++drafts.probes[session->instance()];
    AddGrant(run, index, *session, {position}, /*isolated=*/false, drafts);
  }
}

}  // namespace picket
