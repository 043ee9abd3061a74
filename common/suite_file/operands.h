// File: operands.h
//
// The operand of one operator as JSON: durations as microseconds, sizes as bytes, texts
// as written; everything that can be told to be wrong is.
//
// Thread rule: thread-compatible.

#ifndef COMMON_SUITE_FILE_OPERANDS_H_
#define COMMON_SUITE_FILE_OPERANDS_H_

#include <optional>
#include <string>

#include "common/expr/json.h"
#include "common/policy/operators.h"
#include "common/suite_file/context.h"

namespace picket {

// Nothing after a diagnostic. `what` begins its message. REQUIRES: Allows(row, op).
std::optional<Json> FoldOperand(SuiteContext& context, YamlNode& node, const SubjectRow& row,
                                v1::Operator::Value op, const std::string& what);

}  // namespace picket

#endif  // COMMON_SUITE_FILE_OPERANDS_H_
