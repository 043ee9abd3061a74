#include "common/signing/dsse.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/expr/json.h"
#include "common/signing/base64.h"

namespace picket {
namespace {

// A member that is text.
absl::StatusOr<std::string> Text(const Json& object, absl::string_view name) {
  const Json* member = FindMember(object, name);
  if (member == nullptr || !member->is_string()) {
    return absl::InvalidArgumentError(absl::StrCat("not a DSSE envelope: '", name, "' is ",
                                                   member == nullptr ? "missing" : "no text"));
  }
  return member->get<std::string>();
}

absl::StatusOr<std::string> Bytes(const Json& object, absl::string_view name) {
  ABSL_ASSIGN_OR_RETURN(const std::string text, Text(object, name));
  std::optional<std::string> bytes = DecodeBase64(text);
  if (!bytes.has_value()) {
    return absl::InvalidArgumentError(
        absl::StrCat("not a DSSE envelope: '", name, "' is not Base64"));
  }
  return *std::move(bytes);
}

}  // namespace

std::string PreAuthEncoding(absl::string_view payload_type, absl::string_view payload) {
  return absl::StrCat("DSSEv1 ", payload_type.size(), " ", payload_type, " ", payload.size(), " ",
                      payload);
}

Envelope SignEnvelope(absl::string_view payload_type, absl::string_view payload,
                      const PrivateKey& key) {
  return {.payload_type = std::string(payload_type),
          .payload = std::string(payload),
          .signatures = {{.key_id = key.public_key().id(),
                          .bytes = key.Sign(PreAuthEncoding(payload_type, payload))}}};
}

std::string EnvelopeToJson(const Envelope& envelope) {
  Json signatures = Json::array();
  for (const Envelope::Signature& signature : envelope.signatures) {
    Json one = Json::object();
    if (!signature.key_id.empty()) one["keyid"] = signature.key_id;
    one["sig"] = EncodeBase64(signature.bytes);
    signatures.push_back(std::move(one));
  }
  Json json = Json::object();
  json["payloadType"] = envelope.payload_type;
  json["payload"] = EncodeBase64(envelope.payload);
  json["signatures"] = std::move(signatures);
  return absl::StrCat(ToText(json), "\n");
}

absl::StatusOr<Envelope> ParseEnvelope(absl::string_view json) {
  if (json.size() > kEnvelopeBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("not a DSSE envelope: more than ", kEnvelopeBytes, " bytes"));
  }
  const absl::StatusOr<Json> root = ParseJson(json);
  if (!root.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("not a DSSE envelope: ", root.status().message()));
  }
  Envelope envelope;
  ABSL_ASSIGN_OR_RETURN(envelope.payload_type, Text(*root, "payloadType"));
  ABSL_ASSIGN_OR_RETURN(envelope.payload, Bytes(*root, "payload"));
  const Json* signatures = FindMember(*root, "signatures");
  if (signatures == nullptr || !signatures->is_array() || signatures->empty() ||
      signatures->size() > kEnvelopeSignatures) {
    return absl::InvalidArgumentError(absl::StrCat(
        "not a DSSE envelope: 'signatures' must be a list of 1 to ", kEnvelopeSignatures));
  }
  for (const Json& signature : *signatures) {
    Envelope::Signature one;
    ABSL_ASSIGN_OR_RETURN(one.bytes, Bytes(signature, "sig"));
    if (FindMember(signature, "keyid") != nullptr) {
      ABSL_ASSIGN_OR_RETURN(one.key_id, Text(signature, "keyid"));
    }
    envelope.signatures.push_back(std::move(one));
  }
  return envelope;
}

bool VerifyEnvelope(const Envelope& envelope, const PublicKey& key) {
  const std::string message = PreAuthEncoding(envelope.payload_type, envelope.payload);
  return std::any_of(
      envelope.signatures.begin(), envelope.signatures.end(),
      [&](const Envelope::Signature& signature) { return key.Verify(message, signature.bytes); });
}

}  // namespace picket
