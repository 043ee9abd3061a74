#include "common/suite_file/policy_file.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/suite_file/check.h"
#include "common/suite_file/context.h"
#include "common/suite_file/keys.h"
#include "common/suite_file/yaml_tree.h"

namespace picket {
namespace {

using K = Type::Kind;

absl::Status TestName(absl::string_view text) {
  const size_t slash = text.rfind('/');
  const absl::string_view id = slash == absl::string_view::npos ? text : text.substr(slash + 1);
  const bool slug = !id.empty() && id.size() <= 100 && id[0] != '-' &&
                    std::all_of(id.begin(), id.end(), [](char c) {
                      return absl::ascii_islower(c) || absl::ascii_isdigit(c) || c == '-';
                    });
  if (slug && slash != 0) return absl::OkStatus();
  return absl::InvalidArgumentError("a test is named by its id, or by SUITE/ID");
}

// The types of keys that suite files have too.
const Type* SuiteKey(absl::string_view name) {
  const Key* key = FindKey(SuiteSpec(), name);
  PICKET_CHECK(key != nullptr);
  return key->type;
}

const Type& FileType() {
  static const Type* const type = [] {
    static const Type boolean{.kind = K::kBool, .expected = "true or false", .brief = "bool"};
    static const Key entry_keys[] = {
        {"blocking", &boolean, "Whether the test takes part in the verdict."},
        {"policy", SuiteKey("policy"), "The test's own, key by key."}};
    static const ObjectSpec entry{"test", "a test", entry_keys};
    static const Type entry_type{.kind = K::kObject,
                                 .expected = "a map with blocking or policy",
                                 .brief = "map",
                                 .object = &entry};
    static const Type tests{.kind = K::kMap,
                            .expected = "a map of tests",
                            .brief = "map",
                            .check = TestName,
                            .element = &entry_type,
                            .may_be_empty = false};
    static const Key file_keys[] = {
        {"version", SuiteKey("version"), "The format's version.", "", true},
        {"policy", SuiteKey("policy"), "For every test, key by key."},
        {"tests", &tests, "For some tests."}};
    static const ObjectSpec file{"policy file", "a policy file", file_keys};
    static const Type file_type{
        .kind = K::kObject, .expected = "a policy file", .brief = "map", .object = &file};
    return &file_type;
  }();
  return *type;
}

class NoFiles : public FileAccess {
 public:
  absl::StatusOr<std::string> Read(const std::string& path) override {
    return absl::PermissionDeniedError(absl::StrCat(path, ": a policy file names no files"));
  }
};

PolicyChange FoldChange(const YamlNode* policy) {
  PolicyChange change;
  if (policy == nullptr) return change;
  if (const YamlNode* quorum = Get(policy, "locations")) {
    if (quorum->is_map()) {
      change.locations = v1::Policy::AT_LEAST;
      change.at_least = static_cast<uint32_t>(GetInteger(quorum, "at_least", 1));
    } else {
      change.locations = quorum->text == "majority" ? v1::Policy::MAJORITY : v1::Policy::ALL;
    }
  }
  if (const YamlNode* flaky = Get(policy, "flaky")) {
    change.flaky = flaky->text == "fail" ? v1::Policy::FLAKY_FAIL : v1::Policy::FLAKY_PASS;
  }
  if (const YamlNode* word = Get(policy, "inconclusive")) {
    change.inconclusive = word->text == "fail"   ? v1::Policy::INCONCLUSIVE_FAIL
                          : word->text == "pass" ? v1::Policy::INCONCLUSIVE_PASS
                                                 : v1::Policy::INCONCLUSIVE_INCONCLUSIVE;
  }
  return change;
}

bool IsEmptyMap(const YamlNode* node) {
  return node != nullptr && !node->bad && node->is_map() && node->map.empty();
}

void FoldTest(SuiteContext& context, const YamlNode::Entry& entry, PolicyFile& file) {
  const YamlNode& node = *entry.value;
  if (node.bad || entry.key->bad || !node.is_map()) return;
  TestPolicyChange test;
  const std::string& name = entry.key->text;
  const size_t slash = name.rfind('/');
  if (slash != std::string::npos) test.suite = name.substr(0, slash);
  test.test_id = name.substr(slash == std::string::npos ? 0 : slash + 1);
  test.line = entry.key->line;
  test.column = entry.key->column;
  const YamlNode* policy = Get(&node, "policy");
  if (Get(&node, "blocking") != nullptr) test.blocking = GetBool(&node, "blocking", true);
  test.policy = FoldChange(policy);
  if (node.map.empty() || (!test.blocking.has_value() && IsEmptyMap(policy))) {
    context.Error(node, absl::StrCat("'", name, "' says nothing: expected blocking or policy"));
  } else if (test.blocking == false && policy != nullptr) {
    context.Error(*policy, absl::StrCat("'", name,
                                        "' contradicts itself: blocking: false takes the test "
                                        "out of the verdict, and its policy decides nothing"));
  }
  file.tests.push_back(std::move(test));
}

}  // namespace

void PolicyChange::ApplyTo(v1::Policy& policy) const {
  if (locations.has_value()) {
    policy.set_locations(*locations);
    policy.set_at_least(*locations == v1::Policy::AT_LEAST ? at_least : 0);
  }
  if (flaky.has_value()) policy.set_flaky(*flaky);
  if (inconclusive.has_value()) policy.set_inconclusive(*inconclusive);
}

ParsedPolicy ParsePolicyFile(absl::string_view text, const std::string& file_name) {
  ParsedPolicy parsed;
  parsed.policy.file = file_name;
  YamlDocument document = ReadYaml(text);
  ParseOptions options;
  options.file_name = file_name;
  NoFiles files;
  const bool readable = document.root != nullptr || !document.errors.empty();
  SuiteContext context(readable ? text : "", options, files);
  for (const YamlError& error : document.errors) context.Error(error);
  YamlNode* const root = document.root;
  if (root == nullptr || !root->is_map()) {
    if (document.errors.empty()) {
      context.Error(Diagnostic{file_name, 0, 0,
                               "a policy file is a map that begins with 'version: 1' and holds "
                               "policy, tests or both"});
    }
  } else {
    CheckValue(context, *root, FileType(), "policy file");
    const YamlNode* policy = Get(root, "policy");
    const YamlNode* tests = Get(root, "tests");
    parsed.policy.policy = FoldChange(policy);
    if (tests != nullptr && tests->is_map()) {
      for (const YamlNode::Entry& entry : tests->map) FoldTest(context, entry, parsed.policy);
    }
    const bool no_tests = tests == nullptr || IsEmptyMap(tests);
    if (!context.failed() && no_tests && (policy == nullptr || IsEmptyMap(policy))) {
      context.Error(*root, "a policy file that changes nothing: expected policy, tests or both");
    }
  }
  parsed.diagnostics = context.TakeDiagnostics();
  return parsed;
}

}  // namespace picket
