// File: limits.h
//
// The bounds of common/expr alone; those that other rooms must know are in
// common/policy/limits.h.

#ifndef COMMON_EXPR_LIMITS_H_
#define COMMON_EXPR_LIMITS_H_

#include <cstddef>
#include <cstdint>

namespace picket {

struct ExprLimits {
  int jsonpath_nesting = 32;            // parentheses, filters and functions within one query
  size_t jsonpath_regex_cost = 256;     // nodes charged for compiling one pattern at run time
  size_t text_bytes_per_node = 64;      // bytes of text examined that count as one node
  int schema_nesting = 512;             // subschemas within subschemas while validating
  size_t schema_errors = 10;            // told of one validation
  size_t template_insertions = 10'000;  // of one template
  int64_t template_random_characters = 10'000;  // numeric(n), alphabetic(n), alphanumeric(n)
  int64_t template_offset_days = 36'500;        // timestamp(n, unit), date(n, format): either way
  size_t csv_columns = 1'000;
};

inline const ExprLimits& DefaultExprLimits() {
  static const ExprLimits limits;
  return limits;
}

}  // namespace picket

#endif  // COMMON_EXPR_LIMITS_H_
