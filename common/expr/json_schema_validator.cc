#include <algorithm>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/expr/json_schema_node.h"
#include "common/expr/limits.h"
#include "common/policy/limits.h"

namespace picket::schema {
namespace {

using Error = JsonSchema::Error;

// Where in the instance we are: a list through the frames of the recursion.
struct Place {
  const Place* above = nullptr;
  const std::string* name = nullptr;  // null: an array index
  size_t index = 0;

  std::string Pointer() const {
    if (above == nullptr) return "";
    std::string pointer = above->Pointer();
    if (name != nullptr) {
      absl::StrAppend(&pointer, "/", PointerToken(*name));
    } else {
      absl::StrAppend(&pointer, "/", index);
    }
    return pointer;
  }
};

// A value short enough for a message, made in constant time.
std::string Brief(const Json& value) {
  constexpr size_t kMost = 80;
  if (value.is_array()) return absl::StrCat("an array of ", value.size());
  if (value.is_object()) return absl::StrCat("an object of ", value.size());
  const auto* text = value.get_ptr<const std::string*>();
  if (text == nullptr || text->size() <= kMost) return ToText(value);
  size_t cut = kMost;
  while (cut > 0 && ((*text)[cut] & 0xC0) == 0x80) --cut;
  return absl::StrCat(ToText(Json(text->substr(0, cut))), "...");
}

uint8_t TypesOf(const Json& value) {
  switch (value.type()) {
    case Json::value_t::null:
      return kNull;
    case Json::value_t::boolean:
      return kBoolean;
    case Json::value_t::string:
      return kString;
    case Json::value_t::array:
      return kArray;
    case Json::value_t::object:
      return kObject;
    default:
      return IsIntegral(value) ? kInteger | kNumber : kNumber;
  }
}

std::string TypeNames(uint8_t types) {
  static constexpr absl::string_view kNames[] = {"null",   "boolean", "integer", "number",
                                                 "string", "array",   "object"};
  std::string out;
  for (int i = 0; i < 7; ++i) {
    if ((types & (1 << i)) != 0) absl::StrAppend(&out, out.empty() ? "" : " or ", kNames[i]);
  }
  return out;
}

// One validation. All Check methods return whether the instance is valid so far; when a bound
// was reached they return false and `exhausted_` says why.
class Validator {
 public:
  explicit Validator(size_t steps) : steps_(steps), steps_most_(steps) {}

  absl::StatusOr<JsonSchema::Result> Run(const Node& root, const Json& instance) {
    JsonSchema::Result result;
    result.valid = Check(root, instance, Place{}, 0, &result.errors);
    if (!exhausted_.empty()) return absl::ResourceExhaustedError(exhausted_);
    return result;
  }

 private:
  using Errors = std::vector<Error>;  // null: only the answer is wanted

  bool Spend(size_t steps) {
    if (!exhausted_.empty()) return false;
    if (steps > steps_) {
      OutOfSteps();
      return false;
    }
    steps_ -= steps;
    return true;
  }

  void OutOfSteps() {
    steps_ = 0;
    exhausted_ = absl::StrCat("the JSON Schema needs more than ", steps_most_,
                              " steps to judge this instance");
  }

  bool SpendText(const std::string& text) {
    return Spend(1 + text.size() / DefaultExprLimits().text_bytes_per_node);
  }

  // Notes a failure; always false, so that a caller can return it.
  bool Fail(Errors* errors, const Node& node, absl::string_view keyword, const Place& place,
            absl::string_view message) {
    if (errors != nullptr && errors->size() < DefaultExprLimits().schema_errors) {
      errors->push_back({place.Pointer(),
                         absl::StrCat(node.pointer, keyword.empty() ? "" : "/", keyword),
                         std::string(message)});
    }
    return false;
  }

  // May we stop looking, having found this node invalid?
  bool Done(const Errors* errors) const {
    return !exhausted_.empty() || errors == nullptr ||
           errors->size() >= DefaultExprLimits().schema_errors;
  }

