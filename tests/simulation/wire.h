// File: wire.h
//
// Streams between agents and coordinators: ordered and reliable while they live, as TCP
// is, but slow, cut at any time, and dead on one side long before the other notices.
// What was under way when one end died or turned away may still arrive, long after the
// same was sent again elsewhere: this is how messages are doubled and overtake each other.
//
// Thread rule: thread-compatible.

#ifndef TESTS_SIMULATION_WIRE_H_
#define TESTS_SIMULATION_WIRE_H_

#include <cstdint>
#include <map>
#include <memory>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "picket/v1/agent_service.pb.h"
#include "tests/simulation/world.h"

namespace picket::simulation {

struct WireOptions {
  absl::Duration delay_least = absl::Microseconds(50);
  absl::Duration delay_most = absl::Milliseconds(2);
  // A message that may be repeated arrives twice. No TCP does that; proxies and retries do.
  double twice = 0;
};

// One stream. Each end hears of messages and, once, of the end.
class Stream : public std::enable_shared_from_this<Stream> {
 public:
  struct End {
    absl::AnyInvocable<void(v1::AgentMessage)> on_agent_message;              // at the coordinator
    absl::AnyInvocable<void(v1::CoordinatorMessage)> on_coordinator_message;  // at the agent
    absl::AnyInvocable<void(absl::Status)> on_closed;
  };

  // `agent_at`, `coordinator_at`: whose it is, for partitions between two of them.
  Stream(World* world, const WireOptions* options, size_t agent, size_t coordinator)
      : agent_at(agent), coordinator_at(coordinator), world_(world), options_(options) {}

  const size_t agent_at, coordinator_at;
  End agent, coordinator;

  void ToCoordinator(v1::AgentMessage message);
  void ToAgent(v1::CoordinatorMessage message);
  // The end in order: what was sent before arrives before.
  void CloseByCoordinator(absl::Status status);
  void CloseByAgent();
  // The process at one end died: it hears nothing any more; the other end is told. With
  // `delivered` it hears, until then, what was under way.
  void AgentDied(absl::Duration notice, bool delivered);
  void CoordinatorDied(absl::Duration notice, bool delivered);
  // The agent turns away: it neither sends nor hears; what it sent before still arrives
  // until the coordinator notices.
  void Linger(absl::Duration agent_notice, absl::Duration coordinator_notice);
  // The link is cut: what is under way is lost, each end learns of it in its own time.
  void Cut(absl::Duration agent_notice, absl::Duration coordinator_notice);
  // Messages of a direction wait until then.
  void HoldUp(bool to_coordinator, absl::Duration until);

 private:
  absl::Duration Arrival(bool to_coordinator);
  void DeliverToCoordinator(v1::AgentMessage message);
  void TellAgentClosed(absl::Status status);
  void TellCoordinatorClosed();

  World* const world_;
  const WireOptions* const options_;
  bool cut_ = false;
  bool agent_gone_ = false, coordinator_gone_ = false;  // sends and hears nothing more
  bool agent_told_ = false, coordinator_told_ = false;
  absl::Duration last_arrival_[2] = {};
  absl::Duration held_until_[2] = {};
};

}  // namespace picket::simulation

#endif  // TESTS_SIMULATION_WIRE_H_
