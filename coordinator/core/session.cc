#include "coordinator/core/session.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/ids.h"
#include "common/base/version.h"
#include "common/policy/limits.h"

namespace picket {

uint64_t AckWindow::Open(uint64_t sequence, uint64_t results) {
  batches_.push_back(Batch{.sequence = sequence, .open = results});
  waiting_ += results;
  return first_ + batches_.size() - 1;
}

void AckWindow::Settle(uint64_t batch) {
  if (batch < first_ || batch - first_ >= batches_.size()) return;
  Batch& entry = batches_[batch - first_];
  if (entry.open == 0) return;
  --entry.open;
  --waiting_;
}

void AckWindow::Drop(uint64_t batch, v1::ResultAck::Dropped dropped) {
  if (batch < first_ || batch - first_ >= batches_.size()) return;
  batches_[batch - first_].dropped.push_back(std::move(dropped));
  Settle(batch);
}

std::optional<v1::ResultAck> AckWindow::Take() {
  std::optional<v1::ResultAck> ack;
  while (!batches_.empty() && batches_.front().open == 0) {
    if (!ack.has_value()) ack.emplace();
    ack->set_through(std::max(ack->through(), batches_.front().sequence));
    for (v1::ResultAck::Dropped& dropped : batches_.front().dropped) {
      *ack->add_dropped() = std::move(dropped);
    }
    batches_.pop_front();
    ++first_;
  }
  return ack;
}

absl::StatusOr<uint32_t> CheckHello(const v1::Hello& hello) {
  if (!IsUuid(hello.instance())) {
    return absl::InvalidArgumentError(
        absl::StrCat("Hello.instance must be a UUID, not '", hello.instance(), "'"));
  }
  if (hello.name().empty() || hello.name().size() > DefaultLimits().name_bytes) {
    return absl::InvalidArgumentError(absl::StrCat("Hello.name must have 1 to ",
                                                   DefaultLimits().name_bytes, " bytes, not ",
                                                   hello.name().size()));
  }
  if (!IsLocation(hello.location())) {
    return absl::InvalidArgumentError(absl::StrCat("Hello.location '", hello.location(),
                                                   "' is not [a-z0-9][a-z0-9._:-]{0,62}"));
  }
  if (hello.protocol_max() < kProtocolOldest || hello.protocol_min() > kProtocol ||
      hello.protocol_min() > hello.protocol_max()) {
    return absl::FailedPreconditionError(absl::StrCat(
        "agent '", hello.name(), "' (version ", hello.version(), ") speaks protocols ",
        hello.protocol_min(), " to ", hello.protocol_max(), ", this coordinator (version ",
        kVersion, ") ", kProtocolOldest, " to ", kProtocol, "; upgrade the older one"));
  }
  return std::min(hello.protocol_max(), kProtocol);
}

}  // namespace picket
