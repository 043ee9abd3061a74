#include <arpa/inet.h>

#include <algorithm>
#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "common/expr/json_schema.h"
#include "common/expr/jsonpath.h"
#include "common/policy/limits.h"
#include "common/policy/operators.h"
#include "common/policy/regex.h"
#include "common/policy/syntax.h"
#include "common/policy/units.h"
#include "common/suite_file/check.h"
#include "common/suite_file/fold.h"
#include "common/suite_file/keys.h"
#include "common/suite_file/xpath_syntax.h"

namespace picket {
namespace {

using Op = v1::Operator;
using Sub = v1::Subject;

bool IsTemplate(const YamlNode& node) { return node.is_text() && HasPlaceholder(node.text); }
bool IsNumber(const YamlNode& node) {
  return node.is_scalar() &&
         (node.type() == ScalarType::kInteger || node.type() == ScalarType::kFloat);
}

bool IsAddress(const std::string& text) {
  unsigned char bytes[16];
  return inet_pton(AF_INET, text.c_str(), bytes) == 1 ||
         inet_pton(AF_INET6, text.c_str(), bytes) == 1;
}

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
    std::optional<Json> operand = Operand(node, row, op, what);
    if (!operand.has_value()) return false;
    v1::Operation& operation = *out.add_operations();
    operation.set_operator_(op);
    operation.set_operand_json(ToText(*operand));
    return true;
  }

  std::nullopt_t Expected(const YamlNode& node, absl::string_view what, absl::string_view wanted) {
    context_.Error(node, absl::StrCat(what, ": expected ", wanted, ", found ", Describe(node)));
    return std::nullopt;
  }

  std::optional<Json> ToJson(const YamlNode& node) {
    const YamlNode* culprit = nullptr;
    auto value = YamlToJson(node, &culprit);
    if (value.ok()) return *std::move(value);
    context_.Error(*culprit, value.status().message());
    return std::nullopt;
  }

  std::optional<Json> Operand(YamlNode& node, const SubjectRow& row, Op::Value op,
                              const std::string& what) {
    switch (op) {
      case Op::exists:
        if (!node.is_scalar() || node.type() != ScalarType::kBool) {
          return Expected(node, what, "true or false");
        }
        return Json(BoolOf(node));
      case Op::count:
        return Count(node, what);
      case Op::type:
        return TypeName(node, what);
      case Op::schema:
        return Schema(node, what);
      case Op::regression:
        return Regression(node);
      case Op::matches:
      case Op::not_matches:
        return Pattern(node, what);
      case Op::above:
      case Op::below:
      case Op::at_least:
      case Op::at_most:
        return Ordered(node, row, what);
      case Op::one_of:
        return OneOf(node, row, what);
      case Op::starts_with:
      case Op::ends_with:
        return Wire(node, what);
      case Op::contains:
      case Op::not_contains:
        return row.kind == ValueKind::kJson ? ToJson(node) : Wire(node, what);
      default:
        return Equal(node, row, what);
    }
  }

  std::optional<Json> Wire(const YamlNode& node, const std::string& what) {
    if (!node.is_scalar() || node.type() == ScalarType::kNull) {
      return Expected(node, what, "a text");
    }
    return Json(node.text);
  }

  std::optional<Json> Count(const YamlNode& node, const std::string& what) {
    if (IsTemplate(node)) return Json(node.text);
    if (!node.is_scalar() || node.type() != ScalarType::kInteger || node.text[0] == '-') {
      return Expected(node, what, "a whole number from 0");
    }
    return ToJson(node);
  }

  std::optional<Json> TypeName(const YamlNode& node, const std::string& what) {
    for (absl::string_view name :
         {"null", "boolean", "integer", "number", "string", "array", "object"}) {
      // A bare `null` is YAML's null; here it can only mean the type.
      if (node.text == name || (name == "null" && node.type() == ScalarType::kNull &&
                                !node.is_list() && !node.is_map())) {
        return Json(std::string(name));
      }
    }
    return Expected(node, what, "one of null, boolean, integer, number, string, array, object");
  }

  std::optional<Json> Pattern(const YamlNode& node, const std::string& what) {
    if (!node.is_text()) return Expected(node, what, "a regular expression (RE2), in quotes");
    if (IsTemplate(node)) return Json(node.text);
    const auto compiled = Regex::Compile(node.text);
    if (compiled.ok()) return Json(node.text);
    context_.Error(node, absl::StrCat(what, ": ", compiled.status().message()));
    return std::nullopt;
  }

  std::optional<Json> Ordered(const YamlNode& node, const SubjectRow& row,
                              const std::string& what) {
    if (row.kind == ValueKind::kTime || row.kind == ValueKind::kSize)
      return Amount(node, row, what);
    if (IsTemplate(node)) return Json(node.text);
    if (!IsNumber(node)) return Expected(node, what, "a number");
    return ToJson(node);
  }

