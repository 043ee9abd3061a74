// File: key_checks.h
//
// What a text must satisfy beyond being one: the checks that the table of keys names.
// Each is ok, or InvalidArgument with a message that follows "key: ".
//
// Thread rule: pure functions.

#ifndef COMMON_SUITE_FILE_KEY_CHECKS_H_
#define COMMON_SUITE_FILE_KEY_CHECKS_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace picket::key_checks {

absl::Status Title(absl::string_view text);
absl::Status Location(absl::string_view text);
absl::Status TestId(absl::string_view text);
absl::Status Tag(absl::string_view text);
absl::Status VariableName(absl::string_view text);
absl::Status Token(absl::string_view text);
absl::Status Method(absl::string_view text);
absl::Status NotEmpty(absl::string_view text);
absl::Status OneLine(absl::string_view text);
absl::Status RegexText(absl::string_view text);
absl::Status PlainRegex(absl::string_view text);
absl::Status PlainLine(absl::string_view text);
absl::Status JsonPathText(absl::string_view text);
absl::Status Base64(absl::string_view text);
absl::Status Address(absl::string_view text);
absl::Status HostName(absl::string_view text);
absl::Status StatusClass(absl::string_view text);
absl::Status Percent(absl::string_view text);

}  // namespace picket::key_checks

#endif  // COMMON_SUITE_FILE_KEY_CHECKS_H_
