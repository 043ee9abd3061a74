// File: iregexp.h
//
// I-Regexp (RFC 9485), the regular expressions of JSONPath: checked against its grammar
// and rewritten for picket::Regex. As in section 5.3 of the RFC, `.` becomes [^\n\r] and
// `^` and `$` keep their meaning as anchors.
//
// Thread rule: pure.

#ifndef COMMON_EXPR_IREGEXP_H_
#define COMMON_EXPR_IREGEXP_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/policy/regex.h"

namespace picket {

// The same expression in RE2's syntax. InvalidArgument, with the character (from 1),
// when `pattern` is not an I-Regexp.
absl::StatusOr<std::string> TranslateIRegexp(absl::string_view pattern);

// Translates and compiles.
absl::StatusOr<std::shared_ptr<const Regex>> CompileIRegexp(absl::string_view pattern);

}  // namespace picket

#endif  // COMMON_EXPR_IREGEXP_H_
