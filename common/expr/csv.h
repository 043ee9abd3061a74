// File: csv.h
//
// Comma-separated values, RFC 4180, for the data rows of a suite: the first record is the
// header. Fields may be quoted by "; a quoted field may hold commas, line ends and doubled
// quotes. Lines end by CR LF or LF; a byte order mark is skipped; a line with nothing on it
// is skipped (an empty value in a one-column file is written ""). Blanks are part of a
// field. UTF-8 only.
//
// Thread rule: pure.

#ifndef COMMON_EXPR_CSV_H_
#define COMMON_EXPR_CSV_H_

#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/policy/limits.h"

namespace picket {

struct CsvTable {
  std::vector<std::string> header;             // not empty, no name empty or twice
  std::vector<std::vector<std::string>> rows;  // each as long as the header
  std::vector<size_t> lines;                   // the line (from 1) on which each row starts
};

struct CsvBounds {
  size_t bytes = DefaultLimits().data_file_bytes;
  size_t rows = DefaultLimits().rows_per_test;
};

// InvalidArgument when `text` is not such a table, ResourceExhausted when it exceeds a
// bound; the message names the line, and `error_line`, if given, receives it (from 1).
absl::StatusOr<CsvTable> ReadCsv(absl::string_view text, CsvBounds bounds = {},
                                 size_t* error_line = nullptr);

}  // namespace picket

#endif  // COMMON_EXPR_CSV_H_
