// File: webhook_targets.h
//
// Who is told of sealed runs, as the operator wrote it: NAME=URL and NAME=FILE, the file
// holding the target's secrets. Nothing else ever names a target.
//
// Thread rule: thread-compatible; reads files.

#ifndef COORDINATOR_NOTIFY_WEBHOOK_TARGETS_H_
#define COORDINATOR_NOTIFY_WEBHOOK_TARGETS_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/signing/webhook_signature.h"

namespace picket {

struct WebhookTarget {
  std::string name;  // [a-z0-9][a-z0-9_-]{0,62}
  std::string url;
  std::string secret_file;
};

// InvalidArgument names the value: not NAME=…, a name used twice, a URL that is none, a
// target without its secrets, secrets without their target, a file that cannot be read or
// holds no secret.
absl::StatusOr<std::vector<WebhookTarget>> ReadWebhookTargets(
    const std::vector<std::string>& urls, const std::vector<std::string>& secret_files);

// The secrets as the file has them now. Errors name the file.
absl::StatusOr<std::vector<WebhookSecret>> ReadWebhookSecrets(const std::string& path);

}  // namespace picket

#endif  // COORDINATOR_NOTIFY_WEBHOOK_TARGETS_H_
