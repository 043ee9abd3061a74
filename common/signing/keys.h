// File: keys.h
//
// Ed25519 keys (RFC 8032) and the files they are kept in: PEM (RFC 7468) around PKCS#8
// and SubjectPublicKeyInfo as RFC 8410 has them, which is what openssl reads and writes:
//
//   -----BEGIN PRIVATE KEY-----   the 32-byte seed in PKCS#8, version 1, unencrypted
//   -----BEGIN PUBLIC KEY-----    the 32-byte public key in SubjectPublicKeyInfo
//
// Thread rule: values; const functions are safe to call from any thread.
// Errors: InvalidArgument says what a file holds in place of such a key.

#ifndef COMMON_SIGNING_KEYS_H_
#define COMMON_SIGNING_KEYS_H_

#include <array>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace picket {

// A key file of more bytes is not read.
inline constexpr size_t kKeyFileBytes = 64u << 10;
inline constexpr size_t kSignatureBytes = 64;

class PublicKey {
 public:
  explicit PublicKey(const std::array<unsigned char, 32>& bytes) : bytes_(bytes) {}
  // The one public key of a PEM text. A private key is refused: what verifies should not
  // hold what signs.
  static absl::StatusOr<PublicKey> FromPem(absl::string_view pem);

  std::string ToPem() const;
  // SHA-256 of its SubjectPublicKeyInfo, lower-case hexadecimal: a name, not a proof.
  std::string id() const;
  bool Verify(absl::string_view message, absl::string_view signature) const;

  friend bool operator==(const PublicKey& a, const PublicKey& b) { return a.bytes_ == b.bytes_; }

 private:
  std::array<unsigned char, 32> bytes_;
};

// Wiped from memory when it goes.
class PrivateKey {
 public:
  // From the system's source of randomness.
  static PrivateKey Generate();
  static PrivateKey FromSeed(const std::array<unsigned char, 32>& seed);
  static absl::StatusOr<PrivateKey> FromPem(absl::string_view pem);
  ~PrivateKey();
  PrivateKey(const PrivateKey&) = default;
  PrivateKey& operator=(const PrivateKey&) = default;

  std::string ToPem() const;
  PublicKey public_key() const;
  // kSignatureBytes bytes; the same for the same message.
  std::string Sign(absl::string_view message) const;

 private:
  PrivateKey() = default;
  // Seed, then public key: libsodium's form.
  std::array<unsigned char, 64> bytes_;
};

}  // namespace picket

#endif  // COMMON_SIGNING_KEYS_H_