  // `in_place` counts the schemas applied to this same value, one within the other.
  bool Check(const Node& node, const Json& value, const Place& place, int in_place,
             Errors* errors) {
    if (!Spend(1)) return false;
    if (node.boolean.has_value()) {
      return *node.boolean || Fail(errors, node, "", place, "nothing is allowed here");
    }
    if (nesting_ >= DefaultExprLimits().schema_nesting ||
        in_place >= DefaultLimits().schema_depth) {
      exhausted_ = absl::StrCat("the JSON Schema applies schemas within schemas more than ",
                                in_place >= DefaultLimits().schema_depth
                                    ? DefaultLimits().schema_depth
                                    : DefaultExprLimits().schema_nesting,
                                " levels deep, at '", node.pointer, "'");
      return false;
    }
    ++nesting_;
    const bool valid = CheckAll(node, value, place, in_place + 1, errors);
    --nesting_;
    return valid;
  }

  bool CheckAll(const Node& node, const Json& value, const Place& place, int in_place,
                Errors* errors) {
    bool valid = true;
    if (node.ref != nullptr) {
      valid = Check(*node.ref, value, place, in_place, errors);
      if (node.ref_only || (!valid && Done(errors))) return valid;
    }
    valid &= CheckAny(node, value, place, errors);
    if (!valid && Done(errors)) return false;
    if (value.is_number()) {
      valid &= CheckNumber(node, value, place, errors);
    } else if (const auto* text = value.get_ptr<const std::string*>()) {
      valid &= CheckString(node, *text, place, errors);
    } else if (const auto* array = value.get_ptr<const Json::array_t*>()) {
      valid &= CheckArray(node, *array, place, errors);
    } else if (const auto* object = value.get_ptr<const Json::object_t*>()) {
      valid &= CheckObject(node, value, *object, place, in_place, errors);
    }
    if (!valid && Done(errors)) return false;
    valid &= CheckLogic(node, value, place, in_place, errors);
    return valid && exhausted_.empty();
  }

  bool CheckAny(const Node& node, const Json& value, const Place& place, Errors* errors) {
    bool valid = true;
    if (node.types != 0 && (TypesOf(value) & node.types) == 0) {
      valid = Fail(errors, node, "type", place,
                   absl::StrCat("expected ", TypeNames(node.types), ", but found ", Brief(value)));
    }
    if (node.constant.has_value() && !Equal(*node.constant, value)) {
      valid = Fail(errors, node, "const", place,
                   absl::StrCat("expected ", Brief(*node.constant), ", but found ", Brief(value)));
    }
    if (node.enumeration.has_value() &&
        std::none_of(node.enumeration->begin(), node.enumeration->end(),
                     [&](const Json& allowed) { return Equal(allowed, value); })) {
      valid = Fail(errors, node, "enum", place,
                   absl::StrCat("expected one of ", node.enumeration->size(), " values, but found ",
                                Brief(value)));
    }
    return valid;
  }

  bool Equal(const Json& a, const Json& b) {
    const std::optional<bool> equal = JsonEqualsWithin(a, b, &steps_);
    if (!equal.has_value()) OutOfSteps();
    return equal.value_or(false);
  }

  bool CheckNumber(const Node& node, const Json& value, const Place& place, Errors* errors) {
    bool valid = true;
    const auto bound = [&](const std::optional<Json>& limit, absl::string_view keyword,
                           absl::string_view what, const auto& holds) {
      if (!limit.has_value() || holds(CompareNumbers(value, *limit))) return;
      valid = Fail(errors, node, keyword, place,
                   absl::StrCat("expected a number ", what, " ", ToText(*limit), ", but found ",
                                ToText(value)));
    };
    bound(node.maximum, "maximum", "of at most", [](int order) { return order <= 0; });
    bound(node.exclusive_maximum, "exclusiveMaximum", "below", [](int order) { return order < 0; });
    bound(node.minimum, "minimum", "of at least", [](int order) { return order >= 0; });
    bound(node.exclusive_minimum, "exclusiveMinimum", "above", [](int order) { return order > 0; });
    if (node.multiple_of.has_value() && !IsMultipleOf(value, *node.multiple_of)) {
      valid = Fail(errors, node, "multipleOf", place,
                   absl::StrCat("expected a multiple of ", ToText(*node.multiple_of),
                                ", but found ", ToText(value)));
    }
    return valid;
  }

  bool CheckCount(const Node& node, const Place& place, uint64_t count,
                  const std::optional<uint64_t>& least, absl::string_view least_keyword,
                  const std::optional<uint64_t>& most, absl::string_view most_keyword,
                  absl::string_view of, Errors* errors) {
    bool valid = true;
    if (least.has_value() && count < *least) {
      valid = Fail(errors, node, least_keyword, place,
                   absl::StrCat("expected at least ", *least, " ", of, ", but found ", count));
    }
    if (most.has_value() && count > *most) {
      valid = Fail(errors, node, most_keyword, place,
                   absl::StrCat("expected at most ", *most, " ", of, ", but found ", count));
    }
    return valid;
  }

