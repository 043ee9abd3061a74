// File: checkers.h
//
// What must hold whatever happens. They look at what is stored, what is told and what
// leaves an agent, and know nothing of the scenario but when its faults are over.
// Each violation names its checker.

#ifndef TESTS_SIMULATION_CHECKERS_H_
#define TESTS_SIMULATION_CHECKERS_H_

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "absl/strings/string_view.h"
#include "coordinator/store/store.h"
#include "picket/v1/agent_service.pb.h"
#include "picket/v1/run.pb.h"
#include "tests/simulation/oracle.h"
#include "tests/simulation/world.h"

namespace picket::simulation {

enum class Check {
  kOneDecider,     // every execution of a sealed run has exactly one deciding result
  kLeaseEpochs,    // no two leases under one epoch, and a grant reaches whom it was given
  kToldStored,     // what is told is in the store
  kVerdictStays,   // a sealed run never changes
  kOracle,         // ends, ledger and verdict are what the target's answers make them
  kDeadline,       // every run ends by its deadline
  kAttempts,       // attempts and starts are bounded
  kNoStarvation,   // what can be run is run
  kRunsOnce,       // what must not be repeated is started once
};
// "one_decider", ...
absl::string_view NameOf(Check check);

class Checkers {
 public:
  // `store` is asked in simulated time's no time; it never fails.
  Checkers(World* world, Store* store, const Oracle* oracle)
      : world_(world), store_(store), oracle_(oracle) {}

  // From then on nothing fails any more, and every process is up. In simulated time.
  void CalmFrom(absl::Duration when) { calm_ = when; }

  // A batch was committed.
  void OnCommitted(const std::vector<Proposal>& proposals, const CommitResult& result);

  // An answer, a state or a message that left a coordinator.
  void OnRunTold(const v1::Run& run);
  void OnRunAdmitted(const v1::Run& run, const v1::RunSpec& spec);
  // Two answers to one request.
  void OnSameRequest(const std::string& run_id, const std::string& again);
  // The counts of a run that is under way, as people watch them.
  void OnProgressTold(const v1::Run& run);
  void OnGrant(const std::string& instance, const v1::LeaseGrant& grant);
  void OnStartedAck(const v1::StartedAck& ack);
  // The agent's spool held, under this sequence, such a result.
  void OnSpooled(const std::string& spool, uint64_t sequence, const v1::LeaseResults& results);
  void OnAck(const std::string& spool, const v1::ResultAck& ack);
  // A first byte left an agent.
  void OnStarted(const std::string& run, uint32_t execution, uint32_t attempt);

  // At the end of the simulation: everything that was admitted.
  void AtEnd();

  const std::vector<std::string>& violations() const { return violations_; }

 private:
  struct Spooled {
    std::string run;
    uint32_t execution = 0;
    uint32_t epoch = 0;
  };
  struct Admitted {
    v1::RunSpec spec;
    v1::Run run;
    absl::Duration deadline;  // in simulated time
    bool urgent = false;      // its deadline may come before its work is done
  };
  struct Sealed {
    v1::Run run;
    std::vector<std::vector<EndByte>> ends;  // by shard
    absl::Duration when;
  };
  // Of one execution.
  struct Effort {
    uint32_t leases = 0;
    uint32_t starts = 0;
  };
  using ExecutionKey = std::pair<std::string, uint32_t>;

  void Violate(Check check, std::string what);
  void OnSealed(const RunRow& row);
  void CheckRun(const std::string& run_id, const Admitted& admitted);
  void CheckUnended(const RunRow& row);
  void CheckEnds(const RunRow& row, const Admitted& admitted, const std::vector<EndByte>& ends);
  void CheckProbes(const std::string& name, const v1::Test& test, const std::string& location,
                   const std::vector<ResultRow>& rows);
  void CheckExecution(const std::string& run_id, uint32_t execution, const v1::Test& test,
                      const std::string& location, EndByte end);
  std::vector<std::vector<EndByte>> EndsOf(const std::string& run_id);

  World* const world_;
  Store* const store_;
  const Oracle* const oracle_;
  absl::Duration calm_ = absl::ZeroDuration();
  std::vector<std::string> violations_;
  std::map<std::string, Admitted> runs_;
  std::map<std::string, Sealed> sealed_;  // as first seen
  std::set<std::tuple<std::string, uint32_t, uint32_t>> granted_;  // run, shard, epoch
  std::map<std::pair<std::string, uint64_t>, Spooled> spooled_;    // spool, sequence
  std::map<std::string, uint64_t> acked_;                          // spool -> through
  std::map<std::tuple<std::string, uint32_t, uint32_t>, uint32_t> starts_;  // not repeatable
  std::map<ExecutionKey, Effort> efforts_;
};

}  // namespace picket::simulation

#endif  // TESTS_SIMULATION_CHECKERS_H_
