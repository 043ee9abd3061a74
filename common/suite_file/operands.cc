#include "common/suite_file/operands.h"

#include <arpa/inet.h>

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "common/expr/json_schema.h"
#include "common/policy/regex.h"
#include "common/policy/syntax.h"
#include "common/policy/units.h"
#include "common/suite_file/check.h"
#include "common/suite_file/keys.h"

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

class OperandFolder {
 public:
  explicit OperandFolder(SuiteContext& context) : context_(context) {}

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

 private:
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
};

}  // namespace

std::optional<Json> FoldOperand(SuiteContext& context, YamlNode& node, const SubjectRow& row,
                                v1::Operator::Value op, const std::string& what) {
  return OperandFolder(context).Operand(node, row, op, what);
}

}  // namespace picket
