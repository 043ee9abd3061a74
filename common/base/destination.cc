#include "common/base/destination.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "common/base/clock.h"
#include "common/base/mutex.h"

namespace picket {
namespace {

// As many links in a row as Linux itself follows.
constexpr int kLinksMost = 40;

// Waits until `end`, or a moment.
void Pause(absl::Duration end) {
  Mutex mu;
  CondVar never;
  MutexLock lock(&mu);
  never.WaitWithTimeout(&mu, std::min(absl::Milliseconds(20), end - Clock::Real()->Monotonic()));
}

}  // namespace

absl::StatusOr<Destination> FindDestination(const std::string& path) {
  namespace fs = std::filesystem;
  Destination found{.path = path};
  struct stat info;
  for (int i = 0; i < kLinksMost; ++i) {
    if (lstat(found.path.c_str(), &info) != 0 || !S_ISLNK(info.st_mode)) break;
    std::error_code error;
    const fs::path here = fs::absolute(found.path, error);
    const fs::path folder = fs::canonical(here.parent_path(), error);
    const fs::path target = fs::read_symlink(here, error);
    if (error || target.empty()) break;
    // The links of /proc/…/fd are descriptors: what they seem to name may be gone.
    if (folder.string().rfind("/proc/", 0) == 0) {
      found.in_place = true;
      break;
    }
    found.path = (target.is_absolute() ? target : folder / target).string();
  }
  if (stat(found.path.c_str(), &info) != 0) {
    found.in_place = false;
    return found;
  }
  if (S_ISDIR(info.st_mode)) {
    return absl::InvalidArgumentError(absl::StrCat("cannot write ", path, ": it is a directory"));
  }
  found.in_place = found.in_place || !S_ISREG(info.st_mode);
  found.mode = info.st_mode & 0777;
  return found;
}

absl::StatusOr<int> OpenInPlace(const std::string& path, absl::Duration patience) {
  const absl::Duration end = Clock::Real()->Monotonic() + patience;
  while (true) {
    // O_APPEND: what a descriptor's file holds already stays.
    const int fd = open(path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC | O_NONBLOCK);
    if (fd >= 0) {
      fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
      return fd;
    }
    const int error = errno;
    struct stat info;
    const bool pipe = stat(path.c_str(), &info) == 0 && S_ISFIFO(info.st_mode);
    if (error != ENXIO || !pipe) {
      return absl::ErrnoToStatus(error, absl::StrCat("cannot write ", path));
    }
    if (Clock::Real()->Monotonic() >= end) {
      return absl::FailedPreconditionError(
          absl::StrCat("cannot write ", path, ": nobody reads the other end of this pipe"));
    }
    Pause(end);
  }
}

}  // namespace picket
