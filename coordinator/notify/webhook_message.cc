#include "coordinator/notify/webhook_message.h"

#include "absl/strings/str_cat.h"
#include "common/base/version.h"
#include "common/report/proto_json.h"
#include "common/report/run_text.h"

namespace picket {

WebhookMessage MakeWebhookMessage(const v1::Run& run) {
  return {.id = absl::StrCat("sealed_", run.run_id()),
          .body = absl::StrCat("{\"type\":\"run.sealed\",\"timestamp\":\"",
                               TimeText(run.seal_time()), "\",\"data\":", ProtoJson(run), "}")};
}

std::vector<std::string> WebhookHeaders(const WebhookMessage& message,
                                        const std::vector<WebhookSecret>& secrets,
                                        int64_t timestamp) {
  return {"content-type: application/json", absl::StrCat("user-agent: picket/", kVersion),
          absl::StrCat("webhook-id: ", message.id), absl::StrCat("webhook-timestamp: ", timestamp),
          absl::StrCat("webhook-signature: ",
                       SignWebhook(secrets, message.id, timestamp, message.body))};
}

}  // namespace picket
