// File: run_state.h
//
// An active run as the core remembers it: a cache of its rows, indexed for leasing.
// It decides nothing; it keeps counts true while rows change.
//
// Thread rule: thread-compatible, like all of the core.

#ifndef COORDINATOR_CORE_RUN_STATE_H_
#define COORDINATOR_CORE_RUN_STATE_H_

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "coordinator/core/event.h"
#include "coordinator/core/records.h"
#include "coordinator/core/run_plan.h"

namespace picket {

// A batch of results waits for those of its results that are not stored yet.
struct AckRef {
  PeerId peer = 0;
  uint64_t batch = 0;
};

// A result on its way into its shard's row.
struct Incoming {
  ResultRow row;
  AckRef ack;
  std::string instance;  // that made it
  bool rejected = false;  // it can never be stored; its execution ends
};

// Non-repeatable executions that ask to start.
struct StartRequest {
  PeerId peer = 0;
  uint32_t epoch = 0;
  std::vector<uint32_t> positions;
};

// Executions that were marked as started, or may be by a write whose fate is not known yet,
// and that their agent does not hold.
struct Unheld {
  uint32_t epoch = 0;
  std::vector<uint32_t> positions;
  // It gave them back, so they never ran; else they may have, and a result may follow.
  bool given_back = false;
};

// A lease that is to end.
struct LeaseEnd {
  uint32_t epoch = 0;
  bool counted = false;  // its agent fell silent over it
  uint32_t capacity = 0;  // of that agent
};

// What waits for the next write of a shard.
struct ShardInputs {
  std::vector<Incoming> results;
  std::vector<StartRequest> starts;
  std::vector<Unheld> unheld;
  std::vector<LeaseEnd> ends;
  bool unassign = false;
};

struct Lease {
  LeaseRow row;
  // For probes: of an agent of another location than the shard's.
  bool probe = false;
  // By position in the shard: held under this lease, not finished, not given back.
  std::vector<bool> left;
  uint32_t remaining = 0;
  // By position, of what is not repeatable: its agent asked to start it. Empty = none.
  std::vector<bool> asked;
  // The first so many of row.positions have been started, as far as is known.
  uint32_t started = 0;
  absl::Time granted;
  bool recalled = false;
  // Its agent knows of it: it was granted here, or named in a Hello.
  bool told = false;

  // Whether it is still to bring a result for an execution with this byte.
  bool Wants(EndByte end) const { return probe ? IsProbing(end) : end == kUndecided; }
};

struct Shard {
  ShardRow row;
  std::vector<Lease> leases;
  std::vector<uint8_t> holders;  // leases that hold it, by position
  uint32_t held = 0;             // undecided and held
  uint32_t free = 0;             // may be leased now
  // When the next execution of it becomes free, or is given up, or may be probed.
  absl::Time due = absl::InfiniteFuture();
  // Its row, of `stale_rev`, is newer than its leases: until they are read again nothing
  // that depends on them is decided - grants, starts, losses - but results are taken.
  bool stale = false;
  uint64_t stale_rev = 0;
  std::unique_ptr<ShardInputs> inputs;

  ShardInputs& Inputs() {
    if (inputs == nullptr) inputs = std::make_unique<ShardInputs>();
    return *inputs;
  }
  Lease* FindLease(uint32_t epoch);
};

// A lease's place.
struct LeaseKey {
  std::string run_id;
  uint32_t shard = 0;
  uint32_t epoch = 0;
  auto operator<=>(const LeaseKey&) const = default;
};

// Who holds what, over all runs, by agent instance.
struct Holder {
  uint32_t held = 0;  // executions
  uint32_t isolated = 0;
  uint32_t probes = 0;  // leases for them
  std::set<LeaseKey> leases;
};
using Holders = absl::flat_hash_map<std::string, Holder>;

struct LocationState {
  std::string name;
  v1::Ledger ledger;
  uint32_t undecided = 0;
  uint32_t held = 0;  // executions leased at the moment
  uint32_t free = 0;
  // Shards with free executions, in plan order.
  std::set<uint32_t> ready;
};

class RunState {
 public:
  // `holders` must outlive it.
  RunState(RunRow row, std::shared_ptr<const RunPlan> plan, std::vector<ShardRow> shards,
           std::vector<LeaseRow> leases, absl::Time now, Holders* holders);
  // Takes its leases out of `holders`.
  ~RunState();
  RunState(const RunState&) = delete;
  RunState& operator=(const RunState&) = delete;

