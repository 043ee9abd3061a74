// --override path=value: grafted into the tree before it is checked, so that a value is
// held against the same table wherever it comes from.

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/ids.h"
#include "common/suite_file/fold.h"

namespace picket {
namespace {

void SetOrigin(YamlNode& node, const std::string& origin) {
  node.line = node.column = 0;
  node.origin = origin;
  for (YamlNode* element : node.list) SetOrigin(*element, origin);
  for (YamlNode::Entry& entry : node.map) {
    SetOrigin(*entry.key, origin);
    SetOrigin(*entry.value, origin);
  }
}

class Overrider {
 public:
  Overrider(SuiteContext& context, YamlNode& root) : context_(context), root_(root) {}

  void Apply(const std::string& path, const std::string& value) {
    origin_ = absl::StrCat("--override ", path, "=", value);
    std::vector<std::string> keys = absl::StrSplit(path, '.');
    for (const std::string& key : keys) {
      if (key.empty()) return Fail("a path is keys with dots between them");
    }
    YamlNode* node = Value(value);
    if (node == nullptr) return;
    if (keys[0] == "policy" || (keys[0] == "defaults" && keys.size() > 1)) {
      Set(root_, keys, 0, node);
    } else if (keys[0] == "tests" && keys.size() == 3 &&
               (keys[2] == "timeout" || keys[2] == "locations" || keys[2] == "blocking")) {
      SetInTest(keys[1], keys[2], node);
    } else {
      Fail(
          "a path may be defaults..., policy..., or tests.<id>. with timeout, locations or "
          "blocking");
    }
  }

 private:
  void Fail(std::string message) { context_.Error(Diagnostic{origin_, 0, 0, std::move(message)}); }

  // `value` as YAML, e.g. 5s or [eu, us] or {at_least: 2}.
  YamlNode* Value(const std::string& value) {
    YamlDocument document = ReadYaml(value);
    if (!document.errors.empty() || document.root == nullptr) {
      Fail(document.errors.empty() ? "the value is empty"
                                   : absl::StrCat("the value: ", document.errors[0].message));
      return nullptr;
    }
    YamlNode* root = document.root;
    SetOrigin(*root, origin_);
    context_.Adopt(std::move(document));
    return root;
  }

  YamlNode* Key(const std::string& name) {
    YamlNode* key = context_.NewNode();
    key->kind = YamlNode::Kind::kScalar;
    key->quoted = true;
    key->text = name;
    key->origin = origin_;
    return key;
  }

  // Maps on the way are copied: an alias may show them elsewhere too.
  void Set(YamlNode& map, const std::vector<std::string>& keys, size_t at, YamlNode* value) {
    YamlNode::Entry* entry = nullptr;
    for (YamlNode::Entry& e : map.map) {
      if (e.key->text == keys[at]) entry = &e;
    }
    if (entry == nullptr) {
      YamlNode* child = context_.NewNode();
      child->kind = YamlNode::Kind::kMap;
      child->origin = origin_;
      entry = &map.map.emplace_back(YamlNode::Entry{Key(keys[at]), child});
    }
    if (at + 1 == keys.size()) {
      entry->key = Key(keys[at]);
      entry->value = value;
      return;
    }
    YamlNode* child = context_.NewNode();
    *child = *entry->value;
    if (!child->is_map()) {
      *child = YamlNode();
      child->kind = YamlNode::Kind::kMap;
      child->origin = origin_;
    }
    entry->value = child;
    Set(*child, keys, at + 1, value);
  }

  void SetInTest(const std::string& id, const std::string& key, YamlNode* value) {
    YamlNode* tests = root_.Find("tests");
    if (tests != nullptr && tests->is_list()) {
      for (YamlNode*& test : tests->list) {
        if (!test->is_map()) continue;
        const YamlNode* own = test->Find("id");
        const YamlNode* name = test->Find("name");
        const std::string test_id = own != nullptr    ? own->text
                                    : name != nullptr ? Slug(name->text)
                                                      : "";
        if (test_id != id) continue;
        YamlNode* copy = context_.NewNode();
        *copy = *test;
        test = copy;
        return Set(*copy, {key}, 0, value);
      }
    }
    Fail(absl::StrCat("no test has the id '", id, "'"));
  }

  SuiteContext& context_;
  YamlNode& root_;
  std::string origin_;
};

}  // namespace

void ApplyOverrides(SuiteContext& context, YamlNode& root) {
  for (const auto& [path, value] : context.options().overrides) {
    Overrider(context, root).Apply(path, value);
  }
}

}  // namespace picket
