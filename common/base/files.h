// File: files.h
//
// Small whole-file operations. Thread-safe: each call stands alone.

#ifndef COMMON_BASE_FILES_H_
#define COMMON_BASE_FILES_H_

#include <cstddef>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace picket {

// The whole file. Errors name the path: NotFound, PermissionDenied, or
// OutOfRange when it holds more than `bytes_max` bytes (nothing is read then).
absl::StatusOr<std::string> ReadFile(const std::string& path, size_t bytes_max);

// Writes beside `path` and renames over it, so that a reader sees the old file or
// the new one and never a part. `mode` as in open(2).
absl::Status WriteFileAtomically(const std::string& path, absl::string_view contents,
                                 unsigned mode = 0644);

}  // namespace picket

#endif  // COMMON_BASE_FILES_H_
