#include "common/base/files.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "common/base/destination.h"
#include "common/base/status_macros.h"

namespace picket {
namespace {

absl::Status FileError(int error, absl::string_view doing, absl::string_view path) {
  return absl::ErrnoToStatus(error, absl::StrCat("cannot ", doing, " ", path));
}

absl::Status WriteAll(int fd, absl::string_view contents, absl::string_view path) {
  while (!contents.empty()) {
    const ssize_t n = write(fd, contents.data(), contents.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return FileError(errno, "write", path);
    contents.remove_prefix(static_cast<size_t>(n));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::string> ReadFile(const std::string& path, size_t bytes_max) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return FileError(errno, "open", path);
  absl::Cleanup closer = [fd] { close(fd); };
  struct stat info;
  if (fstat(fd, &info) != 0) return FileError(errno, "read", path);
  if (S_ISDIR(info.st_mode)) return FileError(EISDIR, "read", path);
  std::string contents;
  char buffer[65536];
  while (true) {
    const ssize_t n = read(fd, buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return FileError(errno, "read", path);
    if (n == 0) return contents;
    if (contents.size() + static_cast<size_t>(n) > bytes_max) {
      return absl::OutOfRangeError(
          absl::StrCat(path, " holds more than ", bytes_max, " bytes, the most that is read"));
    }
    contents.append(buffer, static_cast<size_t>(n));
  }
}

absl::Status WriteFileAtomically(const std::string& path, absl::string_view contents,
                                 unsigned mode) {
  ABSL_ASSIGN_OR_RETURN(const Destination destination, FindDestination(path));
  const std::string temporary = absl::StrCat(destination.path, ".tmp.", getpid());
  int fd = -1;
  if (destination.in_place) {
    ABSL_ASSIGN_OR_RETURN(fd, OpenInPlace(destination.path));
  } else {
    fd = open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
  }
  if (fd < 0) return FileError(errno, "write", path);
  absl::Status status = WriteAll(fd, contents, path);
  if (close(fd) != 0 && status.ok()) status = FileError(errno, "write", path);
  if (destination.in_place) return status;
  if (status.ok() && rename(temporary.c_str(), destination.path.c_str()) != 0) {
    status = FileError(errno, "write", path);
  }
  if (!status.ok()) unlink(temporary.c_str());
  return status;
}

}  // namespace picket
