// File: syntax.h
//
// The small grammars that several rooms check (locations: ids.h): ids, names, header fields,
// proxies. One definition each.
//
// Thread rule: pure functions.

#ifndef COMMON_POLICY_SYNTAX_H_
#define COMMON_POLICY_SYNTAX_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace picket {

// [a-z0-9][a-z0-9-]{0,99}
bool IsTestId(absl::string_view text);
// [A-Za-z_][A-Za-z0-9_-]*
bool IsName(absl::string_view text);
// RFC 9110 token: header names, methods.
bool IsToken(absl::string_view text);
// Not empty, at most Limits::name_bytes, no control characters.
bool IsTitle(absl::string_view text);
// Holds a placeholder, so that only the agent can tell what it becomes.
bool HasPlaceholder(absl::string_view text);

// "none", "env", "http://host:port" or "socks5h://host:port"; InvalidArgument says why not.
absl::Status CheckProxy(absl::string_view text);
// An absolute http or https URL with a host; or one that begins with a placeholder.
absl::Status CheckUrl(absl::string_view text);

}  // namespace picket

#endif  // COMMON_POLICY_SYNTAX_H_
