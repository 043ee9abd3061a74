// File: event.h
//
// What the core hears and what it says. Times inside are the store's.

#ifndef COORDINATOR_CORE_EVENT_H_
#define COORDINATOR_CORE_EVENT_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "coordinator/core/records.h"
#include "coordinator/core/run_plan.h"
#include "picket/v1/agent_service.pb.h"

namespace picket {

using PeerId = uint64_t;   // an agent's stream; never 0
using TokenId = uint64_t;  // a question that waits for its answer

namespace event {

// ---- From the store ----

// An active run, as found there. `leases` (all live ones) were read after `shards`.
struct RunLoaded {
  RunRow run;
  std::shared_ptr<const RunPlan> plan;
  std::vector<ShardRow> shards;
  std::vector<LeaseRow> leases;
};
// Shards that others wrote, and all live leases of the run, read after them.
struct ShardsLoaded {
  std::string run_id;
  // KnownRevs when it was asked for: rows that are not among `shards` were still at these.
  std::vector<uint64_t> known;
  std::vector<ShardRow> shards;
  std::vector<LeaseRow> leases;
};
// A run that is active here was found sealed, or is there no more (nothing).
struct RunGone {
  std::string run_id;
  std::optional<RunRow> run;
};
struct AgentsLoaded {
  std::vector<AgentRow> agents;
};
// All that Effects::poll asked for under this number, or an earlier one, was told.
struct Polled {
  uint64_t generation = 0;
};
// The answer to a Lookup. Nothing: no such lease was ever granted.
struct LeaseFound {
  v1::LeaseId id;
  std::optional<LeaseRow> lease;
};

// ---- The store's turn: at most one batch is under way. ----

// The store is free: what is to be written?
struct StoreIdle {};
// Effects::proposals of the last StoreIdle come back with their outcomes.
struct Committed {
  std::vector<Proposal> proposals;
  std::vector<Outcome> outcomes;
};
// Nothing is known to be written. They come back untouched.
struct StoreFailed {
  std::vector<Proposal> proposals;
};

// ---- From clients. Answered by Effects::answers. ----

struct Admit {
  TokenId token = 0;
  AdmitRun admit;
  std::shared_ptr<const RunPlan> plan;  // of that run
};
struct Cancel {
  TokenId token = 0;
  std::string run_id;
};
struct Drain {
  TokenId token = 0;
  std::string agent;  // as in DrainAgentRequest
};

// ---- From agents ----

struct PeerOpened {
  PeerId peer = 0;
};
struct PeerSent {
  PeerId peer = 0;
  v1::AgentMessage message;
};
struct PeerClosed {
  PeerId peer = 0;
};

// NextDeadline() has come.
struct Tick {};

}  // namespace event

using Event =
    std::variant<event::RunLoaded, event::ShardsLoaded, event::RunGone, event::AgentsLoaded,
                 event::Polled, event::LeaseFound, event::StoreIdle, event::Committed,
                 event::StoreFailed, event::Admit, event::Cancel, event::Drain, event::PeerOpened,
                 event::PeerSent, event::PeerClosed, event::Tick>;

struct Send {
  PeerId peer = 0;
  v1::CoordinatorMessage message;
};

struct ClosePeer {
  PeerId peer = 0;
  absl::Status status;
};

// Ends a question. Exactly one of run and agent is there when `status` is ok.
struct Answer {
  TokenId token = 0;
  absl::Status status;
  std::optional<RunRow> run;
  std::optional<AgentRow> agent;
  bool existed = false;  // of Admit: this request had been admitted before
};

// Results that are now in the store, for those who show them. `late` ones included.
struct StoredResults {
  std::shared_ptr<const RunPlan> plan;
  std::string location;
  std::vector<ResultRow> results;
};

// A run that ended, with what was known of its locations when it did.
struct SealedRun {
  RunRow row;
  std::shared_ptr<const RunPlan> plan;  // null: it was sealed as it was admitted
  std::vector<v1::LocationProgress> locations;
  // `locations` shows every end; else they must be read from the store.
  bool exact = false;
};

// What happened, for counters.
struct Tally {
  uint64_t leases_expired = 0;
  uint64_t leases_granted = 0;
  uint64_t results_late = 0;
  uint64_t results_disagreeing = 0;
  uint64_t results_dropped = 0;
  uint64_t splits = 0;
  uint64_t refusals = 0;
  uint64_t agents_lost = 0;
};

struct Effects {
  // Only of StoreIdle. Empty: there is nothing to write.
  std::vector<Proposal> proposals;
  std::vector<Send> sends;
  std::vector<ClosePeer> closes;
  std::vector<Answer> answers;
  // Leases to be looked up (LeaseFound).
  std::vector<v1::LeaseId> lookups;
  // Runs whose shards and leases must be read anew (ShardsLoaded).
  std::vector<std::string> reload;
  // Read what others wrote now, not at the next poll (Polled). 0: no need.
  uint64_t poll = 0;
  // Runs whose view changed.
  std::vector<std::string> changed;
  // Runs that ended. They are forgotten here.
  std::vector<SealedRun> sealed;
  std::vector<StoredResults> stored;
  Tally tally;
};

}  // namespace picket

#endif  // COORDINATOR_CORE_EVENT_H_
