// File: session_state.h
//
// The deciding part of an agent: what it holds, what it starts, what it tells the
// coordinator and when it dials. A function of (time, events) -> effects.
//
// It reads no clock, draws chance only from the Random it is given, does no I/O but
// through the Spool it is given, logs nothing. `now` is monotonic time since any start.
//
// Behaviour (docs/PROTOCOL.md has the rules):
//  - without a stream it goes on with what it holds; results wait in the spool
//  - a new stream starts with what is held; adopted leases go on, dropped ones stop
//  - results are sent in the spool's order until acknowledged, again on each stream
//  - a result is never made of an attempt that was aborted
//
// Thread rule: thread-compatible.

#ifndef AGENT_SESSION_SESSION_STATE_H_
#define AGENT_SESSION_SESSION_STATE_H_

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "agent/session/lease_book.h"
#include "agent/session/result_sender.h"
#include "agent/session/session_types.h"
#include "agent/session/spool.h"
#include "common/base/backoff.h"
#include "common/base/random.h"

namespace picket {

class SessionState {
 public:
  // `spool` must outlive it.
  SessionState(SessionConfig config, Spool* spool, Random random);

  // What to do, in order, after `events` at `now`. The first call dials. Times never
  // go back. Before a message of it is sent, the spool must be flushed.
  std::vector<SessionEffect> Apply(absl::Duration now, std::vector<SessionEvent> events);
  // Apply a Tick by then.
  absl::Duration NextDeadline() const;

  bool connected() const { return link_ == Link::kWelcomed; }
  bool draining() const { return draining_; }
  // Nothing held, nothing to acknowledge (or no coordinator for drain_offline), stream closed.
  bool drained() const { return drained_; }
  // A refusal that dialling again cannot cure; it has stopped dialling.
  const absl::Status& refused() const { return refused_; }
  // Why the last stream ended.
  const absl::Status& last_error() const { return last_error_; }
  uint32_t in_flight() const { return book_.slots(); }
  uint32_t held() const { return book_.held(); }
  uint32_t window() const;
  uint64_t sessions() const { return sessions_; }  // Welcomes so far

 private:
  enum class Link { kDown, kDialled, kWelcomed, kClosing };

  void Handle(Tick&) {}
  void Handle(Received& event);
  void Handle(StreamClosed& event);
  void Handle(CheckDone& event);
  void Handle(DrainAsked&) { StartDraining(); }

  void OnWelcome(const v1::Welcome& welcome);
  void OnTest(v1::TestDefinition& definition);
  void OnGrant(v1::LeaseGrant& grant);
  void OnRecall(const v1::LeaseRecall& recall);
  void OnRunEnded(const v1::RunEnded& ended);
  void OnStartedAck(const v1::StartedAck& ack);
  void OnResultAck(const v1::ResultAck& ack);

  // Once per Apply, after the events.
  void Settle();
  void Dial();
  void StartWhatFits();
  void Start(HeldLease& lease, uint32_t position);
  void SendStarted();
  void SendResults();
  void SendHeartbeat();
  void WatchLink();
  void FinishDraining();

  void Send(v1::AgentMessage message);
  void CloseLink(bool abandon);
  void StartDraining();
  // Gives back what was not started; with `only`, of those executions.
  v1::LeaseReturn Withdraw(HeldLease& lease, const google::protobuf::RepeatedField<uint32_t>* only);
  // Stops all of a lease; running attempts are aborted and come to nothing.
  void Abandon(HeldLease& lease, absl::Duration grace);
  // The execution's attempts are over: its result goes to the spool.
  void Finish(HeldLease& lease, uint32_t position);
  // An attempt that never ran.
  void FailToRun(HeldLease& lease, uint32_t position, const std::string& why);
  void ForgetDefinitions();
  v1::Hello MakeHello();
  // A running mean; the new sample weighs 1/8.
  static absl::Duration Smooth(absl::Duration mean, absl::Duration sample) {
    return mean == absl::ZeroDuration() ? sample : mean + (sample - mean) / 8;
  }

  const SessionConfig config_;
  Spool* const spool_;
  Random random_;
  absl::Duration now_;
  std::vector<SessionEffect> effects_;

  Link link_ = Link::kDown;
  uint64_t stream_ = 0;
  uint64_t sessions_ = 0;
  absl::Duration dial_at_;
  absl::Duration link_deadline_ = absl::InfiniteDuration();  // Welcome, or the end, is due
  bool welcomed_ = false;                                    // the present stream
  absl::Duration down_since_;                                // of the last session's end
  Backoff backoff_;
  absl::Status last_error_, refused_;
  bool take_over_ = false;

  absl::Duration heartbeat_interval_, progress_interval_;
  absl::Duration next_heartbeat_ = absl::InfiniteDuration();
  absl::Duration next_progress_ = absl::InfiniteDuration();
  uint32_t window_told_ = 0;
  bool draining_told_ = false;

  LeaseBook book_;
  ResultSender sender_;
  std::map<std::string, std::shared_ptr<const TestUnit>> tests_;     // by digest
  std::map<std::string, std::shared_ptr<const std::string>> files_;  // by SHA-256
  size_t definition_bytes_ = 0;                                      // since the session began
  std::set<uint64_t> asking_;  // orders of leases with something to ask

  CheckId next_check_ = 1;
  absl::flat_hash_map<CheckId, LeaseBook::ExecutionRef> running_;
  absl::Duration mean_check_;  // 0 = unknown
  absl::Duration round_trip_;

  bool draining_ = false;
  bool goodbye_ = false;
  bool drained_ = false;
};

}  // namespace picket

#endif  // AGENT_SESSION_SESSION_STATE_H_
