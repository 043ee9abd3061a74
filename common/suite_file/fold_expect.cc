
#include <algorithm>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/expr/jsonpath.h"
#include "common/policy/operators.h"
#include "common/policy/syntax.h"
#include "common/suite_file/check.h"
#include "common/suite_file/fold.h"
#include "common/suite_file/keys.h"
#include "common/suite_file/operands.h"
#include "common/suite_file/xpath_syntax.h"

namespace picket {
namespace {

using Op = v1::Operator;
using Sub = v1::Subject;

// Reads one expectation: subject, argument, operators.
class ExpectationFolder {
 public:
  ExpectationFolder(SuiteContext& context, Scope& scope) : context_(context), scope_(scope) {}

  // False after a diagnostic.
  bool Fold(YamlNode& node, v1::Expectation& out) {
    if (node.map.size() != 1) {
      return Wrong(node, absl::StrCat("an expectation has one subject, this has ", node.map.size(),
                                      "; begin each subject with '- '. There are: ", Subjects()));
    }
    const YamlNode::Entry& entry = node.map[0];
    Sub::Value subject = Sub::SUBJECT_UNSPECIFIED;
    if (!Sub::Value_Parse(entry.key->text, &subject) || subject == Sub::SUBJECT_UNSPECIFIED) {
      std::vector<absl::string_view> names;
      for (Sub::Value s : AllSubjects()) names.push_back(Sub::Value_Name(s));
      const absl::string_view near = Nearest(entry.key->text, names);
      return Wrong(*entry.key,
                   absl::StrCat("unknown subject ", Describe(*entry.key),
                                near.empty() ? absl::StrCat("; there are: ", Subjects())
                                             : absl::StrCat("; did you mean '", near, "'?")));
    }
    name_ = entry.key->text;
    out.set_subject(subject);
    YamlNode& value = *entry.value;
    if (!value.is_map()) return Bare(value, subject, out);
    return Full(value, subject, out);
  }

 private:
  static std::string Subjects() {
    std::string names;
    for (Sub::Value s : AllSubjects()) {
      absl::StrAppend(&names, names.empty() ? "" : ", ", Sub::Value_Name(s));
    }
    return names;
  }

  bool Wrong(const YamlNode& node, absl::string_view message) {
    context_.Error(node, message);
    return false;
  }

  // `status: 200`: a bare scalar means `is`.
  bool Bare(YamlNode& value, Sub::Value subject, v1::Expectation& out) {
    const SubjectForm& form = FormOf(subject);
    const SubjectRow* row = FindSubjectRow(subject, form.default_argument);
    if (form.key_required || row == nullptr || !Allows(*row, Op::is)) {
      return Wrong(value, absl::StrCat(name_, ": expected a map such as ", Example(subject),
                                       ", found ", Describe(value)));
    }
    if (!value.is_scalar()) {
      return Wrong(value,
                   absl::StrCat(name_, ": expected a value or a map of operators, found ",
                                Describe(value), value.is_list() ? "; use {one_of: [...]}" : ""));
    }
    out.set_argument(std::string(form.default_argument));
    return Operation(value, *row, Op::is, out);
  }

  static absl::string_view Example(Sub::Value subject) {
    switch (subject) {
      case Sub::header:
        return "{name: content-type, contains: text/html}";
      case Sub::cookie:
        return "{name: sid, exists: true}";
      case Sub::json:
        return "{path: $.id, is: 7}";
      case Sub::xpath:
        return "{path: //title, contains: Shop}";
      case Sub::time:
        return "{phase: total, below: 500ms}";
      case Sub::certificate:
        return "{field: days_left, above: 14}";
      case Sub::tls:
        return "{field: version, is: 1.3}";
      default:
        return "{is: ...}";
    }
  }

