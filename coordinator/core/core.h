// File: core.h
//
// Who decides. A pure machine: it is told the time and what happened, and says what
// is to be written and what is to be sent. Its memory is a cache of the store; what
// it says to others it says only once the store has it.
//
//   mailbox -> Apply(now, event) -> effects
//   Apply(now, StoreIdle{}).proposals -> Store::Commit -> Apply(now, Committed{...})
//
// At most one batch of proposals is under way; what arrives meanwhile is gathered,
// so that the next batch writes each shard once.
//
// Thread rule: thread-compatible; one owner. It reads no clock, draws no chance, does
// no I/O, takes no lock, logs nothing.

#ifndef COORDINATOR_CORE_CORE_H_
#define COORDINATOR_CORE_CORE_H_

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "common/policy/limits.h"
#include "coordinator/core/event.h"
#include "coordinator/core/planner.h"
#include "coordinator/core/run_state.h"
#include "coordinator/core/session.h"

namespace picket {

struct CoreOptions {
  std::string coordinator;  // this one's id
  absl::Duration heartbeat_interval = DefaultLimits().heartbeat_interval;
  absl::Duration lease_time = DefaultLimits().lease_time;
  absl::Duration agent_grace = DefaultLimits().agent_grace;
  // Nobody else writes to the store.
  bool exclusive = true;
  // Work that an agent is given beyond what it runs: 2 x round trip + 50 ms.
  absl::Duration prefetch = absl::Milliseconds(250);
  // Results of one batch of proposals, roughly: more wait for the next, so that it is
  // gathered while this one is written.
  size_t batch_results = 5'000;
  // Agents that are gone and still remembered, for those who list them.
  size_t gone_agents_most = 1'000;
};

// A run as WatchRun shows it, without its failures.
struct RunView {
  v1::Run run;  // with the ledger of now
  std::vector<v1::LocationProgress> locations;
  // Ended failed or inconclusive.
  uint32_t failures = 0;
};

struct QueueView {
  uint64_t executions = 0;  // undecided and not leased
  absl::Time oldest = absl::InfiniteFuture();  // creation of the oldest run with such
};

class Core {
 public:
  Core(CoreOptions options, absl::Time now);
  ~Core();
  Core(const Core&) = delete;
  Core& operator=(const Core&) = delete;

  Effects Apply(absl::Time now, Event event);
  // When Tick is due; InfiniteFuture when nothing waits for time.
  absl::Time NextDeadline() const;

  // ---- Views. None changes anything. ----
  const RunState* FindRun(const std::string& run_id) const;
  std::vector<std::string> ActiveRuns() const;
  // Revs of a run's shards, in order; empty for a run that is not here.
  std::vector<uint64_t> KnownRevs(const std::string& run_id) const;
  RunView View(const RunState& run) const;
  Fleet LiveFleet() const;
  std::map<std::string, QueueView> Queue() const;
  // All agents that are known, with what they hold now.
  std::vector<v1::Agent> Agents() const;
  size_t sessions() const { return sessions_.size(); }

 private:
  // What a proposal under way must do when it comes back. By kind.
  struct Flight {
    TokenId token = 0;                 // AdmitRun, PutAgent (drain)
    std::vector<TokenId> tokens;       // EndRun of a run that is not in memory
    PeerId peer = 0;                   // PutAgent (hello)
    std::shared_ptr<const RunPlan> plan;
    std::vector<AckRef> acks;          // of the first results, in order
    std::vector<std::string> instances;  // that made them
    std::vector<bool> rejected;
    std::vector<StartRequest> starts;    // as they came in
    std::vector<StartRequest> accepted;  // of them, what may start once this is stored
    std::vector<Unheld> unheld;
    std::vector<LeaseEnd> ends;
    bool unassign = false;
    std::vector<PeerId> grantees;      // of WriteShard::grant
    Tally tally;                       // counts once committed
  };
  struct Waiting {  // a result of a lease that is not in memory
    Incoming result;
    std::string sender_instance, sender_spool;
  };
  struct Doubt {  // leased to an agent that, on reconnecting, did not name it
    LeaseKey lease;
    bool whole = false;  // it did not name the lease at all
    std::vector<uint32_t> positions;
    absl::Time until;
  };
  struct Drafts;

  // runs.cc
  void On(event::RunLoaded& e, Effects& out);
  void On(event::ShardsLoaded& e, Effects& out);
  void On(event::RunGone& e, Effects& out);
  void On(event::Admit& e, Effects& out);
  void On(event::Cancel& e, Effects& out);
  void InsertRun(RunRow row, std::shared_ptr<const RunPlan> plan, std::vector<ShardRow> shards,
                 std::vector<LeaseRow> leases, Effects& out);
  void FinishRun(const std::string& run_id, const RunRow* sealed, Effects& out);
  RunState* Find(const std::string& run_id);
  void CheckEnds(RunState& run);
  void DoubtLease(const Lease& lease);

