// What scalars mean (YAML 1.2 core schema), and nodes as JSON.

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/suite_file/yaml_tree.h"

namespace picket {
namespace {

bool AllDigits(absl::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), absl::ascii_isdigit);
}

bool IsInteger(absl::string_view text) {
  if (absl::StartsWith(text, "0o") || absl::StartsWith(text, "0x")) {
    const bool hex = text[1] == 'x';
    text.remove_prefix(2);
    return !text.empty() && std::all_of(text.begin(), text.end(), [hex](char c) {
      return hex ? absl::ascii_isxdigit(c) : c >= '0' && c <= '7';
    });
  }
  if (text[0] == '-' || text[0] == '+') text.remove_prefix(1);
  return AllDigits(text);
}

// [-+]? ( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )?  | .inf | .nan
bool IsFloat(absl::string_view text) {
  if (text == ".nan" || text == ".NaN" || text == ".NAN") return true;
  if (text[0] == '-' || text[0] == '+') text.remove_prefix(1);
  if (text == ".inf" || text == ".Inf" || text == ".INF") return true;
  const size_t e = text.find_first_of("eE");
  if (e != absl::string_view::npos) {
    absl::string_view exponent = text.substr(e + 1);
    if (!exponent.empty() && (exponent[0] == '-' || exponent[0] == '+')) exponent.remove_prefix(1);
    if (!AllDigits(exponent)) return false;
    text = text.substr(0, e);
  }
  const size_t dot = text.find('.');
  if (dot == absl::string_view::npos) return AllDigits(text);
  const absl::string_view whole = text.substr(0, dot), part = text.substr(dot + 1);
  if (whole.empty()) return AllDigits(part);
  return AllDigits(whole) && (part.empty() || AllDigits(part));
}

}  // namespace

ScalarType ResolveScalar(absl::string_view text) {
  if (text.empty() || text == "~" || text == "null" || text == "Null" || text == "NULL") {
    return ScalarType::kNull;
  }
  for (absl::string_view word : {"true", "True", "TRUE", "false", "False", "FALSE"}) {
    if (text == word) return ScalarType::kBool;
  }
  if (IsInteger(text)) return ScalarType::kInteger;
  if (IsFloat(text)) return ScalarType::kFloat;
  return ScalarType::kText;
}

ScalarType YamlNode::type() const {
  if (kind == Kind::kNull) return ScalarType::kNull;
  return quoted ? ScalarType::kText : ResolveScalar(text);
}

const YamlNode* YamlNode::Find(absl::string_view key) const {
  for (const Entry& entry : map) {
    if (entry.key->text == key) return entry.value;
  }
  return nullptr;
}

YamlNode* YamlNode::Find(absl::string_view key) {
  return const_cast<YamlNode*>(std::as_const(*this).Find(key));
}

absl::StatusOr<Json> YamlToJson(const YamlNode& node, const YamlNode** culprit) {
  switch (node.kind) {
    case YamlNode::Kind::kNull:
      return Json(nullptr);
    case YamlNode::Kind::kList: {
      Json list = Json::array();
      for (const YamlNode* element : node.list) {
        auto value = YamlToJson(*element, culprit);
        if (!value.ok()) return value;
        list.push_back(*std::move(value));
      }
      return list;
    }
    case YamlNode::Kind::kMap: {
      Json object = Json::object();
      // The keys are known to differ; appending them spares a search for each.
      auto& members = object.get_ref<Json::object_t&>();
      for (const YamlNode::Entry& entry : node.map) {
        auto value = YamlToJson(*entry.value, culprit);
        if (!value.ok()) return value;
        members.push_back({entry.key->text, *std::move(value)});
      }
      return object;
    }
    case YamlNode::Kind::kScalar:
      break;
  }
  *culprit = &node;
  absl::string_view text = node.text;
  switch (node.type()) {
    case ScalarType::kNull:
      return Json(nullptr);
    case ScalarType::kBool:
      return Json(text[0] == 't' || text[0] == 'T');
    case ScalarType::kText:
      return Json(node.text);
    case ScalarType::kInteger: {
      const bool octal = absl::StartsWith(text, "0o"), hex = absl::StartsWith(text, "0x");
      uint64_t unsigned_value = 0;
      int64_t value = 0;
      absl::ConsumePrefix(&text, "+");
      if (hex && absl::SimpleHexAtoi(text.substr(2), &unsigned_value)) return Json(unsigned_value);
      if (octal && text.size() <= 23) {
        for (char c : text.substr(2)) unsigned_value = unsigned_value * 8 + (c - '0');
        return Json(unsigned_value);
      }
      if (!hex && !octal && absl::SimpleAtoi(text, &value)) return Json(value);
      if (!hex && !octal && absl::SimpleAtoi(text, &unsigned_value)) return Json(unsigned_value);
      return absl::InvalidArgumentError(absl::StrCat(
          "the number ", node.text, " does not fit 64 bits; put it in quotes if it is text"));
    }
    case ScalarType::kFloat: {
      double value = 0;
      if (text.back() != 'f' && text.back() != 'F' && text.back() != 'n' && text.back() != 'N' &&
          absl::SimpleAtod(absl::StripPrefix(text, "+"), &value)) {
        if (value - value == 0) return Json(value);
      }
      return absl::InvalidArgumentError(
          absl::StrCat("JSON has no number ", node.text, "; put it in quotes if it is text"));
    }
  }
  return Json(nullptr);
}

std::string Describe(const YamlNode& node) {
  switch (node.kind) {
    case YamlNode::Kind::kNull:
      return "nothing (null)";
    case YamlNode::Kind::kList:
      return node.list.empty() ? "an empty list" : "a list";
    case YamlNode::Kind::kMap:
      return node.map.empty() ? "an empty map" : "a map";
    case YamlNode::Kind::kScalar:
      break;
  }
  std::string shown = node.text.substr(0, 60);
  if (shown.size() < node.text.size()) {
    while (!shown.empty() && (shown.back() & 0xc0) == 0x80) shown.pop_back();
    if (!shown.empty() && (shown.back() & 0x80) != 0) shown.pop_back();
    shown += "...";
  }
  for (char& c : shown) {
    if (absl::ascii_iscntrl(c)) c = ' ';
  }
  switch (node.type()) {
    case ScalarType::kNull:
      return "nothing (null)";
    case ScalarType::kBool:
    case ScalarType::kInteger:
    case ScalarType::kFloat:
      return absl::StrCat(node.type() == ScalarType::kBool ? "" : "the number ", shown);
    case ScalarType::kText:
      break;
  }
  return absl::StrCat("'", shown, "'");
}

}  // namespace picket
