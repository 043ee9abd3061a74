// File: fold_test.h
//
// One test out of its node and the parts of the suite that reach it.
//
// Thread rule: thread-compatible.

#ifndef COMMON_SUITE_FILE_FOLD_TEST_H_
#define COMMON_SUITE_FILE_FOLD_TEST_H_

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/suite_file/context.h"
#include "common/suite_file/fold.h"
#include "picket/v1/suite.pb.h"

namespace picket {

// What a suite gives to its tests.
struct SuiteParts {
  const YamlNode* root = nullptr;
  std::string suite_name;
  std::vector<VariableDef> vars;
  std::vector<std::string> secrets;
};

v1::Test FoldTest(SuiteContext& context, const SuiteParts& suite, YamlNode& node,
                  std::optional<v1::Table> table);

// Checks what the values of `vars`, from number `first` on, name: secrets, columns and
// variables that stand before them.
void CheckVariables(SuiteContext& context, const std::vector<VariableDef>& vars, size_t first,
                    const std::vector<std::string>& secrets, const std::set<std::string>& columns);

}  // namespace picket

#endif  // COMMON_SUITE_FILE_FOLD_TEST_H_
