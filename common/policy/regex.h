// File: regex.h
//
// The one door to RE2, so that every regular expression a user writes is bounded
// and runs in linear time.
//
// Thread rule: a Regex is immutable and safe to use from any thread.

#ifndef COMMON_POLICY_REGEX_H_
#define COMMON_POLICY_REGEX_H_

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace picket {

class Regex {
 public:
  // InvalidArgument, with RE2's reason, when `pattern` does not compile or exceeds
  // Limits::regex_bytes or Limits::regex_memory_bytes.
  static absl::StatusOr<std::shared_ptr<const Regex>> Compile(absl::string_view pattern);
  virtual ~Regex() = default;

  // True if some part of `text` matches (unanchored).
  virtual bool Search(absl::string_view text) const = 0;
  // True if the whole of `text` matches.
  virtual bool FullMatch(absl::string_view text) const = 0;
  // The number of capturing groups.
  virtual int groups() const = 0;
  // The text of group `n` (0 = the whole match) of the first match; nothing when
  // there is no match or the group took no part in it. REQUIRES: 0 <= n <= groups().
  virtual std::optional<std::string> Group(absl::string_view text, int n) const = 0;
};

}  // namespace picket

#endif  // COMMON_POLICY_REGEX_H_
