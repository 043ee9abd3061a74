// File: assertion.h
//
// Judges one operator on one subject (docs/SUITE_FORMAT.md has the table).
//
// Thread rule: pure.

#ifndef AGENT_ENGINE_ASSERTION_H_
#define AGENT_ENGINE_ASSERTION_H_

#include <string>

#include "agent/engine/compiled_test.h"
#include "agent/engine/subject.h"
#include "common/expr/json.h"

namespace picket {

struct AssertionJudgement {
  enum class Value { kPassed, kFailed, kUnjudged };
  Value value = Value::kFailed;
  // With kUnjudged: why. With kFailed: more than the actual value says, or empty. Of `count`
  // the number counted, always.
  std::string why;
};

// `operand` is the rendered operand of `operation`, whose regex and schema are used where
// they are compiled already.
AssertionJudgement Judge(v1::Subject::Value subject, const Actual& actual,
                         const CompiledOperation& operation, const Json& operand,
                         const WorkLimits& work);

// For people: the operand and the actual value; not yet masked or cut. Of a list or object no
// more is written than begins within `bytes_most`; texts are cut at `text_most`.
std::string ExpectedText(const Actual& actual, v1::Operator::Value op, const Json& operand);
std::string ActualText(const Actual& actual, v1::Operator::Value op, size_t bytes_most,
                       size_t text_most);

}  // namespace picket

#endif  // AGENT_ENGINE_ASSERTION_H_
