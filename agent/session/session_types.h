// File: session_types.h
//
// What goes into the session's state machine and what comes out of it. Plain values.

#ifndef AGENT_SESSION_SESSION_TYPES_H_
#define AGENT_SESSION_SESSION_TYPES_H_

#include <compare>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "agent/session/limits.h"
#include "common/policy/regression.h"
#include "picket/v1/agent_service.pb.h"

namespace picket {

struct SessionConfig {
  std::string name;
  std::string location = "default";
  std::string instance;  // UUID
  std::string version;
  uint32_t capacity = 100;
  bool take_over = false;
  std::map<std::string, std::string> labels;
  SessionLimits limits;
};

// A lease's name, comparable.
struct LeaseName {
  std::string run_id;
  uint32_t shard = 0;
  uint32_t epoch = 0;
  auto operator<=>(const LeaseName&) const = default;

  static LeaseName Of(const v1::LeaseId& id) { return {id.run_id(), id.shard(), id.epoch()}; }
  v1::LeaseId ToProto() const {
    v1::LeaseId id;
    id.set_run_id(run_id);
    id.set_shard(shard);
    id.set_epoch(epoch);
    return id;
  }
};

// A test as the coordinator defined it, with the files it names, by SHA-256.
// Immutable once shared.
struct TestUnit {
  std::string digest;
  v1::Test test;
  std::map<std::string, std::shared_ptr<const std::string>> files;
  std::vector<RegressionGate> gates;  // of the test
  size_t bytes = 0;  // counted against SessionLimits::definition_bytes
};

using CheckId = uint64_t;

// ---- Events ----

// Time has passed; nothing else.
struct Tick {};
struct Received {
  uint64_t stream = 0;  // the number that DialStream gave it
  v1::CoordinatorMessage message;
};
struct StreamClosed {
  uint64_t stream = 0;
  absl::Status status;
};
struct CheckDone {
  CheckId check = 0;
  v1::Attempt attempt;
};
struct DrainAsked {};

using SessionEvent = std::variant<Tick, Received, StreamClosed, CheckDone, DrainAsked>;

// ---- Effects, to be carried out in order ----

// Open a stream; its number is `stream`, and older ones are done with.
struct DialStream {
  uint64_t stream = 0;
};
// Nothing more is sent; what was sent still goes out. StreamClosed follows.
struct CloseStream {
  uint64_t stream = 0;
  bool abandon = false;  // do not wait for what was sent
};
// A Hello lacks clock_time, which is the carrier's to fill in.
struct SendMessage {
  uint64_t stream = 0;
  v1::AgentMessage message;
};
// One attempt; answered by CheckDone exactly once.
struct StartCheck {
  CheckId check = 0;
  std::shared_ptr<const TestUnit> test;
  std::optional<v1::Row> row;
  uint64_t seed = 0;
  uint32_t number = 1;
  std::vector<GateTimes> gates;
  // For logs and simulations.
  LeaseName lease;
  uint32_t execution = 0;
};
struct AbortCheck {
  CheckId check = 0;
  absl::Duration grace;
};
struct SetClockOffset {
  absl::Duration offset;
};
// A result that the fleet will not keep.
struct ResultDropped {
  std::string run_id;
  uint32_t execution = 0;
  std::string reason;
};

using SessionEffect = std::variant<DialStream, CloseStream, SendMessage, StartCheck, AbortCheck,
                                   SetClockOffset, ResultDropped>;

// The seed of an attempt's built-ins, the same for a replay.
uint64_t AttemptSeed(const std::string& run_id, uint32_t execution, uint32_t number);

}  // namespace picket

#endif  // AGENT_SESSION_SESSION_TYPES_H_
