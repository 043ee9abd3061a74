// File: scope.h
//
// The variables that a template may name where it stands, and those that it does name.
//
// Thread rule: thread-compatible.

#ifndef COMMON_SUITE_FILE_SCOPE_H_
#define COMMON_SUITE_FILE_SCOPE_H_

#include <set>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "common/suite_file/context.h"

namespace picket {

class Scope {
 public:
  void Add(absl::string_view name) { known_.insert(std::string(name)); }
  // A name that will be known further on: a better message than "unknown".
  void AddLater(absl::string_view name) { later_.insert(std::string(name)); }
  bool Knows(absl::string_view name) const { return known_.contains(std::string(name)); }
  // Names found in templates so far, known ones only.
  const std::set<std::string>& used() const { return used_; }

  // Checks the template in a scalar, or in all texts and keys below a node. Unknown names
  // and malformed placeholders are errors at their place.
  void Scan(SuiteContext& context, const YamlNode& node);
  // The same for a text that does not stand in the file; errors at `at`.
  void ScanText(SuiteContext& context, const YamlNode& at, absl::string_view text);

 private:
  void Check(SuiteContext& context, const YamlNode& at, absl::string_view text, bool in_place);

  std::set<std::string> known_;
  std::set<std::string> later_;
  std::set<std::string> used_;
};

}  // namespace picket

#endif  // COMMON_SUITE_FILE_SCOPE_H_