  bool Full(YamlNode& value, Sub::Value subject, v1::Expectation& out) {
    const SubjectForm& form = FormOf(subject);
    std::string argument(form.default_argument);
    const YamlNode* given = form.key.empty() ? nullptr : value.Find(form.key);
    if (given != nullptr && !Argument(*given, subject, form, argument)) return false;
    if (given == nullptr && form.key_required) {
      return Wrong(
          value, absl::StrCat(name_, " needs the key '", form.key, "', as in ", Example(subject)));
    }
    out.set_argument(argument);
    const SubjectRow* row = FindSubjectRow(subject, argument);
    if (row == nullptr) return false;  // told by Argument
    bool good = true;
    for (const YamlNode::Entry& entry : value.map) {
      if (entry.value == given && entry.key->text == form.key) continue;
      Op::Value op = Op::OPERATOR_UNSPECIFIED;
      if (!Op::Value_Parse(entry.key->text, &op) || op == Op::OPERATOR_UNSPECIFIED) {
        good = Wrong(*entry.key, UnknownOperator(*entry.key, form, *row));
      } else if (!Allows(*row, op)) {
        good =
            Wrong(*entry.key, absl::StrCat("the operator '", entry.key->text, "' does not fit ",
                                           name_, row->argument.empty() ? "" : " ", row->argument,
                                           "; there are: ", OperatorNames(row->operators)));
      } else {
        good &= Operation(*entry.value, *row, op, out);
      }
    }
    if (good && out.operations().empty()) {
      return Wrong(value,
                   absl::StrCat(name_, " needs an operator: ", OperatorNames(row->operators)));
    }
    return good;
  }

  std::string UnknownOperator(const YamlNode& key, const SubjectForm& form,
                              const SubjectRow& row) const {
    std::vector<absl::string_view> names;
    for (Op::Value op : AllOperators()) {
      if (Allows(row, op)) names.push_back(Op::Value_Name(op));
    }
    if (!form.key.empty()) names.push_back(form.key);
    const absl::string_view near = Nearest(key.text, names);
    return absl::StrCat("unknown operator ", Describe(key), " for ", name_,
                        near.empty() ? absl::StrCat("; there are: ", absl::StrJoin(names, ", "))
                                     : absl::StrCat("; did you mean '", near, "'?"));
  }

  bool Argument(const YamlNode& node, Sub::Value subject, const SubjectForm& form,
                std::string& argument) {
    const std::string what = absl::StrCat(name_, ".", form.key);
    if (!node.is_scalar() || node.type() == ScalarType::kNull || node.text.empty()) {
      return Wrong(node, absl::StrCat(what, ": expected a text, found ", Describe(node)));
    }
    argument = node.text;
    if (!form.choices.empty()) {
      if (FindSubjectRow(subject, argument) != nullptr) return true;
      const auto choices = Words(form.choices);
      const absl::string_view near = Nearest(argument, choices);
      return Wrong(
          node, absl::StrCat(what, ": expected one of ", absl::StrJoin(choices, ", "), ", found ",
                             Describe(node),
                             near.empty() ? "" : absl::StrCat("; did you mean '", near, "'?")));
    }
    scope_.Scan(context_, node);
    if (HasPlaceholder(argument)) return true;
    absl::Status status;
    if (subject == Sub::json) status = JsonPath::Compile(argument).status();
    if (subject == Sub::xpath) status = CheckXPath(argument);
    if ((subject == Sub::header || subject == Sub::cookie) && !IsToken(argument)) {
      status =
          absl::InvalidArgumentError(absl::StrCat("'", argument, "' is not a token (RFC 9110)"));
    }
    return status.ok() || Wrong(node, absl::StrCat(what, ": ", status.message()));
  }

  bool Operation(YamlNode& node, const SubjectRow& row, Op::Value op, v1::Expectation& out) {
    if (op != Op::schema) scope_.Scan(context_, node);
    const std::string what = absl::StrCat(name_, " ", Op::Value_Name(op));
    std::optional<Json> operand = FoldOperand(context_, node, row, op, what);
    if (!operand.has_value()) return false;
    v1::Operation& operation = *out.add_operations();
    operation.set_operator_(op);
    operation.set_operand_json(ToText(*operand));
    return true;
  }

  SuiteContext& context_;
  Scope& scope_;
  std::string name_;
};

}  // namespace

void FoldExpectation(SuiteContext& context, YamlNode& node, Scope& scope, v1::Step& step) {
  if (node.bad) return;
  v1::Expectation expectation;
  if (ExpectationFolder(context, scope).Fold(node, expectation)) {
    *step.add_expect() = std::move(expectation);
  }
}

}  // namespace picket