  bool CheckString(const Node& node, const std::string& text, const Place& place, Errors* errors) {
    bool valid = true;
    if (node.min_length.has_value() || node.max_length.has_value()) {
      if (!SpendText(text)) return false;
      valid &= CheckCount(node, place, CountCodePoints(text), node.min_length, "minLength",
                          node.max_length, "maxLength", "characters", errors);
    }
    if (node.pattern != nullptr) {
      if (!SpendText(text)) return false;
      if (!node.pattern->Search(text)) {
        valid = Fail(errors, node, "pattern", place,
                     absl::StrCat("expected a match of '", node.pattern_text, "', but found ",
                                  Brief(Json(text))));
      }
    }
    return valid;
  }

  bool CheckArray(const Node& node, const Json::array_t& array, const Place& place,
                  Errors* errors) {
    bool valid = CheckCount(node, place, array.size(), node.min_items, "minItems", node.max_items,
                            "maxItems", "elements", errors);
    for (size_t i = 0; i < array.size(); ++i) {
      const Node* schema = i < node.prefix_items.size() ? node.prefix_items[i] : node.items;
      if (schema == nullptr) break;
      if (!valid && Done(errors)) return false;
      valid &= Check(*schema, array[i], Place{&place, nullptr, i}, 0, errors);
    }
    if (node.unique_items) valid &= CheckUnique(node, array, place, errors);
    if (node.contains != nullptr) valid &= CheckContains(node, array, place, errors);
    return valid;
  }

  bool CheckUnique(const Node& node, const Json::array_t& array, const Place& place,
                   Errors* errors) {
    absl::flat_hash_map<uint64_t, std::vector<size_t>> seen;
    for (size_t i = 0; i < array.size(); ++i) {
      const uint64_t hash = JsonHashWithin(array[i], &steps_);
      if (!Spend(1)) return false;
      std::vector<size_t>& alike = seen[hash];
      for (size_t earlier : alike) {
        if (!Equal(array[earlier], array[i])) continue;
        return Fail(
            errors, node, "uniqueItems", place,
            absl::StrCat("expected distinct elements, but ", earlier, " and ", i, " are equal"));
      }
      alike.push_back(i);
    }
    return true;
  }

  bool CheckContains(const Node& node, const Json::array_t& array, const Place& place,
                     Errors* errors) {
    const uint64_t least = node.min_contains.value_or(1);
    uint64_t found = 0;
    for (size_t i = 0; i < array.size(); ++i) {
      found += Check(*node.contains, array[i], Place{&place, nullptr, i}, 0, nullptr);
      if (!exhausted_.empty()) return false;
      if (!node.max_contains.has_value() && found >= least) return true;
    }
    return CheckCount(node, place, found, least,
                      node.min_contains.has_value() ? "minContains" : "contains", node.max_contains,
                      "maxContains", "elements that match `contains`", errors);
  }

  bool CheckObject(const Node& node, const Json& value, const Json::object_t& object,
                   const Place& place, int in_place, Errors* errors) {
    bool valid = CheckCount(node, place, object.size(), node.min_properties, "minProperties",
                            node.max_properties, "maxProperties", "properties", errors);
    valid &= CheckRequired(node, value, place, "required", node.required, errors);
    if (!node.properties.empty() || !node.pattern_properties.empty() ||
        node.additional_properties != nullptr || node.property_names != nullptr) {
      for (const auto& [name, member] : object) {
        if (!valid && Done(errors)) return false;
        valid &= CheckProperty(node, name, member, place, errors);
      }
    }
    for (const auto& [name, names] : node.dependent_required) {
      if (!Spend(1 + object.size() / 16)) return false;
      if (FindMember(value, name) == nullptr) continue;
      valid &= CheckRequired(node, value, place,
                             absl::StrCat(node.dependent_keyword, "/", PointerToken(name)), names,
                             errors);
    }
    for (const auto& [name, schema] : node.dependent_schemas) {
      if (!Spend(1 + object.size() / 16)) return false;
      if (FindMember(value, name) == nullptr) continue;
      valid &= Check(*schema, value, place, in_place, errors);
      if (!valid && Done(errors)) return false;
    }
    return valid;
  }

