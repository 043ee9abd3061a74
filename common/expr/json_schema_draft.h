// File: json_schema_draft.h
//
// The drafts of JSON Schema that are understood, by name and by dialect URI.
//
// All functions are pure and thread-safe.

#ifndef COMMON_EXPR_JSON_SCHEMA_DRAFT_H_
#define COMMON_EXPR_JSON_SCHEMA_DRAFT_H_

#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "common/expr/json_schema.h"

namespace picket::schema {

// "draft 7" or "draft 2020-12".
absl::string_view DraftName(JsonSchema::Draft draft);

// The draft that a $schema names; nothing if it is another, or no string.
std::optional<JsonSchema::Draft> DraftOf(const Json& dialect);

// What is wrong with a $schema that names no draft.
std::string UnknownDraft(const Json& dialect);

// What is wrong with a keyword that `draft` does not have, or that is left out on purpose.
std::string UnknownKeyword(absl::string_view name, JsonSchema::Draft draft);

}  // namespace picket::schema

#endif  // COMMON_EXPR_JSON_SCHEMA_DRAFT_H_
