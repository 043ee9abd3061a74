// File: webhooks.h
//
// Tells the operator's targets of sealed runs, on a thread of its own: nobody waits for a
// target.
//
// Thread rule: Wake is safe to call from any thread.

#ifndef COORDINATOR_NOTIFY_WEBHOOKS_H_
#define COORDINATOR_NOTIFY_WEBHOOKS_H_

#include <atomic>
#include <memory>
#include <thread>

#include "coordinator/notify/delivery.h"

namespace picket {

class Webhooks {
 public:
  // Has the store keep an outbox for the targets, then serves it. All must outlive it;
  // `metrics` may be null. REQUIRES: the store has committed nothing yet.
  Webhooks(WebhookOptions options, Store* store, Clock* clock, Metrics* metrics);
  // Drops requests under way, whose rows are due again at once, and joins.
  ~Webhooks();

  // A run was sealed. Never blocks.
  void Wake();

 private:
  void Run();

  const std::unique_ptr<PostClient> client_ = MakePostClient();
  Delivery delivery_;
  std::atomic<bool> woken_{false}, stopping_{false};
  std::thread thread_;
};

}  // namespace picket

#endif  // COORDINATOR_NOTIFY_WEBHOOKS_H_
