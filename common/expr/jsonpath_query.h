// File: jsonpath_query.h
//
// A JSONPath query as a tree, between its parser and its evaluator. Private to
// common/expr. Immutable once parsed. Named after the grammar of RFC 9535.

#ifndef COMMON_EXPR_JSONPATH_QUERY_H_
#define COMMON_EXPR_JSONPATH_QUERY_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/expr/json.h"
#include "common/policy/regex.h"

namespace picket::jsonpath {

struct Logical;

struct Selector {
  enum class Kind { kName, kWildcard, kIndex, kSlice, kFilter };
  Kind kind = Kind::kWildcard;
  std::string name;
  int64_t index = 0;
  std::optional<int64_t> start;
  std::optional<int64_t> end;
  int64_t step = 1;
  std::unique_ptr<const Logical> filter;
};

struct Segment {
  bool descendant = false;
  std::vector<Selector> selectors;
};

struct Query {
  bool relative = false;  // starts at @, not at $
  bool singular = true;
  std::vector<Segment> segments;
};

enum class Function { kLength, kCount, kMatch, kSearch, kValue };

struct Call;

// A literal, a query or a function call: what is compared, tested or passed.
struct Operand {
  enum class Kind { kLiteral, kQuery, kCall };
  Kind kind = Kind::kLiteral;
  size_t offset = 0;  // in the text, for errors
  Json literal;
  Query query;
  std::unique_ptr<const Call> call;
};

struct Call {
  Function function = Function::kLength;
  std::vector<Operand> arguments;
  std::shared_ptr<const Regex> regex;  // of match and search, when the pattern is a literal
};

enum class Comparison { kEqual, kNotEqual, kLess, kLessOrEqual, kGreater, kGreaterOrEqual };

struct Logical {
  enum class Kind { kOr, kAnd, kNot, kCompare, kTest };
  Kind kind = Kind::kTest;
  std::vector<std::unique_ptr<const Logical>> children;  // of kOr, kAnd, kNot
  Comparison comparison = Comparison::kEqual;
  Operand left;   // of kCompare and kTest
  Operand right;  // of kCompare
};

// InvalidArgument as in JsonPath::Compile.
absl::StatusOr<Query> Parse(absl::string_view text, size_t* error_offset);

// A selected node. `parent` is an index into the trail of an evaluation that locates.
struct Node {
  const Json* value = nullptr;
  uint32_t trail = 0;
};

// One step of a normalized path; entry 0 of a trail is the root.
struct Step {
  uint32_t parent = 0;
  const std::string* name = nullptr;  // null: an array index
  size_t index = 0;
};

// Evaluates `query`; `trail`, if not null, receives the steps to each node.
absl::StatusOr<std::vector<Node>> Evaluate(const Query& query, const Json& root, size_t nodes_most,
                                           std::vector<Step>* trail);

}  // namespace picket::jsonpath

#endif  // COMMON_EXPR_JSONPATH_QUERY_H_
