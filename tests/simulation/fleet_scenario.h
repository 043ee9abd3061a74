// File: fleet_scenario.h
//
// The one scenario: what is drawn, what befalls it, and when it is over.
//
// Thread rule: thread-compatible.

#ifndef TESTS_SIMULATION_FLEET_SCENARIO_H_
#define TESTS_SIMULATION_FLEET_SCENARIO_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "coordinator/store/store.h"
#include "tests/simulation/checkers.h"
#include "tests/simulation/oracle.h"
#include "tests/simulation/scenario.h"
#include "tests/simulation/sim_agent.h"
#include "tests/simulation/sim_coordinator.h"
#include "tests/simulation/wire.h"
#include "tests/simulation/world.h"

namespace picket::simulation {

// Faults begin before the first, and are over by the second: what they did lasts that
// long at most. A healed fleet is done within the third.
inline constexpr absl::Duration kHealed = absl::Seconds(60);
inline constexpr absl::Duration kCalm = absl::Seconds(90);
inline constexpr absl::Duration kFinish = absl::Seconds(700);
inline constexpr absl::Duration kLongDeadline = absl::Seconds(900);

class Scenario {
 public:
  explicit Scenario(uint64_t seed)
      : world_(seed),
        store_(MakeMemoryStore(&world_.store_clock())),
        oracle_(seed),
        checkers_(&world_, store_.get(), &oracle_) {}

  Report Run();

 private:
  struct Wanted {
    v1::RunSpec spec;
    std::string request_id;
    std::string run_id;  // once admitted
  };
  // Between an agent and a coordinator; both ways or one.
  struct Partition {
    size_t agent = 0, coordinator = 0;
    bool up = false, down = false;
    absl::Duration until;
  };

  Random& random() { return world_.random(); }
  bool Draw(double p) { return random().Chance(p); }
  uint32_t Pick(uint32_t least, uint32_t most) {
    return least + static_cast<uint32_t>(random().Below(most - least + 1));
  }

  void DrawFleet();
  void DrawLoad();
  void DrawFaults();
  void DrawDeaths();
  void DrawLinkFaults();
  void DrawStoreFaults();
  v1::Test DrawTest(int number);
  void StartCoordinator(size_t index);
  std::shared_ptr<Stream> Dial(size_t agent);
  SimCoordinator* AnyCoordinator(size_t* index = nullptr);
  void Submit(size_t index);
  void Ask(size_t index);
  void Part(size_t agent, size_t coordinator, bool up, bool down, absl::Duration until);
  void Every(absl::Duration mean, std::function<void()> what);
  void Supervise();
  bool AllSealed();

  World world_;
  std::unique_ptr<Store> store_;
  Oracle oracle_;
  Checkers checkers_;
  WireOptions wire_;
  StoreFaults store_faults_;
  bool exclusive_ = true;
  std::vector<std::string> locations_;
  std::vector<std::unique_ptr<SimAgent>> agents_;
  std::vector<std::unique_ptr<SimCoordinator>> coordinators_;
  std::vector<std::weak_ptr<Stream>> streams_;
  std::vector<Partition> partitions_;
  double asks_twice_ = 0;  // a client's request goes to two coordinators
  std::vector<Wanted> wanted_;
  Report report_;
};

}  // namespace picket::simulation

#endif  // TESTS_SIMULATION_FLEET_SCENARIO_H_