  bool CheckRequired(const Node& node, const Json& value, const Place& place,
                     absl::string_view keyword, const std::vector<std::string>& names,
                     Errors* errors) {
    bool valid = true;
    for (const std::string& name : names) {
      if (!Spend(1 + value.size() / 16)) return false;
      if (FindMember(value, name) != nullptr) continue;
      valid = Fail(errors, node, keyword, place,
                   absl::StrCat("expected the property '", name, "', which is absent"));
      if (Done(errors)) return false;
    }
    return valid;
  }

  bool CheckProperty(const Node& node, const std::string& name, const Json& member,
                     const Place& place, Errors* errors) {
    const Place below{&place, &name, 0};
    bool valid = true;
    bool covered = false;
    if (const auto it = node.properties.find(name); it != node.properties.end()) {
      covered = true;
      valid &= Check(*it->second, member, below, 0, errors);
    }
    for (const auto& [pattern, schema] : node.pattern_properties) {
      if (!SpendText(name)) return false;
      if (!pattern->Search(name)) continue;
      covered = true;
      valid &= Check(*schema, member, below, 0, errors);
    }
    if (!covered && node.additional_properties != nullptr) {
      if (node.additional_properties->boolean == false) {
        valid = Fail(errors, node, "additionalProperties", below,
                     absl::StrCat("the property '", name, "' is not allowed"));
      } else {
        valid &= Check(*node.additional_properties, member, below, 0, errors);
      }
    }
    if (node.property_names != nullptr &&
        !Check(*node.property_names, Json(name), below, 0, nullptr)) {
      valid = Fail(errors, node, "propertyNames", below,
                   absl::StrCat("the name '", name, "' is not allowed"));
    }
    return valid;
  }

  bool CheckLogic(const Node& node, const Json& value, const Place& place, int in_place,
                  Errors* errors) {
    bool valid = true;
    for (const Node* schema : node.all_of) {
      valid &= Check(*schema, value, place, in_place, errors);
      if (!valid && Done(errors)) return false;
    }
    if (!node.any_of.empty() && !CheckAnyOf(node, value, place, in_place)) {
      valid = Fail(errors, node, "anyOf", place,
                   absl::StrCat("expected a match of at least one of ", node.any_of.size(),
                                " schemas, but none matches ", Brief(value)));
    }
    if (!node.one_of.empty()) valid &= CheckOneOf(node, value, place, in_place, errors);
    if (node.negated != nullptr && Check(*node.negated, value, place, in_place, nullptr)) {
      valid = Fail(errors, node, "not", place,
                   absl::StrCat("expected no match of this schema, but found ", Brief(value)));
    }
    if (node.condition != nullptr && (node.consequence != nullptr || node.alternative != nullptr)) {
      const Node* next = Check(*node.condition, value, place, in_place, nullptr) ? node.consequence
                                                                                 : node.alternative;
      if (exhausted_.empty() && next != nullptr) {
        valid &= Check(*next, value, place, in_place, errors);
      }
    }
    return valid;
  }

  bool CheckAnyOf(const Node& node, const Json& value, const Place& place, int in_place) {
    return std::any_of(node.any_of.begin(), node.any_of.end(), [&](const Node* schema) {
      return Check(*schema, value, place, in_place, nullptr);
    });
  }

  bool CheckOneOf(const Node& node, const Json& value, const Place& place, int in_place,
                  Errors* errors) {
    std::optional<size_t> match;
    for (size_t i = 0; i < node.one_of.size(); ++i) {
      if (!Check(*node.one_of[i], value, place, in_place, nullptr)) {
        if (!exhausted_.empty()) return false;
        continue;
      }
      if (match.has_value()) {
        return Fail(errors, node, "oneOf", place,
                    absl::StrCat("expected a match of exactly one schema, but ", *match, " and ", i,
                                 " match"));
      }
      match = i;
    }
    if (match.has_value()) return true;
    return Fail(errors, node, "oneOf", place,
                absl::StrCat("expected a match of exactly one of ", node.one_of.size(),
                             " schemas, but none matches ", Brief(value)));
  }

  size_t steps_;
  const size_t steps_most_;
  int nesting_ = 0;
  std::string exhausted_;
};

}  // namespace

absl::StatusOr<JsonSchema::Result> ValidateInstance(const Document& document, const Json& instance,
                                                    size_t steps_most) {
  return Validator(steps_most).Run(*document.root, instance);
}

}  // namespace picket::schema
