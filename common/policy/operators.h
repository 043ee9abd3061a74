// File: operators.h
//
// What may be asserted: which operator fits which subject. One table, used by the suite
// parser, the JSON Schema that editors use, the documentation and the engine.
//
// Thread rule: constants and pure functions.

#ifndef COMMON_POLICY_OPERATORS_H_
#define COMMON_POLICY_OPERATORS_H_

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "picket/v1/suite.pb.h"

namespace picket {

// What a subject yields, and so what its operands are.
enum class ValueKind : uint8_t {
  kStatus,  // a status code; `is`, `is_not` and `one_of` also take a class such as "2xx"
  kNumber,  // a JSON number
  kText,    // text; ordering operators compare it as a decimal number
  kTexts,   // a list of texts: `is`, `contains` and so on look for an element
  kJson,    // any JSON value
  kTime,    // microseconds
  kSize,    // bytes
};

// A set of operators, one bit each.
using OperatorSet = uint32_t;
constexpr OperatorSet Bit(v1::Operator::Value op) { return OperatorSet{1} << op; }

// One row of the table. `argument` tells rows of one subject apart by what their
// argument says (certificate, tls); it is empty in all others.
struct SubjectRow {
  v1::Subject::Value subject;
  absl::string_view argument;
  ValueKind kind;
  OperatorSet operators;
};

// How a subject is written: the key of its argument, and what the argument may be.
struct SubjectForm {
  v1::Subject::Value subject;
  absl::string_view key;  // "name", "path", "phase", "of", "field"; empty = none
  bool key_required;
  absl::string_view default_argument;  // when the key is left out
  absl::string_view choices;           // separated by blanks; empty = free text
};

std::span<const SubjectRow> SubjectRows();
std::span<const SubjectForm> SubjectForms();

// Null for an unknown subject, or an argument that its choices do not hold.
const SubjectRow* FindSubjectRow(v1::Subject::Value subject, absl::string_view argument);
const SubjectForm& FormOf(v1::Subject::Value subject);

inline bool Allows(const SubjectRow& row, v1::Operator::Value op) {
  return (row.operators & Bit(op)) != 0;
}
// Allowed for the subject under one of its arguments at least.
OperatorSet OperatorsOf(v1::Subject::Value subject);

// In the order of the enum, SUBJECT_UNSPECIFIED and OPERATOR_UNSPECIFIED left out.
std::vector<v1::Subject::Value> AllSubjects();
std::vector<v1::Operator::Value> AllOperators();
// Names of a set, joined by ", ".
std::string OperatorNames(OperatorSet operators);
absl::string_view ValueKindName(ValueKind kind);

}  // namespace picket

#endif  // COMMON_POLICY_OPERATORS_H_
