#include "common/report/escape.h"

#include <cstdint>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"

namespace picket {
namespace {

constexpr uint32_t kInvalid = 0xffffffff;

// Commands of GitHub's older form are obeyed wherever they stand in a line.
constexpr std::pair<absl::string_view, absl::string_view> kOldCommand = {"##[", "#\\x23["};

// Takes one code point off the front of `text`; kInvalid takes one byte.
// Unicode 15, table 3-7: overlong forms, surrogates and values past U+10FFFF are invalid.
uint32_t TakeCodePoint(absl::string_view& text) {
  const auto byte = [&](size_t i) -> uint32_t {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u;
  };
  const uint32_t first = byte(0);
  size_t length = 1;
  uint32_t value = first, least = 0;
  if (first >= 0x80) {
    if (first >= 0xc2 && first <= 0xdf) {
      length = 2, value = first & 0x1f, least = 0x80;
    } else if (first >= 0xe0 && first <= 0xef) {
      length = 3, value = first & 0x0f, least = 0x800;
    } else if (first >= 0xf0 && first <= 0xf4) {
      length = 4, value = first & 0x07, least = 0x10000;
    } else {
      text.remove_prefix(1);
      return kInvalid;
    }
    for (size_t i = 1; i < length; ++i) {
      if ((byte(i) & 0xc0) != 0x80) {
        text.remove_prefix(1);
        return kInvalid;
      }
      value = value << 6 | (byte(i) & 0x3f);
    }
    if (value < least || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff)) {
      text.remove_prefix(1);
      return kInvalid;
    }
  }
  text.remove_prefix(length);
  return value;
}

bool IsControl(uint32_t c) { return c < 0x20 || (c >= 0x7f && c <= 0x9f); }

// What changes the direction or the line of text without being seen.
bool IsInvisible(uint32_t c) {
  return c == 0x61c || c == 0x200e || c == 0x200f || (c >= 0x2028 && c <= 0x202e) ||
         (c >= 0x2066 && c <= 0x2069) || c == 0xfeff || c == 0xfffe || c == 0xffff;
}

// What stands for a code point that must not be shown as it is; empty for others.
std::string Substitute(uint32_t c, absl::string_view bytes) {
  if (c == kInvalid) return absl::StrFormat("\\x%02x", static_cast<unsigned char>(bytes[0]));
  if (IsControl(c)) return absl::StrFormat("\\x%02x", c);
  if (IsInvisible(c)) return absl::StrFormat("\\u%04x", c);
  return "";
}

// Walks `text`; `plain(out, c, bytes)` appends a harmless code point as its sink wants it.
template <typename Plain>
std::string Escape(absl::string_view text, Plain plain) {
  std::string out;
  out.reserve(text.size() + 8);
  while (!text.empty()) {
    const absl::string_view before = text;
    const uint32_t c = TakeCodePoint(text);
    const absl::string_view bytes = before.substr(0, before.size() - text.size());
    if (c != kInvalid && !IsControl(c) && !IsInvisible(c)) {
      plain(out, c, bytes);
      continue;
    }
    const std::string substitute = Substitute(c, bytes);
    for (size_t i = 0; i < substitute.size(); ++i) {
      plain(out, static_cast<unsigned char>(substitute[i]),
            absl::string_view(substitute).substr(i, 1));
    }
  }
  return out;
}

void AppendBytes(std::string& out, uint32_t, absl::string_view bytes) {
  out.append(bytes.data(), bytes.size());
}

void AppendMarkup(std::string& out, uint32_t c, absl::string_view bytes) {
  switch (c) {
    case '&':
      out += "&amp;";
      break;
    case '<':
      out += "&lt;";
      break;
    case '>':
      out += "&gt;";
      break;
    case '"':
      out += "&quot;";
      break;
    case '\'':
      out += "&#39;";
      break;
    default:
      AppendBytes(out, c, bytes);
  }
}

size_t ColumnsOf(uint32_t c) {
  const bool wide = (c >= 0x1100 && c <= 0x115f) || (c >= 0x2e80 && c <= 0xa4cf) ||
                    (c >= 0xac00 && c <= 0xd7a3) || (c >= 0xf900 && c <= 0xfaff) ||
                    (c >= 0xfe30 && c <= 0xfe6f) || (c >= 0xff00 && c <= 0xff60) || c >= 0x1f300;
  return wide ? 2 : 1;
}

}  // namespace

