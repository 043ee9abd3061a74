// File: dsse.h
//
// DSSE 1.0 envelopes (github.com/secure-systems-lab/dsse, protocol.md and envelope.md):
// a payload, its type, and signatures over both by way of the pre-authentication
// encoding. The key id of a signature is a hint only and decides nothing.
//
// Thread rule: pure.

#ifndef COMMON_SIGNING_DSSE_H_
#define COMMON_SIGNING_DSSE_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/signing/keys.h"

namespace picket {

// A larger envelope is not read.
inline constexpr size_t kEnvelopeBytes = 16u << 20;
inline constexpr size_t kEnvelopeSignatures = 64;

struct Envelope {
  struct Signature {
    std::string key_id;  // may be empty
    std::string bytes;
  };
  std::string payload_type;
  std::string payload;
  std::vector<Signature> signatures;
};

// "DSSEv1 LEN(type) type LEN(payload) payload": what is signed.
std::string PreAuthEncoding(absl::string_view payload_type, absl::string_view payload);

Envelope SignEnvelope(absl::string_view payload_type, absl::string_view payload,
                      const PrivateKey& key);

// One JSON object on one line, with a line break after it.
std::string EnvelopeToJson(const Envelope& envelope);

// InvalidArgument says what is missing or malformed. Members that DSSE does not know are
// passed over. Nothing is verified.
absl::StatusOr<Envelope> ParseEnvelope(absl::string_view json);

// Whether one of the signatures is the key's, over this payload and type.
bool VerifyEnvelope(const Envelope& envelope, const PublicKey& key);

}  // namespace picket

#endif  // COMMON_SIGNING_DSSE_H_
