// File: crc32c.h
//
// CRC-32C (Castagnoli), as RFC 3720 appendix B.4 defines it: the checksum of the
// spool's records. Pure.

#ifndef AGENT_SESSION_CRC32C_H_
#define AGENT_SESSION_CRC32C_H_

#include <cstdint>

#include "absl/strings/string_view.h"

namespace picket {

// Crc32c("123456789") == 0xe3069283. `seed` is the value of the bytes before.
uint32_t Crc32c(absl::string_view bytes, uint32_t seed = 0);

// The same on a processor without the instruction: what tests compare with.
uint32_t Crc32cByTable(absl::string_view bytes, uint32_t seed = 0);

}  // namespace picket

#endif  // AGENT_SESSION_CRC32C_H_
