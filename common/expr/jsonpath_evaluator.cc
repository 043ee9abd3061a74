#include <algorithm>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "common/expr/iregexp.h"
#include "common/expr/jsonpath_query.h"
#include "common/expr/limits.h"

namespace picket::jsonpath {
namespace {

// What a comparable or an argument evaluates to: a value, or Nothing.
struct Value {
  const Json* json = nullptr;  // null: Nothing
  Json owned;                  // what `json` points to when a function made it

  static Value Of(const Json* json) {
    Value value;
    value.json = json;
    return value;
  }
};

// One evaluation. Every node looked at is charged; once the budget is used up all methods
// return quickly and what they return is meaningless.
class Evaluator {
 public:
  Evaluator(const Json& root, size_t budget, std::vector<Step>* trail)
      : root_(root), budget_(budget), trail_(trail) {
    if (trail_ != nullptr) trail_->assign(1, Step{});
  }

  bool exhausted() const { return exhausted_; }

  std::vector<Node> Run(const Query& query) { return Select(query, Node{&root_, 0}); }

 private:
  bool Charge(size_t nodes) {
    if (exhausted_ || nodes > budget_) {
      exhausted_ = true;
      budget_ = 0;
      return false;
    }
    budget_ -= nodes;
    return true;
  }

  bool ChargeText(const std::string& text) {
    return Charge(1 + text.size() / DefaultExprLimits().text_bytes_per_node);
  }

  // Members are found by looking at them one after another.
  bool ChargeSearch(const Json& object) { return Charge(1 + object.size() / 16); }

  Node Child(const Node& parent, const Json& value, const std::string* name, size_t index) {
    if (trail_ == nullptr) return Node{&value, 0};
    trail_->push_back(Step{parent.trail, name, index});
    return Node{&value, static_cast<uint32_t>(trail_->size() - 1)};
  }

  std::vector<Node> Select(const Query& query, const Node& start) {
    std::vector<Node> nodes = {start};
    for (const Segment& segment : query.segments) {
      std::vector<Node> next;
      for (const Node& node : nodes) {
        if (segment.descendant) {
          Descend(segment, node, &next);
        } else {
          Apply(segment, node, &next);
        }
        if (exhausted_) return {};
      }
      nodes = std::move(next);
    }
    return nodes;
  }

  void Descend(const Segment& segment, const Node& node, std::vector<Node>* out) {
    if (!Charge(1)) return;
    Apply(segment, node, out);
    ForEachChild(node, [&](const Node& child) {
      if (child.value->is_structured()) Descend(segment, child, out);
    });
  }

  void Apply(const Segment& segment, const Node& node, std::vector<Node>* out) {
    for (const Selector& selector : segment.selectors) {
      if (exhausted_) return;
      ApplySelector(selector, node, out);
    }
  }

  template <typename Visit>
  void ForEachChild(const Node& node, const Visit& visit) {
    if (const auto* array = node.value->get_ptr<const Json::array_t*>()) {
      for (size_t i = 0; i < array->size(); ++i) {
        if (!Charge(1)) return;
        visit(Child(node, (*array)[i], nullptr, i));
      }
    } else if (const auto* object = node.value->get_ptr<const Json::object_t*>()) {
      for (const auto& [name, value] : *object) {
        if (!Charge(1)) return;
        visit(Child(node, value, &name, 0));
      }
    }
  }

  void ApplySelector(const Selector& selector, const Node& node, std::vector<Node>* out) {
    switch (selector.kind) {
      case Selector::Kind::kName: {
        if (!node.value->is_object() || !ChargeSearch(*node.value)) return;
        // The trail keeps the selector's own copy of the name, which lives as long.
        if (const Json* member = FindMember(*node.value, selector.name)) {
          out->push_back(Child(node, *member, &selector.name, 0));
        }
        return;
      }
      case Selector::Kind::kIndex: {
        if (const Json* element = Element(*node.value, selector.index)) {
          if (!Charge(1)) return;
          const int64_t size = static_cast<int64_t>(node.value->size());
          const int64_t index = selector.index < 0 ? size + selector.index : selector.index;
          out->push_back(Child(node, *element, nullptr, static_cast<size_t>(index)));
        }
        return;
      }
      case Selector::Kind::kSlice:
        ApplySlice(selector, node, out);
        return;
      case Selector::Kind::kWildcard:
        ForEachChild(node, [&](const Node& child) { out->push_back(child); });
        return;
      case Selector::Kind::kFilter:
        ForEachChild(node, [&](const Node& child) {
          if (Test(*selector.filter, *child.value) && !exhausted_) out->push_back(child);
        });
        return;
    }
  }

