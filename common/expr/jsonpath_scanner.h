// File: jsonpath_scanner.h
//
// The words of JSONPath: where the parser stands in the text, how it complains, and its
// strings and numbers. Private to common/expr. Thread rule: one owner.

#ifndef COMMON_EXPR_JSONPATH_SCANNER_H_
#define COMMON_EXPR_JSONPATH_SCANNER_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/string_view.h"
#include "common/expr/json.h"

namespace picket::jsonpath {

class Scanner {
 public:
  // `text` must outlive the scanner.
  explicit Scanner(absl::string_view text) : text_(text) {}

  // The byte at which the last complaint pointed.
  size_t error_offset() const { return error_offset_; }

 protected:
  // What stands at the current position, for messages.
  std::string Found() const;
  // InvalidArgument: "expected ... but found ..." at the current position.
  absl::Status Fail(absl::string_view expected);
  absl::Status FailAt(size_t offset, absl::string_view what);

  bool At(char c) const { return at_ < text_.size() && text_[at_] == c; }
  bool AtText(absl::string_view s) const { return absl::StartsWith(text_.substr(at_), s); }
  bool AtDigit() const { return at_ < text_.size() && absl::ascii_isdigit(text_[at_]); }
  bool Take(absl::string_view s) {
    if (!AtText(s)) return false;
    at_ += s.size();
    return true;
  }
  void Blanks() {
    while (At(' ') || At('\t') || At('\n') || At('\r')) ++at_;
  }

  // An integer of RFC 9535's `int`, within the range of I-JSON.
  absl::StatusOr<int64_t> ParseInteger();
  // A quoted string. REQUIRES: At('\'') || At('"').
  absl::StatusOr<std::string> ParseString();
  // A number literal of a filter.
  absl::StatusOr<Json> ParseNumber();

  const absl::string_view text_;
  size_t at_ = 0;

 private:
  absl::StatusOr<uint32_t> ParseHex4();
  absl::Status ParseEscape(char quote, std::string* out);

  size_t error_offset_ = 0;
};

}  // namespace picket::jsonpath

#endif  // COMMON_EXPR_JSONPATH_SCANNER_H_
