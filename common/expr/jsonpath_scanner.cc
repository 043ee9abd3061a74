#include "common/expr/jsonpath_scanner.h"

#include <cmath>
#include <cstdlib>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"

namespace picket::jsonpath {
namespace {

constexpr int64_t kIntegerMost = (int64_t{1} << 53) - 1;  // I-JSON, RFC 7493

void AppendUtf8(uint32_t code, std::string* out) {
  if (code < 0x80) {
    *out += static_cast<char>(code);
  } else if (code < 0x800) {
    *out += static_cast<char>(0xC0 | (code >> 6));
    *out += static_cast<char>(0x80 | (code & 0x3F));
  } else if (code < 0x10000) {
    *out += static_cast<char>(0xE0 | (code >> 12));
    *out += static_cast<char>(0x80 | ((code >> 6) & 0x3F));
    *out += static_cast<char>(0x80 | (code & 0x3F));
  } else {
    *out += static_cast<char>(0xF0 | (code >> 18));
    *out += static_cast<char>(0x80 | ((code >> 12) & 0x3F));
    *out += static_cast<char>(0x80 | ((code >> 6) & 0x3F));
    *out += static_cast<char>(0x80 | (code & 0x3F));
  }
}

}  // namespace

std::string Scanner::Found() const {
  if (at_ >= text_.size()) return "the end";
  size_t length = 1;
  while (at_ + length < text_.size() && (text_[at_ + length] & 0xC0) == 0x80) ++length;
  if (length == 1 && !absl::ascii_isprint(text_[at_])) return "a control character";
  return absl::StrCat("'", text_.substr(at_, length), "'");
}

absl::Status Scanner::Fail(absl::string_view expected) {
  return FailAt(at_, absl::StrCat("expected ", expected, " but found ", Found()));
}

absl::Status Scanner::FailAt(size_t offset, absl::string_view what) {
  error_offset_ = offset;
  return absl::InvalidArgumentError(absl::StrCat("not a JSONPath query (RFC 9535): at character ",
                                                 CountCodePoints(text_.substr(0, offset)) + 1, ": ",
                                                 what));
}

absl::StatusOr<int64_t> Scanner::ParseInteger() {
  const size_t start = at_;
  const bool negative = Take("-");
  if (!AtDigit()) return Fail("a digit");
  if (At('0')) {
    ++at_;
    if (negative) return FailAt(start, "expected an integer, but -0 is not one here");
    if (AtDigit()) return FailAt(start, "expected an integer without leading zeros");
    return 0;
  }
  while (AtDigit()) ++at_;
  int64_t value = 0;
  if (!absl::SimpleAtoi(text_.substr(start, at_ - start), &value) || value > kIntegerMost ||
      value < -kIntegerMost) {
    return FailAt(start, "expected an integer of at most 2^53 - 1 either way");
  }
  return value;
}

absl::StatusOr<uint32_t> Scanner::ParseHex4() {
  uint32_t code = 0;
  for (int i = 0; i < 4; ++i, ++at_) {
    if (at_ >= text_.size() || !absl::ascii_isxdigit(text_[at_])) {
      return Fail("four hexadecimal digits after \\u");
    }
    const char c = absl::ascii_tolower(text_[at_]);
    code = code * 16 + (c <= '9' ? c - '0' : c - 'a' + 10);
  }
  return code;
}

absl::Status Scanner::ParseEscape(char quote, std::string* out) {
  static constexpr absl::string_view kFrom = "btnfr/\\";
  static constexpr absl::string_view kTo = "\b\t\n\f\r/\\";
  if (at_ >= text_.size()) return Fail("an escaped character");
  const char c = text_[at_];
  if (c == quote) {
    *out += c;
    ++at_;
    return absl::OkStatus();
  }
  if (const size_t k = kFrom.find(c); k != absl::string_view::npos) {
    *out += kTo[k];
    ++at_;
    return absl::OkStatus();
  }
  if (c != 'u') {
    return Fail(absl::StrCat("one of b f n r t / \\ u ", std::string(1, quote), " after '\\'"));
  }
  const size_t start = at_ - 1;
  ++at_;
  ABSL_ASSIGN_OR_RETURN(uint32_t code, ParseHex4());
  if (code >= 0xDC00 && code <= 0xDFFF) {
    return FailAt(start, "expected a high surrogate before this low one");
  }
  if (code >= 0xD800 && code <= 0xDBFF) {
    if (!Take("\\u")) return Fail("a low surrogate (\\uDC00 to \\uDFFF)");
    ABSL_ASSIGN_OR_RETURN(const uint32_t low, ParseHex4());
    if (low < 0xDC00 || low > 0xDFFF) {
      return FailAt(at_ - 6, "expected a low surrogate (\\uDC00 to \\uDFFF)");
    }
    code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
  }
  AppendUtf8(code, out);
  return absl::OkStatus();
}

absl::StatusOr<std::string> Scanner::ParseString() {
  const char quote = text_[at_++];
  std::string value;
  while (!At(quote)) {
    if (at_ >= text_.size()) return Fail(absl::StrCat("a closing ", std::string(1, quote)));
    const unsigned char c = text_[at_];
    if (c < 0x20) return Fail("an escape such as \\n or \\u0001");
    ++at_;
    if (c != '\\') {
      value += static_cast<char>(c);
      continue;
    }
    ABSL_RETURN_IF_ERROR(ParseEscape(quote, &value));
  }
  ++at_;
  return value;
}

absl::StatusOr<Json> Scanner::ParseNumber() {
  const size_t start = at_;
  bool integer = true;
  Take("-");
  if (!AtDigit()) return Fail("a digit");
  if (Take("0")) {
    if (AtDigit()) return FailAt(start, "expected a number without leading zeros");
  }
  while (AtDigit()) ++at_;
  if (At('.')) {
    integer = false;
    ++at_;
    if (!AtDigit()) return Fail("a digit");
    while (AtDigit()) ++at_;
  }
  if (At('e') || At('E')) {
    integer = false;
    ++at_;
    if (At('+') || At('-')) ++at_;
    if (!AtDigit()) return Fail("a digit");
    while (AtDigit()) ++at_;
  }
  const std::string digits(text_.substr(start, at_ - start));
  if (int64_t value; integer && absl::SimpleAtoi(digits, &value)) return Json(value);
  if (uint64_t value; integer && absl::SimpleAtoi(digits, &value)) return Json(value);
  const double value = std::strtod(digits.c_str(), nullptr);
  if (!std::isfinite(value)) return FailAt(start, "expected a number that fits a double");
  return Json(value);
}

}  // namespace picket::jsonpath