  static const Json* Element(const Json& value, int64_t index) {
    const auto* array = value.get_ptr<const Json::array_t*>();
    if (array == nullptr) return nullptr;
    const int64_t size = static_cast<int64_t>(array->size());
    if (index < 0) index += size;
    if (index < 0 || index >= size) return nullptr;
    return &(*array)[static_cast<size_t>(index)];
  }

  // RFC 9535, section 2.3.4.2.2.
  void ApplySlice(const Selector& selector, const Node& node, std::vector<Node>* out) {
    const auto* array = node.value->get_ptr<const Json::array_t*>();
    if (array == nullptr || selector.step == 0) return;
    const int64_t size = static_cast<int64_t>(array->size());
    const int64_t step = selector.step;
    const auto normal = [size](int64_t i) { return i >= 0 ? i : size + i; };
    const int64_t start = normal(selector.start.value_or(step > 0 ? 0 : size - 1));
    const int64_t end = selector.end.has_value() ? normal(*selector.end) : step > 0 ? size : -1;
    const auto select = [&](int64_t i) {
      if (!Charge(1)) return false;
      const size_t index = static_cast<size_t>(i);
      out->push_back(Child(node, (*array)[index], nullptr, index));
      return true;
    };
    if (step > 0) {
      const int64_t upper = std::clamp<int64_t>(end, 0, size);
      for (int64_t i = std::clamp<int64_t>(start, 0, size); i < upper; i += step) {
        if (!select(i)) return;
      }
    } else {
      const int64_t lower = std::clamp<int64_t>(end, -1, size - 1);
      for (int64_t i = std::clamp<int64_t>(start, -1, size - 1); i > lower; i += step) {
        if (!select(i)) return;
      }
    }
  }

  bool Test(const Logical& logical, const Json& current) {
    if (exhausted_) return false;
    switch (logical.kind) {
      case Logical::Kind::kOr:
        return std::any_of(logical.children.begin(), logical.children.end(),
                           [&](const auto& child) { return Test(*child, current); });
      case Logical::Kind::kAnd:
        return std::all_of(logical.children.begin(), logical.children.end(),
                           [&](const auto& child) { return Test(*child, current); });
      case Logical::Kind::kNot:
        return !Test(*logical.children[0], current);
      case Logical::Kind::kCompare: {
        const Value left = Evaluate(logical.left, current);
        const Value right = Evaluate(logical.right, current);
        return Compare(logical.comparison, left, right);
      }
      case Logical::Kind::kTest:
        if (logical.left.kind == Operand::Kind::kQuery) {
          return Exists(logical.left.query, current);
        }
        return Matches(*logical.left.call, current);
    }
    return false;
  }

  // The nodes of a query within a filter; these need no trail.
  std::vector<Node> SelectWithin(const Query& query, const Json& current) {
    std::vector<Step>* const trail = std::exchange(trail_, nullptr);
    std::vector<Node> nodes = Select(query, Node{query.relative ? &current : &root_, 0});
    trail_ = trail;
    return nodes;
  }

  bool Exists(const Query& query, const Json& current) {
    if (query.singular) return Singular(query, current) != nullptr;
    return !SelectWithin(query, current).empty();
  }

  // The one node of a singular query, or null.
  const Json* Singular(const Query& query, const Json& current) {
    const Json* node = query.relative ? &current : &root_;
    for (const Segment& segment : query.segments) {
      const Selector& selector = segment.selectors[0];
      if (!(node->is_object() ? ChargeSearch(*node) : Charge(1))) return nullptr;
      node = selector.kind == Selector::Kind::kName ? FindMember(*node, selector.name)
                                                    : Element(*node, selector.index);
      if (node == nullptr) return nullptr;
    }
    return node;
  }

  Value Evaluate(const Operand& operand, const Json& current) {
    switch (operand.kind) {
      case Operand::Kind::kLiteral:
        return Value::Of(&operand.literal);
      case Operand::Kind::kQuery:
        return Value::Of(Singular(operand.query, current));
      case Operand::Kind::kCall:
        return CallValue(*operand.call, current);
    }
    return {};
  }

  static Value Own(Json json) {
    Value value;
    value.owned = std::move(json);
    return value;
  }

