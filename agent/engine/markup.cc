#include "agent/engine/markup.h"

#include <algorithm>
#include <array>
#include <cstdint>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/expr/json.h"

namespace picket {
namespace {

bool IsBlank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

// What may follow a '<' that opens a tag, a comment or a declaration.
bool OpensMarkup(absl::string_view text) {
  return text.size() >= 2 && text[0] == '<' &&
         (absl::ascii_isalpha(static_cast<unsigned char>(text[1])) || text[1] == '!' ||
          text[1] == '/' || text[1] == '?' || text[1] == '_' || text[1] == ':');
}

std::string TypeOf(absl::string_view content_type) {
  return absl::AsciiStrToLower(
      absl::StripAsciiWhitespace(content_type.substr(0, content_type.find(';'))));
}

std::string CharsetOf(absl::string_view content_type) {
  for (absl::string_view part : absl::StrSplit(content_type, ';')) {
    part = absl::StripAsciiWhitespace(part);
    if (!absl::StartsWithIgnoreCase(part, "charset=")) continue;
    return absl::AsciiStrToLower(
        absl::StripAsciiWhitespace(absl::StrReplaceAll(part.substr(8), {{"\"", ""}})));
  }
  return "";
}

// The characters of names. HTML's are ASCII's; what is none of them is rubbish.
struct Alphabet {
  bool wide = false;  // XML