  // A duration as microseconds, a size as bytes.
  std::optional<Json> Amount(const YamlNode& node, const SubjectRow& row, const std::string& what) {
    const bool time = row.kind == ValueKind::kTime;
    if (IsTemplate(node)) {
      context_.Error(node, absl::StrCat(what, ": a ", time ? "duration" : "size",
                                        " cannot come from a placeholder"));
      return std::nullopt;
    }
    if (!node.is_scalar() || node.type() == ScalarType::kNull) {
      return Expected(node, what, time ? "a duration such as 500ms" : "a size such as 10kB");
    }
    if (time) {
      const auto duration = ParseDuration(node.text);
      if (duration.ok()) return Json(absl::ToInt64Microseconds(*duration));
      context_.Error(node, absl::StrCat(what, ": ", duration.status().message()));
      return std::nullopt;
    }
    const auto size = ParseSize(node.text);
    if (size.ok()) return Json(*size);
    context_.Error(node, absl::StrCat(what, ": ", size.status().message()));
    return std::nullopt;
  }

  std::optional<Json> OneOf(YamlNode& node, const SubjectRow& row, const std::string& what) {
    if (!node.is_list() || node.list.empty()) return Expected(node, what, "a list of values");
    Json values = Json::array();
    bool good = true;
    for (YamlNode* element : node.list) {
      std::optional<Json> value = Equal(*element, row, what);
      good &= value.has_value();
      if (value.has_value()) values.push_back(*std::move(value));
    }
    if (!good) return std::nullopt;
    return values;
  }

  // What the subject can be equal to.
  std::optional<Json> Equal(YamlNode& node, const SubjectRow& row, const std::string& what) {
    switch (row.kind) {
      case ValueKind::kJson:
        return ToJson(node);
      case ValueKind::kStatus:
        if (!CheckValue(context_, node, StatusType(), what)) return std::nullopt;
        return ToJson(node);
      case ValueKind::kNumber:
      case ValueKind::kTime:
        return Ordered(node, row, what);
      case ValueKind::kSize:
        return Amount(node, row, what);
      case ValueKind::kText:
      case ValueKind::kTexts:
        return EqualText(node, row, what);
    }
    return std::nullopt;
  }

  std::optional<Json> EqualText(const YamlNode& node, const SubjectRow& row,
                                const std::string& what) {
    std::optional<Json> text = Wire(node, what);
    if (!text.has_value() || HasPlaceholder(node.text)) return text;
    if (row.subject == Sub::http_version && node.text != "1.0" && node.text != "1.1" &&
        node.text != "2") {
      return Expected(node, what, "one of 1.0, 1.1, 2");
    }
    if (row.subject == Sub::tls && row.argument == "version" && node.text != "1.0" &&
        node.text != "1.1" && node.text != "1.2" && node.text != "1.3") {
      return Expected(node, what, "one of 1.0, 1.1, 1.2, 1.3");
    }
    if (row.subject == Sub::ip && !IsAddress(node.text)) {
      return Expected(node, what, "an IP address");
    }
    if (row.argument == "fingerprint") {
      const std::string hex = absl::AsciiStrToLower(absl::StrReplaceAll(node.text, {{":", ""}}));
      if (hex.size() != 64 || !std::all_of(hex.begin(), hex.end(), absl::ascii_isxdigit)) {
        return Expected(node, what, "a SHA-256 fingerprint of 64 hexadecimal digits");
      }
      return Json(hex);
    }
    return text;
  }

  std::optional<Json> Schema(const YamlNode& node, const std::string& what) {
    std::optional<Json> schema;
    if (node.is_text()) {
      const std::string* bytes = context_.File(node);
      if (bytes == nullptr) return std::nullopt;
      auto parsed = ParseJson(*bytes);
      if (!parsed.ok()) {
        context_.Error(
            node, absl::StrCat(what, ": the file '", node.text, "': ", parsed.status().message()));
        return std::nullopt;
      }
      schema = *std::move(parsed);
    } else if (node.is_map() || (node.is_scalar() && node.type() == ScalarType::kBool)) {
      schema = ToJson(node);
    } else {
      return Expected(node, what, "a JSON Schema, or the path of a file with one");
    }
    if (!schema.has_value()) return std::nullopt;
    if (HasPlaceholder(ToText(*schema))) {
      context_.Error(node, absl::StrCat(what, ": a schema cannot hold placeholders ('{{')"));
      return std::nullopt;
    }
    const auto compiled = JsonSchema::Compile(*schema);
    if (compiled.ok()) return schema;
    context_.Error(node, absl::StrCat(what, ": ", compiled.status().message()));
    return std::nullopt;
  }

  std::optional<Json> Regression(YamlNode& node) {
    if (!CheckValue(context_, node, RegressionType(), "regression")) return std::nullopt;
    const std::string percent = GetText(&node, "at_most");
    double number = 0;
    if (!absl::SimpleAtod(percent.substr(0, percent.size() - 1), &number)) return std::nullopt;
    Json operand = Json::object();
    operand["at_most_percent"] = number;
    operand["over"] = GetInteger(&node, "over", 0);
    return operand;
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
