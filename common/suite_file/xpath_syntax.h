// File: xpath_syntax.h
//
// A light look at XPath 1.0 expressions: what can be told to be wrong without an XPath
// engine, which only agents have.
//
// Thread rule: a pure function.

#ifndef COMMON_SUITE_FILE_XPATH_SYNTAX_H_
#define COMMON_SUITE_FILE_XPATH_SYNTAX_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace picket {

// InvalidArgument when quotes or brackets do not pair, or nothing is there.
absl::Status CheckXPath(absl::string_view text);

}  // namespace picket

#endif  // COMMON_SUITE_FILE_XPATH_SYNTAX_H_