  Value CallValue(const Call& call, const Json& current) {
    const Operand& argument = call.arguments[0];
    switch (call.function) {
      case Function::kLength: {
        const Value of = Evaluate(argument, current);
        const Json* json = Get(of);
        if (json == nullptr) return {};
        if (json->is_structured()) return Own(json->size());
        const auto* text = json->get_ptr<const std::string*>();
        if (text == nullptr || !ChargeText(*text)) return {};
        return Own(CountCodePoints(*text));
      }
      case Function::kCount:
        return Own(SelectWithin(argument.query, current).size());
      case Function::kValue: {
        const std::vector<Node> nodes = SelectWithin(argument.query, current);
        return nodes.size() == 1 ? Value::Of(nodes[0].value) : Value{};
      }
      default:
        return {};
    }
  }

  // `owned` moves with its Value, so a pointer to it is only made here. No function yields
  // null, so a null `owned` without `json` is Nothing.
  static const Json* Get(const Value& value) {
    if (value.json != nullptr) return value.json;
    return value.owned.is_null() ? nullptr : &value.owned;
  }

  bool Matches(const Call& call, const Json& current) {
    const Value subject_value = Evaluate(call.arguments[0], current);
    const Value pattern_value = Evaluate(call.arguments[1], current);
    const Json* subject = Get(subject_value);
    const Json* pattern = Get(pattern_value);
    if (subject == nullptr || pattern == nullptr || !pattern->is_string()) return false;
    const auto* text = subject->get_ptr<const std::string*>();
    if (text == nullptr || !ChargeText(*text)) return false;
    const Regex* regex =
        call.regex != nullptr ? call.regex.get() : Dynamic(*pattern->get_ptr<const std::string*>());
    if (regex == nullptr) return false;
    return call.function == Function::kMatch ? regex->FullMatch(*text) : regex->Search(*text);
  }

  // A pattern out of the document; null when it is no I-Regexp.
  const Regex* Dynamic(const std::string& pattern) {
    if (dynamic_pattern_ != pattern) {
      if (!Charge(DefaultExprLimits().jsonpath_regex_cost)) return nullptr;
      auto regex = CompileIRegexp(pattern);
      dynamic_ = regex.ok() ? *std::move(regex) : nullptr;
      dynamic_pattern_ = pattern;
    }
    return dynamic_.get();
  }

  // RFC 9535, section 2.3.5.2.2.
  bool Compare(Comparison comparison, const Value& left, const Value& right) {
    switch (comparison) {
      case Comparison::kEqual:
        return Equal(left, right);
      case Comparison::kNotEqual:
        return !Equal(left, right);
      case Comparison::kLess:
        return Less(left, right);
      case Comparison::kGreater:
        return Less(right, left);
      case Comparison::kLessOrEqual:
        return Less(left, right) || Equal(left, right);
      case Comparison::kGreaterOrEqual:
        return Less(right, left) || Equal(left, right);
    }
    return false;
  }

  bool Equal(const Value& left, const Value& right) {
    const Json* a = Get(left);
    const Json* b = Get(right);
    if (a == nullptr || b == nullptr) return a == b;
    const std::optional<bool> equal = JsonEqualsWithin(*a, *b, &budget_);
    if (!equal.has_value()) exhausted_ = true;
    return equal.value_or(false);
  }

  bool Less(const Value& left, const Value& right) {
    const Json* a = Get(left);
    const Json* b = Get(right);
    if (a == nullptr || b == nullptr || !Charge(1)) return false;
    if (a->is_number() && b->is_number()) return CompareNumbers(*a, *b) < 0;
    const auto* x = a->get_ptr<const std::string*>();
    const auto* y = b->get_ptr<const std::string*>();
    if (x == nullptr || y == nullptr) return false;
    // The order of UTF-8 bytes is that of Unicode scalar values.
    return ChargeText(x->size() < y->size() ? *x : *y) && *x < *y;
  }

  const Json& root_;
  size_t budget_;
  std::vector<Step>* trail_;
  bool exhausted_ = false;
  std::optional<std::string> dynamic_pattern_;
  std::shared_ptr<const Regex> dynamic_;
};

}  // namespace

absl::StatusOr<std::vector<Node>> Evaluate(const Query& query, const Json& root, size_t nodes_most,
                                           std::vector<Step>* trail) {
  Evaluator evaluator(root, nodes_most, trail);
  std::vector<Node> nodes = evaluator.Run(query);
  if (evaluator.exhausted()) {
    return absl::ResourceExhaustedError(absl::StrCat("the JSONPath query needs to visit more than ",
                                                     nodes_most, " nodes of this document"));
  }
  return nodes;
}

}  // namespace picket::jsonpath
