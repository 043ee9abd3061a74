// Rows, variables and extracts.

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/expr/csv.h"
#include "common/expr/template.h"
#include "common/policy/limits.h"
#include "common/policy/regex.h"
#include "common/policy/syntax.h"
#include "common/suite_file/check.h"
#include "common/suite_file/fold.h"

namespace picket {
namespace {

// True if every name may stand as a column; else one diagnostic at `where`.
bool CheckColumns(SuiteContext& context, const YamlNode& where,
                  const std::vector<std::string>& columns) {
  for (const std::string& column : columns) {
    if (IsVariableName(column) && IsName(column)) continue;
    context.Error(where, absl::StrCat("for_each: the column '", column,
                                      "' cannot name a variable: [A-Za-z_][A-Za-z0-9_-]*, and no "
                                      "built-in"));
    return false;
  }
  return true;
}

// Columns of the first row; every other row must have the same ones.
std::optional<v1::Table> FromObjects(const Json& rows, v1::Table table,
                                     const std::function<void(size_t, std::string)>& error) {
  bool good = true;
  for (size_t i = 0; i < rows.size(); ++i) {
    const Json& row = rows[i];
    if (!row.is_object()) {
      error(i, absl::StrCat("for_each: row ", i + 1, " is no map of columns to values"));
      return std::nullopt;
    }
    if (i == 0) {
      for (const auto& [column, value] : row.items()) table.add_columns(column);
    }
    v1::Row& cells = *table.add_rows();
    for (const std::string& column : table.columns()) {
      const Json* value = FindMember(row, column);
      if (value == nullptr) {
        error(i, absl::StrCat("for_each: row ", i + 1, " has no column '", column, "'"));
        good = false;
        continue;
      }
      cells.add_cells(ToText(*value));
    }
    if (row.size() > static_cast<size_t>(table.columns_size())) {
      error(i, absl::StrCat("for_each: row ", i + 1, " has columns that the first row has not: ",
                            absl::StrJoin(table.columns(), ", "), " are known"));
      good = false;
    }
  }
  if (!good) return std::nullopt;
  return table;
}

std::optional<v1::Table> FromCsv(SuiteContext& context, const YamlNode& file,
                                 const std::string& bytes) {
  size_t line = 0;
  auto csv = ReadCsv(bytes, {}, &line);
  if (!csv.ok()) {
    context.Error(Diagnostic{file.text, static_cast<int>(line), line == 0 ? 0 : 1,
                             std::string(csv.status().message())});
    return std::nullopt;
  }
  if (!CheckColumns(context, file, csv->header)) return std::nullopt;
  v1::Table table;
  for (const std::string& column : csv->header) table.add_columns(column);
  for (std::vector<std::string>& row : csv->rows) {
    v1::Row& cells = *table.add_rows();
    for (const std::string& value : row) cells.add_cells(ToText(Json(value)));
    std::vector<std::string>().swap(row);  // a million rows need not be there twice
  }
  return table;
}

std::optional<v1::Table> FromJsonFile(SuiteContext& context, const YamlNode& file,
                                      const std::string& bytes) {
  const auto rows = ParseJson(bytes);
  if (!rows.ok() || !rows->is_array()) {
    context.Error(Diagnostic{file.text, 0, 0,
                             rows.ok() ? "expected a JSON array of objects, one a row"
                                       : std::string(rows.status().message())});
    return std::nullopt;
  }
  auto table = FromObjects(*rows, {}, [&](size_t, std::string message) {
    context.Error(Diagnostic{file.text, 0, 0, std::move(message)});
  });
  if (table.has_value() &&
      !CheckColumns(context, file, {table->columns().begin(), table->columns().end()})) {
    return std::nullopt;
  }
  return table;
}

}  // namespace

std::optional<v1::Table> FoldTable(SuiteContext& context, const YamlNode& for_each) {
  std::optional<v1::Table> table;
  if (const YamlNode* rows = Get(&for_each, "rows")) {
    for (const YamlNode* row : rows->list) {
      if (row->bad) return std::nullopt;
    }
    const YamlNode* culprit = nullptr;
    const auto values = YamlToJson(*rows, &culprit);
    if (!values.ok()) {
      context.Error(*culprit, values.status().message());
      return std::nullopt;
    }
    table = FromObjects(*values, {}, [&](size_t row, std::string message) {
      context.Error(*rows->list[row], message);
    });
  } else if (const YamlNode* file = Get(&for_each, "file")) {
    const std::string* bytes = context.File(*file);
    if (bytes == nullptr) return std::nullopt;
    if (absl::EndsWithIgnoreCase(file->text, ".csv")) {
      table = FromCsv(context, *file, *bytes);
    } else if (absl::EndsWithIgnoreCase(file->text, ".json")) {
      table = FromJsonFile(context, *file, *bytes);
    } else {
      context.Error(*file, absl::StrCat("for_each.file: '", file->text,
                                        "' is neither a .csv nor a .json file"));
    }
  }
  if (table.has_value() &&
      static_cast<size_t>(table->rows_size()) > DefaultLimits().rows_per_test) {
    context.Error(for_each, absl::StrCat("for_each has ", table->rows_size(),
                                         " rows; the most are ", DefaultLimits().rows_per_test));
    return std::nullopt;
  }
  return table;
}

absl::StatusOr<std::string> ScalarToJson(absl::string_view text) {
  if (text.empty()) return "\"\"";
  if (text[0] == '"' || text[0] == '\'') {
    YamlDocument document = ReadYaml(text);
    if (document.errors.empty() && document.root != nullptr && document.root->is_scalar()) {
      return ToText(Json(document.root->text));
    }
    return absl::InvalidArgumentError(absl::StrCat("'", text, "' is not a quoted text"));
  }
  if (!IsValidUtf8(text)) return absl::InvalidArgumentError("the value is not UTF-8");
  YamlNode node;
  node.kind = YamlNode::Kind::kScalar;
  node.text = std::string(text);
  const YamlNode* culprit = nullptr;
  auto value = YamlToJson(node, &culprit);
  if (!value.ok()) return value.status();
  return ToText(*value);
}

std::vector<VariableDef> FoldVariables(SuiteContext& context, const YamlNode* vars) {
  std::vector<VariableDef> defs;
  if (vars == nullptr || !vars->is_map()) return defs;
  for (const YamlNode::Entry& entry : vars->map) {
    if (entry.key->bad || entry.value->bad) continue;
    VariableDef def{.name = entry.key->text, .node = entry.value, .declared = entry.key};
    const YamlNode* culprit = nullptr;
    const auto value = YamlToJson(*entry.value, &culprit);
    if (!value.ok()) context.Error(*culprit, value.status().message());
    if (value.ok()) def.json = ToText(*value);
    const auto outside = [&](const std::string& origin, std::string json) {
      YamlNode* node = context.NewNode();
      node->origin = origin;
      def.node = node;
      def.json = std::move(json);
    };
    const ParseOptions& options = context.options();
    if (auto found = options.file_vars.find(def.name); found != options.file_vars.end()) {
      outside(absl::StrCat("--vars-file ", def.name), found->second);
    }
    for (const auto& [name, text] : options.vars) {
      if (name != def.name) continue;
      const auto json = ScalarToJson(text);
      outside(absl::StrCat("-e ", name), json.ok() ? *json : "null");
      if (!json.ok()) context.Error(*def.node, json.status().message());
    }
    defs.push_back(std::move(def));
  }
  return defs;
}

void FoldExtract(SuiteContext& context, const YamlNode& node, Scope& scope, v1::Step& step) {
  if (node.bad) return;
  v1::Extract& extract = *step.add_extract();
  extract.set_name(GetText(&node, "name"));
  const auto text = [&](const YamlNode* map, absl::string_view key) {
    const YamlNode* value = Get(map, key);
    if (value != nullptr) scope.Scan(context, *value);
    return GetText(map, key);
  };
  if (Get(&node, "json") != nullptr) extract.set_json(text(&node, "json"));
  if (Get(&node, "header") != nullptr) extract.set_header(text(&node, "header"));
  if (Get(&node, "xpath") != nullptr) extract.set_xpath(text(&node, "xpath"));
  if (Get(&node, "cookie") != nullptr) extract.set_cookie(text(&node, "cookie"));
  if (Get(&node, "status") != nullptr) extract.set_status(true);
  const YamlNode* body = Get(&node, "body");
  if (body == nullptr) return;
  v1::Extract::BodyGroup& group = *extract.mutable_body();
  group.set_regex(GetText(body, "regex"));
  const YamlNode* number = Get(body, "group");
  int groups = -1;  // not known
  if (auto regex = Regex::Compile(group.regex()); regex.ok()) groups = (*regex)->groups();
  group.set_group(number != nullptr ? static_cast<uint32_t>(IntegerOf(*number)) : groups > 0);
  if (number != nullptr && groups >= 0 && group.group() > static_cast<uint32_t>(groups)) {
    context.Error(*number, absl::StrCat("group: the regular expression has ", groups,
                                        groups == 1 ? " group" : " groups"));
  }
}

}  // namespace picket
