// File: json_schema.h
//
// JSON Schema, drafts 7 and 2020-12, without unevaluated*, $dynamicRef and references
// that leave the document. It is strict where the standard is lenient, so that a typing
// error cannot make a check pass: an unknown keyword, an unknown draft, a malformed
// keyword value or a reference to nowhere is an error of Compile.
//
// `format`, `content*`, `title` and the like are annotations and never fail an instance.
// `pattern` and `patternProperties` are RE2 (linear time), unanchored; \u with four hexadecimal
// digits is accepted.
//
// Thread rule: a JsonSchema is immutable and safe to use from any thread.

#ifndef COMMON_EXPR_JSON_SCHEMA_H_
#define COMMON_EXPR_JSON_SCHEMA_H_

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/expr/json.h"
#include "common/policy/limits.h"

namespace picket {

class JsonSchema {
 public:
  enum class Draft { k7, k2020_12 };

  struct Error {
    std::string instance;  // JSON Pointer of the offending value; empty for the whole
    std::string keyword;   // JSON Pointer, within the schema, of the keyword that failed
    std::string message;   // what was expected and what was found
  };

  struct Result {
    bool valid = false;
    std::vector<Error> errors;  // the first few; empty iff valid
  };

  // InvalidArgument names the JSON Pointer of what is wrong in the schema.
  // `draft` is the dialect of a schema that has no $schema.
  static absl::StatusOr<std::shared_ptr<const JsonSchema>> Compile(const Json& schema,
                                                                   Draft draft = Draft::k2020_12);
  virtual ~JsonSchema() = default;

  // ResourceExhausted, which is neither valid nor invalid, when the validation needs
  // more than `steps_most` keyword evaluations or does not end (a schema that refers to
  // itself without descending into the instance).
  virtual absl::StatusOr<Result> Validate(
      const Json& instance, size_t steps_most = DefaultLimits().schema_steps) const = 0;
};

}  // namespace picket

#endif  // COMMON_EXPR_JSON_SCHEMA_H_
