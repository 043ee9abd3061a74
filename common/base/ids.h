// File: ids.h
//
// The identifiers of Picket. All functions are pure and thread-safe.

#ifndef COMMON_BASE_IDS_H_
#define COMMON_BASE_IDS_H_

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/base/random.h"

namespace picket {

// A run id: 16 characters of 2-7a-z, five bits each in the order of their bytes, 80 bits:
// 44 bits of milliseconds since 2020-01-01, then 36 of chance; so ids sort by time.
std::string NewRunId(absl::Time now, Random& random);
bool IsRunId(absl::string_view id);

// A random UUID, version 4 (RFC 9562), lower case with hyphens.
std::string NewUuid(Random& random);
bool IsUuid(absl::string_view text);

// The result id `<run>-<execution>-<attempt>`, at most 30 characters.
std::string ResultId(absl::string_view run_id, uint32_t execution, uint32_t attempt);

// A test's default id: its name in lower case, each run of other characters than
// [a-z0-9] one '-', trimmed of '-' at both ends, at most 100 characters.
// Empty when nothing is left.
std::string Slug(absl::string_view name);

// A location name: [a-z0-9][a-z0-9._:-]{0,62}.
bool IsLocation(absl::string_view name);

}  // namespace picket

#endif  // COMMON_BASE_IDS_H_
