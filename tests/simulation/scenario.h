// File: scenario.h
//
// One simulation, drawn from one seed: a fleet, a load, and what befalls them.

#ifndef TESTS_SIMULATION_SCENARIO_H_
#define TESTS_SIMULATION_SCENARIO_H_

#include <cstdint>
#include <string>
#include <vector>

namespace picket::simulation {

struct Report {
  std::vector<std::string> violations;
  std::vector<std::string> tail;  // the last events
  // What the seed drew, for people.
  std::string summary;
  // How much happened, for tests that something did.
  uint64_t executions = 0;
  uint64_t kills = 0;
};

Report Simulate(uint64_t seed);

}  // namespace picket::simulation

#endif  // TESTS_SIMULATION_SCENARIO_H_