  const std::string& id() const { return plan_->run_id; }
  const std::shared_ptr<const RunPlan>& plan() const { return plan_; }
  RunRow& row() { return row_; }
  const RunRow& row() const { return row_; }
  size_t shards() const { return shards_.size(); }
  Shard& shard(uint32_t index) { return shards_[index]; }
  const Shard& shard(uint32_t index) const { return shards_[index]; }
  LocationState& LocationOf(const Shard& shard) { return locations_.at(shard.row.location); }
  std::map<std::string, LocationState>& locations() { return locations_; }
  const std::map<std::string, LocationState>& locations() const { return locations_; }

  // Where an execution stands in its shard. REQUIRES: execution < row().executions.
  uint32_t PositionOf(uint32_t execution) const { return position_of_[execution]; }
  const PlannedTest& TestOf(uint32_t execution) const {
    return plan_->tests[plan_->shape.At(execution).test];
  }

  // Takes over a newer row of a shard: ends, marks, epoch, rev. Its executions are kept.
  void TakeRow(uint32_t shard, ShardRow row, absl::Time now);
  // Replaces the shard's leases by those of the store; keeps what is known of them.
  void TakeLeases(uint32_t shard, std::vector<LeaseRow> leases, absl::Time now);
  // Unless it is there already.
  Lease& AddLease(uint32_t shard, LeaseRow lease, absl::Time now);
  void EndLease(uint32_t shard, uint32_t epoch);
  // Brings counts up to date after leases or their `left` changed.
  void Refresh(uint32_t shard, absl::Time now);
  // Refreshes the shards that are due.
  void RefreshDue(absl::Time now);
  absl::Time NextDue() const {
    return due_.empty() ? absl::InfiniteFuture() : due_.begin()->first;
  }

  // Shards with executions that wait for a probe which may be made now.
  const std::set<uint32_t>& probing() const { return probing_; }

  // Marks the shard as having something to write.
  void Touch(uint32_t shard) { touched_.insert(shard); }
  size_t touched() const { return touched_.size(); }
  std::set<uint32_t> TakeTouched() { return std::exchange(touched_, {}); }

  // Over all locations.
  v1::Ledger LedgerNow() const;
  uint32_t failed() const { return failed_; }
  uint32_t failed_blocking() const { return failed_blocking_; }
  uint32_t undecided() const;

  // A cause to end it early was found; tokens wait for it.
  v1::EndCause::Value end_wanted = v1::EndCause::END_CAUSE_UNSPECIFIED;
  std::vector<TokenId> cancel_tokens;
 private:
  void CountEnd(const Shard& shard, uint32_t position, EndByte end);
  void ForgetLease(Shard& shard, size_t index);

  RunRow row_;
  std::shared_ptr<const RunPlan> plan_;
  std::vector<Shard> shards_;
  std::vector<uint32_t> position_of_;
  std::map<std::string, LocationState> locations_;
  std::set<std::pair<absl::Time, uint32_t>> due_;
  std::set<uint32_t> touched_;
  std::set<uint32_t> probing_;
  uint32_t failed_ = 0;
  uint32_t failed_blocking_ = 0;
  Holders* const holders_;
};

// Whether an undecided execution that nobody holds may be leased now.
bool MayLease(const Mark& mark, absl::Time now);

}  // namespace picket

#endif  // COORDINATOR_CORE_RUN_STATE_H_
