// File: destination.h
//
// What a path that is named for output leads to: a file that may be replaced, or a pipe,
// device or descriptor that must be written into as it is. Renaming over the latter would
// put a plain file where /dev/stdout was.
//
// Thread-safe: each call stands alone.

#ifndef COMMON_BASE_DESTINATION_H_
#define COMMON_BASE_DESTINATION_H_

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace picket {

struct Destination {
  // The path, with links followed as far as they lead to something.
  std::string path;
  // Not a regular file, or one that is reached through a descriptor (/dev/stdout).
  bool in_place = false;
  // Permissions of the file that is there; nothing if none is.
  std::optional<unsigned> mode;
};

// InvalidArgument, naming the path, for a directory.
absl::StatusOr<Destination> FindDestination(const std::string& path);

// Opens what is written in place; the caller closes it. A pipe that nobody reads is waited
// for `patience`, then it is an error that names the path.
absl::StatusOr<int> OpenInPlace(const std::string& path,
                                absl::Duration patience = absl::Seconds(5));

}  // namespace picket

#endif  // COMMON_BASE_DESTINATION_H_
