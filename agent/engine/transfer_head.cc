#include "agent/engine/transfer_head.h"

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "agent/engine/limits.h"

namespace picket {
namespace {

// RFC 9110, section 5.6.2.
bool IsTokenCharacter(char c) {
  if (absl::ascii_isalnum(static_cast<unsigned char>(c))) return true;
  switch (c) {
    case '!':
    case '#':
    case '$':
    case '%':
    case '&':
    case '\'':
    case '*':
    case '+':
    case '-':
    case '.':
    case '^':
    case '_':
    case '`':
    case '|':
    case '~':
      return true;
    default:
      return false;
  }
}

bool IsToken(absl::string_view text) {
  if (text.empty()) return false;
  for (const char c : text) {
    if (!IsTokenCharacter(c)) return false;
  }
  return true;
}

// Target text for a message: bounded, without control characters.
std::string Shown(absl::string_view text) {
  return absl::StrCat("'", absl::CHexEscape(text.substr(0, 80)), text.size() > 80 ? "…" : "", "'");
}

absl::string_view WithoutLineEnd(absl::string_view line) {
  if (!line.empty() && line.back() == '\n') line.remove_suffix(1);
  if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
  return line;
}

}  // namespace

void ResponseHead::Reset() { *this = ResponseHead(); }

bool ResponseHead::Line(absl::string_view raw) {
  if (reason_ != v1::FailureReason::none) return false;
  bytes_ += raw.size();
  const EngineLimits& limits = DefaultEngineLimits();
  if (bytes_ > limits.response_header_bytes) {
    return TooLarge(
        absl::StrCat("its header has more than ", limits.response_header_bytes, " bytes"));
  }
  const absl::string_view line = WithoutLineEnd(raw);
  if (!in_head_ && !complete_) return StatusLine(line);
  // After the head: libcurl hands a further head over when it has answered an
  // authentication challenge, else these are trailers.
  if (!in_head_ && absl::StartsWith(line, "HTTP/")) return StatusLine(line);
  if (line.empty()) return End();
  if (complete_) {
    if (++count_ > limits.response_header_fields) {
      return TooLarge(
          absl::StrCat("it has more than ", limits.response_header_fields, " header fields"));
    }
    return true;  // a trailer: counted, not kept
  }
  return Field(line);
}

bool ResponseHead::StatusLine(absl::string_view line) {
  begun_ = true;
  in_head_ = true;
  complete_ = false;
  fields_.clear();
  content_length_.reset();
  chunked_ = false;
  folded_ = false;
  status_line_ = std::string(line);
  absl::string_view rest = line;
  const size_t space = rest.find(' ');
  const absl::string_view protocol = rest.substr(0, space);
  if (protocol == "HTTP/1.1" || protocol == "HTTP/1.0") {
    version_ = std::string(protocol.substr(5));
  } else if (protocol == "HTTP/2" || protocol == "HTTP/2.0") {
    version_ = "2";
  } else {
    return Refuse(absl::StrCat("its status line is ", Shown(line)));
  }
  rest = space == absl::string_view::npos ? absl::string_view() : rest.substr(space + 1);
  if (rest.size() < 3 || !absl::ascii_isdigit(rest[0]) || !absl::ascii_isdigit(rest[1]) ||
      !absl::ascii_isdigit(rest[2]) || (rest.size() > 3 && rest[3] != ' ') || rest[0] == '0') {
    return Refuse(absl::StrCat("its status line is ", Shown(line)));
  }
  status_ = (rest[0] - '0') * 100 + (rest[1] - '0') * 10 + (rest[2] - '0');
  if (status_ == 101) return Refuse("it switches protocols (101) unasked");
  if (status_ < 200 && ++interim_ > static_cast<int>(DefaultEngineLimits().interim_responses)) {
    return TooLarge(absl::StrCat("more than ", DefaultEngineLimits().interim_responses,
                                 " interim responses (1xx) came before it"));
  }
  return true;
}

bool ResponseHead::Field(absl::string_view line) {
  if (line[0] == ' ' || line[0] == '\t') {
    // A folded line (RFC 9112, section 5.2) continues the last field.
    if (fields_.empty()) return Refuse("its first header line begins with a space");
    absl::StrAppend(&fields_.back().second, " ", absl::StripAsciiWhitespace(line));
    folded_ = true;
    return true;
  }
  if (++count_ > DefaultEngineLimits().response_header_fields) {
    return TooLarge(absl::StrCat("it has more than ", DefaultEngineLimits().response_header_fields,
                                 " header fields"));
  }
  const size_t colon = line.find(':', 1);  // pseudo-fields of HTTP/2 begin with one
  if (colon == absl::string_view::npos) {
    return Refuse(absl::StrCat("the header line ", Shown(line), " has no colon"));
  }
  const absl::string_view name = line.substr(0, colon);
  const absl::string_view value = absl::StripAsciiWhitespace(line.substr(colon + 1));
  if (!IsToken(name)) return Refuse(absl::StrCat(Shown(name), " is not the name of a header"));
  for (const char c : value) {
    if (c == '\0' || c == '\r') {
      return Refuse(absl::StrCat("the value of its header ", name, " holds a control character"));
    }
  }
  if (!CheckField(name, value)) return false;
  fields_.emplace_back(std::string(name), std::string(value));
  return true;
}

bool ResponseHead::CheckField(absl::string_view name, absl::string_view value) {
  if (absl::EqualsIgnoreCase(name, "content-length")) return CheckLength(value);
  if (absl::EqualsIgnoreCase(name, "transfer-encoding") && version_ != "2") {
    if (version_ == "1.0") return Refuse("it is HTTP/1.0 with a Transfer-Encoding");
    if (chunked_ || !absl::EqualsIgnoreCase(value, "chunked")) {
      return Refuse(
          absl::StrCat("its Transfer-Encoding is ", Shown(value), ", which was not asked for"));
    }
    chunked_ = true;
  }
  return true;
}

bool ResponseHead::CheckLength(absl::string_view value) {
  // A list of equal lengths is one length (RFC 9110, section 8.6).
  for (absl::string_view part : absl::StrSplit(value, ',')) {
    part = absl::StripAsciiWhitespace(part);
    uint64_t length = 0;
    bool digits = !part.empty();
    for (const char c : part) digits = digits && absl::ascii_isdigit(static_cast<unsigned char>(c));
    if (!digits || !absl::SimpleAtoi(part, &length) || length > (uint64_t{1} << 62)) {
      return Refuse(absl::StrCat("its Content-Length is ", Shown(value)));
    }
    if (content_length_.has_value() && *content_length_ != length) {
      return Refuse(absl::StrCat("it has two different Content-Lengths, ", *content_length_,
                                 " and ", length));
    }
    content_length_ = length;
  }
  return true;
}

bool ResponseHead::End() {
  if (complete_) return true;  // the end of the trailers
  in_head_ = false;
  if (folded_) {
    // A folded length was read before its continuation: read it again, whole.
    content_length_.reset();
    chunked_ = false;
    for (const auto& [name, value] : fields_) {
      if (!CheckField(name, value)) return false;
    }
  }
  if (chunked_ && content_length_.has_value()) {
    return Refuse("it has both a Content-Length and a Transfer-Encoding");
  }
  if (status_ < 200) {
    fields_.clear();
    content_length_.reset();
    return true;
  }
  complete_ = true;
  return true;
}

std::vector<std::string> ResponseHead::codings() const {
  std::vector<std::string> codings;
  for (const auto& [name, value] : fields_) {
    if (!absl::EqualsIgnoreCase(name, "content-encoding")) continue;
    for (const absl::string_view part : absl::StrSplit(value, ',')) {
      codings.emplace_back(absl::StripAsciiWhitespace(part));
    }
  }
  return codings;
}

bool ResponseHead::Refuse(std::string problem) {
  reason_ = v1::FailureReason::protocol_error;
  problem_ = std::move(problem);
  return false;
}

bool ResponseHead::TooLarge(std::string problem) {
  reason_ = v1::FailureReason::headers_too_large;
  problem_ = std::move(problem);
  return false;
}

}  // namespace picket
