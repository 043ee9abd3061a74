// File: sim_agent.h
//
// An agent's machine: the production session logic, a simulated engine, and a spool
// that outlives the process.
//
// Thread rule: thread-compatible.

#ifndef TESTS_SIMULATION_SIM_AGENT_H_
#define TESTS_SIMULATION_SIM_AGENT_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "agent/session/session_state.h"
#include "agent/session/spool.h"
#include "tests/simulation/checkers.h"
#include "tests/simulation/oracle.h"
#include "tests/simulation/wire.h"
#include "tests/simulation/world.h"

namespace picket::simulation {

class SimAgent {
 public:
  struct Options {
    std::string name;
    std::string location;
    uint32_t capacity = 5;
    // How long checks take.
    absl::Duration check_least = absl::Milliseconds(5);
    absl::Duration check_most = absl::Milliseconds(500);
    // This one is slower than the others by so much.
    double slowness = 1;
    // Of its wall clock, which nothing may depend on.
    absl::Duration clock_skew = absl::ZeroDuration();
  };
  // Opens a stream to some live coordinator; null when none can be reached.
  using Dialer = std::function<std::shared_ptr<Stream>()>;

  SimAgent(World* world, Checkers* checkers, const Oracle* oracle, Options options,
           Dialer dialer);
  ~SimAgent();

  // A new process with a new instance, on the old spool or (the machine was lost) a new one.
  void Start(bool keep_spool = true);
  // As by kill -9.
  void Kill(absl::Duration notice);
  bool running() const { return session_ != nullptr; }
  // SIGSTOP: nothing is heard or done until then; checks go on.
  void Freeze(absl::Duration until);
  void Drain();
  // Its present stream, or null.
  Stream* stream() { return stream_.get(); }
  const std::string& name() const { return options_.name; }
  const std::string& location() const { return options_.location; }
  bool drained() const { return session_ != nullptr && session_->drained(); }
  // For a process that was told to go away, a supervisor starts another.
  bool refused() const { return session_ != nullptr && !session_->refused().ok(); }

 private:
  void Apply(SessionEvent event);
  void Carry(SessionEffect effect);
  void Begin(const StartCheck& start);
  void Arm();
  void Later(absl::Duration delay, absl::AnyInvocable<void()> what);

  World* const world_;
  Checkers* const checkers_;
  const Oracle* const oracle_;
  const Options options_;
  const Dialer dialer_;
  std::unique_ptr<Spool> spool_;
  std::unique_ptr<SessionState> session_;
  std::shared_ptr<bool> alive_;
  std::shared_ptr<Stream> stream_;
  uint64_t stream_number_ = 0;
  absl::Duration frozen_until_ = absl::ZeroDuration();
  absl::Duration armed_ = absl::InfiniteDuration();
  std::map<CheckId, StartCheck> checks_;
};

}  // namespace picket::simulation

#endif  // TESTS_SIMULATION_SIM_AGENT_H_
