#include "common/suite_file/reference.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "common/policy/operators.h"
#include "common/suite_file/keys.h"

namespace picket {
namespace {

std::string Cell(absl::string_view text) { return absl::StrReplaceAll(text, {{"|", "\\|"}}); }

std::string KeyTable(const ObjectSpec& spec) {
  std::string table = "| key | value | default | meaning |\n|---|---|---|---|\n";
  const auto choices = Words(spec.exactly_one);
  for (const Key& key : spec.keys) {
    std::string fallback = key.fallback.empty() ? "" : absl::StrCat("`", key.fallback, "`");
    if (key.fallback.find(' ') != absl::string_view::npos && key.fallback[0] != '[') {
      fallback = std::string(key.fallback);
    }
    if (key.required) fallback = "**required**";
    for (absl::string_view choice : choices) {
      if (choice == key.name) fallback = "*exactly one*";
    }
    absl::StrAppend(&table, "| `", key.name, "` | ", Cell(key.type->brief), " | ", Cell(fallback),
                    " | ", Cell(key.meaning), " |\n");
  }
  return table;
}

std::string RowName(const SubjectRow& row) {
  return absl::StrCat("`", v1::Subject::Value_Name(row.subject), "`",
                      row.argument.empty() ? "" : absl::StrCat(" ", row.argument));
}

std::string OperatorTable() {
  std::string table = "| subject |", line = "|---|";
  for (v1::Operator::Value op : AllOperators()) {
    absl::StrAppend(&table, " ", v1::Operator::Value_Name(op), " |");
    absl::StrAppend(&line, ":-:|");
  }
  absl::StrAppend(&table, "\n", line, "\n");
  for (const SubjectRow& row : SubjectRows()) {
    absl::StrAppend(&table, "| ", RowName(row), " |");
    for (v1::Operator::Value op : AllOperators()) {
      absl::StrAppend(&table, Allows(row, op) ? " x |" : "   |");
    }
    absl::StrAppend(&table, "\n");
  }
  return table;
}

std::string SubjectTable() {
  std::string table = "| subject | which one | what it yields |\n|---|---|---|\n";
  for (const SubjectRow& row : SubjectRows()) {
    const SubjectForm& form = FormOf(row.subject);
    std::string which = form.key.empty() ? "" : absl::StrCat("`", form.key, "`");
    if (!row.argument.empty()) {
      absl::StrAppend(&which, ": ", row.argument);
    } else if (!form.choices.empty()) {
      absl::StrAppend(&which, ": ", form.choices, " (default ", form.default_argument, ")");
    }
    absl::StrAppend(&table, "| `", v1::Subject::Value_Name(row.subject), "` | ", which, " | ",
                    ValueKindName(row.kind), " |\n");
  }
  return table;
}

}  // namespace

std::map<std::string, std::string> ReferenceTables() {
  std::map<std::string, std::string> tables;
  for (const ObjectSpec* spec : AllSpecs()) tables[std::string(spec->name)] = KeyTable(*spec);
  tables["operators"] = OperatorTable();
  tables["subjects"] = SubjectTable();
  return tables;
}

std::string WithReferenceTables(absl::string_view page) {
  constexpr absl::string_view kBegin = "<!-- table: ", kClose = " -->\n", kEnd = "<!-- end -->";
  const auto tables = ReferenceTables();
  std::string out;
  while (true) {
    const size_t begin = page.find(kBegin);
    const size_t close = begin == absl::string_view::npos ? begin : page.find(kClose, begin);
    const size_t end = close == absl::string_view::npos ? close : page.find(kEnd, close);
    if (end == absl::string_view::npos) break;
    const std::string name(page.substr(begin + kBegin.size(), close - begin - kBegin.size()));
    const auto found = tables.find(name);
    absl::StrAppend(
        &out, page.substr(0, close + kClose.size()),
        found == tables.end() ? absl::StrCat("There is no table '", name, "'.\n") : found->second);
    page.remove_prefix(end);
  }
  absl::StrAppend(&out, page);
  return out;
}

}  // namespace picket
