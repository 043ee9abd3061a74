#include "common/suite_file/scope.h"

#include <optional>

#include "absl/strings/str_cat.h"
#include "common/expr/template.h"
#include "common/policy/limits.h"
#include "common/policy/syntax.h"
#include "common/suite_file/keys.h"

namespace picket {
namespace {

constexpr size_t kNamesShown = 12;

std::string Unknown(absl::string_view name, const std::set<std::string>& known) {
  std::string message = absl::StrCat("unknown variable '", name, "'");
  const std::vector<absl::string_view> names(known.begin(), known.end());
  if (names.empty()) return absl::StrCat(message, "; none is declared here");
  if (const absl::string_view near = Nearest(name, names); !near.empty()) {
    return absl::StrCat(message, "; did you mean '", near, "'?");
  }
  absl::StrAppend(&message, "; there are: ");
  for (size_t i = 0; i < names.size() && i < kNamesShown; ++i) {
    absl::StrAppend(&message, i == 0 ? "" : ", ", names[i]);
  }
  return names.size() > kNamesShown ? absl::StrCat(message, ", ...") : message;
}

}  // namespace

void Scope::Scan(SuiteContext& context, const YamlNode& node) {
  switch (node.kind) {
    case YamlNode::Kind::kNull:
      return;
    case YamlNode::Kind::kScalar:
      return Check(context, node, node.text, /*in_place=*/true);
    case YamlNode::Kind::kList:
      for (const YamlNode* element : node.list) Scan(context, *element);
      return;
    case YamlNode::Kind::kMap:
      for (const YamlNode::Entry& entry : node.map) {
        Scan(context, *entry.key);
        Scan(context, *entry.value);
      }
      return;
  }
}

void Scope::ScanText(SuiteContext& context, const YamlNode& at, absl::string_view text) {
  Check(context, at, text, /*in_place=*/false);
}

void Scope::Check(SuiteContext& context, const YamlNode& at, absl::string_view text,
                  bool in_place) {
  if (text.size() > DefaultLimits().template_bytes) {
    return context.Error(at, absl::StrCat("the text has ", text.size(), " bytes; the most are ",
                                          DefaultLimits().template_bytes));
  }
  if (!HasPlaceholder(text)) return;
  size_t offset = 0;
  const auto parsed = Template::Parse(text, &offset);
  if (!parsed.ok()) {
    return context.Error(at, parsed.status().message(),
                         in_place ? std::optional<size_t>(offset) : std::nullopt);
  }
  for (const std::string& name : parsed->variables()) {
    if (Knows(name)) {
      used_.insert(name);
      continue;
    }
    const size_t found = text.find(name, text.find("{{"));
    context.Error(
        at,
        later_.contains(name) ? absl::StrCat("the variable '", name, "' gets its value only later")
                              : Unknown(name, known_),
        in_place && found != absl::string_view::npos ? std::optional<size_t>(found) : std::nullopt);
  }
}

}  // namespace picket
