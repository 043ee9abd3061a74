// File: load_suites.h
//
// From the files named on the command line to one RunSpec: all of them valid, or nothing.
//
// Thread rule: pure but for the files it reads.

#ifndef CLI_LOAD_SUITES_H_
#define CLI_LOAD_SUITES_H_

#include <string>
#include <vector>

#include "cli/environment.h"
#include "common/config/flags.h"
#include "common/policy/selection.h"
#include "picket/v1/run.pb.h"

namespace picket {

// Flags that say how suite files are read.
struct SuiteFlags {
  std::vector<std::string> files;
  std::vector<std::string> vars;       // NAME=VALUE
  std::vector<std::string> overrides;  // path=value
  std::string vars_file;
  bool allow_outside = false;
  int retries = -1;
  Selection selection;

  void AddTo(FlagSet& flags);
  void AddSelectionTo(FlagSet& flags);
};

struct LoadedSuites {
  // Suites, blobs and nothing else. Must not be used when there are errors.
  v1::RunSpec spec;
  // One line each, `file:line:col: message` where it concerns a place; not escaped.
  std::vector<std::string> errors;
};

// Reads, selects and validates.
LoadedSuites LoadSuites(const SuiteFlags& flags);

// "suite / test uses: a, b" of what this build does not run.
std::vector<std::string> UnsupportedIn(const v1::RunSpec& spec);

// Tests that are selected and have no execution, since their for_each has no row, as
// "file:line: test 'name'".
std::vector<std::string> TestsWithoutRows(const v1::RunSpec& spec);

// Locations of the plan, sorted, each with its number of executions.
std::vector<std::pair<std::string, uint32_t>> PlannedLocations(const v1::RunSpec& spec);

}  // namespace picket

#endif  // CLI_LOAD_SUITES_H_
