// Who gets what: per location, agents by how idle they are; runs by priority, then by
// how little they hold (max-min fair shares); pieces of falling size.

#include <algorithm>
#include <utility>

#include "common/base/check.h"
#include "coordinator/core/core.h"
#include "coordinator/core/drafts.h"
#include "coordinator/core/merge.h"
#include "coordinator/core/proto_time.h"

namespace picket {
namespace {

// A run that has work for a location.
struct Contender {
  RunState* run = nullptr;
  LocationState* location = nullptr;
  uint32_t granted = 0;  // in this batch
  uint32_t free = 0;     // left in this batch
  std::set<uint32_t>::iterator next;
  int32_t priority = 0;  // of the shard at `next`
};

void FindWork(Contender& contender) {
  const std::set<uint32_t>& ready = contender.location->ready;
  while (contender.next != ready.end() && contender.run->shard(*contender.next).stale) {
    ++contender.next;
  }
  if (contender.next != ready.end()) {
    contender.priority = contender.run->shard(*contender.next).row.priority;
  }
}

bool Exhausted(const Contender& contender) {
  return contender.next == contender.location->ready.end() || contender.free == 0;
}

}  // namespace

uint32_t Core::HeldBy(const std::string& instance) const {
  const auto holder = holders_.find(instance);
  if (holder == holders_.end()) return 0;
  const auto freed = freed_.find(instance);
  return holder->second.held - (freed == freed_.end() ? 0 : std::min(freed->second, holder->second.held));
}

uint32_t Core::Bound(const Session& session) const {
  double prefetch = session.capacity;
  if (session.typical_us > 0) {
    prefetch = std::max(1.0, session.capacity * absl::ToDoubleMicroseconds(options_.prefetch) /
                                 session.typical_us);
  }
  const double bound = session.capacity + std::min<double>(prefetch, DefaultLimits().window_most);
  return std::min(session.window, static_cast<uint32_t>(bound));
}

bool Core::MayRun(const RunState& run, const Session& session, uint32_t execution) const {
  const auto& types = session.hello.check_types();
  for (const std::string& type : run.TestOf(execution).check_types) {
    if (std::find(types.begin(), types.end(), type) == types.end()) return false;
  }
  return true;
}

void Core::GrantAll(Drafts& drafts) {
  std::set<std::string> locations;
  for (const auto& [id, run] : runs_) {
    if (run->end_wanted != v1::EndCause::END_CAUSE_UNSPECIFIED) continue;
    for (const auto& [name, location] : run->locations()) {
      if (!location.ready.empty()) locations.insert(name);
    }
  }
  GrantProbes(drafts);  // few, and somebody's verdict waits for them
  for (const std::string& location : locations) GrantAt(location, drafts);
  GrantSplits(drafts);
}

void Core::GrantAt(const std::string& location, Drafts& drafts) {
  const auto open = open_at_.find(location);
  if (open == open_at_.end() || open->second.empty()) return;

  std::vector<Contender> runs;
  uint64_t free = 0;
  bool newcomer = false;  // a run that holds nothing here yet
  for (const auto& [id, run] : runs_) {
    if (run->end_wanted != v1::EndCause::END_CAUSE_UNSPECIFIED) continue;
    const auto at = run->locations().find(location);
    if (at == run->locations().end() || at->second.ready.empty()) continue;
    Contender contender{.run = run.get(),
                        .location = &at->second,
                        .free = at->second.free,
                        .next = at->second.ready.begin()};
    FindWork(contender);
    if (Exhausted(contender)) continue;
    free += contender.free;
    newcomer |= at->second.held == 0;
    runs.push_back(contender);
  }

  // Least loaded first.
  struct Seat {
    double load;
    PeerId peer;
    bool operator<(const Seat& other) const {
      return load != other.load ? load < other.load : peer < other.peer;
    }
  };
  std::set<Seat> seats;
  for (PeerId peer : open->second) {
    const Session* session = FindSession(peer);
    if (session == nullptr || session->draining) continue;
    const uint32_t held = HeldBy(session->instance());
    const uint32_t bound = Bound(*session);
    if (held >= bound) continue;
    // Not in dribs and drabs: wait until a quarter of the prefetch is free.
    const bool busy = held >= session->capacity;
    if (busy && !newcomer && (bound - held) * 4 < bound - session->capacity) continue;
    seats.insert({static_cast<double>(held) / session->capacity, peer});
  }

  const auto fleet = FleetNow().find(location);
  const uint64_t agents = std::max<uint64_t>(
      {uint64_t{1}, seats.size(), fleet == FleetNow().end() ? 0 : fleet->second.agents});
  while (!seats.empty() && !runs.empty()) {
    Session& session = *FindSession(seats.begin()->peer);
    seats.erase(seats.begin());
    const uint32_t held =
        HeldBy(session.instance()) + drafts.granted[session.instance()];
    const uint32_t bound = Bound(session);
    if (held >= bound) continue;
    uint32_t most = bound - held;
    // Alone, it may have all there is; among others, a piece that leaves them some.
    if (agents > 1) {
      most = std::min<uint32_t>(
          most, static_cast<uint32_t>(std::max<uint64_t>(1, (free + 2 * agents - 1) / (2 * agents))));
    }
    std::vector<size_t> order(runs.size());
    for (size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
      if (runs[a].priority != runs[b].priority) return runs[a].priority > runs[b].priority;
      return runs[a].location->held + runs[a].granted < runs[b].location->held + runs[b].granted;
    });
    const auto rivals = static_cast<uint32_t>(
        std::count_if(runs.begin(), runs.end(), [&](const Contender& other) {
          return other.priority == runs[order.front()].priority;
        }));
    const uint32_t piece = std::max<uint32_t>(1, most / rivals);
    uint32_t granted = 0;
    for (size_t i : order) {
      Contender& contender = runs[i];
      const std::set<uint32_t>& ready = contender.location->ready;
      for (auto shard = contender.next; shard != ready.end() && granted == 0; ++shard) {
        if (contender.run->shard(*shard).stale) continue;
        granted = GrantFrom(*contender.run, *shard, session, piece, drafts);
        if (granted == 0) continue;
        contender.granted += granted;
        contender.free -= std::min(granted, contender.free);
        free -= std::min<uint64_t>(granted, free);
        const Drafts::Entry& entry = drafts.entries.at({contender.run->id(), *shard});
        const auto taken = static_cast<uint32_t>(
            std::count(entry.taken.begin(), entry.taken.end(), true));
        if (shard == contender.next && taken >= contender.run->shard(*shard).free) {
          ++contender.next;
          FindWork(contender);
        }
      }
      if (granted > 0) break;
    }
    std::erase_if(runs, Exhausted);
    if (granted > 0) {
      seats.insert({static_cast<double>(held + granted) / session.capacity, session.peer});
    }
  }
}

