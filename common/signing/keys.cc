#include "common/signing/keys.h"

#include <sodium.h>

#include <algorithm>
#include <cstring>
#include <optional>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "common/policy/sha256.h"
#include "common/signing/base64.h"

namespace picket {
namespace {

constexpr absl::string_view kPrivateLabel = "PRIVATE KEY";
constexpr absl::string_view kPublicLabel = "PUBLIC KEY";

// DER up to the key's own bytes; 1.3.101.112 is id-Ed25519 (RFC 8410, section 3).
constexpr char kPkcs8[] = "\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20";
constexpr char kSpki[] = "\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00";
const absl::string_view kPkcs8Head(kPkcs8, sizeof kPkcs8 - 1);
const absl::string_view kSpkiHead(kSpki, sizeof kSpki - 1);
constexpr size_t kKeyBytes = 32;

void Initialise() {
  static const bool ready = sodium_init() >= 0;
  PICKET_CHECK(ready);  // else there is no source of randomness
}

const unsigned char* Bytes(absl::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

std::string Pem(absl::string_view label, absl::string_view der) {
  std::string text = EncodeBase64(der);
  std::string pem = absl::StrCat("-----BEGIN ", label, "-----\n");
  for (size_t i = 0; i < text.size(); i += 64) absl::StrAppend(&pem, text.substr(i, 64), "\n");
  absl::StrAppend(&pem, "-----END ", label, "-----\n");
  sodium_memzero(text.data(), text.size());
  return pem;
}

// The bytes of the first block, which must be labelled so. What stands before it and
// after it is explanatory text (RFC 7468, section 2).
absl::StatusOr<std::string> Unwrap(absl::string_view pem, absl::string_view label) {
  constexpr absl::string_view kBegin = "-----BEGIN ";
  const auto expected = [&](absl::string_view found) {
    return absl::InvalidArgumentError(absl::StrCat("it should hold an Ed25519 key as PEM '", label,
                                                   "', but holds ", found,
                                                   "; `picket keygen` makes both files"));
  };
  const size_t begin = pem.find(kBegin);
  if (begin == absl::string_view::npos) return expected("no PEM block");
  const size_t name = begin + kBegin.size();
  const size_t dashes = pem.find("-----", name);
  if (dashes == absl::string_view::npos) return expected("a broken PEM block");
  const absl::string_view found = pem.substr(name, dashes - name);
  if (found.size() > 40 ||
      found.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 ") != absl::string_view::npos) {
    return expected("a broken PEM block");
  }
  if (found != label) return expected(absl::StrCat("'", found, "'"));
  const absl::string_view rest = pem.substr(dashes + 5);
  const size_t end = rest.find(absl::StrCat("-----END ", label, "-----"));
  if (end == absl::string_view::npos) return expected("a PEM block without its end");
  std::optional<std::string> der = DecodeBase64(rest.substr(0, end), " \t\r\n");
  if (!der.has_value()) return expected("a PEM block that is not Base64");
  return *std::move(der);
}

absl::StatusOr<std::array<unsigned char, kKeyBytes>> KeyOf(absl::string_view pem,
                                                           absl::string_view label,
                                                           absl::string_view head) {
  ABSL_ASSIGN_OR_RETURN(std::string der, Unwrap(pem, label));
  if (der.size() != head.size() + kKeyBytes ||
      absl::string_view(der).substr(0, head.size()) != head) {
    return absl::InvalidArgumentError(
        absl::StrCat("the PEM '", label, "' is no Ed25519 key of ", head.size() + kKeyBytes,
                     " bytes; `picket keygen` and `openssl genpkey -algorithm ed25519` make one"));
  }
  std::array<unsigned char, kKeyBytes> key;
  std::memcpy(key.data(), der.data() + head.size(), kKeyBytes);
  sodium_memzero(der.data(), der.size());
  return key;
}

}  // namespace

absl::StatusOr<PublicKey> PublicKey::FromPem(absl::string_view pem) {
  ABSL_ASSIGN_OR_RETURN(const auto key, KeyOf(pem, kPublicLabel, kSpkiHead));
  return PublicKey(key);
}

std::string PublicKey::ToPem() const {
  return Pem(kPublicLabel,
             absl::StrCat(kSpkiHead, absl::string_view(reinterpret_cast<const char*>(bytes_.data()),
                                                       bytes_.size())));
}

std::string PublicKey::id() const {
  return absl::BytesToHexString(Sha256Digest(absl::StrCat(
      kSpkiHead, absl::string_view(reinterpret_cast<const char*>(bytes_.data()), bytes_.size()))));
}

bool PublicKey::Verify(absl::string_view message, absl::string_view signature) const {
  Initialise();
  return signature.size() == kSignatureBytes &&
         crypto_sign_verify_detached(Bytes(signature), Bytes(message), message.size(),
                                     bytes_.data()) == 0;
}

PrivateKey PrivateKey::Generate() {
  Initialise();
  std::array<unsigned char, kKeyBytes> seed;
  randombytes_buf(seed.data(), seed.size());
  PrivateKey key = FromSeed(seed);
  sodium_memzero(seed.data(), seed.size());
  return key;
}

PrivateKey PrivateKey::FromSeed(const std::array<unsigned char, 32>& seed) {
  Initialise();
  PrivateKey key;
  unsigned char unused[crypto_sign_PUBLICKEYBYTES];
  crypto_sign_seed_keypair(unused, key.bytes_.data(), seed.data());
  return key;
}

absl::StatusOr<PrivateKey> PrivateKey::FromPem(absl::string_view pem) {
  ABSL_ASSIGN_OR_RETURN(auto seed, KeyOf(pem, kPrivateLabel, kPkcs8Head));
  PrivateKey key = FromSeed(seed);
  sodium_memzero(seed.data(), seed.size());
  return key;
}

PrivateKey::~PrivateKey() { sodium_memzero(bytes_.data(), bytes_.size()); }

std::string PrivateKey::ToPem() const {
  std::string der = absl::StrCat(
      kPkcs8Head, absl::string_view(reinterpret_cast<const char*>(bytes_.data()), kKeyBytes));
  std::string pem = Pem(kPrivateLabel, der);
  sodium_memzero(der.data(), der.size());
  return pem;
}

PublicKey PrivateKey::public_key() const {
  std::array<unsigned char, kKeyBytes> key;
  std::memcpy(key.data(), bytes_.data() + kKeyBytes, kKeyBytes);
  return PublicKey(key);
}

std::string PrivateKey::Sign(absl::string_view message) const {
  std::string signature(kSignatureBytes, '\0');
  crypto_sign_detached(reinterpret_cast<unsigned char*>(signature.data()), nullptr, Bytes(message),
                       message.size(), bytes_.data());
  return signature;
}

}  // namespace picket
