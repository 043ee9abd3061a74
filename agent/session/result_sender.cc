#include "agent/session/result_sender.h"

#include <algorithm>

namespace picket {
namespace {

// Of one result in a batch, beside its payload: tags and lengths.
constexpr size_t kOverheadBytes = 16;

bool SameSource(const v1::LeaseResults& a, const v1::LeaseResults& b) {
  return a.lease().run_id() == b.lease().run_id() && a.lease().shard() == b.lease().shard() &&
         a.lease().epoch() == b.lease().epoch() && a.instance() == b.instance();
}

}  // namespace

v1::ResultBatch MakeBatch(const std::vector<SpoolRecord>& records) {
  v1::ResultBatch batch;
  for (const SpoolRecord& record : records) {
    batch.set_sequence(record.sequence);
    v1::LeaseResults one;
    if (!one.ParseFromString(record.payload)) continue;
    const int last = batch.results_size() - 1;
    if (last >= 0 && SameSource(batch.results(last), one)) {
      for (auto& result : *one.mutable_results()) {
        batch.mutable_results(last)->add_results()->Swap(&result);
      }
    } else {
      batch.add_results()->Swap(&one);
    }
  }
  return batch;
}

ResultSender::ResultSender(Spool* spool, const SessionLimits& limits)
    : spool_(spool), limits_(limits) {}

void ResultSender::Open(absl::Duration now, size_t batch_bytes_most) {
  open_ = true;
  batch_bytes_most_ = batch_bytes_most;
  sent_ = spool_->acknowledged();
  wire_bytes_ = 0;
  on_wire_.clear();
  last_ack_ = now;
  unsent_since_ = spool_->last() > sent_ ? absl::ZeroDuration() : absl::InfiniteDuration();
}

void ResultSender::Close() {
  open_ = false;
  on_wire_.clear();
  wire_bytes_ = 0;
  unsent_since_ = absl::InfiniteDuration();
}

std::vector<v1::ResultBatch> ResultSender::Take(absl::Duration now, bool company) {
  std::vector<v1::ResultBatch> batches;
  if (!open_ || spool_->last() <= sent_) return batches;
  unsent_since_ = std::min(unsent_since_, now);
  const bool full = spool_->last() - sent_ >= limits_.batch_results;
  const bool wait = company || !on_wire_.empty();
  if (wait && !full && now < unsent_since_ + limits_.flush_delay) return batches;
  while (spool_->last() > sent_ && wire_bytes_ < limits_.unacknowledged_bytes) {
    std::vector<SpoolRecord> records =
        spool_->Read(sent_, limits_.batch_results, batch_bytes_most_ - batch_bytes_most_ / 8);
    if (records.empty()) {  // nothing after `sent_` can be read back: it is lost
      sent_ = spool_->last();
      if (on_wire_.empty()) spool_->Acknowledge(sent_);
      break;
    }
    size_t bytes = 0;
    for (const SpoolRecord& record : records) bytes += record.payload.size() + kOverheadBytes;
    sent_ = records.back().sequence;
    batches.push_back(MakeBatch(records));
    if (on_wire_.empty()) last_ack_ = now;
    on_wire_.push_back({sent_, bytes, now});
    wire_bytes_ += bytes;
  }
  unsent_since_ = spool_->last() > sent_ ? now : absl::InfiniteDuration();
  return batches;
}

absl::Duration ResultSender::NextTake() const {
  if (!open_ || spool_->last() <= sent_) return absl::InfiniteDuration();
  if (wire_bytes_ >= limits_.unacknowledged_bytes) return absl::InfiniteDuration();
  if (unsent_since_ == absl::InfiniteDuration()) return absl::ZeroDuration();
  return unsent_since_ + limits_.flush_delay;
}

absl::Duration ResultSender::Acknowledged(absl::Duration now, uint64_t through) {
  absl::Duration trip;
  // A number that was never sent acknowledges nothing.
  if (through > std::max(sent_, spool_->acknowledged())) return trip;
  while (!on_wire_.empty() && on_wire_.front().last <= through) {
    trip = now - on_wire_.front().at;
    wire_bytes_ -= on_wire_.front().bytes;
    on_wire_.pop_front();
  }
  last_ack_ = now;
  spool_->Acknowledge(on_wire_.empty() ? std::max(through, sent_) : through);
  return trip;
}

absl::Duration ResultSender::waiting_since() const {
  return on_wire_.empty() ? absl::InfiniteDuration() : last_ack_;
}

}  // namespace picket
