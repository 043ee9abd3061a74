#include "absl/strings/str_cat.h"
#include "common/base/files.h"
#include "common/base/status_macros.h"
#include "common/expr/template.h"
#include "common/policy/limits.h"
#include "common/suite_file/suite_file.h"
#include "common/suite_file/yaml_tree.h"

namespace picket {

absl::StatusOr<std::map<std::string, std::string>> ReadVarsFile(const std::string& path) {
  ABSL_ASSIGN_OR_RETURN(const std::string text, ReadFile(path, DefaultLimits().data_file_bytes));
  const auto bad = [&](int line, int column, absl::string_view message) {
    return absl::InvalidArgumentError(
        Diagnostic{path, line, column, std::string(message)}.ToString());
  };
  const YamlDocument document = ReadYaml(text);
  if (!document.errors.empty()) {
    const YamlError& error = document.errors[0];
    return bad(error.line, error.column, error.message);
  }
  std::map<std::string, std::string> vars;
  if (document.root == nullptr || document.root->kind == YamlNode::Kind::kNull) return vars;
  if (!document.root->is_map()) {
    return bad(document.root->line, document.root->column, "expected a map of names to values");
  }
  for (const YamlNode::Entry& entry : document.root->map) {
    if (!IsVariableName(entry.key->text)) {
      return bad(entry.key->line, entry.key->column,
                 absl::StrCat("'", entry.key->text, "' cannot name a variable"));
    }
    const YamlNode* culprit = nullptr;
    const auto value = YamlToJson(*entry.value, &culprit);
    if (!value.ok()) return bad(culprit->line, culprit->column, value.status().message());
    vars[entry.key->text] = ToText(*value);
  }
  return vars;
}

}  // namespace picket
