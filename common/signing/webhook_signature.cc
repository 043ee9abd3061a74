#include "common/signing/webhook_signature.h"

#include <sodium.h>

#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/signing/base64.h"

namespace picket {
namespace {

const unsigned char* Bytes(absl::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

}  // namespace

absl::StatusOr<WebhookSecret> WebhookSecret::Parse(absl::string_view text) {
  if (!absl::ConsumePrefix(&text, "whsec_")) {
    return absl::InvalidArgumentError("a webhook secret is whsec_ and then base64");
  }
  std::optional<std::string> key = DecodeBase64(text);
  if (!key.has_value()) {
    return absl::InvalidArgumentError("what follows whsec_ is not base64");
  }
  if (key->size() < kWebhookSecretBytesLeast || key->size() > kWebhookSecretBytesMost) {
    return absl::InvalidArgumentError(
        absl::StrCat("a webhook secret holds ", kWebhookSecretBytesLeast, " to ",
                     kWebhookSecretBytesMost, " bytes, not ", key->size()));
  }
  return WebhookSecret(*std::move(key));
}

WebhookSecret::~WebhookSecret() { sodium_memzero(key_.data(), key_.size()); }

std::string WebhookSecret::Sign(absl::string_view id, int64_t timestamp,
                                absl::string_view body) const {
  const std::string head = absl::StrCat(id, ".", timestamp, ".");
  crypto_auth_hmacsha256_state state;
  crypto_auth_hmacsha256_init(&state, Bytes(key_), key_.size());
  crypto_auth_hmacsha256_update(&state, Bytes(head), head.size());
  crypto_auth_hmacsha256_update(&state, Bytes(body), body.size());
  std::string sum(crypto_auth_hmacsha256_BYTES, '\0');
  crypto_auth_hmacsha256_final(&state, reinterpret_cast<unsigned char*>(sum.data()));
  sodium_memzero(&state, sizeof state);
  return absl::StrCat("v1,", EncodeBase64(sum));
}

absl::StatusOr<std::vector<WebhookSecret>> ParseWebhookSecrets(absl::string_view text) {
  std::vector<WebhookSecret> secrets;
  int number = 0;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    ++number;
    line = absl::StripAsciiWhitespace(line);
    if (line.empty() || line[0] == '#') continue;
    absl::StatusOr<WebhookSecret> secret = WebhookSecret::Parse(line);
    if (!secret.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat("line ", number, ": ", secret.status().message()));
    }
    if (secrets.size() == kWebhookSecretsMost) {
      return absl::InvalidArgumentError(
          absl::StrCat("line ", number, ": more than ", kWebhookSecretsMost, " secrets"));
    }
    secrets.push_back(*std::move(secret));
  }
  if (secrets.empty()) return absl::InvalidArgumentError("there is no secret in it");
  return secrets;
}

std::string SignWebhook(const std::vector<WebhookSecret>& secrets, absl::string_view id,
                        int64_t timestamp, absl::string_view body) {
  std::string value;
  for (const WebhookSecret& secret : secrets) {
    absl::StrAppend(&value, value.empty() ? "" : " ", secret.Sign(id, timestamp, body));
  }
  return value;
}

}  // namespace picket
