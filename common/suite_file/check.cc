#include "common/suite_file/check.h"

#include <algorithm>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/policy/syntax.h"
#include "common/policy/units.h"

namespace picket {
namespace {

using K = Type::Kind;

// Could a value of this shape be meant for the type?
bool Fits(const YamlNode& node, const Type& type) {
  switch (type.kind) {
    case K::kText:
      return node.is_text();
    case K::kWire:
    case K::kWord:
      return node.is_scalar() && node.type() != ScalarType::kNull;
    case K::kBool:
    case K::kTrue:
      return node.is_scalar() && node.type() == ScalarType::kBool;
    case K::kInteger:
      return node.is_scalar() && node.type() == ScalarType::kInteger;
    case K::kNumber:
      return node.is_scalar() &&
             (node.type() == ScalarType::kInteger || node.type() == ScalarType::kFloat);
    case K::kDuration:
      return node.is_text();
    case K::kSize:
      return node.is_text() || (node.is_scalar() && node.type() == ScalarType::kInteger);
    case K::kJson:
      return true;
    case K::kList:
      return node.is_list();
    case K::kMap:
    case K::kObject:
    case K::kExpectation:
      return node.is_map();
    case K::kEither:
      return Fits(node, *type.element) || Fits(node, *type.other);
  }
  return false;
}

class Checker {
 public:
  explicit Checker(SuiteContext& context) : context_(context) {}

  bool Check(YamlNode& node, const Type& type, absl::string_view what) {
    if (!Fits(node, type)) {
      const bool quotes = type.kind == K::kText && node.is_scalar();
      return Wrong(node, absl::StrCat(what, ": expected ", Expected(type), ", found ",
                                      Describe(node), quotes ? "; put it in quotes" : ""));
    }
    switch (type.kind) {
      case K::kText:
      case K::kWire:
        return Text(node, type, what);
      case K::kTrue:
        return BoolOf(node) || Wrong(node, absl::StrCat(what, ": expected true, found false"));
      case K::kInteger:
      case K::kNumber:
        return Number(node, type, what);
      case K::kDuration:
      case K::kSize:
        return Amount(node, type, what);
      case K::kWord:
        return OneOfWords(node, type, what);
      case K::kList:
        return List(node, type, what);
      case K::kMap:
        return Map(node, type, what);
      case K::kObject:
        return Object(node, *type.object);
      case K::kEither:
        return Check(node, Fits(node, *type.element) ? *type.element : *type.other, what);
      case K::kJson:
        return JsonScalars(node);
      case K::kBool:
      case K::kExpectation:
        return true;
    }
    return true;
  }

 private:
  static std::string Expected(const Type& type) {
    if (type.kind == K::kWord)
      return absl::StrCat("one of ", absl::StrJoin(Words(type.words), ", "));
    return std::string(type.expected);
  }

  bool Wrong(YamlNode& node, absl::string_view message) {
    node.bad = true;
    context_.Error(node, message);
    return false;
  }

  // Every scalar of it must be one that JSON has.
  bool JsonScalars(YamlNode& node) {
    bool good = true;
    for (YamlNode* element : node.list) good &= JsonScalars(*element);
    for (const YamlNode::Entry& entry : node.map) good &= JsonScalars(*entry.value);
    if (node.is_scalar()) {
      const YamlNode* culprit = nullptr;
      const auto value = YamlToJson(node, &culprit);
      if (!value.ok()) return Wrong(node, value.status().message());
    }
    return good;
  }

  bool Text(YamlNode& node, const Type& type, absl::string_view what) {
    if (type.check == nullptr || (type.templated && HasPlaceholder(node.text))) return true;
    const absl::Status status = type.check(node.text);
    return status.ok() || Wrong(node, absl::StrCat(what, ": ", status.message()));
  }

  bool Number(YamlNode& node, const Type& type, absl::string_view what) {
    double value = 0;
    if (type.kind == K::kInteger) {
      const YamlNode* culprit = nullptr;
      const auto json = YamlToJson(node, &culprit);
      value = json.ok() ? json->get<double>() : type.most + 1;
    } else if (!absl::SimpleAtod(node.text, &value)) {
      value = type.most + 1;
    }
    if (value >= type.least && value <= type.most) return true;
    if (type.least == type.most) {
      return Wrong(node, absl::StrCat(what, ": expected ", type.least, ", found ", node.text));
    }
    return Wrong(node, absl::StrCat(what, ": expected ", type.expected, " from ", Plain(type.least),
                                    " to ", Plain(type.most), ", found ", node.text));
  }

  static std::string Plain(double number) { return absl::StrCat(static_cast<int64_t>(number)); }

  bool Amount(YamlNode& node, const Type& type, absl::string_view what) {
    if (type.kind == K::kDuration) {
      const auto duration = ParseDuration(node.text);
      if (!duration.ok()) {
        return Wrong(node, absl::StrCat(what, ": ", duration.status().message()));
      }
      const double seconds = absl::ToDoubleSeconds(*duration);
      if (seconds >= type.least && seconds <= type.most) return true;
      return Wrong(
          node,
          absl::StrCat(what, ": expected a duration from ", DurationText(absl::Seconds(type.least)),
                       " to ", DurationText(absl::Seconds(type.most)), ", found ", node.text));
    }
    const auto size = ParseSize(node.text);
    if (!size.ok()) return Wrong(node, absl::StrCat(what, ": ", size.status().message()));
    const auto bytes = static_cast<double>(*size);
    if (bytes >= type.least && bytes <= type.most) return true;
    return Wrong(node, absl::StrCat(what, ": expected a size from ", Plain(type.least), " to ",
                                    Plain(type.most), " bytes, found ", node.text));
  }

