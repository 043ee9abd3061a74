#include "common/suite_file/fold_suite.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/ids.h"
#include "common/expr/template.h"
#include "common/policy/judge.h"
#include "common/policy/limits.h"
#include "common/policy/syntax.h"
#include "common/policy/validate.h"
#include "common/suite_file/check.h"
#include "common/suite_file/fold.h"
#include "common/suite_file/fold_test.h"

namespace picket {
namespace {

// The tests as nodes, whatever else is wrong with the list.
std::vector<YamlNode*> TestNodes(YamlNode& root) {
  std::vector<YamlNode*> nodes;
  YamlNode* tests = root.Find("tests");
  if (tests == nullptr || !tests->is_list()) return nodes;
  for (YamlNode* test : tests->list) {
    if (test->is_map()) nodes.push_back(test);
  }
  return nodes;
}

void CheckSecretNames(SuiteContext& context, const YamlNode* secrets, const YamlNode* vars,
                      absl::string_view whose) {
  if (secrets == nullptr || vars == nullptr) return;
  for (const YamlNode* secret : ListOrOne(*secrets)) {
    for (const YamlNode::Entry& entry : vars->map) {
      if (entry.key->text != secret->text) continue;
      context.Error(*entry.key, absl::StrCat("'", secret->text, "' is a secret; a variable of ",
                                             whose, " cannot share its name"));
    }
  }
}

void CheckDistinctIds(SuiteContext& context, const std::vector<YamlNode*>& nodes) {
  absl::flat_hash_map<std::string, const YamlNode*> seen;
  for (const YamlNode* node : nodes) {
    const YamlNode* id = Get(node, "id");
    const YamlNode* name = Get(node, "name");
    if (id == nullptr && name == nullptr) continue;
    const YamlNode* where = id != nullptr ? id : name;
    const std::string text = id != nullptr ? id->text : Slug(name->text);
    if (text.empty()) {
      context.Error(*where, absl::StrCat("no id can be made from the name ", Describe(*where),
                                         "; give the test an id"));
      continue;
    }
    auto [other, fresh] = seen.try_emplace(text, where);
    if (fresh) continue;
    context.Error(*where, absl::StrCat("two tests have the id '", text, "', here and on line ",
                                       other->second->line, "; give one of them an id of its own"));
  }
}

}  // namespace

v1::Suite FoldSuite(SuiteContext& context, YamlNode& root, std::vector<std::string>& undeclared) {
  v1::Suite suite;
  suite.set_name(GetText(&root, "name"));
  suite.set_max_failures(static_cast<uint32_t>(GetInteger(&root, "max_failures", 0)));
  if (const YamlNode* labels = Get(&root, "labels")) {
    for (const YamlNode::Entry& entry : labels->map) {
      (*suite.mutable_labels())[entry.key->text] = entry.value->text;
    }
    if (suite.labels().size() > DefaultLimits().labels_per_run) {
      context.Error(*labels, absl::StrCat("labels: there are ", suite.labels().size(),
                                          "; the most are ", DefaultLimits().labels_per_run));
    }
  }

  SuiteParts parts;
  parts.root = &root;
  parts.suite_name = suite.name();
  parts.vars = FoldVariables(context, Get(&root, "vars"));
  CheckSecretNames(context, Get(&root, "secrets"), Get(&root, "vars"), "the suite");
  if (const YamlNode* secrets = Get(&root, "secrets")) {
    for (const YamlNode* secret : ListOrOne(*secrets)) parts.secrets.push_back(secret->text);
  }

  const std::vector<YamlNode*> nodes = TestNodes(root);
  CheckDistinctIds(context, nodes);

  // Tables first: a variable of the suite may use any test's columns.
  std::vector<std::optional<v1::Table>> tables(nodes.size());
  std::set<std::string> columns;
  for (size_t i = 0; i < nodes.size(); ++i) {
    if (const YamlNode* for_each = Get(nodes[i], "for_each")) {
      tables[i] = FoldTable(context, *for_each);
      if (!tables[i].has_value()) continue;
      columns.insert(tables[i]->columns().begin(), tables[i]->columns().end());
    }
    CheckSecretNames(context, Get(&root, "secrets"), Get(nodes[i], "vars"), "a test");
  }
  CheckVariables(context, parts.vars, 0, parts.secrets, columns);

  std::set<std::string> declared;
  for (const VariableDef& def : parts.vars) declared.insert(def.name);
  for (size_t i = 0; i < nodes.size(); ++i) {
    if (const YamlNode* vars = Get(nodes[i], "vars")) {
      for (const YamlNode::Entry& entry : vars->map) declared.insert(entry.key->text);
    }
    *suite.add_tests() = FoldTest(context, parts, *nodes[i], std::move(tables[i]));
  }
  for (const auto& [name, value] : context.options().vars) {
    if (!declared.contains(name)) undeclared.push_back(name);
  }

  // What no rule above has told already: the same bounds that a coordinator keeps.
  if (context.failed()) return suite;
  for (int i = 0; i < suite.tests_size(); ++i) {
    const absl::Status status = ValidateTest(suite.tests(i));
    if (!status.ok()) context.Error(*nodes[i], status.message());
  }
  return suite;
}

}  // namespace picket
