// File: check.h
//
// Holds a tree against the table of keys: unknown and missing keys, wrong types, bad
// words, numbers out of range, malformed texts. What is wrong is marked `bad`, so that
// what follows need not look at it again.
//
// Thread rule: thread-compatible.

#ifndef COMMON_SUITE_FILE_CHECK_H_
#define COMMON_SUITE_FILE_CHECK_H_

#include "absl/strings/string_view.h"
#include "common/suite_file/context.h"
#include "common/suite_file/keys.h"

namespace picket {

// `what` names the value in messages: usually its key. True if all of it is good.
bool CheckValue(SuiteContext& context, YamlNode& node, const Type& type, absl::string_view what);

// The value of a key that is there and good; else null.
const YamlNode* Get(const YamlNode* map, absl::string_view key);

// Readers of values that were found good; the fallback if there is none.
std::string GetText(const YamlNode* map, absl::string_view key, absl::string_view fallback = "");
bool GetBool(const YamlNode* map, absl::string_view key, bool fallback);
int64_t GetInteger(const YamlNode* map, absl::string_view key, int64_t fallback);
int64_t IntegerOf(const YamlNode& node);
bool BoolOf(const YamlNode& node);
// The elements of a list, or the one value that stands in its place.
std::vector<const YamlNode*> ListOrOne(const YamlNode& node);

}  // namespace picket

#endif  // COMMON_SUITE_FILE_CHECK_H_
