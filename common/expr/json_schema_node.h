// File: json_schema_node.h
//
// A compiled JSON Schema, between its compiler and its validator. Private to common/expr.
// Nodes own nothing of one another: the document owns them all, and they may form cycles.

#ifndef COMMON_EXPR_JSON_SCHEMA_NODE_H_
#define COMMON_EXPR_JSON_SCHEMA_NODE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "common/expr/json.h"
#include "common/expr/json_schema.h"
#include "common/policy/regex.h"

namespace picket::schema {

// Bits of Node::types.
enum Type : uint8_t {
  kNull = 1,
  kBoolean = 2,
  kInteger = 4,
  kNumber = 8,
  kString = 16,
  kArray = 32,
  kObject = 64,
};

// One schema. Each member is the keyword of its name; what is absent says nothing.
struct Node {
  std::string pointer;          // where it stands in the document
  std::optional<bool> boolean;  // the schema is `true` or `false`
  const Node* ref = nullptr;
  bool ref_only = false;  // draft 7: what stands beside $ref is ignored

  uint8_t types = 0;  // 0: any
  std::optional<Json> constant;
  std::optional<std::vector<Json>> enumeration;

  std::optional<Json> multiple_of;
  std::optional<Json> maximum;
  std::optional<Json> exclusive_maximum;
  std::optional<Json> minimum;
  std::optional<Json> exclusive_minimum;

  std::optional<uint64_t> max_length;
  std::optional<uint64_t> min_length;
  std::string pattern_text;
  std::shared_ptr<const Regex> pattern;

  std::vector<const Node*> prefix_items;  // draft 7: `items` as an array
  bool tuple = false;                     // draft 7: `items` is an array
  const Node* items = nullptr;            // of the elements after prefix_items
  std::optional<uint64_t> max_items;
  std::optional<uint64_t> min_items;
  bool unique_items = false;
  const Node* contains = nullptr;
  std::optional<uint64_t> max_contains;
  std::optional<uint64_t> min_contains;

  std::optional<uint64_t> max_properties;
  std::optional<uint64_t> min_properties;
  std::vector<std::string> required;
  absl::flat_hash_map<std::string, const Node*> properties;
  std::vector<std::pair<std::shared_ptr<const Regex>, const Node*>> pattern_properties;
  const Node* additional_properties = nullptr;
  const Node* property_names = nullptr;
  std::vector<std::pair<std::string, std::vector<std::string>>> dependent_required;
  std::string dependent_keyword = "dependentRequired";  // draft 7: dependencies
  std::vector<std::pair<std::string, const Node*>> dependent_schemas;

  std::vector<const Node*> all_of;
  std::vector<const Node*> any_of;
  std::vector<const Node*> one_of;
  const Node* negated = nullptr;
  const Node* condition = nullptr;
  const Node* consequence = nullptr;
  const Node* alternative = nullptr;
};

struct Document {
  std::vector<std::unique_ptr<Node>> nodes;
  const Node* root = nullptr;
};

absl::StatusOr<Document> CompileDocument(const Json& schema, JsonSchema::Draft draft);

absl::StatusOr<JsonSchema::Result> ValidateInstance(const Document& document, const Json& instance,
                                                    size_t steps_most);

// Is `value` an exact multiple of `divisor`, as both are written in decimal?
// REQUIRES: numbers, divisor > 0.
bool IsMultipleOf(const Json& value, const Json& divisor);

}  // namespace picket::schema

#endif  // COMMON_EXPR_JSON_SCHEMA_NODE_H_