  // agents.cc
  void On(event::AgentsLoaded& e, Effects& out);
  void On(event::Polled& e, Effects& out);
  void On(event::Drain& e, Effects& out);
  void On(event::PeerOpened& e, Effects& out);
  void On(event::PeerSent& e, Effects& out);
  void On(event::PeerClosed& e, Effects& out);
  void OnHello(Session& session, v1::Hello hello, Effects& out);
  void OnHeartbeat(Session& session, const v1::Heartbeat& heartbeat, Effects& out);
  void OnStarted(Session& session, const v1::Started& started, Effects& out);
  void OnReturn(Session& session, const v1::LeaseReturn& lease_return, Effects& out);
  void OnGoodbye(Session& session, Effects& out);
  AgentRow RowOf(const Session& session) const;
  void TakeAgentRow(const AgentRow& row, Effects& out);
  void Welcome(Session& session, Effects& out);
  void DropSession(PeerId peer);
  void ClosePeerWith(PeerId peer, absl::Status status, Effects& out);
  void EndLeasesOf(const std::string& instance, bool counted);
  Session* FindSession(PeerId peer);
  Session* SessionOf(const std::string& instance);
  // Live agents by location.
  const Fleet& FleetNow() const;

  // intake.cc
  void On(event::LeaseFound& e, Effects& out);
  void OnResults(Session& session, v1::ResultBatch& batch, Effects& out);
  void TakeResult(RunState& run, const LeaseRow& lease, Incoming incoming, Effects& out);
  void Settle(const AckRef& ack);
  void DropResult(const AckRef& ack, const std::string& run_id, uint32_t execution,
                  absl::string_view reason, Effects& out);
  void SendAcks(Effects& out);

  // propose.cc
  void On(event::StoreIdle& e, Effects& out);
  void ProposeAgents(Effects& out);
  void DraftTouched(Drafts& drafts);
  void DraftShard(RunState& run, Shard& shard, WriteShard& write, Flight& flight);
  void DraftResult(RunState& run, Shard& shard, Incoming incoming, WriteShard& write,
                   Flight& flight);
  void DraftLoss(RunState& run, Shard& shard, const LeaseEnd& end, WriteShard& write,
                 Flight& flight);
  void DraftStart(RunState& run, Shard& shard, const StartRequest& start,
                  const std::vector<Unheld>& unheld, WriteShard& write, Flight& flight);
  void DraftEnds(RunState& run, Shard& shard, bool unassign, WriteShard& write, Flight& flight);

  // let_go.cc
  void LetGo(RunState& run, uint32_t shard, Lease& lease, const std::vector<uint32_t>& positions,
             bool given_back);
  void DraftUnheld(RunState& run, Shard& shard, const Unheld& unheld, WriteShard& write);
  void DropUnheld(RunState& run, uint32_t shard, const std::vector<Unheld>& unheld);
  void DraftOrphans(RunState& run, const Shard& shard, WriteShard& write);

  // probe.cc
  void DraftProbe(RunState& run, Shard& shard, Incoming incoming, WriteShard& write,
                  Flight& flight);
  void AwaitProbe(RunState& run, uint32_t execution, absl::Time from, EndByte& end, Mark& mark);
  void AfterProbe(RunState& run, const Shard& shard, uint32_t position, const std::string& location,
                  const v1::Attempt* attempt, WriteShard& write);
  void DraftProbesGivenUp(WriteShard& write);
  bool MayProbeElsewhere(const RunState& run, uint32_t execution, const Mark& mark) const;
  void GrantProbes(Drafts& drafts);
  void GrantProbesOf(RunState& run, uint32_t shard, Drafts& drafts);
  Session* Prober(const RunState& run, uint32_t execution, const Mark& mark, Drafts& drafts);
  bool HasRoomForProbe(const Session& session, Drafts& drafts) const;
  void EndWithout(RunState& run, uint32_t position, v1::FailureReason::Value reason,
                  absl::string_view message, const Shard& shard, WriteShard& write);
  void RememberDuration(RunState& run, const ResultRow& row, const std::string& location,
                        WriteShard& write);
  Flight& Propose(Proposal proposal, Effects& out);

