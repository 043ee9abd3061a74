// File: yaml_tree.h
//
// YAML text -> a tree that knows where everything stood, strict where yaml-cpp is
// lenient: one document, no duplicate keys, no `<<`, no tags, only text as keys, bounded
// depth, size and aliases. Scalars are those of the YAML 1.2 core schema.
//
// Thread rule: ReadYaml is pure; a YamlDocument is thread-compatible.

#ifndef COMMON_SUITE_FILE_YAML_TREE_H_
#define COMMON_SUITE_FILE_YAML_TREE_H_

#include <cstdint>
#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/expr/json.h"

namespace picket {

// What a plain scalar is under the core schema.
enum class ScalarType : uint8_t { kNull, kBool, kInteger, kFloat, kText };

struct YamlNode {
  enum class Kind : uint8_t { kNull, kScalar, kList, kMap };

  struct Entry {
    YamlNode* key;  // a scalar that is text
    YamlNode* value;
  };

  Kind kind = Kind::kNull;
  bool quoted = false;  // a scalar in quotes or a block: always text
  bool bad = false;     // a diagnostic has been given; later phases pass it over
  int line = 0;         // from 1; 0 = not from the file
  int column = 0;       // in bytes, from 1
  std::string text;     // of a scalar, as written or unquoted
  std::vector<YamlNode*> list;
  std::vector<Entry> map;
  // Where a node that is not from the file comes from, e.g. "--override defaults.timeout".
  std::string origin;

  bool is_map() const { return kind == Kind::kMap; }
  bool is_list() const { return kind == Kind::kList; }
  bool is_scalar() const { return kind == Kind::kScalar; }
  // Null for a key that is not there.
  const YamlNode* Find(absl::string_view key) const;
  YamlNode* Find(absl::string_view key);
  ScalarType type() const;
  bool is_text() const { return is_scalar() && type() == ScalarType::kText; }
};

// An error at a place of the text.
struct YamlError {
  int line = 0;
  int column = 0;  // in bytes, from 1
  std::string message;
};

struct YamlDocument {
  // Null if the text could not be read at all.
  YamlNode* root = nullptr;
  std::vector<YamlError> errors;
  // Owns every node. A deque: nodes never move.
  std::deque<YamlNode> nodes;
};

// Reads text of at most Limits::suite_file_bytes. Never throws.
YamlDocument ReadYaml(absl::string_view text);

// The type of a plain scalar.
ScalarType ResolveScalar(absl::string_view text);

// The value as JSON. InvalidArgument for what JSON has no word for (infinity, integers
// beyond 64 bits); `culprit` then receives the node.
absl::StatusOr<Json> YamlToJson(const YamlNode& node, const YamlNode** culprit);

// "the list", "the number 5", "the text 'abc'": for messages.
std::string Describe(const YamlNode& node);

}  // namespace picket

#endif  // COMMON_SUITE_FILE_YAML_TREE_H_