  bool Starts(char c) const {
    return absl::ascii_isalpha(static_cast<unsigned char>(c)) || c == '_' || c == ':' || c == '.' ||
           (wide && static_cast<unsigned char>(c) >= 0x80);
  }
  bool Continues(char c) const {
    return Starts(c) || absl::ascii_isdigit(static_cast<unsigned char>(c)) || c == '-';
  }
};

// Where within a start tag a reader may be.
enum Place {
  kOpen,  // behind a '<'
  kTagName,
  kBetween,     // attributes
  kName,        // of an attribute
  kAfterName,   // blanks between it and its '='
  kRubbish,     // no attribute; up to the next blank
  kAfterEqual,  // blanks between '=' and the value
  kDouble,      // quoted
  kSingle,
  kBare,  // a value without quotes
  kPlaces,
  kGone = kPlaces,  // the tag has ended
};

// From `place` over `c`; `attribute` is set if one begins with it.
Place Next(Place place, char c, Alphabet names, bool& attribute) {
  attribute = false;
  if (place == kDouble) return c == '"' ? kBetween : kDouble;
  if (place == kSingle) return c == '\'' ? kBetween : kSingle;
  if (c == '>') return kGone;
  switch (place) {
    case kOpen:
      return names.Starts(c) ? kTagName : kGone;
    case kTagName:
      if (names.Continues(c)) return kTagName;
      return IsBlank(c) ? kBetween : kRubbish;
    case kAfterEqual:
      if (IsBlank(c)) return kAfterEqual;
      return c == '"' ? kDouble : c == '\'' ? kSingle : kBare;
    case kBare:
    case kRubbish:
      return IsBlank(c) ? kBetween : place;
    case kName:
      if (names.Continues(c)) return kName;
      if (IsBlank(c)) return kAfterName;
      return c == '=' ? kAfterEqual : kRubbish;
    case kAfterName:
      if (c == '=') return kAfterEqual;
      break;
    default:
      break;
  }
  if (IsBlank(c)) return place;
  attribute = names.Starts(c);
  return attribute ? kName : kRubbish;
}

}  // namespace

MarkupKind MarkupKindOf(absl::string_view body, absl::string_view content_type) {
  const std::string type = TypeOf(content_type);
  if (type == "text/xml" || type == "application/xml" ||
      (absl::EndsWith(type, "+xml") && type != "application/xhtml+xml")) {
    return MarkupKind::kXml;
  }
  absl::ConsumePrefix(&body, "\xef\xbb\xbf");
  const absl::string_view text = absl::StripLeadingAsciiWhitespace(body);
  if (type == "text/html" || type == "application/xhtml+xml") {
    for (size_t at = 0; (at = text.find('<', at)) != absl::string_view::npos; ++at) {
      if (OpensMarkup(text.substr(at))) return MarkupKind::kHtml;
    }
    return MarkupKind::kNone;
  }
  if (absl::StartsWith(text, "<?xml")) return MarkupKind::kXml;
  return OpensMarkup(text) ? MarkupKind::kHtml : MarkupKind::kNone;
}

std::string HtmlEncodingOf(absl::string_view body, absl::string_view content_type) {
  const std::string charset = CharsetOf(content_type);
  for (absl::string_view known : {"iso-8859-", "windows-125", "koi8-", "euc-", "gb", "big5",
                                  "shift_jis", "us-ascii", "utf-8"}) {
    if (absl::StartsWith(charset, known)) return charset;
  }
  return IsValidUtf8(body) ? "UTF-8" : "ISO-8859-1";
}

std::string XmlEncodingOf(absl::string_view body, absl::string_view content_type) {
  // The mark at the start of UTF-16 is no UTF-8 either.
  const bool marked = absl::StartsWith(body, "\xfe\xff") || absl::StartsWith(body, "\xff\xfe");
  const bool declared = absl::StartsWith(body, "<?xml") &&
                        absl::StrContains(body.substr(0, body.find("?>")), "encoding");
  if (marked || declared || IsValidUtf8(body)) return "";
  std::string encoding = HtmlEncodingOf(body, content_type);
  return encoding == CharsetOf(content_type) ? encoding : "";  // no guesses
}

// libxml2 reads HTML's names in pieces of this many characters: what is left of a longer one
// begins another attribute.
constexpr int kHtmlNamePiece = 100;

// Every '<' before a letter is taken for a tag, whatever it stands in (a script, a comment,
// a value): what the parsers take for one is among them. Of the readers in one place only the
// one with most attributes matters, so that one pass over the text follows them all.
size_t MostAttributes(absl::string_view body, MarkupKind kind, size_t enough) {
  const Alphabet names{.wide = kind == MarkupKind::kXml};
  constexpr int64_t kNobody = -1;
  std::array<int64_t, kPlaces> counts;
  counts.fill(kNobody);
  std::array<int, kPlaces> lengths{};  // of the name so far: the longest of the readers there
  int64_t most = 0;
  bool anybody = false;
  for (size_t at = 0; at < body.size(); ++at) {
    if (!anybody) {
      at = body.find('<', at);
      if (at == absl::string_view::npos) break;
    }
    char c = body[at];
    if (c == '\0') {
      if (kind == MarkupKind::kXml) continue;  // half of a letter of UTF-16
      c = ' ';                                 // as HTML is read
    }
    std::array<int64_t, kPlaces> next;
    next.fill(kNobody);
    std::array<int, kPlaces> next_lengths{};
    anybody = false;
    for (int place = 0; place < kPlaces; ++place) {
      if (counts[place] == kNobody) continue;
      bool attribute = false;
      Place to = Next(static_cast<Place>(place), c, names, attribute);
      if (to == kGone) continue;
      int length = to == place ? lengths[place] + 1 : 1;
      if (!names.wide && (to == kName || to == kTagName) && length > kHtmlNamePiece) {
        to = kName;
        attribute = true;
        length = 1;
      }
      next[to] = std::max(next[to], counts[place] + (attribute ? 1 : 0));
      next_lengths[to] = std::max(next_lengths[to], length);
      most = std::max(most, next[to]);
      anybody = true;
    }
    if (most >= static_cast<int64_t>(enough)) return enough;
    if (c == '<') {
      next[kOpen] = 0;
      anybody = true;
    }
    counts = next;
    lengths = next_lengths;
  }
  return static_cast<size_t>(most);
}

}  // namespace picket
