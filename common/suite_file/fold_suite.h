// File: fold_suite.h
//
// A checked tree -> Suite: tests with their suite's defaults, policy and variables in them.
//
// Thread rule: thread-compatible.

#ifndef COMMON_SUITE_FILE_FOLD_SUITE_H_
#define COMMON_SUITE_FILE_FOLD_SUITE_H_

#include "common/suite_file/context.h"
#include "picket/v1/suite.pb.h"

namespace picket {

// REQUIRES: `root` went through CheckValue. `undeclared` receives the names of -e that
// `vars` does not hold.
v1::Suite FoldSuite(SuiteContext& context, YamlNode& root, std::vector<std::string>& undeclared);

}  // namespace picket

#endif  // COMMON_SUITE_FILE_FOLD_SUITE_H_
