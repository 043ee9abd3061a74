// File: delivery.h
//
// From the outbox to the targets, one step after the other: look at what is due, claim as
// much as there are free places, post, settle what was answered. At least once: what was
// posted and not settled is due again when its claim ends, here or at another coordinator.
//
// 2xx is success; 410 and too many tries are given up; anything else, redirects too, is
// tried again later. A target that does not answer takes its own places only.
//
// Thread rule: thread-compatible.

#ifndef COORDINATOR_NOTIFY_DELIVERY_H_
#define COORDINATOR_NOTIFY_DELIVERY_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/backoff.h"
#include "common/base/clock.h"
#include "common/base/random.h"
#include "common/telemetry/metrics.h"
#include "coordinator/notify/limits.h"
#include "coordinator/notify/post_client.h"
#include "coordinator/notify/webhook_targets.h"
#include "coordinator/store/store.h"

namespace picket {

struct WebhookOptions {
  std::vector<WebhookTarget> targets;
  absl::Duration timeout = absl::Seconds(10);  // of one try
  uint32_t tries_most = 30;                    // with the delays of NotifyLimits, a day
};

class Delivery {
 public:
  // The secrets of a target as they are now; read before each try, so that a rotation needs
  // no restart.
  using Secrets =
      std::function<absl::StatusOr<std::vector<WebhookSecret>>(const WebhookTarget&)>;

  // All must outlive it; `metrics` may be null.
  Delivery(WebhookOptions options, Store* store, Clock* clock, Metrics* metrics,
           PostClient* client, Secrets secrets, Random random);

  // Does what is to be done now, then waits for an answer, a Wake of the client, or the
  // next look at the outbox.
  void Step();
  // Looks at the outbox in the next step, not at the next interval.
  void LookSoon() { look_at_ = -absl::InfiniteDuration(); }
  // Makes the rows of requests under way due at once, for who comes next.
  void Abandon();

 private:
  struct Target {
    WebhookTarget config;
    std::vector<WebhookSecret> secrets;  // the last that could be read
    size_t in_flight = 0;
    bool secrets_told = false;  // that they cannot be read
    prometheus::Counter* delivered = nullptr;
    prometheus::Counter* retried = nullptr;
    prometheus::Counter* gave_up = nullptr;
    prometheus::Gauge* pending = nullptr;
    prometheus::Gauge* oldest = nullptr;
  };
  struct InFlight {
    Target* target;
    OutboxRow row;
  };

  void Look();
  absl::Status TryLook();
  absl::Status SettleEnds();
  void Post(Target& target, OutboxRow row);
  void End(const PostClient::Done& done);
  absl::Duration DelayAfter(uint32_t tries);

  const WebhookOptions options_;
  Store* const store_;
  Clock* const clock_;
  PostClient* const client_;
  const Secrets secrets_;
  const NotifyLimits& limits_ = DefaultNotifyLimits();
  Random random_;
  Backoff store_backoff_;
  std::map<std::string, Target> targets_;  // by name
  std::map<uint64_t, InFlight> in_flight_;
  std::vector<Store::OutboxEnd> ends_;  // not settled yet
  absl::Duration look_at_ = -absl::InfiniteDuration();
};

}  // namespace picket

#endif  // COORDINATOR_NOTIFY_DELIVERY_H_
