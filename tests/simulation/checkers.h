// File: checkers.h
//
// What must hold whatever happens. They look at what is stored and what is told, and
// know nothing of the scenario.

#ifndef TESTS_SIMULATION_CHECKERS_H_
#define TESTS_SIMULATION_CHECKERS_H_

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "coordinator/store/store.h"
#include "picket/v1/agent_service.pb.h"
#include "picket/v1/run.pb.h"
#include "tests/simulation/oracle.h"
#include "tests/simulation/world.h"

namespace picket::simulation {

class Checkers {
 public:
  Checkers(World* world, Store* store, const Oracle* oracle)
      : world_(world), store_(store), oracle_(oracle) {}

  // A batch was committed.
  void OnCommitted(const std::vector<Proposal>& proposals, const CommitResult& result);

  // An answer, a state or a message that left a coordinator.
  void OnRunTold(const v1::Run& run);
  void OnRunAdmitted(const v1::Run& run, const v1::RunSpec& spec);
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
  };
  void Violate(std::string what);
  void CheckRun(const std::string& run_id, const Admitted& admitted);
  void CheckEnds(const RunRow& row, const Admitted& admitted, const std::vector<EndByte>& ends);
  void CheckProbes(const std::string& name, const v1::Test& test, const std::string& location,
                   const std::vector<ResultRow>& rows);

  World* const world_;
  Store* const store_;
  const Oracle* const oracle_;
  std::vector<std::string> violations_;
  std::map<std::string, Admitted> runs_;
  std::map<std::string, v1::Run> sealed_;  // as first seen
  std::set<std::tuple<std::string, uint32_t, uint32_t>> granted_;  // run, shard, epoch
  std::map<std::pair<std::string, uint64_t>, Spooled> spooled_;    // spool, sequence
  std::map<std::string, uint64_t> acked_;                          // spool -> through
  std::map<std::pair<std::string, uint32_t>, uint32_t> starts_;    // of non-repeatable ones
};

}  // namespace picket::simulation

#endif  // TESTS_SIMULATION_CHECKERS_H_
