// File: context.h
//
// What the parts of the suite parser share: the options, the files, the diagnostics.
//
// Thread rule: thread-compatible; one per ParseSuite.

#ifndef COMMON_SUITE_FILE_CONTEXT_H_
#define COMMON_SUITE_FILE_CONTEXT_H_

#include <cstddef>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/suite_file/suite_file.h"
#include "common/suite_file/yaml_tree.h"

namespace picket {

class SuiteContext {
 public:
  // All arguments must outlive the context.
  SuiteContext(absl::string_view text, const ParseOptions& options, FileAccess& files);

  const ParseOptions& options() const { return options_; }

  // One error at `node`. `offset`, if given, is the byte of the node's text that is meant.
  void Error(const YamlNode& node, absl::string_view message,
             std::optional<size_t> offset = std::nullopt);
  void Error(const YamlError& error);
  void Error(Diagnostic diagnostic);

  // The bytes of the file that `node` names; nothing after a diagnostic.
  const std::string* File(const YamlNode& node);
  // Its digest and size, and its bytes among the blobs.
  std::optional<v1::FileRef> Attach(const YamlNode& node);

  // A node that is not of the file; lives as long as the context.
  YamlNode* NewNode();
  // Keeps a document alive.
  void Adopt(YamlDocument document);

  bool failed() const { return !diagnostics_.empty(); }
  // Sorted, each once, at most Limits::diagnostics.
  std::vector<Diagnostic> TakeDiagnostics();
  std::vector<v1::Blob> TakeBlobs();

 private:
  // Columns of the suite file, kept in bytes until here, become characters; both from 1. One pass
  // over each line, however many errors it has.
  void ToCharacters(std::vector<Diagnostic>& sorted) const;

  const absl::string_view text_;
  const ParseOptions& options_;
  FileAccess& files_;
  std::vector<size_t> line_starts_;
  std::vector<Diagnostic> diagnostics_;  // of the suite file itself: with columns in bytes
  std::map<std::string, std::unique_ptr<const std::string>> contents_;  // null: unreadable
  std::map<std::string, v1::Blob> blobs_;                               // by digest
  std::vector<std::unique_ptr<YamlDocument>> documents_;
  std::deque<YamlNode> nodes_;
};

}  // namespace picket

#endif  // COMMON_SUITE_FILE_CONTEXT_H_
