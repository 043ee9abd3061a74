// File: result_sender.h
//
// Brings results from the spool to the coordinator: in order, in batches, a bounded
// amount ahead of the acknowledgements; all over again on a new stream. A result goes
// out at once if nothing is on its way, else it waits a few ms for company.
//
// Pure but for the spool. Thread rule: thread-compatible.

#ifndef AGENT_SESSION_RESULT_SENDER_H_
#define AGENT_SESSION_RESULT_SENDER_H_

#include <cstdint>
#include <deque>
#include <vector>

#include "absl/time/time.h"
#include "agent/session/limits.h"
#include "agent/session/spool.h"
#include "picket/v1/agent_service.pb.h"

namespace picket {

class ResultSender {
 public:
  // `spool` must outlive it.
  ResultSender(Spool* spool, const SessionLimits& limits);

  // A stream is ready to carry results; everything not acknowledged is sent again.
  void Open(absl::Duration now, size_t batch_bytes_most);
  void Close();

  // Batches to send now. Empty while closed. `company`: more results are about to come, so
  // that a small batch is worth a short wait for them.
  std::vector<v1::ResultBatch> Take(absl::Duration now, bool company);
  // When Take may have something, if nothing else happens before.
  absl::Duration NextTake() const;

  // Frees the spool; tells the round trip of the batch that it completes, or zero.
  absl::Duration Acknowledged(absl::Duration now, uint64_t through);

  // Results have been on the wire, without an acknowledgement, since; infinite if none.
  absl::Duration waiting_since() const;
  // Everything is acknowledged.
  bool Idle() const { return spool_->last() <= spool_->acknowledged(); }

 private:
  struct OnWire {
    uint64_t last = 0;  // sequence
    size_t bytes = 0;
    absl::Duration at;
  };

  Spool* const spool_;
  const SessionLimits limits_;
  bool open_ = false;
  size_t batch_bytes_most_ = 0;
  uint64_t sent_ = 0;  // highest sequence on the present stream
  size_t wire_bytes_ = 0;
  std::deque<OnWire> on_wire_;
  absl::Duration last_ack_;
  // When the oldest unsent result came; infinite if there is none.
  absl::Duration unsent_since_ = absl::InfiniteDuration();
};

// Of consecutive records one batch. Records that cannot be read are left out.
v1::ResultBatch MakeBatch(const std::vector<SpoolRecord>& records);

}  // namespace picket

#endif  // AGENT_SESSION_RESULT_SENDER_H_
