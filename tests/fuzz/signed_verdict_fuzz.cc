// A signed verdict as `picket verify` reads it, and the parts of it by themselves.

#include <cstdint>

#include "common/base/check.h"
#include "common/signing/dsse.h"
#include "common/signing/keys.h"
#include "common/signing/statement.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace picket;
  static const PublicKey* const key = new PublicKey(PrivateKey::FromSeed({1}).public_key());
  const absl::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto envelope = ParseEnvelope(text); envelope.ok()) {
    // Nobody signs by guessing.
    PICKET_CHECK(!VerifyEnvelope(*envelope, *key));
    const auto again = ParseEnvelope(EnvelopeToJson(*envelope));
    PICKET_CHECK(again.ok() && again->payload == envelope->payload);
    (void)ParseStatement(envelope->payload);
  }
  if (const auto statement = ParseStatement(text); statement.ok()) {
    PICKET_CHECK(!statement->subjects.empty());
    const auto again = ParseStatement(StatementToJson(*statement));
    PICKET_CHECK(again.ok() && again->verdict == statement->verdict);
  }
  if (const auto subject = ParseSubject(text); subject.ok()) {
    PICKET_CHECK(*ParseSubject(SubjectText(*subject)) == *subject);
  }
  if (const auto pem = PublicKey::FromPem(text); pem.ok()) {
    PICKET_CHECK(*PublicKey::FromPem(pem->ToPem()) == *pem);
  }
  if (const auto pem = PrivateKey::FromPem(text); pem.ok()) {
    PICKET_CHECK(PrivateKey::FromPem(pem->ToPem()).ok());
  }
  return 0;
}
