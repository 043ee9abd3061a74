#include "agent/engine/masking.h"

#include <algorithm>
#include <array>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "common/expr/json.h"
#include "common/expr/template.h"

namespace picket {
namespace {

// A shorter piece of base64 would match by chance.
constexpr size_t kShortestBase64 = 6;

// The characters of base64 that `value` alone decides when `before` bytes stand before it.
std::string Base64Core(absl::string_view value, size_t before) {
  const std::string padded = absl::StrCat(std::string(before, '\0'), value);
  const std::string encoded = absl::Base64Escape(padded);
  const size_t first = (before * 8 + 5) / 6;
  const size_t last = padded.size() * 8 / 6;
  return encoded.substr(first, last - first);
}

std::string LowerPercent(absl::string_view encoded) {
  std::string out(encoded);
  for (size_t i = 0; i + 2 < out.size(); ++i) {
    if (out[i] != '%') continue;
    out[i + 1] = absl::ascii_tolower(out[i + 1]);
    out[i + 2] = absl::ascii_tolower(out[i + 2]);
    i += 2;
  }
  return out;
}

// JSON with everything beyond ASCII written as \uXXXX too.
std::string JsonInner(absl::string_view value, bool ascii) {
  const std::string quoted =
      Json(std::string(value)).dump(-1, ' ', ascii, Json::error_handler_t::replace);
  return quoted.substr(1, quoted.size() - 2);
}

size_t Utf8Length(absl::string_view s, size_t i) {
  const unsigned char b = s[i];
  const size_t length = b < 0x80   ? 1
                        : b < 0xC0 ? 0
                        : b < 0xE0 ? 2
                        : b < 0xF0 ? 3
                        : b < 0xF8 ? 4
                                   : 0;
  if (length == 0 || i + length > s.size()) return 0;
  return length == 1 || IsValidUtf8(s.substr(i, length)) ? length : 0;
}

// Bytes at the start of `text` that are "%XX" for `byte`; 0 if it does not begin so.
size_t PercentForm(absl::string_view text, unsigned char byte) {
  if (text.size() < 3 || text[0] != '%' || !absl::ascii_isxdigit(text[1]) ||
      !absl::ascii_isxdigit(text[2])) {
    return 0;
  }
  const std::string decoded = absl::HexStringToBytes(text.substr(1, 2));
  return static_cast<unsigned char>(decoded[0]) == byte ? 3 : 0;
}

// As PercentForm, for what JSON may write for an ASCII character.
size_t JsonForm(absl::string_view text, char c) {
  if (text.size() < 2 || text[0] != '\\') return 0;
  if (text[1] != 'u') {
    static constexpr absl::string_view kNamed = "bfnrt", kMeant = "\b\f\n\r\t";
    const size_t at = kNamed.find(text[1]);
    if (at != absl::string_view::npos) return kMeant[at] == c ? 2 : 0;
    return text[1] == c && absl::StrContains("\"\\/'", absl::string_view(&c, 1)) ? 2 : 0;
  }
  if (text.size() < 6 || text.substr(2, 2) != "00") return 0;
  return PercentForm(absl::StrCat("%", text.substr(4, 2)), c) == 0 ? 0 : 6;
}

// As PercentForm, for what HTML may write for an ASCII character.
size_t HtmlForm(absl::string_view text, char c) {
  if (text.empty() || text[0] != '&') return 0;
  const int code = static_cast<unsigned char>(c);
  const std::string forms[] = {
      absl::StrCat("&#", code, ";"), absl::StrCat("&#0", code, ";"),
      absl::StrCat("&#x", absl::Hex(code), ";"), c == '&' ? "&amp;" : "",
      c == '<' ? "&lt;" : "", c == '>' ? "&gt;" : "", c == '"' ? "&quot;" : "",
      c == '\'' ? "&apos;" : ""};
  for (const std::string& form : forms) {
    if (!form.empty() && absl::StartsWithIgnoreCase(text, form)) return form.size();
  }
  return 0;
}

// Bytes at the start of `text` that spell `value`, each of its bytes plain or escaped as the
// writer saw fit; 0 if it does not begin so.
size_t SpeltLength(absl::string_view text, absl::string_view value) {
  size_t at = 0;
  for (size_t i = 0; i < value.size(); ++i) {
    const char c = value[i];
    const absl::string_view rest = text.substr(at);
    const size_t character = Utf8Length(value, i);
    if (character > 1 && absl::StartsWith(rest, "\\u")) {
      const std::string form = JsonInner(value.substr(i, character), true);
      if (!absl::StartsWithIgnoreCase(rest, form)) return 0;
      at += form.size();
      i += character - 1;
      continue;
    }
    size_t used = PercentForm(rest, static_cast<unsigned char>(c));
    if (used == 0 && absl::ascii_isascii(c)) used = JsonForm(rest, c);
    if (used == 0 && absl::ascii_isascii(c)) used = HtmlForm(rest, c);
    if (used == 0 && !rest.empty() && (rest[0] == c || (c == ' ' && rest[0] == '+'))) used = 1;
    if (used == 0) return 0;
    at += used;
  }
  return at;
}

}  // namespace

void Masker::AddSecret(absl::string_view value) {
  if (value.empty()) return;
  if (std::find(secrets_.begin(), secrets_.end(), value) != secrets_.end()) return;
  secrets_.emplace_back(value);
  std::vector<std::string> forms = {std::string(value)};
  for (size_t before = 0; before < 3; ++before) {
    const std::string core = Base64Core(value, before);
    if (core.size() < kShortestBase64) continue;
    forms.push_back(core);
    forms.push_back(absl::StrReplaceAll(core, {{"+", "-"}, {"/", "_"}}));
  }
  const std::string percent = PercentEncode(value);
  forms.push_back(percent);
  forms.push_back(LowerPercent(percent));
  forms.push_back(absl::StrReplaceAll(percent, {{"%20", "+"}}));
  const std::string json = JsonInner(value, false);
  forms.push_back(json);
  forms.push_back(absl::StrReplaceAll(json, {{"/", "\\/"}}));
  forms.push_back(JsonInner(value, true));
  for (std::string& form : forms) {
    if (!form.empty() && std::find(needles_.begin(), needles_.end(), form) == needles_.end()) {
      needles_.push_back(std::move(form));
    }
  }
  std::stable_sort(needles_.begin(), needles_.end(),
                   [](const std::string& a, const std::string& b) { return a.size() > b.size(); });
}

size_t Masker::FormLength(absl::string_view text) const {
  size_t longest = 0;
  for (const std::string& needle : needles_) {
    if (!absl::StartsWith(text, needle)) continue;
    longest = needle.size();  // the longest is first
    break;
  }
  for (const std::string& secret : secrets_) {
    longest = std::max(longest, SpeltLength(text, secret));
  }
  return longest;
}

std::string Masker::Mask(absl::string_view text, size_t bytes_enough) const {
  if (needles_.empty()) return std::string(text.substr(0, bytes_enough));
  std::string out;
  // One pass, so that what a mask puts in is never looked at again.
  std::array<bool, 256> starts{};
  for (const std::string& needle : needles_) starts[static_cast<unsigned char>(needle[0])] = true;
  for (const char escape : {'%', '\\', '&'}) starts[static_cast<unsigned char>(escape)] = true;
  size_t copied = 0;
  for (size_t i = 0; i < text.size();) {
    const size_t found =
        starts[static_cast<unsigned char>(text[i])] ? FormLength(text.substr(i)) : 0;
    if (found == 0) {
      ++i;
      if (out.size() + (i - copied) < bytes_enough) continue;
      absl::StrAppend(&out, text.substr(copied, i - copied));
      return out;
    }
    absl::StrAppend(&out, text.substr(copied, i - copied), kMask);
    i += found;
    copied = i;
    if (out.size() >= bytes_enough) return out;
  }
  absl::StrAppend(&out, text.substr(copied));
  return out;
}

bool IsSensitiveHeader(absl::string_view name) {
  static constexpr absl::string_view kNames[] = {"authorization", "cookie", "set-cookie",
                                                 "proxy-authorization", "x-amz-security-token"};
  for (absl::string_view sensitive : kNames) {
    if (absl::EqualsIgnoreCase(name, sensitive)) return true;
  }
  return false;
}

std::string CleanText(absl::string_view text, size_t bytes_max, bool mark) {
  static constexpr char kHex[] = "0123456789abcdef";
  const size_t room = mark && bytes_max >= 3 ? bytes_max - 3 : bytes_max;
  std::string out;
  out.reserve(std::min(text.size(), bytes_max));
  size_t fits = 0;  // bytes of `out` that may stay if the rest does not fit
  for (size_t i = 0; i < text.size();) {
    const unsigned char c = text[i];
    size_t length = Utf8Length(text, i);
    if ((c < 0x20 && c != '\n' && c != '\t') || c == 0x7f) length = 0;
    // U+0080 to U+009F are controls too.
    if (length == 2 && c == 0xC2 && static_cast<unsigned char>(text[i + 1]) < 0xA0) length = 0;
    if (length == 0) {
      const char escaped[] = {'\\', 'x', kHex[c >> 4], kHex[c & 15]};
      out.append(escaped, 4);
      ++i;
    } else {
      out.append(text.data() + i, length);
      i += length;
    }
    if (out.size() <= room) fits = out.size();
    if (out.size() > bytes_max) {
      out.resize(fits);
      if (mark && bytes_max >= 3) out += "...";
      return out;
    }
  }
  return out;
}

}  // namespace picket
