// File: webhook_signature.h
//
// Signatures of webhooks as Standard Webhooks has them (version 1.0.0, symmetric keys):
// HMAC-SHA256 over "ID.TIMESTAMP.BODY", told as "v1,BASE64".
//
// Source: github.com/standard-webhooks/standard-webhooks, spec/standard-webhooks.md.
//
// Thread rule: values; pure functions.

#ifndef COMMON_SIGNING_WEBHOOK_SIGNATURE_H_
#define COMMON_SIGNING_WEBHOOK_SIGNATURE_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace picket {

// Bytes of a secret, and secrets of one file.
inline constexpr size_t kWebhookSecretBytesLeast = 24;
inline constexpr size_t kWebhookSecretBytesMost = 64;
inline constexpr size_t kWebhookSecretsMost = 5;

// Wiped from memory when it goes.
class WebhookSecret {
 public:
  // "whsec_BASE64", of 24 to 64 bytes. InvalidArgument says what is wrong and never
  // repeats the text.
  static absl::StatusOr<WebhookSecret> Parse(absl::string_view text);
  ~WebhookSecret();
  WebhookSecret(const WebhookSecret&) = default;
  WebhookSecret& operator=(const WebhookSecret&) = default;

  // "v1,BASE64". REQUIRES: no '.' in `id`.
  std::string Sign(absl::string_view id, int64_t timestamp, absl::string_view body) const;

 private:
  explicit WebhookSecret(std::string key) : key_(std::move(key)) {}
  std::string key_;
};

// One secret a line, the current one first and those being rotated out after it; blank
// lines and lines that begin with '#' are passed over. InvalidArgument names the line.
absl::StatusOr<std::vector<WebhookSecret>> ParseWebhookSecrets(absl::string_view text);

// The signature of each secret, separated by blanks: the value of webhook-signature.
std::string SignWebhook(const std::vector<WebhookSecret>& secrets, absl::string_view id,
                        int64_t timestamp, absl::string_view body);

}  // namespace picket

#endif  // COMMON_SIGNING_WEBHOOK_SIGNATURE_H_
