// File: sha256.h
//
// SHA-256 (FIPS 180-4), for the digests by which files and tests are named. Not for
// secrets: those are OpenSSL's business, in the rooms that may use it.
//
// Thread rule: a pure function.

#ifndef COMMON_POLICY_SHA256_H_
#define COMMON_POLICY_SHA256_H_

#include <string>

#include "absl/strings/string_view.h"

namespace picket {

// The digest, 32 bytes.
std::string Sha256Digest(absl::string_view bytes);

}  // namespace picket

#endif  // COMMON_POLICY_SHA256_H_
