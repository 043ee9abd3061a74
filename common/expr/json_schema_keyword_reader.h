// File: json_schema_keyword_reader.h
//
// The forms that values of JSON Schema keywords take, read strictly: counts, numbers, lists
// of names, of schemas, patterns. Private to common/expr. Errors are InvalidArgument and
// name the JSON Pointer within the schema.

#ifndef COMMON_EXPR_JSON_SCHEMA_KEYWORD_READER_H_
#define COMMON_EXPR_JSON_SCHEMA_KEYWORD_READER_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/expr/json.h"
#include "common/expr/json_schema_node.h"
#include "common/policy/regex.h"

namespace picket::schema {

class KeywordReader {
 protected:
  struct Scope {
    std::string base;  // URI of the resource, without fragment
  };

  virtual ~KeywordReader() = default;

  // Compiles the schema that stands at `pointer`.
  virtual absl::StatusOr<const Node*> CompileSchema(const Json& schema, const std::string& pointer,
                                                    Scope scope) = 0;

  static absl::Status Fail(absl::string_view pointer, absl::string_view what);

  static absl::Status ReadCount(const Json& value, const std::string& pointer,
                                std::optional<uint64_t>* out);
  static absl::Status ReadNumber(const Json& value, const std::string& pointer,
                                 std::optional<Json>* out);
  // Strings, none of them twice.
  static absl::StatusOr<std::vector<std::string>> ReadNames(const Json& value,
                                                            const std::string& pointer);
  static absl::StatusOr<std::shared_ptr<const Regex>> ReadPattern(const std::string& pattern,
                                                                  const std::string& pointer);
  // At least one schema.
  absl::StatusOr<std::vector<const Node*>> ReadSchemas(const Json& value,
                                                       const std::string& pointer,
                                                       const Scope& scope);
  absl::StatusOr<std::vector<std::pair<std::string, const Node*>>> ReadSchemaMap(
      const Json& value, const std::string& pointer, const Scope& scope);
};

}  // namespace picket::schema

#endif  // COMMON_EXPR_JSON_SCHEMA_KEYWORD_READER_H_
