// File: jsonpath.h
//
// JSONPath, the whole of RFC 9535: every selector, filters, the functions length,
// count, match, search and value with their types checked at compile time, and
// regular expressions of RFC 9485.
//
//   ABSL_ASSIGN_OR_RETURN(auto path, JsonPath::Compile("$.items[?@.sku == 'a'].price"));
//   ABSL_ASSIGN_OR_RETURN(auto nodes, path->Evaluate(document));
//
// A pattern that is not an I-Regexp matches nothing, as RFC 9535 says; but one written
// as a literal is an error of Compile, because nothing could ever match it and a
// negated test would pass for the wrong reason.
//
// Thread rule: a JsonPath is immutable and safe to use from any thread.

#ifndef COMMON_EXPR_JSONPATH_H_
#define COMMON_EXPR_JSONPATH_H_

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/expr/json.h"
#include "common/policy/limits.h"

namespace picket {

class JsonPath {
 public:
  struct Located {
    std::string path;   // the normalized path, RFC 9535 section 2.7
    const Json* value;  // points into the evaluated document
  };

  // InvalidArgument when `text` is not a well-formed and valid query; the message names
  // the character (from 1) and what was expected there. `error_offset`, if given, then
  // receives the byte offset (from 0).
  static absl::StatusOr<std::shared_ptr<const JsonPath>> Compile(absl::string_view text,
                                                                 size_t* error_offset = nullptr);
  virtual ~JsonPath() = default;

  // True if the query can select at most one node: names and indices only.
  virtual bool singular() const = 0;

  // The selected nodes in order; they point into `root` and live as long as it.
  // ResourceExhausted when more than `nodes_most` nodes had to be visited.
  virtual absl::StatusOr<std::vector<const Json*>> Evaluate(
      const Json& root, size_t nodes_most = DefaultLimits().jsonpath_nodes) const = 0;

  // As Evaluate, with the normalized path of each node.
  virtual absl::StatusOr<std::vector<Located>> EvaluateLocated(
      const Json& root, size_t nodes_most = DefaultLimits().jsonpath_nodes) const = 0;

  // The query as it was given to Compile.
  virtual const std::string& text() const = 0;
};

}  // namespace picket

#endif  // COMMON_EXPR_JSONPATH_H_
