// The table of keys as a JSON Schema (draft 2020-12), for editors.

#include <map>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "common/expr/json.h"
#include "common/policy/operators.h"
#include "common/suite_file/keys.h"
#include "common/suite_file/suite_file.h"
#include "common/suite_file/yaml_tree.h"

namespace picket {
namespace {

using K = Type::Kind;
using Op = v1::Operator;

constexpr absl::string_view kDurationPattern =
    "^([0-9]+(\\.[0-9]+)?h)?([0-9]+(\\.[0-9]+)?m)?([0-9]+(\\.[0-9]+)?s)?"
    "([0-9]+(\\.[0-9]+)?ms)?([0-9]+(\\.[0-9]+)?us)?$";
constexpr absl::string_view kSizePattern = "^[0-9]+(\\.[0-9]+)?(B|[kKMG]B|[KMG]iB)?$";

Json Of(const char* type) { return Json{{"type", type}}; }
Json Scalar() { return Json{{"type", Json::array({"string", "number", "boolean"})}}; }
Json NumberOrTemplate() { return Json{{"type", Json::array({"number", "string"})}}; }
Json Duration() {
  return Json{{"type", "string"}, {"pattern", std::string(kDurationPattern)}, {"minLength", 2}};
}
Json Size() {
  return Json{
      {"anyOf", Json::array({Json{{"type", "integer"}, {"minimum", 0}},
                             Json{{"type", "string"}, {"pattern", std::string(kSizePattern)}}})}};
}

// A word that YAML reads as a number is one for an editor too.
Json WordEnum(absl::string_view words) {
  Json values = Json::array();
  for (absl::string_view word : Words(words)) {
    values.push_back(std::string(word));
    YamlNode node;
    node.kind = YamlNode::Kind::kScalar;
    node.text = std::string(word);
    const YamlNode* culprit = nullptr;
    if (auto value = YamlToJson(node, &culprit); value.ok() && !value->is_string()) {
      values.push_back(*value);
    }
  }
  return Json{{"enum", values}};
}

class SchemaPrinter {
 public:
  Json Print() {
    Json schema = Json::object();
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema";
    schema["title"] = "Picket suite";
    const Json ref = ObjectRef(SuiteSpec());
    schema["$ref"] = ref["$ref"];
    schema["$defs"] = Json::object();
    defs_["expectation"] = Expectation();
    for (auto& [name, def] : defs_) schema["$defs"][name] = def;
    return schema;
  }

 private:
  Json OfType(const Type& type) {
    switch (type.kind) {
      case K::kText:
        return Of("string");
      case K::kWire:
        return Scalar();
      case K::kBool:
        return Of("boolean");
      case K::kTrue:
        return Json{{"const", true}};
      case K::kInteger:
      case K::kNumber: {
        Json number = Of(type.kind == K::kInteger ? "integer" : "number");
        number["minimum"] = static_cast<int64_t>(type.least);
        number["maximum"] = static_cast<int64_t>(type.most);
        return number;
      }
      case K::kDuration:
        return Duration();
      case K::kSize:
        return Size();
      case K::kWord:
        return WordEnum(type.words);
      case K::kJson:
        return Json(true);
      case K::kList: {
        Json list = Of("array");
        list["items"] = OfType(*type.element);
        if (!type.may_be_empty) list["minItems"] = 1;
        return list;
      }
      case K::kMap: {
        Json map = Of("object");
        map["additionalProperties"] = OfType(*type.element);
        return map;
      }
      case K::kObject:
        return ObjectRef(*type.object);
      case K::kEither:
        return Json{{"anyOf", Json::array({OfType(*type.element), OfType(*type.other)})}};
      case K::kExpectation:
        return Json{{"$ref", "#/$defs/expectation"}};
    }
    return Json(true);
  }

