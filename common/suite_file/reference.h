// File: reference.h
//
// The tables of docs/SUITE_FORMAT.md, made from the tables of the code.
//
// Thread rule: pure functions.

#ifndef COMMON_SUITE_FILE_REFERENCE_H_
#define COMMON_SUITE_FILE_REFERENCE_H_

#include <map>
#include <string>

#include "absl/strings/string_view.h"

namespace picket {

// Markdown by name: one table for each object of the format ("suite", "test", "request"
// ...), "operators" (subject x operator) and "subjects" (how each is written).
std::map<std::string, std::string> ReferenceTables();

// `page` with the text between each `<!-- table: NAME -->` and the next `<!-- end -->`
// replaced by that table. An unknown name leaves a text that says so.
std::string WithReferenceTables(absl::string_view page);

}  // namespace picket

#endif  // COMMON_SUITE_FILE_REFERENCE_H_
