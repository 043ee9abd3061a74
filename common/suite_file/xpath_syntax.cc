#include "common/suite_file/xpath_syntax.h"

#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace picket {

absl::Status CheckXPath(absl::string_view text) {
  const auto bad = [text](absl::string_view why) {
    return absl::InvalidArgumentError(absl::StrCat("'", text, "' is not an XPath: ", why));
  };
  if (absl::StripAsciiWhitespace(text).empty()) return bad("it is empty");
  std::string open;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\'' || c == '"') {
      i = text.find(c, i + 1);
      if (i == absl::string_view::npos) return bad("a quote is not closed");
    } else if (c == '(' || c == '[') {
      open += c;
    } else if (c == ')' || c == ']') {
      if (open.empty() || open.back() != (c == ')' ? '(' : '[')) {
        return bad(absl::StrCat("'", std::string(1, c), "' closes nothing"));
      }
      open.pop_back();
    }
  }
  if (!open.empty()) return bad(absl::StrCat("'", std::string(1, open.back()), "' is not closed"));
  const absl::string_view trimmed = absl::StripAsciiWhitespace(text);
  if (absl::EndsWith(trimmed, "/") && trimmed != "/") return bad("it ends with '/'");
  return absl::OkStatus();
}

}  // namespace picket
