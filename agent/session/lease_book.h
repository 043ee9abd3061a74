// File: lease_book.h
//
// What the agent holds: leases, their executions and how far each has come; and which
// one is started next. Order: highest priority; among those the run with the fewest
// checks in flight, then the one served longest ago; within a run the oldest lease;
// within a lease its own order, with due retries first.
//
// Pure: no clock, no chance, no I/O. Thread rule: thread-compatible.

#ifndef AGENT_SESSION_LEASE_BOOK_H_
#define AGENT_SESSION_LEASE_BOOK_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "agent/session/session_types.h"
#include "picket/v1/result.pb.h"

namespace picket {

// How far an execution has come.
enum class Stage : uint8_t {
  kWaiting,   // not started, or due for its next attempt
  kAsking,    // Started is to be, or has been, sent; holds a slot
  kRunning,   // holds a slot
  kDelaying,  // between attempts; holds none
  kDone,      // its result is in the spool
  kGone,      // given back, or not ours any more
};

struct HeldExecution {
  uint32_t number = 0;  // of the execution in its run
  Stage stage = Stage::kWaiting;
  bool ask = false;      // Started must be acknowledged before its first byte
  bool started = false;  // it has run, or may have
  bool probe = false;
  bool failed_before = false;
  bool discard = false;  // what comes of the running attempt is not wanted
  uint32_t attempts_before = 0;
  CheckId check = 0;     // while kRunning
  absl::Duration due;    // while kDelaying
  absl::Duration began;  // of the running attempt
  std::string digest;
  std::optional<v1::Row> row;
  v1::ExecutionResult result;  // attempts so far
};

struct HeldLease {
  LeaseName key;
  uint64_t order = 0;  // of arrival
  int32_t priority = 0;
  bool isolated = false;
  absl::Duration run_deadline = absl::InfiniteDuration();
  std::vector<HeldExecution> executions;
  absl::flat_hash_map<uint32_t, uint32_t> position;  // by number
  std::deque<uint32_t> again;                        // positions to start before the cursor's
  uint32_t cursor = 0;                               // first position never picked
  uint32_t open = 0;                                 // neither kDone nor kGone
  uint32_t slots = 0;                                // kAsking or kRunning
  uint32_t progress = 0;                             // position after the last that was started
  uint32_t progress_told = 0;
  uint64_t last_sequence = 0;    // in the spool, of its last result
  std::vector<uint32_t> to_ask;  // positions, Started not sent yet
  std::vector<uint32_t> asked;   // positions, Started sent, not acknowledged
};

class LeaseBook {
 public:
  using ExecutionRef = std::pair<HeldLease*, uint32_t>;  // lease and position

  // The lease, made if it is new; else it stays as it was. Stays where it is until Forget.
  HeldLease& Lease(const LeaseName& key, int32_t priority, bool isolated);
  HeldLease* Find(const LeaseName& key);
  HeldLease* At(uint64_t order);
  // False if the lease has had that execution.
  bool Add(HeldLease& lease, HeldExecution execution);

  struct Choice {
    bool can_ask = true;        // else leases are passed over whose next execution must ask
    bool only_started = false;  // or whose next execution never ran
  };
  // What to start next, or nothing. REQUIRES: what is picked goes to kAsking, kRunning,
  // kDone or kGone at once.
  std::optional<ExecutionRef> Next(Choice choice, absl::Duration now);

  // Every change of a stage goes through here.
  void Move(HeldLease& lease, uint32_t position, Stage stage);
  // Makes a kDelaying or kAsking execution the lease's next.
  void Requeue(HeldLease& lease, uint32_t position);

  // Due retries become kWaiting. The first that is not due yet: NextDue.
  void WakeDue(absl::Duration now);
  absl::Duration NextDue() const;
  void Delay(HeldLease& lease, uint32_t position, absl::Duration due);
  // No retry waits beyond `latest`.
  void HurryDelays(absl::Duration latest);

  // Drops leases with nothing open whose results are acknowledged.
  void Forget(uint64_t acknowledged);

  // In order of arrival.
  void ForEach(const std::function<void(HeldLease&)>& visit);

  uint32_t held() const { return open_; }  // executions, all but kDone and kGone
  uint32_t slots() const { return slots_; }
  uint32_t delaying() const { return static_cast<uint32_t>(delays_.size()); }
  bool isolated_busy() const { return isolated_slots_ > 0; }
  size_t leases() const { return leases_.size(); }

 private:
  struct Run {
    uint32_t slots = 0;
    uint64_t served = 0;                           // when it was last picked, by a counter
    std::set<std::pair<int64_t, uint64_t>> ready;  // (-priority, order)
    uint32_t leases = 0;
  };
  struct Due {
    absl::Duration at;
    uint64_t order;
    uint32_t position;
    bool operator<(const Due& other) const {
      return std::tie(at, order, position) < std::tie(other.at, other.order, other.position);
    }
  };

  // The position that would be started next, or nothing.
  static std::optional<uint32_t> Head(HeldLease& lease);
  void Refresh(HeldLease& lease);

  std::map<uint64_t, HeldLease> leases_;  // by order
  std::map<LeaseName, uint64_t> by_key_;
  std::set<std::pair<uint64_t, uint64_t>> finished_;  // (last sequence, order): nothing open
  std::map<std::string, Run> runs_;
  std::set<Due> delays_;
  uint64_t next_order_ = 1;
  uint64_t served_ = 0;
  uint32_t open_ = 0;
  uint32_t slots_ = 0;
  uint32_t isolated_slots_ = 0;
};

}  // namespace picket

#endif  // AGENT_SESSION_LEASE_BOOK_H_