  // grants.cc
  void GrantAll(Drafts& drafts);
  void GrantAt(const std::string& location, Drafts& drafts);
  void GrantSplits(Drafts& drafts);
  uint32_t Bound(const Session& session) const;
  // Executions it holds but for those in freed_.
  uint32_t HeldBy(const std::string& instance) const;
  bool MayRun(const RunState& run, const Session& session, uint32_t execution) const;
  std::vector<uint32_t> PickPositions(RunState& run, const Shard& shard, const Session& session,
                                      uint32_t most, const std::vector<bool>& taken,
                                      bool& isolated) const;
  uint32_t GrantFrom(RunState& run, uint32_t shard, Session& session, uint32_t most,
                     Drafts& drafts);
  void AddGrant(RunState& run, uint32_t shard, Session& session, std::vector<uint32_t> positions,
                bool isolated, Drafts& drafts);
  // False when its agent has no session here: it will not name the lease in its next Hello.
  bool SendGrant(RunState& run, const LeaseRow& lease, PeerId peer, Effects& out);

  // commit.cc
  void On(event::Committed& e, Effects& out);
  void On(event::StoreFailed& e, Effects& out);
  void Done(AdmitRun& admit, Flight& flight, Outcome& outcome, Effects& out);
  void Done(WriteShard& write, Flight& flight, Outcome& outcome, Effects& out);
  void Done(AppendResults& append, Flight& flight, Outcome& outcome, Effects& out);
  void Done(EndRun& end, Flight& flight, Outcome& outcome, Effects& out);
  void Done(PutAgent& put, Flight& flight, Outcome& outcome, Effects& out);
  void Done(CloseAgent& close, Flight& flight, Outcome& outcome, Effects& out);
  void Done(ExpireAgent& expire, Flight& flight, Outcome& outcome, Effects& out);
  void Done(RenewAgents& renew, Flight& flight, Outcome& outcome, Effects& out);
  void GiveBack(WriteShard& write, Flight& flight);
  void TellOtherHolders(RunState& run, const WriteShard& write, const Flight& flight,
                        Effects& out);
  void MeetRival(Session& session, const AgentRow& rival, Effects& out);

  // care.cc
  void On(event::Tick& e, Effects& out);
  void CareForAgents(Effects& out);
  void ForgetGoneAgents();
  void CareForDoubts(Effects& out);
  void CareForLocations(Effects& out);
  void CareForStragglers(Effects& out);
  // A lease whose rest may be given to an idle agent as well.
  struct Straggler {
    RunState* run = nullptr;
    uint32_t shard = 0;
    uint32_t epoch = 0;
    uint32_t remaining = 0;
  };
  std::vector<Straggler> StragglersAt(const std::string& location);
  void SplitFor(Session& idle, std::vector<Straggler>& stragglers, Effects& out);

  const CoreOptions options_;
  absl::Time now_;

  Holders holders_;  // outlives the runs, which give back what they hold as they go
  std::map<std::string, std::unique_ptr<RunState>> runs_;
  absl::flat_hash_map<PeerId, std::unique_ptr<Session>> sessions_;
  absl::flat_hash_map<std::string, PeerId> by_instance_;  // open ones
  std::map<std::string, std::set<PeerId>> open_at_;       // open ones, by location
  std::map<std::string, AgentRow> agents_;                // by instance
  mutable Fleet fleet_;
  mutable bool fleet_stale_ = true;

  // Gathered for the next batch.
  std::vector<event::Admit> admits_;
  std::map<std::string, std::vector<TokenId>> cancels_;  // of runs that are not in memory
  std::vector<std::pair<AgentRow, TokenId>> drains_;
  std::set<PeerId> arriving_;
  std::vector<CloseAgent> closing_;
  std::map<std::string, absl::Time> expiring_;  // instance -> renewed
  std::vector<std::string> renewing_;
  std::vector<Incoming> late_;
  struct Split {
    std::string run_id;
    uint32_t shard = 0;
    std::vector<uint32_t> positions;
    PeerId peer = 0;
  };
  std::vector<Split> splits_;
  std::map<LeaseKey, std::vector<Waiting>> waiting_;
  std::vector<Doubt> doubts_;
  std::set<PeerId> ack_now_;

  // Executions of an instance's leases that results of the batch being drafted settle: what
  // is granted with them is told when they are stored.
  absl::flat_hash_map<std::string, uint32_t> freed_;

  // The batch under way.
  bool under_way_ = false;
  std::vector<Flight> flights_;

  // Per location: when it last had a live agent, or was first asked for.
  std::map<std::string, absl::Time> inhabited_;
  // No agent is given up before this.
  absl::Time grace_until_;
  bool store_failed_ = false;
  absl::Time next_care_;
  uint64_t poll_generation_ = 0;
};

}  // namespace picket

#endif  // COORDINATOR_CORE_CORE_H_
