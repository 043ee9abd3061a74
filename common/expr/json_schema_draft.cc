#include "common/expr/json_schema_draft.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace picket::schema {

using Draft = JsonSchema::Draft;

absl::string_view DraftName(Draft draft) {
  return draft == Draft::k7 ? "draft 7" : "draft 2020-12";
}

std::optional<Draft> DraftOf(absl::string_view uri) {
  absl::ConsumeSuffix(&uri, "#");
  if (uri == "http://json-schema.org/draft-07/schema" ||
      uri == "https://json-schema.org/draft-07/schema") {
    return Draft::k7;
  }
  if (uri == "https://json-schema.org/draft/2020-12/schema") return Draft::k2020_12;
  return std::nullopt;
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
