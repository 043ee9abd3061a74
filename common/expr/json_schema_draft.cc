#include "common/expr/json_schema_draft.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace picket::schema {

using Draft = JsonSchema::Draft;

absl::string_view DraftName(Draft draft) {
  return draft == Draft::k7 ? "draft 7" : "draft 2020-12";
}

std::optional<Draft> DraftOf(const Json& dialect) {
  const auto* text = dialect.get_ptr<const std::string*>();
  if (text == nullptr) return std::nullopt;
  absl::string_view uri = *text;
  absl::ConsumeSuffix(&uri, "#");
  if (uri == "http://json-schema.org/draft-07/schema" ||
      uri == "https://json-schema.org/draft-07/schema") {
    return Draft::k7;
  }
  if (uri == "https://json-schema.org/draft/2020-12/schema") return Draft::k2020_12;
  return std::nullopt;
}

std::string UnknownDraft(const Json& dialect) {
  return absl::StrCat("expected http://json-schema.org/draft-07/schema# or "
                      "https://json-schema.org/draft/2020-12/schema, but found ",
                      ToText(dialect));
}

std::string UnknownKeyword(absl::string_view name, Draft draft) {
  static constexpr absl::string_view kUnsupported[] = {
      "unevaluatedItems", "unevaluatedProperties", "$dynamicRef", "$dynamicAnchor",
      "$recursiveRef",    "$recursiveAnchor",      "$vocabulary"};
  for (absl::string_view unsupported : kUnsupported) {
    if (name == unsupported) return absl::StrCat("'", name, "' is not supported");
  }
  return absl::StrCat("'", name, "' is no keyword of ", DraftName(draft));
}

}  // namespace picket::schema
