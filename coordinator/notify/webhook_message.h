// File: webhook_message.h
//
// What a webhook says: {"type":"run.sealed","timestamp":…,"data":Run}, as Standard
// Webhooks recommends it. The run is protobuf's JSON with original field names, as the
// HTTP API has it. A message has one id for life, made from the run's: who gets it twice
// can tell.
//
// Thread rule: pure.

#ifndef COORDINATOR_NOTIFY_WEBHOOK_MESSAGE_H_
#define COORDINATOR_NOTIFY_WEBHOOK_MESSAGE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "common/signing/webhook_signature.h"
#include "picket/v1/run.pb.h"

namespace picket {

struct WebhookMessage {
  std::string id;
  std::string body;
};
WebhookMessage MakeWebhookMessage(const v1::Run& run);

// The headers of one try at `timestamp` (seconds since 1970).
std::vector<std::string> WebhookHeaders(const WebhookMessage& message,
                                        const std::vector<WebhookSecret>& secrets,
                                        int64_t timestamp);

}  // namespace picket

#endif  // COORDINATOR_NOTIFY_WEBHOOK_MESSAGE_H_
