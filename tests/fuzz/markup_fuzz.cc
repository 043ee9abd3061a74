// A Content-Type in the first line, the body in the rest. What the look at a body counts is
// never less than what the parser finds, and what is read is read whole.

#include <cstdint>
#include <string>
#include <variant>

#include "agent/engine/limits.h"
#include "agent/engine/markup.h"
#include "agent/engine/xpath.h"
#include "common/base/check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace picket;
  const std::string input(reinterpret_cast<const char*>(data), size);
  const size_t line = input.find('\n');
  if (line == std::string::npos) return 0;
  const std::string type = input.substr(0, line), body = input.substr(line + 1);
  const MarkupKind kind = MarkupKindOf(body, type);
  (void)HtmlEncodingOf(body, type);
  const auto document = XPathDocument::Parse(body, type);
  if (!document.ok()) {
    PICKET_CHECK(!document.status().message().empty());
    return 0;
  }
  PICKET_CHECK(kind != MarkupKind::kNone);
  // The element of most attributes, by what XPath counts.
  static const auto* const attributes = new auto(*XPath::Compile("//*[@*[position() > 7]]"));
  const auto found = (*attributes)->Evaluate(**document);
  if (!found.ok()) return 0;
  if (!std::get<std::vector<std::string>>(found->value).empty()) {
    PICKET_CHECK(MostAttributes(body, kind, 8) == 8);
  }
  return 0;
}
