// File: agent.h
//
// A whole agent: engine, session logic, spool, and the link to a coordinator. Used by
// picket-agent and, over an in-process channel, by `picket run --local`.
//
// Thread rule: Agent is safe to call from any thread.

#ifndef AGENT_SESSION_AGENT_H_
#define AGENT_SESSION_AGENT_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "agent/engine/engine.h"
#include "picket/v1/agent_service.pb.h"

namespace picket {

class Clock;
class Metrics;

// Hears one stream. The link calls it from any thread, one call at a time.
class SessionSink {
 public:
  virtual ~SessionSink() = default;
  virtual void OnMessage(v1::CoordinatorMessage message) = 0;
  // Last call. The status that ended the stream.
  virtual void OnClosed(absl::Status status) = 0;
};

// An open stream. Writes are queued in order; never block. The destructor ends it at
// once and returns after the sink's last call.
class SessionStream {
 public:
  virtual ~SessionStream() = default;
  virtual void Send(v1::AgentMessage message) = 0;
  // Ends the stream; OnClosed follows.
  virtual void Close() = 0;
};

// Opens streams to coordinators. `sink` outlives the stream.
class SessionDialer {
 public:
  virtual ~SessionDialer() = default;
  // Safe to call from any thread: agents of one process may share a dialer.
  virtual std::unique_ptr<SessionStream> Dial(SessionSink* sink) = 0;
};

struct AgentOptions {
  std::string name;
  std::string location = "default";
  std::string instance;         // UUID; empty = drawn at start
  uint32_t capacity = 100;      // checks at once
  std::string spool_directory;  // empty = memory only
  size_t spool_memory_bytes = 64u << 20;
  size_t spool_disk_bytes = 1u << 30;
  bool take_over = false;
  std::map<std::string, std::string> labels;
  EngineOptions engine;
  // Where picket_agent_* is kept; must outlive the agent. Null = nowhere.
  Metrics* metrics = nullptr;
};

// State for readiness, metrics and tests.
struct AgentStatus {
  bool connected = false;  // Welcome was received on the present stream
  bool draining = false;
  bool drained = false;  // nothing held, nothing unacknowledged
  uint32_t in_flight = 0;
  uint32_t held = 0;
  uint64_t spool_bytes = 0;
  uint64_t spool_corrupt = 0;  // records that could not be read back
  uint32_t window = 0;         // executions it is ready to hold
  uint64_t sessions = 0;       // Welcomes so far
  std::string last_error;      // why the last stream ended
  // A refusal that trying again cannot cure (name taken, version window).
  absl::Status refused;
};

class Agent {
 public:
  // Opens the spool, starts the engine, and dials until stopped. `dialer` must outlive it.
  static absl::StatusOr<std::unique_ptr<Agent>> Start(AgentOptions options, SessionDialer* dialer);
  // The same over an engine that is made already; options.engine is not looked at.
  static absl::StatusOr<std::unique_ptr<Agent>> Start(AgentOptions options, SessionDialer* dialer,
                                                      std::unique_ptr<Engine> engine);
  // Stops at once: what is in flight is aborted, the spool stays on disk.
  virtual ~Agent() = default;

  // Finishes what is started, returns the rest, waits for acknowledgements; then
  // AgentStatus.drained. Idempotent.
  virtual void Drain() = 0;
  virtual AgentStatus Status() = 0;
  // Called on every change of AgentStatus that matters (connected, drained, refused).
  // Set once, before anything can have happened.
  virtual void OnChange(absl::AnyInvocable<void(const AgentStatus&)> notify) = 0;
};

}  // namespace picket

#endif  // AGENT_SESSION_AGENT_H_
