// File: base64.h
//
// Base64 (RFC 4648) as DSSE has it: written in the standard alphabet with padding, read in
// the standard or the URL-safe one, with or without padding.
//
// Thread rule: pure.

#ifndef COMMON_SIGNING_BASE64_H_
#define COMMON_SIGNING_BASE64_H_

#include <optional>
#include <string>

#include "absl/strings/string_view.h"

namespace picket {

std::string EncodeBase64(absl::string_view bytes);

// Nothing if `text` is neither; `skip` names characters that are passed over.
std::optional<std::string> DecodeBase64(absl::string_view text, const char* skip = nullptr);

}  // namespace picket

#endif  // COMMON_SIGNING_BASE64_H_