std::vector<uint32_t> Core::PickPositions(RunState& run, const Shard& shard,
                                          const Session& session, uint32_t most,
                                          const std::vector<bool>& taken, bool& isolated) const {
  const bool any_type =
      std::all_of(run.plan()->check_types.begin(), run.plan()->check_types.end(),
                  [&](const std::string& type) {
                    const auto& types = session.hello.check_types();
                    return std::find(types.begin(), types.end(), type) != types.end();
                  });
  const auto fleet = FleetNow().find(session.location());
  const bool others = fleet != FleetNow().end() && fleet->second.agents > 1;
  const bool alone_now = isolated;  // it has an isolated lease already
  isolated = false;
  std::vector<uint32_t> positions;
  auto mark = shard.row.marks.begin();
  for (uint32_t p = 0; p < shard.holders.size() && positions.size() < most; ++p) {
    while (mark != shard.row.marks.end() && mark->first < p) ++mark;
    if (shard.row.ends[p] != kUndecided || shard.holders[p] > 0 || taken[p]) continue;
    if (!any_type && !MayRun(run, session, shard.row.executions[p])) continue;
    if (mark != shard.row.marks.end() && mark->first == p) {
      if (!MayLease(mark->second, now_)) continue;
      // Another agent of the place is to try it; one that lives and takes nothing is not
      // waited for.
      if (others && mark->second.avoid_instance == session.instance() &&
          now_ < mark->second.not_before + DefaultLimits().elsewhere_patience) {
        continue;
      }
      if (RunsAlone(mark->second)) {
        if (alone_now || !positions.empty()) continue;
        isolated = true;
        return {p};
      }
    }
    positions.push_back(p);
  }
  return positions;
}

uint32_t Core::GrantFrom(RunState& run, uint32_t index, Session& session, uint32_t most,
                         Drafts& drafts) {
  const Shard& shard = run.shard(index);
  const auto holder = holders_.find(session.instance());
  bool isolated = (holder != holders_.end() && holder->second.isolated > 0) ||
                  drafts.isolated[session.instance()] > 0;
  const auto drafted = drafts.entries.find({run.id(), index});
  static const std::vector<bool> kNone(kShardMost, false);
  const bool fresh = drafted == drafts.entries.end();
  std::vector<uint32_t> positions =
      PickPositions(run, shard, session, most,
                    fresh && shard.holders.size() <= kNone.size()
                        ? kNone
                        : drafts.Of(run, index).taken,
                    isolated);
  // What a result in this very batch has decided is not given away.
  if (!fresh) {
    const std::vector<EndByte>& ends = drafted->second.write.shard.ends;
    std::erase_if(positions, [&](uint32_t p) { return ends[p] != kUndecided; });
  }
  if (positions.empty()) return 0;
  const auto count = static_cast<uint32_t>(positions.size());
  AddGrant(run, index, session, std::move(positions), isolated, drafts);
  return count;
}

