#include "common/telemetry/info_file.h"

#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/files.h"

namespace picket {
namespace {

// Length of the well-formed UTF-8 sequence at `i` (RFC 3629), or 0.
size_t SequenceLength(const std::string& text, size_t i) {
  const auto at = [&](size_t k) -> unsigned { return static_cast<unsigned char>(text[k]); };
  const unsigned c = at(i);
  size_t length = 0;
  unsigned low = 0x80, high = 0xbf;  // of the second byte
  if (c < 0x80) return 1;
  if (c >= 0xc2 && c <= 0xdf) {
    length = 2;
  } else if (c >= 0xe0 && c <= 0xef) {
    length = 3;
    if (c == 0xe0) low = 0xa0;
    if (c == 0xed) high = 0x9f;
  } else if (c >= 0xf0 && c <= 0xf4) {
    length = 4;
    if (c == 0xf0) low = 0x90;
    if (c == 0xf4) high = 0x8f;
  } else {
    return 0;
  }
  if (i + length > text.size() || at(i + 1) < low || at(i + 1) > high) return 0;
  for (size_t k = 2; k < length; ++k) {
    if ((at(i + k) & 0xc0) != 0x80) return 0;
  }
  return length;
}

}  // namespace

std::string JsonString(const std::string& text) {
  std::string out = "\"";
  for (size_t i = 0; i < text.size();) {
    const unsigned char c = static_cast<unsigned char>(text[i]);
    const size_t length = SequenceLength(text, i);
    if (length == 0) {
      out += "\xef\xbf\xbd";
      ++i;
      continue;
    }
    if (c == '"' || c == '\\') {
      out += '\\';
      out += text[i];
    } else if (c < 0x20 || c == 0x7f) {
      out += absl::StrFormat("\\u%04x", c);
    } else {
      out.append(text, i, length);
    }
    i += length;
  }
  out += '"';
  return out;
}

absl::Status WriteInfoFile(const std::string& path,
                           const std::vector<std::pair<std::string, std::string>>& addresses) {
  std::string json = "{";
  for (const auto& [name, address] : addresses) {
    absl::StrAppend(&json, JsonString(name), ":", JsonString(address), ",");
  }
  absl::StrAppend(&json, "\"pid\":", getpid(), "}\n");
  return WriteFileAtomically(path, json);
}

}  // namespace picket
