// File: suite_file.h
//
// YAML -> Suite, or diagnostics that point with a finger. The only door to suite
// files: the parser, `picket validate` and `picket schema` share one table of keys.
//
// Thread rule: all functions are safe to call from any thread; FileAccess
// implementations need only be thread-compatible.

#ifndef COMMON_SUITE_FILE_SUITE_FILE_H_
#define COMMON_SUITE_FILE_SUITE_FILE_H_

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "picket/v1/run.pb.h"
#include "picket/v1/suite.pb.h"

namespace picket {

// One error, printed as `file:line:col: message`. Lines and columns count from 1;
// 0 = the file as a whole.
struct Diagnostic {
  std::string file;
  int line = 0;
  int column = 0;
  // What stood there and what may stand there.
  std::string message;

  std::string ToString() const;
};

// The files that a suite names (rows, bodies, certificates, schemas).
class FileAccess {
 public:
  virtual ~FileAccess() = default;
  // `path` as written in the suite. Errors name the path; PermissionDenied when it
  // lies outside the suite's folder.
  virtual absl::StatusOr<std::string> Read(const std::string& path) = 0;
};

// Reads relative to the folder of `suite_path`, inside that folder unless
// `allow_outside` (symbolic links are resolved first).
class SuiteFolder : public FileAccess {
 public:
  SuiteFolder(const std::string& suite_path, bool allow_outside);
  absl::StatusOr<std::string> Read(const std::string& path) override;

 private:
  std::string folder_;
  bool allow_outside_;
};

struct ParseOptions {
  // Shown in diagnostics.
  std::string file_name;
  // -e NAME=VALUE: values are YAML scalars by the core schema; later ones win.
  std::vector<std::pair<std::string, std::string>> vars;
  // --vars-file: NAME -> JSON text.
  std::map<std::string, std::string> file_vars;
  // --override path=value, applied before validation.
  std::vector<std::pair<std::string, std::string>> overrides;
  // --retries N, as attempts = N+1, in place of defaults.retry.attempts: it reaches
  // repeatable tests whose own `retry` does not say how often. -1 = not given.
  int retries = -1;
  // Whether a name in `vars` that the suite does not declare is an error; a caller with
  // several suites looks at ParsedSuite.undeclared_vars instead.
  bool undeclared_vars_are_errors = true;
};

struct ParsedSuite {
  v1::Suite suite;
  // What the tests name, each content once; for RunSpec.blobs.
  std::vector<v1::Blob> blobs;
  // Names of ParseOptions.vars that neither the suite nor a test declares.
  std::vector<std::string> undeclared_vars;
  // Empty = the suite is good. At most Limits::diagnostics, in file order; `suite`
  // must not be used when there are any.
  std::vector<Diagnostic> diagnostics;
};

// Parses, checks, expands and folds. Never fails otherwise than by diagnostics.
ParsedSuite ParseSuite(absl::string_view text, const ParseOptions& options, FileAccess& files);

// Reads the file at `path` and parses it.
ParsedSuite ParseSuiteFile(const std::string& path, const ParseOptions& options,
                           bool allow_outside);

// A --vars-file: a flat YAML (or JSON) map of names to values, as JSON text; for
// ParseOptions.file_vars. InvalidArgument names `file:line:col`.
absl::StatusOr<std::map<std::string, std::string>> ReadVarsFile(const std::string& path);

// The JSON Schema (draft 2020-12) of the format, for editors; from the parser's own table.
std::string SuiteJsonSchema();

}  // namespace picket

#endif  // COMMON_SUITE_FILE_SUITE_FILE_H_
