#include "common/suite_file/fold_test.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/base/ids.h"
#include "common/expr/template.h"
#include "common/policy/judge.h"
#include "common/policy/limits.h"
#include "common/policy/units.h"
#include "common/policy/validate.h"
#include "common/suite_file/check.h"

namespace picket {
namespace {

void SetDuration(absl::Duration duration, google::protobuf::Duration& proto) {
  const int64_t us = absl::ToInt64Microseconds(duration);
  proto.set_seconds(us / 1'000'000);
  proto.set_nanos(static_cast<int32_t>(us % 1'000'000 * 1000));
}

// The value of `key` in the first map that has it.
const YamlNode* First(std::initializer_list<const YamlNode*> maps, absl::string_view key) {
  for (const YamlNode* map : maps) {
    if (const YamlNode* value = Get(map, key)) return value;
  }
  return nullptr;
}

absl::Duration DurationOf(const YamlNode* node, absl::Duration fallback) {
  if (node == nullptr) return fallback;
  return ParseDuration(node->text).value_or(fallback);
}

// `defaults` is null where defaults.retry may not reach.
void FoldRetry(SuiteContext& context, const YamlNode* own, const YamlNode* defaults, int retries,
               v1::Retry& retry) {
  const YamlNode* attempts = Get(own, "attempts");
  if (attempts != nullptr) {
    retry.set_attempts(static_cast<uint32_t>(IntegerOf(*attempts)));
  } else if (retries >= 0) {
    retry.set_attempts(static_cast<uint32_t>(retries) + 1);
  } else {
    retry.set_attempts(static_cast<uint32_t>(GetInteger(defaults, "attempts", 1)));
  }
  SetDuration(DurationOf(First({own, defaults}, "delay"), absl::ZeroDuration()),
              *retry.mutable_delay());
  retry.set_backoff(1);
  if (const YamlNode* backoff = First({own, defaults}, "backoff")) {
    double factor = 1;
    if (absl::SimpleAtod(backoff->text, &factor)) retry.set_backoff(factor);
  }
  if (const YamlNode* on = First({own, defaults}, "on")) {
    for (const YamlNode* word : ListOrOne(*on)) {
      retry.add_on(word->text == "failed"    ? v1::Retry::FAILED
                   : word->text == "network" ? v1::Retry::NETWORK
                                             : v1::Retry::INCONCLUSIVE);
    }
  } else {
    retry.add_on(v1::Retry::FAILED);
    retry.add_on(v1::Retry::INCONCLUSIVE);
  }
  if (const YamlNode* where = First({own, defaults}, "where")) {
    for (const YamlNode* word : ListOrOne(*where)) {
      retry.add_where(word->text == "same_agent"      ? v1::Retry::SAME_AGENT
                      : word->text == "same_location" ? v1::Retry::SAME_LOCATION
                                                      : v1::Retry::ANYWHERE);
      if (retry.where_size() > 1 && retry.where(retry.where_size() - 2) == v1::Retry::ANYWHERE) {
        context.Error(*word, "where: nothing may follow anywhere: a probe never decides, so "
                             "the execution was decided before it");
      }
    }
  } else {
    retry.add_where(v1::Retry::SAME_AGENT);
  }
}

void FoldPolicy(const YamlNode* own, const YamlNode* suite, v1::Policy& policy) {
  policy.set_locations(v1::Policy::ALL);
  if (const YamlNode* quorum = First({own, suite}, "locations")) {
    if (quorum->is_map()) {
      policy.set_locations(v1::Policy::AT_LEAST);
      policy.set_at_least(static_cast<uint32_t>(GetInteger(quorum, "at_least", 1)));
    } else if (quorum->text == "majority") {
      policy.set_locations(v1::Policy::MAJORITY);
    }
  }
  const YamlNode* flaky = First({own, suite}, "flaky");
  policy.set_flaky(flaky != nullptr && flaky->text == "fail" ? v1::Policy::FLAKY_FAIL
                                                             : v1::Policy::FLAKY_PASS);
  const YamlNode* inconclusive = First({own, suite}, "inconclusive");
  const std::string word = inconclusive == nullptr ? "" : inconclusive->text;
  policy.set_inconclusive(word == "fail"   ? v1::Policy::INCONCLUSIVE_FAIL
                          : word == "pass" ? v1::Policy::INCONCLUSIVE_PASS
                                           : v1::Policy::INCONCLUSIVE_INCONCLUSIVE);
}

void FoldMustFail(const YamlNode& node, v1::MustFail& must_fail) {
  if (const YamlNode* reasons = Get(&node, "reason")) {
    for (const YamlNode* word : ListOrOne(*reasons)) {
      v1::FailureReason::Value reason;
      if (v1::FailureReason::Value_Parse(word->text, &reason)) must_fail.add_reasons(reason);
    }
  }
  if (const YamlNode* statuses = Get(&node, "status")) {
    for (const YamlNode* status : ListOrOne(*statuses)) {
      must_fail.add_statuses(absl::EndsWith(status->text, "xx")
                                 ? static_cast<uint32_t>(status->text[0] - '0')
                                 : static_cast<uint32_t>(IntegerOf(*status)));
    }
  }
}

void FoldStep(SuiteContext& context, const YamlNode& node, const YamlNode* request_defaults,
              const SuiteParts& suite, Scope& scope, v1::Test& test) {
  v1::Step& step = *test.add_steps();
  step.set_always(GetBool(&node, "always", false));
  step.set_allow_failure(GetBool(&node, "allow_failure", false));
  if (const YamlNode* request = Get(&node, "request")) {
    FoldRequest(context, *request, request_defaults, scope, test, *step.mutable_http());
  }
  if (const YamlNode* expect = Get(&node, "expect")) {
    for (YamlNode* element : expect->list) FoldExpectation(context, *element, scope, step);
    if (expect->list.size() > DefaultLimits().expectations_per_step) {
      context.Error(*expect,
                    absl::StrCat("expect: there are ", expect->list.size(), "; the most are ",
                                 DefaultLimits().expectations_per_step));
    }
  }
  const YamlNode* extracts = Get(&node, "extract");
  if (extracts == nullptr) return;
  std::set<std::string> names;
  for (const YamlNode* element : ListOrOne(*extracts)) {
    FoldExtract(context, *element, scope, step);
    const YamlNode* name = Get(element, "name");
    if (name == nullptr) continue;
    if (!names.insert(name->text).second) {
      context.Error(*name, absl::StrCat("extract: '", name->text, "' is there twice"));
    }
    if (std::count(suite.secrets.begin(), suite.secrets.end(), name->text) > 0) {
      context.Error(
          *name, absl::StrCat("'", name->text, "' is a secret; an extract cannot share its name"));
    }
  }
  // Steps that follow may use them; this one has had its turn.
  for (const std::string& name : names) scope.Add(name);
}

void AddExtractsLater(const YamlNode& step, Scope& scope) {
  const YamlNode* extracts = Get(&step, "extract");
  if (extracts == nullptr) return;
  for (const YamlNode* extract : ListOrOne(*extracts)) scope.AddLater(GetText(extract, "name"));
}

void FoldSteps(SuiteContext& context, const YamlNode& node, const YamlNode* request_defaults,
               const SuiteParts& suite, Scope& scope, v1::Test& test) {
  const YamlNode* steps = Get(&node, "steps");
  if (steps == nullptr) {
    AddExtractsLater(node, scope);
    return FoldStep(context, node, request_defaults, suite, scope, test);
  }
  if (steps->list.size() > DefaultLimits().steps_per_test) {
    return context.Error(*steps, absl::StrCat("steps: there are ", steps->list.size(),
                                              "; the most are ", DefaultLimits().steps_per_test));
  }
  for (const YamlNode* step : steps->list) AddExtractsLater(*step, scope);
  std::set<std::string> names;
  for (const YamlNode* step : steps->list) {
    if (!step->is_map()) continue;
    const YamlNode* name = Get(step, "name");
    if (name != nullptr && !names.insert(name->text).second) {
      context.Error(*name, absl::StrCat("two steps have the name '", name->text, "'"));
    }
    FoldStep(context, *step, request_defaults, suite, scope, test);
    test.mutable_steps(test.steps_size() - 1)->set_name(name == nullptr ? "" : name->text);
  }
}

// The suite's variables with the test's own in their place or after them.
std::vector<VariableDef> JoinVariables(SuiteContext& context, const SuiteParts& suite,
                                       const YamlNode& node, size_t& first_own) {
  std::vector<VariableDef> vars = suite.vars;
  first_own = vars.size();
  for (VariableDef& own : FoldVariables(context, Get(&node, "vars"))) {
    auto same = std::find_if(vars.begin(), vars.end(),
                             [&](const VariableDef& def) { return def.name == own.name; });
    if (same == vars.end()) {
      vars.push_back(std::move(own));
    } else {
      first_own = std::min(first_own, static_cast<size_t>(same - vars.begin()));
      *same = std::move(own);
    }
  }
  return vars;
}

std::vector<std::string> NamesIn(const VariableDef& def) {
  auto tree = ParseJson(def.json);
  if (!tree.ok()) return {};
  const auto json_template = JsonTemplate::Parse(*std::move(tree));
  return json_template.ok() ? json_template->variables() : std::vector<std::string>();
}

// Keeps of `vars` and the secrets what the test uses, directly or through variables.
void KeepUsed(SuiteContext& context, const std::vector<VariableDef>& vars, const SuiteParts& suite,
              const std::set<std::string>& columns, std::set<std::string> used, v1::Test& test) {
  std::vector<const VariableDef*> kept;
  for (size_t i = vars.size(); i-- > 0;) {
    const VariableDef& def = vars[i];
    if (!used.contains(def.name) || columns.contains(def.name)) continue;
    kept.push_back(&def);
    for (const std::string& name : NamesIn(def)) {
      const auto end = vars.begin() + static_cast<std::ptrdiff_t>(i);
      const bool known =
          columns.contains(name) ||
          std::count(suite.secrets.begin(), suite.secrets.end(), name) > 0 ||
          std::any_of(vars.begin(), end, [&](const VariableDef& d) { return d.name == name; });
      used.insert(name);
      if (known) continue;
      context.Error(*def.node, absl::StrCat("the variable '", def.name, "' uses '", name,
                                            "', which the test '", test.name(), "' does not have"));
    }
  }
  for (auto def = kept.rbegin(); def != kept.rend(); ++def) {
    v1::Variable& variable = *test.add_vars();
    variable.set_name((*def)->name);
    variable.set_json((*def)->json);
  }
  for (const std::string& secret : suite.secrets) {
    if (!used.contains(secret)) continue;
    v1::SecretRef& ref = *test.add_secrets();
    ref.set_name(secret);
    ref.set_agent_provided(true);
  }
}

bool IsSafeMethod(const std::string& method) {
  return method == "GET" || method == "HEAD" || method == "OPTIONS";
}

void CheckQuorum(SuiteContext& context, const YamlNode& node, const YamlNode* own,
                 const YamlNode* suite, const v1::Test& test) {
  const absl::Status status =
      ValidatePolicy(test.policy(), static_cast<uint32_t>(test.locations_size()));
  if (status.ok()) return;
  const YamlNode* where = Get(own, "locations");
  if (where == nullptr) where = Get(suite, "locations");
  // The suite's policy may suit most of its tests: then it is this test that is meant.
  const bool is_own = Get(own, "locations") != nullptr;
  context.Error(is_own && where != nullptr ? *where : node,
                absl::StrCat("test '", test.name(), "': ", status.message()));
}

}  // namespace

void CheckVariables(SuiteContext& context, const std::vector<VariableDef>& vars, size_t first,
                    const std::vector<std::string>& secrets, const std::set<std::string>& columns) {
  Scope scope;
  for (const std::string& secret : secrets) scope.Add(secret);
  for (const std::string& column : columns) scope.Add(column);
  for (const VariableDef& def : vars) scope.AddLater(def.name);
  for (size_t i = 0; i < vars.size(); ++i) {
    const VariableDef& def = vars[i];
    if (i >= first) {
      if (def.node->line > 0) {
        scope.Scan(context, *def.node);
      } else if (auto tree = ParseJson(def.json); tree.ok()) {
        // From outside of the file: told by its origin.
        const auto json_template = JsonTemplate::Parse(*std::move(tree));
        if (!json_template.ok()) {
          context.Error(*def.node, json_template.status().message());
        } else {
          for (const std::string& name : json_template->variables()) {
            if (!scope.Knows(name))
              scope.ScanText(context, *def.node, absl::StrCat("{{ ", name, " }}"));
          }
        }
      } else {
        context.Error(*def.node, tree.status().message());
      }
    }
    scope.Add(def.name);
  }
}

v1::Test FoldTest(SuiteContext& context, const SuiteParts& suite, YamlNode& node,
                  std::optional<v1::Table> table) {
  const Limits& limits = DefaultLimits();
  const YamlNode* defaults = Get(suite.root, "defaults");
  v1::Test test;
  test.set_suite(suite.suite_name);
  test.set_name(GetText(&node, "name"));
  test.set_id(GetText(&node, "id", Slug(test.name())));
  if (const YamlNode* tags = Get(&node, "tags")) {
    for (const YamlNode* tag : ListOrOne(*tags)) test.add_tags(tag->text);
  }
  if (const YamlNode* locations = First({&node, suite.root}, "locations")) {
    for (const YamlNode* location : ListOrOne(*locations)) test.add_locations(location->text);
  } else {
    test.add_locations("default");
  }
  test.set_blocking(GetBool(&node, "blocking", GetBool(defaults, "blocking", true)));
  if (const YamlNode* skip = Get(&node, "skip")) {
    const bool is_bool = skip->type() == ScalarType::kBool;
    if (!is_bool || BoolOf(*skip)) test.set_skip(is_bool ? "" : skip->text);
  }
  if (const YamlNode* must_fail = Get(&node, "must_fail")) {
    FoldMustFail(*must_fail, *test.mutable_must_fail());
    const YamlNode* expect = Get(&node, "expect");
    if (expect != nullptr && !expect->list.empty() && NeverJudges(test.must_fail())) {
      context.Error(*expect, "expect is never judged where must_fail names only reasons other "
                             "than assertion; leave it out");
    }
  }
  SetDuration(DurationOf(First({&node, defaults}, "timeout"), limits.timeout_default),
              *test.mutable_timeout());
  test.set_priority(
      static_cast<int32_t>(GetInteger(&node, "priority", GetInteger(defaults, "priority", 0))));
  FoldPolicy(Get(&node, "policy"), Get(suite.root, "policy"), *test.mutable_policy());
  CheckQuorum(context, node, Get(&node, "policy"), Get(suite.root, "policy"), test);
  if (const YamlNode* earlier = Get(&node, "renamed_from")) {
    for (const YamlNode* id : ListOrOne(*earlier)) {
      test.add_renamed_from(id->text);
      if (id->text == test.id()) context.Error(*id, "renamed_from: this is the test's own id");
    }
  }
  test.set_source(absl::StrCat(context.options().file_name, ":", node.line));

  std::set<std::string> columns;
  if (table.has_value()) {
    columns.insert(table->columns().begin(), table->columns().end());
    for (const std::string& secret : suite.secrets) {
      if (!columns.contains(secret)) continue;
      context.Error(node, absl::StrCat("for_each: '", secret,
                                       "' is a secret; a column cannot share its name"));
    }
    *test.mutable_for_each() = *std::move(table);
  }

  size_t first_own = 0;
  const std::vector<VariableDef> vars = JoinVariables(context, suite, node, first_own);
  if (first_own < vars.size()) CheckVariables(context, vars, first_own, suite.secrets, columns);
  Scope scope;
  for (const VariableDef& def : vars) scope.Add(def.name);
  for (const std::string& secret : suite.secrets) scope.Add(secret);
  for (const std::string& column : columns) scope.Add(column);
  // A table that could not be read would make every column an unknown variable.
  const bool columns_known =
      Get(&node, "for_each") != nullptr ? test.has_for_each() : node.Find("for_each") == nullptr;
  if (columns_known) {
    FoldSteps(context, node, Get(defaults, "request"), suite, scope, test);
    KeepUsed(context, vars, suite, columns, scope.used(), test);
  }

  test.set_repeatable(GetBool(
      &node, "repeatable",
      std::all_of(test.steps().begin(), test.steps().end(),
                  [](const v1::Step& step) { return IsSafeMethod(step.http().method()); })));
  FoldRetry(context, Get(&node, "retry"), test.repeatable() ? Get(defaults, "retry") : nullptr,
            test.repeatable() ? context.options().retries : -1, *test.mutable_retry());
  return test;
}

}  // namespace picket
