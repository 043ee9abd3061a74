// File: masking.h
//
// Keeps secrets out of everything that leaves the engine. Masked forms of a value: as it
// is, base64 (also within a longer text, at any alignment, and the URL alphabet),
// percent-encoded (both cases of hexadecimal digits, and '+' for a blank), JSON-escaped,
// HTML-escaped. Writers differ in which characters they escape; any choice is recognised.
//
// Thread rule: thread-compatible; const calls may run together.

#ifndef AGENT_ENGINE_MASKING_H_
#define AGENT_ENGINE_MASKING_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace picket {

inline constexpr char kMask[] = "***";

class Masker {
 public:
  // Adding a value twice is harmless; an empty one is ignored.
  void AddSecret(absl::string_view value);
  bool empty() const { return needles_.empty(); }

  // `text` with every form of every secret replaced by kMask. Stops once the result has at
  // least `bytes_enough` bytes; a secret across that point is replaced whole.
  std::string Mask(absl::string_view text, size_t bytes_enough = SIZE_MAX) const;

 private:
  // Bytes at the start of `text` that are a form of a secret; 0 if it does not begin so.
  size_t FormLength(absl::string_view text) const;

  std::vector<std::string> secrets_;
  std::vector<std::string> needles_;  // longest first
};

// Must the field called `name` be masked whole? (Authorization, Cookie, Set-Cookie,
// Proxy-Authorization and their like; any case.)
bool IsSensitiveHeader(absl::string_view name);

// A text fit for people and for proto3 strings: bytes that are not UTF-8, and control
// characters but for newline and tab, become \xNN; cut at a character boundary so that the
// result holds at most `bytes_max` bytes, with "..." at the end if `mark` and something was
// cut.
std::string CleanText(absl::string_view text, size_t bytes_max, bool mark = true);

}  // namespace picket

#endif  // AGENT_ENGINE_MASKING_H_