void Core::AddGrant(RunState& run, uint32_t index, Session& session,
                    std::vector<uint32_t> positions, bool isolated, Drafts& drafts) {
  Drafts::Entry& entry = drafts.Of(run, index);
  WriteShard& write = entry.write;
  write.shard.leased.resize(write.shard.ends.size());
  for (uint32_t position : positions) {
    entry.taken[position] = true;
    write.shard.leased[position] = true;
  }
  drafts.granted[session.instance()] += static_cast<uint32_t>(positions.size());
  if (isolated) ++drafts.isolated[session.instance()];
  ++write.shard.epoch;
  write.starts_run |= run.row().run.state() == v1::Run::QUEUED;
  write.grant.push_back(LeaseRow{.run_id = run.id(),
                                 .shard = index,
                                 .epoch = write.shard.epoch,
                                 .instance = session.instance(),
                                 .spool = session.hello.spool(),
                                 .agent = session.hello.name(),
                                 .location = session.location(),
                                 .positions = std::move(positions),
                                 .isolated = isolated});
  entry.flight.grantees.push_back(session.peer);
  ++entry.flight.tally.leases_granted;
}

void Core::GrantSplits(Drafts& drafts) {
  for (Split& split : splits_) {
    RunState* run = Find(split.run_id);
    Session* session = FindSession(split.peer);
    if (run == nullptr || session == nullptr || session->draining ||
        run->end_wanted != v1::EndCause::END_CAUSE_UNSPECIFIED || run->shard(split.shard).stale) {
      continue;
    }
    Drafts::Entry& entry = drafts.Of(*run, split.shard);
    const Shard& shard = run->shard(split.shard);
    std::erase_if(split.positions, [&](uint32_t p) {
      return entry.write.shard.ends[p] != kUndecided || entry.taken[p] || shard.holders[p] != 1;
    });
    if (split.positions.empty()) continue;
    ++entry.flight.tally.splits;
    AddGrant(*run, split.shard, *session, std::move(split.positions), false, drafts);
  }
  splits_.clear();
}

bool Core::SendGrant(RunState& run, const LeaseRow& lease, PeerId peer, Effects& out) {
  Session* session = FindSession(peer);
  // In the same batch a newer stream of the agent may have taken that one's place.
  if (session == nullptr) session = SessionOf(lease.instance);
  if (session == nullptr || session->instance() != lease.instance) return false;
  peer = session->peer;
  const Shard& shard = run.shard(lease.shard);
  const RunPlan& plan = *run.plan();
  Send send{.peer = peer, .message = {}};
  v1::LeaseGrant& grant = *send.message.mutable_grant();
  grant.mutable_lease()->set_run_id(run.id());
  grant.mutable_lease()->set_shard(lease.shard);
  grant.mutable_lease()->set_epoch(lease.epoch);
  grant.set_priority(shard.row.priority);
  grant.set_isolated(lease.isolated);
  SetDuration(std::max(absl::ZeroDuration(), TimeOf(run.row().run.deadline_time()) - now_),
              grant.mutable_run_remaining());
  grant.mutable_executions()->Reserve(static_cast<int>(lease.positions.size()));
  for (uint32_t position : lease.positions) {
    const uint32_t execution = shard.row.executions[position];
    const Position at = plan.shape.At(execution);
    const PlannedTest& test = plan.tests[at.test];
    if (session->tests.insert(test.digest).second) {
      Send definition{.peer = peer, .message = {}};
      v1::TestDefinition& message = *definition.message.mutable_test();
      message.set_digest(test.digest);
      PICKET_CHECK(message.mutable_test()->ParseFromString(test.serialised));
      for (const std::string& digest : test.files) {
        const auto blob = plan.blobs.find(digest);
        if (blob != plan.blobs.end() && session->blobs.insert(digest).second) {
          *message.add_blobs() = blob->second;
        }
      }
      out.sends.push_back(std::move(definition));
    }
    v1::LeasedExecution& leased = *grant.add_executions();
    leased.set_execution(execution);
    leased.set_digest(test.digest);
    if (plan.shape.tests()[at.test].has_rows) *leased.mutable_row() = test.rows.At(at.row);
    leased.set_probe(lease.location != shard.row.location);
    // A probe is made once whatever happens, so nobody need be asked.
    leased.set_ask_before_start(!test.repeatable && !leased.probe());
    leased.set_expected_us(shard.row.expected_us);
    const auto mark = shard.row.marks.find(position);
    if (mark != shard.row.marks.end()) {
      leased.set_attempts_before(mark->second.attempts);
      leased.set_failed_before(mark->second.failed_before);
    }
  }
  out.sends.push_back(std::move(send));
  return true;
}

}  // namespace picket
