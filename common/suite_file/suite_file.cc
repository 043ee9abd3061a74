#include "common/suite_file/suite_file.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/files.h"
#include "common/policy/limits.h"
#include "common/suite_file/check.h"
#include "common/suite_file/fold.h"
#include "common/suite_file/fold_suite.h"
#include "common/suite_file/keys.h"
#include "common/suite_file/yaml_tree.h"

namespace picket {
namespace {

// False after a diagnostic: there is no tree to look at.
bool HasTree(SuiteContext& context, const YamlDocument& document) {
  for (const YamlError& error : document.errors) context.Error(error);
  const YamlNode* root = document.root;
  if (root != nullptr && root->is_map()) return true;
  if (document.errors.empty()) {
    const bool empty = root == nullptr || root->kind == YamlNode::Kind::kNull;
    context.Error(
        Diagnostic{context.options().file_name, empty ? 0 : root->line, empty ? 0 : root->column,
                   empty ? "the file is empty; a suite begins with 'version: 1' and 'name:'"
                         : absl::StrCat("a suite is a map that begins with 'version: 1', not ",
                                        Describe(*root))});
  }
  return false;
}

void CheckUndeclared(SuiteContext& context, const std::vector<std::string>& undeclared) {
  if (!context.options().undeclared_vars_are_errors) return;
  for (const std::string& name : undeclared) {
    context.Error(Diagnostic{
        absl::StrCat("-e ", name), 0, 0,
        absl::StrCat("the suite declares no variable '", name, "'; declare it under 'vars'")});
  }
}

}  // namespace

std::string Diagnostic::ToString() const {
  if (line == 0) return absl::StrCat(file, ": ", message);
  return absl::StrCat(file, ":", line, ":", column, ": ", message);
}

ParsedSuite ParseSuite(absl::string_view text, const ParseOptions& options, FileAccess& files) {
  ParsedSuite parsed;
  YamlDocument document = ReadYaml(text);
  // Past its size or its bytes nothing is looked at, not even for line ends.
  const bool readable = document.root != nullptr || !document.errors.empty();
  SuiteContext context(readable ? text : "", options, files);
  if (HasTree(context, document)) {
    YamlNode& root = *document.root;
    ApplyOverrides(context, root);
    const Type suite{.kind = Type::Kind::kObject, .expected = "a suite", .object = &SuiteSpec()};
    CheckValue(context, root, suite, "suite");
    parsed.suite = FoldSuite(context, root, parsed.undeclared_vars);
    CheckUndeclared(context, parsed.undeclared_vars);
    const int retries_most = static_cast<int>(DefaultLimits().attempts_most) - 1;
    if (options.retries > retries_most) {
      context.Error(Diagnostic{absl::StrCat("--retries ", options.retries), 0, 0,
                               absl::StrCat("the most are ", retries_most)});
    }
    parsed.blobs = context.TakeBlobs();
  }
  parsed.diagnostics = context.TakeDiagnostics();
  return parsed;
}

ParsedSuite ParseSuiteFile(const std::string& path, const ParseOptions& options,
                           bool allow_outside) {
  ParseOptions named = options;
  if (named.file_name.empty()) named.file_name = path;
  auto text = ReadFile(path, DefaultLimits().suite_file_bytes);
  if (!text.ok()) {
    ParsedSuite parsed;
    parsed.diagnostics.push_back({named.file_name, 0, 0, std::string(text.status().message())});
    return parsed;
  }
  SuiteFolder folder(path, allow_outside);
  return ParseSuite(*text, named, folder);
}

}  // namespace picket