  bool OneOfWords(YamlNode& node, const Type& type, absl::string_view what) {
    const auto words = Words(type.words);
    if (std::find(words.begin(), words.end(), node.text) != words.end()) return true;
    const absl::string_view near = Nearest(node.text, words);
    return Wrong(node,
                 absl::StrCat(what, ": expected one of ", absl::StrJoin(words, ", "), ", found ",
                              Describe(node),
                              near.empty() ? "" : absl::StrCat("; did you mean '", near, "'?")));
  }

  bool List(YamlNode& node, const Type& type, absl::string_view what) {
    if (node.list.empty() && !type.may_be_empty) {
      return Wrong(node, absl::StrCat(what, ": the list is empty; expected ", type.expected));
    }
    bool good = true;
    for (YamlNode* element : node.list) good &= Check(*element, *type.element, what);
    return Distinct(node, type, what) && good;
  }

  // Lists of names and words are sets.
  bool Distinct(YamlNode& node, const Type& type, absl::string_view what) {
    if (type.element->kind != K::kText && type.element->kind != K::kWord) return true;
    absl::flat_hash_set<absl::string_view> seen;
    bool good = true;
    for (YamlNode* element : node.list) {
      if (!element->is_scalar() || seen.insert(element->text).second) continue;
      good = Wrong(*element, absl::StrCat(what, ": ", Describe(*element), " is there twice"));
    }
    return good;
  }

  bool Map(YamlNode& node, const Type& type, absl::string_view what) {
    bool good = true;
    for (const YamlNode::Entry& entry : node.map) {
      if (type.check != nullptr && !HasPlaceholder(entry.key->text)) {
        const absl::Status status = type.check(entry.key->text);
        if (!status.ok()) {
          good = Wrong(*entry.key, absl::StrCat(what, ": ", status.message()));
          entry.value->bad = true;
          continue;
        }
      }
      good &= Check(*entry.value, *type.element, absl::StrCat(what, ".", entry.key->text));
    }
    return good;
  }

  bool Object(YamlNode& node, const ObjectSpec& spec) {
    bool good = true;
    std::vector<absl::string_view> names;
    for (const Key& key : spec.keys) names.push_back(key.name);
    for (const YamlNode::Entry& entry : node.map) {
      if (const Key* key = FindKey(spec, entry.key->text)) {
        good &= Check(*entry.value, *key->type, key->name);
        continue;
      }
      const absl::string_view near = Nearest(entry.key->text, names);
      context_.Error(
          *entry.key,
          absl::StrCat("unknown key ", Describe(*entry.key), " in ", spec.article,
                       near.empty() ? absl::StrCat("; there are: ", absl::StrJoin(names, ", "))
                                    : absl::StrCat("; did you mean '", near, "'?")));
      good = false;
    }
    for (const Key& key : spec.keys) {
      if (!key.required || node.Find(key.name) != nullptr) continue;
      context_.Error(node, absl::StrCat(spec.article, " needs the key '", key.name, "'"));
      good = false;
    }
    return ExactlyOne(node, spec) && good;
  }

  bool ExactlyOne(YamlNode& node, const ObjectSpec& spec) {
    if (spec.exactly_one.empty()) return true;
    const auto choices = Words(spec.exactly_one);
    const YamlNode::Entry* first = nullptr;
    bool good = true;
    for (const YamlNode::Entry& entry : node.map) {
      if (std::find(choices.begin(), choices.end(), entry.key->text) == choices.end()) continue;
      if (first != nullptr) {
        context_.Error(*entry.key, absl::StrCat("'", entry.key->text, "' and '", first->key->text,
                                                "' cannot both stand in ", spec.article));
        good = false;
      }
      if (first == nullptr) first = &entry;
    }
    if (first == nullptr) {
      context_.Error(node,
                     absl::StrCat(spec.article, " needs one of: ", absl::StrJoin(choices, ", ")));
      good = false;
    }
    if (!good) node.bad = true;
    return good;
  }

  SuiteContext& context_;
};

}  // namespace

bool CheckValue(SuiteContext& context, YamlNode& node, const Type& type, absl::string_view what) {
  return Checker(context).Check(node, type, what);
}

const YamlNode* Get(const YamlNode* map, absl::string_view key) {
  if (map == nullptr || !map->is_map()) return nullptr;
  const YamlNode* value = map->Find(key);
  return value == nullptr || value->bad ? nullptr : value;
}

std::string GetText(const YamlNode* map, absl::string_view key, absl::string_view fallback) {
  const YamlNode* value = Get(map, key);
  return value == nullptr || !value->is_scalar() ? std::string(fallback) : value->text;
}

bool BoolOf(const YamlNode& node) { return node.text[0] == 't' || node.text[0] == 'T'; }

int64_t IntegerOf(const YamlNode& node) {
  const YamlNode* culprit = nullptr;
  const auto json = YamlToJson(node, &culprit);
  return json.ok() && json->is_number() ? json->get<int64_t>() : 0;
}

bool GetBool(const YamlNode* map, absl::string_view key, bool fallback) {
  const YamlNode* value = Get(map, key);
  return value == nullptr || !value->is_scalar() ? fallback : BoolOf(*value);
}

int64_t GetInteger(const YamlNode* map, absl::string_view key, int64_t fallback) {
  const YamlNode* value = Get(map, key);
  return value == nullptr || !value->is_scalar() ? fallback : IntegerOf(*value);
}

std::vector<const YamlNode*> ListOrOne(const YamlNode& node) {
  std::vector<const YamlNode*> elements;
  if (node.bad) return elements;
  if (!node.is_list()) return {&node};
  for (const YamlNode* element : node.list) {
    if (!element->bad) elements.push_back(element);
  }
  return elements;
}

}  // namespace picket
