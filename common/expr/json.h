// File: json.h
//
// JSON as Picket reads, compares and writes it (RFC 8259). Everything that holds a
// JSON value in memory uses the alias `Json`; objects keep the order of the text.
//
// What is accepted: strict RFC 8259, strict UTF-8, no comments, no trailing text.
// Of two members with one name the last value stands, at the first one's place.
// Integers that fit 64 bits are exact; every other number is an IEEE double; one
// too large for a double is an error.
//
// Thread rule: all functions are pure.

#ifndef COMMON_EXPR_JSON_H_
#define COMMON_EXPR_JSON_H_

#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/policy/limits.h"

namespace picket {

using Json = nlohmann::ordered_json;

struct JsonBounds {
  int depth = DefaultLimits().json_depth;     // containers within containers
  size_t nodes = DefaultLimits().json_nodes;  // values, of all kinds
};

// Reads one JSON text. The bounds are checked while the text is read, before any
// tree past them exists.
// InvalidArgument: not JSON; the message names the byte offset, from 0.
// ResourceExhausted: a bound was reached; the message names it and the offset.
absl::StatusOr<Json> ParseJson(absl::string_view text, JsonBounds bounds = {});

// Compact text: no blanks, members in their order, non-ASCII as it is. Bytes that are
// not UTF-8 are replaced by U+FFFD.
std::string ToText(const Json& value);

// How a value appears inside text: a string as it is, everything else as ToText.
std::string ToPlainText(const Json& value);

// RFC 9535, section 2.3.5.2.2: numbers by mathematical value (1 == 1.0, exact for 64-bit
// integers), arrays by element, objects by member in any order.
bool JsonEquals(const Json& a, const Json& b);

// As JsonEquals, but spends one of `*budget` for each node compared (and one for each
// 64 bytes of a string); nothing once the budget is used up.
std::optional<bool> JsonEqualsWithin(const Json& a, const Json& b, size_t* budget);

// Equal values have equal hashes. For finding duplicates without comparing all pairs. The
// second form spends `*budget` like JsonEqualsWithin and leaves 0 when it ran out, in which
// case the hash means nothing.
uint64_t JsonHash(const Json& value);
uint64_t JsonHashWithin(const Json& value, size_t* budget);

// Compares two numbers by mathematical value. REQUIRES: a.is_number() && b.is_number().
int CompareNumbers(const Json& a, const Json& b);

// True for a number without a fractional part, however written (1, 1.0, 1e3).
bool IsIntegral(const Json& value);

// The member called `name`; null when `object` is no object or has none.
const Json* FindMember(const Json& object, absl::string_view name);

// The number of Unicode code points. REQUIRES: valid UTF-8.
size_t CountCodePoints(absl::string_view utf8);
bool IsValidUtf8(absl::string_view bytes);

// Containers within containers: 0 for a scalar, 1 for [] and {}.
int JsonDepth(const Json& value);

// `a`, `a/b` and so on as one reference token of a JSON Pointer (RFC 6901): ~ and / escaped.
std::string PointerToken(absl::string_view name);

// "null", "boolean", "number", "string", "array" or "object".
absl::string_view JsonTypeName(const Json& value);

}  // namespace picket

#endif  // COMMON_EXPR_JSON_H_