  Json ObjectRef(const ObjectSpec& spec) {
    const std::string name = absl::StrReplaceAll(spec.name, {{" ", "_"}, {".", "_"}});
    Json ref = Json{{"$ref", absl::StrCat("#/$defs/", name)}};
    if (defs_.contains(name)) return ref;
    defs_[name] = Json::object();  // so that it is made once
    Json object = Of("object");
    object["additionalProperties"] = false;
    Json properties = Json::object(), required = Json::array();
    for (const Key& key : spec.keys) {
      Json property = OfType(*key.type);
      if (property.is_object()) {
        std::string meaning(key.meaning);
        if (!key.fallback.empty()) absl::StrAppend(&meaning, " Default: ", key.fallback, ".");
        if (!meaning.empty()) property["description"] = meaning;
      }
      properties[std::string(key.name)] = std::move(property);
      if (key.required) required.push_back(std::string(key.name));
    }
    object["properties"] = std::move(properties);
    if (!required.empty()) object["required"] = std::move(required);
    if (!spec.exactly_one.empty()) {
      Json choices = Json::array();
      for (absl::string_view key : Words(spec.exactly_one)) {
        choices.push_back(Json{{"required", Json::array({std::string(key)})}});
      }
      object["oneOf"] = std::move(choices);
    }
    defs_[name] = std::move(object);
    return ref;
  }

  Json Equal(const SubjectRow& row) {
    switch (row.kind) {
      case ValueKind::kStatus:
        return OfType(StatusType());
      case ValueKind::kNumber:
        return NumberOrTemplate();
      case ValueKind::kTime:
        return Duration();
      case ValueKind::kSize:
        return Size();
      case ValueKind::kJson:
        return Json(true);
      default:
        return Scalar();
    }
  }

  Json Operand(const SubjectRow& row, Op::Value op) {
    switch (op) {
      case Op::exists:
        return Of("boolean");
      case Op::count:
        return Json{{"type", Json::array({"integer", "string"})}};
      case Op::type:
        return Json{{"enum", Json::array({"null", nullptr, "boolean", "integer", "number", "string",
                                          "array", "object"})}};
      case Op::schema:
        return Json{{"type", Json::array({"object", "boolean", "string"})}};
      case Op::regression:
        return OfType(RegressionType());
      case Op::matches:
      case Op::not_matches:
        return Of("string");
      case Op::above:
      case Op::below:
      case Op::at_least:
      case Op::at_most:
        return row.kind == ValueKind::kTime   ? Duration()
               : row.kind == ValueKind::kSize ? Size()
                                              : NumberOrTemplate();
      case Op::one_of: {
        Json list = Of("array");
        list["items"] = Equal(row);
        list["minItems"] = 1;
        return list;
      }
      case Op::contains:
      case Op::not_contains:
        return row.kind == ValueKind::kJson ? Json(true) : Scalar();
      case Op::starts_with:
      case Op::ends_with:
        return Scalar();
      default:
        return Equal(row);
    }
  }

  // The map form of a subject: its argument and the operators of one row.
  Json Operators(const SubjectRow& row, const SubjectForm& form) {
    Json object = Of("object");
    object["additionalProperties"] = false;
    Json properties = Json::object();
    if (!form.key.empty()) {
      Json argument = form.choices.empty()   ? Of("string")
                      : row.argument.empty() ? WordEnum(form.choices)
                                             : Json{{"const", std::string(row.argument)}};
      properties[std::string(form.key)] = std::move(argument);
      if (form.key_required) object["required"] = Json::array({std::string(form.key)});
    }
    for (Op::Value op : AllOperators()) {
      if (Allows(row, op)) properties[Op::Value_Name(op)] = Operand(row, op);
    }
    object["properties"] = std::move(properties);
    // The argument alone asserts nothing.
    object["minProperties"] = form.key_required ? 2 : 1;
    return object;
  }

  Json Expectation() {
    Json subjects = Json::object();
    for (const SubjectForm& form : SubjectForms()) {
      Json forms = Json::array();
      for (const SubjectRow& row : SubjectRows()) {
        if (row.subject != form.subject) continue;
        forms.push_back(Operators(row, form));
        if (!form.key_required && Allows(row, Op::is) && row.kind != ValueKind::kTime) {
          forms.push_back(Equal(row));
        }
      }
      subjects[v1::Subject::Value_Name(form.subject)] =
          forms.size() == 1 ? forms[0] : Json{{"anyOf", forms}};
    }
    Json expectation = Of("object");
    expectation["additionalProperties"] = false;
    expectation["minProperties"] = 1;
    expectation["maxProperties"] = 1;
    expectation["properties"] = std::move(subjects);
    return expectation;
  }

  std::map<std::string, Json> defs_;
};

}  // namespace

std::string SuiteJsonSchema() { return SchemaPrinter().Print().dump(2) + "\n"; }

}  // namespace picket
