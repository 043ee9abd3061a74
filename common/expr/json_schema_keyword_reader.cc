#include "common/expr/json_schema_keyword_reader.h"

#include <algorithm>
#include <limits>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"

namespace picket::schema {
namespace {

// RE2 says \x{1F} where ECMA-262 says \u001F.
std::string RewritePattern(absl::string_view pattern) {
  std::string out;
  for (size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i] != '\\' || i + 1 == pattern.size()) {
      out += pattern[i];
      continue;
    }
    ++i;
    const absl::string_view digits = pattern.substr(std::min(i + 1, pattern.size())).substr(0, 4);
    if (pattern[i] == 'u' && digits.size() == 4 &&
        std::all_of(digits.begin(), digits.end(), absl::ascii_isxdigit)) {
      absl::StrAppend(&out, "\\x{", digits, "}");
      i += 4;
    } else {
      out += '\\';
      out += pattern[i];
    }
  }
  return out;
}

}  // namespace

absl::Status KeywordReader::Fail(absl::string_view pointer, absl::string_view what) {
  return absl::InvalidArgumentError(
      absl::StrCat("not a usable JSON Schema: at '", pointer, "': ", what));
}

absl::Status KeywordReader::ReadCount(const Json& value, const std::string& pointer,
                                      std::optional<uint64_t>* out) {
  if (!value.is_number() || !IsIntegral(value) || CompareNumbers(value, Json(0)) < 0) {
    return Fail(pointer, absl::StrCat("expected a whole number from 0, but found ", ToText(value)));
  }
  if (value.is_number_float()) {
    const double d = value.get<double>();
    *out = d >= 0x1p63 ? std::numeric_limits<uint64_t>::max() : static_cast<uint64_t>(d);
  } else {
    *out = value.get<uint64_t>();
  }
  return absl::OkStatus();
}

absl::Status KeywordReader::ReadNumber(const Json& value, const std::string& pointer,
                                       std::optional<Json>* out) {
  if (!value.is_number()) {
    return Fail(pointer, absl::StrCat("expected a number, but found ", ToText(value)));
  }
  *out = value;
  return absl::OkStatus();
}

absl::StatusOr<std::vector<std::string>> KeywordReader::ReadNames(const Json& value,
                                                                  const std::string& pointer) {
  std::vector<std::string> names;
  bool good = value.is_array();
  if (good) {
    for (const Json& name : value) {
      const auto* text = name.get_ptr<const std::string*>();
      good = good && text != nullptr;
      if (text != nullptr) names.push_back(*text);
    }
  }
  if (!good) return Fail(pointer, "expected an array of strings");
  std::vector<std::string> sorted = names;
  std::sort(sorted.begin(), sorted.end());
  if (std::adjacent_find(sorted.begin(), sorted.end()) != sorted.end()) {
    return Fail(pointer, "a name stands here twice");
  }
  return names;
}

absl::StatusOr<std::vector<const Node*>> KeywordReader::ReadSchemas(const Json& value,
                                                                    const std::string& pointer,
                                                                    const Scope& scope) {
  if (!value.is_array() || value.empty()) {
    return Fail(pointer, "expected an array of at least one schema");
  }
  std::vector<const Node*> nodes;
  for (size_t i = 0; i < value.size(); ++i) {
    ABSL_ASSIGN_OR_RETURN(const Node* node,
                          CompileSchema(value[i], absl::StrCat(pointer, "/", i), scope));
    nodes.push_back(node);
  }
  return nodes;
}

absl::StatusOr<std::vector<std::pair<std::string, const Node*>>> KeywordReader::ReadSchemaMap(
    const Json& value, const std::string& pointer, const Scope& scope) {
  const auto* members = value.get_ptr<const Json::object_t*>();
  if (members == nullptr) return Fail(pointer, "expected an object of schemas");
  std::vector<std::pair<std::string, const Node*>> nodes;
  for (const auto& [name, schema] : *members) {
    ABSL_ASSIGN_OR_RETURN(
        const Node* node,
        CompileSchema(schema, absl::StrCat(pointer, "/", PointerToken(name)), scope));
    nodes.emplace_back(name, node);
  }
  return nodes;
}

absl::StatusOr<std::shared_ptr<const Regex>> KeywordReader::ReadPattern(
    const std::string& pattern, const std::string& pointer) {
  auto regex = Regex::Compile(RewritePattern(pattern));
  if (!regex.ok()) return Fail(pointer, regex.status().message());
  return regex;
}

}  // namespace picket::schema
