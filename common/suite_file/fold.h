// File: fold.h
//
// A checked tree -> the messages of suite.proto: requests, expectations, extracts, data.
// Each function reports what only it can see (templates, files, operands that do not fit)
// and passes over what is marked bad.
//
// Thread rule: thread-compatible.

#ifndef COMMON_SUITE_FILE_FOLD_H_
#define COMMON_SUITE_FILE_FOLD_H_

#include <optional>
#include <string>
#include <vector>

#include "common/suite_file/context.h"
#include "common/suite_file/scope.h"
#include "picket/v1/suite.pb.h"

namespace picket {

// `request` with what `defaults` (or null) adds. Files go into `test`.
void FoldRequest(SuiteContext& context, const YamlNode& request, const YamlNode* defaults,
                 Scope& scope, v1::Test& test, v1::HttpCheck& http);

// One element of `expect`.
void FoldExpectation(SuiteContext& context, YamlNode& node, Scope& scope, v1::Step& step);

// One element of `extract`.
void FoldExtract(SuiteContext& context, const YamlNode& node, Scope& scope, v1::Step& step);

// Rows of a `for_each`; nothing after a diagnostic.
std::optional<v1::Table> FoldTable(SuiteContext& context, const YamlNode& for_each);

// Adds the file that `node` names to the test's files.
void FoldFile(SuiteContext& context, const YamlNode& node, v1::Test& test);

// A variable as it is declared, with the names its value uses.
struct VariableDef {
  std::string name;
  std::string json;
  const YamlNode* node = nullptr;      // where it stands; of -e and --vars-file, an origin
  const YamlNode* declared = nullptr;  // where the suite declares it
};
// `vars`, with the values of -e and --vars-file in their place.
std::vector<VariableDef> FoldVariables(SuiteContext& context, const YamlNode* vars);

// The text of a -e value: a scalar by the core schema, as JSON text.
absl::StatusOr<std::string> ScalarToJson(absl::string_view text);

// What makes sense only once the tree is known to be good: applies --override to it.
void ApplyOverrides(SuiteContext& context, YamlNode& root);

}  // namespace picket

#endif  // COMMON_SUITE_FILE_FOLD_H_
