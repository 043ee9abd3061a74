// File: sim_coordinator.h
//
// A coordinator process: the production core, with the loop around it done over in
// simulated time - the store slow, failing, losing its answers, or writing long after it
// was given up; reads failing, and stale by the time they arrive.
//
// Thread rule: thread-compatible.

#ifndef TESTS_SIMULATION_SIM_COORDINATOR_H_
#define TESTS_SIMULATION_SIM_COORDINATOR_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "coordinator/core/core.h"
#include "coordinator/store/store.h"
#include "tests/simulation/checkers.h"
#include "tests/simulation/wire.h"
#include "tests/simulation/world.h"

namespace picket::simulation {

struct StoreFaults {
  absl::Duration commit_least = absl::Microseconds(300);
  absl::Duration commit_most = absl::Milliseconds(5);
  double refuse = 0;  // a commit fails, nothing is written
  double mute = 0;    // it is written, and the answer is lost
  double slow = 0;    // it takes seconds
  double ghost = 0;   // it fails here, and is written all the same, later
  double read = 0;    // a read fails
};

class SimCoordinator {
 public:
  SimCoordinator(World* world, Store* store, Checkers* checkers, const StoreFaults* faults,
                 CoreOptions options);
  // As by kill -9.
  ~SimCoordinator();

  // An agent's stream arrives.
  void Accept(std::shared_ptr<Stream> stream);
  // `done` may never be called, if this coordinator dies first.
  void CreateRun(AdmitRun admit, std::function<void(absl::StatusOr<v1::Run>)> done);
  void CancelRun(const std::string& run_id, std::function<void(absl::StatusOr<v1::Run>)> done);
  Fleet LiveFleet() const { return core_.LiveFleet(); }
  // Its link to the store is cut until then: commits fail, or come late; reads fail.
  void CutStore(absl::Duration until);

 private:
  absl::Time StoreNow() const { return epoch_ + world_->now(); }
  // Runs `what` later, unless this coordinator has died by then.
  void Later(absl::Duration delay, absl::AnyInvocable<void()> what);
  void Apply(Event event);
  void Tell(Effects effects);
  void Pump();
  void Commit(std::vector<Proposal> proposals);
  void Failed(std::shared_ptr<std::vector<Proposal>> proposals, const char* how);
  void Poll();
  // What a poll that is under way was asked for, and what is known here of each run.
  struct PollState;
  using PollPtr = std::shared_ptr<PollState>;
  void PollRuns(PollPtr poll);
  void PollGone(PollPtr poll);
  void EndPoll(PollPtr poll);
  void PollRun(const RunRow& row, PollPtr poll);
  bool ReadFails();
  absl::Duration Pause() {
    return world_->Between(absl::ZeroDuration(), absl::Milliseconds(4));
  }
  void Lookup(const v1::LeaseId& id);
  void Arm();

  World* const world_;
  Store* const store_;
  Checkers* const checkers_;
  const StoreFaults* const faults_;
  const CoreOptions options_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  absl::Time epoch_;  // the store's clock at simulated time 0, as far as is known here
  Core core_;
  std::map<PeerId, std::shared_ptr<Stream>> streams_;
  std::map<PeerId, std::string> spools_, instances_;  // for the checkers
  std::map<TokenId, std::function<void(Answer)>> waiters_;
  PeerId next_peer_ = 1;
  TokenId next_token_ = 1;
  bool loaded_ = false;
  bool busy_ = false;
  bool polling_ = false;
  bool poll_armed_ = false;    // the next periodic one
  bool wanted_armed_ = false;  // one that was asked for
  absl::Duration poll_not_before_ = absl::ZeroDuration();
  absl::Duration commit_not_before_ = absl::ZeroDuration();
  absl::Duration store_cut_until_ = absl::ZeroDuration();
  uint64_t poll_wanted_ = 0;
  std::set<std::string> reload_;
  absl::Duration armed_ = absl::InfiniteDuration();
};

}  // namespace picket::simulation

#endif  // TESTS_SIMULATION_SIM_COORDINATOR_H_