std::string EscapeTerminal(absl::string_view text) { return Escape(text, AppendBytes); }

std::string EscapeGithubLog(absl::string_view text) {
  std::string out = absl::StrReplaceAll(EscapeTerminal(text), {kOldCommand});
  const size_t start = out.find_first_not_of(' ');
  if (start != std::string::npos && absl::StartsWith(absl::string_view(out).substr(start), "::")) {
    out.replace(start, 1, "\\x3a");
  }
  return out;
}

std::string EscapeGithubData(absl::string_view text) {
  return absl::StrReplaceAll(EscapeTerminal(text), {kOldCommand, {"%", "%25"}});
}

std::string EscapeGithubProperty(absl::string_view text) {
  return absl::StrReplaceAll(EscapeTerminal(text),
                             {kOldCommand, {"%", "%25"}, {":", "%3A"}, {",", "%2C"}});
}

std::string EscapeXml(absl::string_view text) { return Escape(text, AppendMarkup); }
std::string EscapeHtml(absl::string_view text) { return Escape(text, AppendMarkup); }

std::string EscapeMarkdown(absl::string_view text) {
  return Escape(text, [](std::string& out, uint32_t c, absl::string_view bytes) {
    // Entities, not backslashes: inside a table cell `\|` and `\\|` read differently from
    // one renderer to the next, and a backslash does not stop an autolink or a mention.
    if (c < 0x80 && absl::StrContains("\\`*_{}[]()<>#+!|~&@:$^=\"'-.", static_cast<char>(c))) {
      if (c == '-' || c == '.') {
        out += static_cast<char>(c);
      } else {
        absl::StrAppend(&out, "&#", c, ";");
      }
    } else {
      AppendBytes(out, c, bytes);
    }
  });
}

std::string EscapeTap(absl::string_view text) {
  return Escape(text, [](std::string& out, uint32_t c, absl::string_view bytes) {
    if (c == '#' || c == '\\') out += '\\';
    AppendBytes(out, c, bytes);
  });
}

std::string QuoteJson(absl::string_view text) {
  std::string out;
  out.reserve(text.size() + 2);
  out += '"';
  while (!text.empty()) {
    const absl::string_view before = text;
    const uint32_t c = TakeCodePoint(text);
    switch (c) {
      case kInvalid:
        out += "\xef\xbf\xbd";
        continue;
      case '"':
        out += "\\\"";
        continue;
      case '\\':
        out += "\\\\";
        continue;
      case '\n':
        out += "\\n";
        continue;
      case '\r':
        out += "\\r";
        continue;
      case '\t':
        out += "\\t";
        continue;
      default:
        break;
    }
    // What a terminal or an editor would obey; '<' could end a script element.
    if (IsControl(c) || IsInvisible(c) || c == '<') {
      absl::StrAppendFormat(&out, "\\u%04x", c);
    } else {
      out.append(before.data(), before.size() - text.size());
    }
  }
  out += '"';
  return out;
}

size_t CountColumns(absl::string_view text) {
  size_t columns = 0;
  while (!text.empty()) columns += ColumnsOf(TakeCodePoint(text));
  return columns;
}

std::string CutToColumns(absl::string_view text, size_t columns) {
  if (CountColumns(text) <= columns) return std::string(text);
  const size_t room = columns > 3 ? columns - 3 : 0;
  size_t used = 0;
  absl::string_view rest = text;
  while (!rest.empty()) {
    absl::string_view next = rest;
    const size_t wide = ColumnsOf(TakeCodePoint(next));
    if (used + wide > room) break;
    used += wide;
    rest = next;
  }
  return absl::StrCat(text.substr(0, text.size() - rest.size()),
                      std::string(columns < 3 ? columns : 3, '.'));
}

std::string CutToBytes(absl::string_view text, size_t bytes) {
  if (text.size() <= bytes) return std::string(text);
  size_t end = bytes > 3 ? bytes - 3 : 0;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  return absl::StrCat(text.substr(0, end), "...");
}

}  // namespace picket
