// validate, schema and query: what needs no coordinator.

#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "cli/commands.h"
#include "cli/connection_flags.h"
#include "cli/exit_code.h"
#include "cli/load_suites.h"
#include "common/base/files.h"
#include "common/expr/json.h"
#include "common/expr/jsonpath.h"
#include "common/policy/limits.h"
#include "common/report/escape.h"
#include "common/suite_file/suite_file.h"

namespace picket {
namespace {

// JSON documents are reports too, and those are large.
constexpr size_t kInputBytesMost = size_t{1} << 30;
constexpr size_t kInputNodesMost = 50'000'000;

int Wrong(Environment& env, absl::string_view message) {
  PrintError(env, message);
  return kExitUsage;
}

}  // namespace

int ValidateCommand(Environment& env, const Arguments& args) {
  FlagSet flags("picket validate", "Checks suite files; prints every error with its place.");
  SuiteFlags suites;
  bool quiet = false;
  suites.AddTo(flags);
  flags.Add("quiet", &quiet, "", "Print errors only.", {.short_name = 'q'});
  if (std::optional<int> code = ParseArguments(env, flags, args)) return *code;
  const LoadedSuites loaded = LoadSuites(suites);
  for (const std::string& error : loaded.errors) {
    env.err->Write(absl::StrCat(EscapeGithubLog(error), "\n"));
  }
  if (!loaded.errors.empty()) return kExitUsage;
  size_t tests = 0;
  for (const v1::Suite& suite : loaded.spec.suites()) {
    tests += static_cast<size_t>(suite.tests_size());
  }
  uint64_t executions = 0;
  const auto locations = PlannedLocations(loaded.spec);
  for (const auto& [location, count] : locations) executions += count;
  if (!quiet) {
    env.out->Write(absl::StrCat("valid: ", tests, tests == 1 ? " test, " : " tests, ", executions,
                                executions == 1 ? " execution at " : " executions at ",
                                locations.size(),
                                locations.size() == 1 ? " location" : " locations", "\n"));
    for (const std::string& line : UnsupportedIn(loaded.spec)) {
      env.out->Write(absl::StrCat("note: ", EscapeGithubLog(line), "\n"));
    }
  }
  return kExitPassed;
}

int SchemaCommand(Environment& env, const Arguments& args) {
  FlagSet flags("picket schema", "Prints the JSON Schema (draft 2020-12) of suite files.");
  if (std::optional<int> code = ParseArguments(env, flags, args)) return *code;
  const std::string schema = SuiteJsonSchema();
  env.out->Write(schema);
  if (schema.empty() || schema.back() != '\n') env.out->Write("\n");
  return kExitPassed;
}

int QueryCommand(Environment& env, const Arguments& args) {
  FlagSet flags("picket query",
                "Prints the nodes that a JSONPath (RFC 9535) selects, as a JSON array. Exits 2 if "
                "the path or the JSON is not valid.");
  std::vector<std::string> arguments;
  flags.Positional("JSONPATH [FILE]", &arguments,
                   "The path, and the document; without FILE it is read from standard input.", 1,
                   2);
  if (std::optional<int> code = ParseArguments(env, flags, args)) return *code;
  const auto path = JsonPath::Compile(arguments[0]);
  if (!path.ok()) return Wrong(env, absl::StrCat("query: ", std::string(path.status().message())));
  const absl::StatusOr<std::string> text = arguments.size() == 2
                                               ? ReadFile(arguments[1], kInputBytesMost)
                                               : env.read_input(kInputBytesMost);
  if (!text.ok()) return Wrong(env, text.status().message());
  const std::string where = arguments.size() == 2 ? arguments[1] : "standard input";
  const absl::StatusOr<Json> json =
      ParseJson(*text, {.depth = DefaultLimits().json_depth, .nodes = kInputNodesMost});
  if (!json.ok()) {
    return Wrong(env, absl::StrCat(where, ": ", std::string(json.status().message())));
  }
  const auto nodes = (*path)->Evaluate(*json, kInputNodesMost);
  if (!nodes.ok()) return Wrong(env, nodes.status().message());
  env.out->Write("[");
  for (size_t i = 0; i < nodes->size(); ++i) {
    env.out->Write(absl::StrCat(i == 0 ? "" : ",", ToText(*(*nodes)[i])));
  }
  env.out->Write("]\n");
  return kExitPassed;
}

}  // namespace picket
