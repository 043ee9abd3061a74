// File: session.h
//
// What the core knows of one agent's stream: who speaks, how much it will hold, what
// it has been sent, and which of its result batches wait to be acknowledged.
//
// Thread rule: thread-compatible plain values.

#ifndef COORDINATOR_CORE_SESSION_H_
#define COORDINATOR_CORE_SESSION_H_

#include <cstdint>
#include <deque>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "coordinator/core/event.h"
#include "picket/v1/agent_service.pb.h"

namespace picket {

// Batches in order of arrival; acknowledged from the front only.
class AckWindow {
 public:
  // A batch of `results` results, of which none is stored yet. Returns its number.
  uint64_t Open(uint64_t sequence, uint64_t results);
  // One result of it is stored, or dropped for ever with a reason.
  void Settle(uint64_t batch);
  void Drop(uint64_t batch, v1::ResultAck::Dropped dropped);
  // What may now be acknowledged, if anything may.
  std::optional<v1::ResultAck> Take();
  // Results that wait.
  uint64_t waiting() const { return waiting_; }

 private:
  struct Batch {
    uint64_t sequence = 0;
    uint64_t open = 0;
    std::vector<v1::ResultAck::Dropped> dropped;
  };
  std::deque<Batch> batches_;
  uint64_t first_ = 0;  // number of batches_.front()
  uint64_t waiting_ = 0;
};

struct Session {
  enum class State {
    kSilent,    // no Hello yet
    kArriving,  // its Hello is on its way into the store
    kOpen,
  };
  PeerId peer = 0;
  State state = State::kSilent;
  v1::Hello hello;
  uint32_t window = 0;
  uint32_t capacity = 0;
  bool draining = false;
  absl::Time opened;
  absl::Time heard;
  absl::Time renewed = absl::InfinitePast();  // in the store, as far as was asked
  // Its Hello waits for Polled of this generation.
  uint64_t wait_poll = 0;
  // Another instance holds the name and was last heard of then: wait for a sign of life.
  std::string rival;
  absl::Time rival_renewed;
  absl::Time rival_until;
  // Digests of the tests and blobs it has had.
  absl::flat_hash_set<std::string> tests;
  absl::flat_hash_set<std::string> blobs;
  AckWindow acks;
  // Average duration of its attempts, microseconds; 0 = none yet.
  double typical_us = 0;

  const std::string& instance() const { return hello.instance(); }
  const std::string& location() const { return hello.location(); }
};

// The protocols this build speaks.
inline constexpr uint32_t kProtocol = 1;
inline constexpr uint32_t kProtocolOldest = 1;

// The protocol both sides speak, or why a Hello cannot be accepted.
absl::StatusOr<uint32_t> CheckHello(const v1::Hello& hello);

}  // namespace picket

#endif  // COORDINATOR_CORE_SESSION_H_
