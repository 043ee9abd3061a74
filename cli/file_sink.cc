#include "cli/file_sink.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "common/base/destination.h"
#include "common/base/status_macros.h"

namespace picket {
namespace {

constexpr size_t kFileBufferBytes = 256u << 10;

absl::Status WriteAll(int fd, absl::string_view text) {
  while (!text.empty()) {
    const ssize_t n = write(fd, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return absl::ErrnoToStatus(errno, "cannot write");
    text.remove_prefix(static_cast<size_t>(n));
  }
  return absl::OkStatus();
}

}  // namespace

void DescriptorSink::Write(absl::string_view text) {
  buffer_.append(text.data(), text.size());
  if (buffer_.size() >= buffer_bytes_) Flush().IgnoreError();
}

absl::Status DescriptorSink::Flush() {
  const absl::Status status = WriteAll(fd_, buffer_);
  buffer_.clear();
  status_.Update(status);
  return status_;
}

AtomicFileSink::~AtomicFileSink() {
  if (fd_ >= 0) close(fd_);
  if (!temporary_.empty()) unlink(temporary_.c_str());
}

absl::Status AtomicFileSink::Open(const std::string& path) {
  ABSL_ASSIGN_OR_RETURN(const Destination destination, FindDestination(path));
  path_ = path;
  target_ = destination.path;
  in_place_ = destination.in_place;
  if (in_place_) {
    ABSL_ASSIGN_OR_RETURN(fd_, OpenInPlace(target_));
    return absl::OkStatus();
  }
  std::string name = absl::StrCat(target_, ".XXXXXX");
  fd_ = mkostemp(name.data(), O_CLOEXEC);
  if (fd_ < 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot write ", path));
  temporary_ = name;
  const mode_t mask = umask(0);
  umask(mask);
  fchmod(fd_, destination.mode.has_value() ? *destination.mode : (0666 & ~mask));
  return absl::OkStatus();
}

void AtomicFileSink::Write(absl::string_view text) {
  buffer_.append(text.data(), text.size());
  if (buffer_.size() >= kFileBufferBytes) Flush().IgnoreError();
}

absl::Status AtomicFileSink::Flush() {
  if (status_.ok() && fd_ >= 0) {
    const absl::Status status = WriteAll(fd_, buffer_);
    if (!status.ok()) {
      status_ =
          absl::Status(status.code(), absl::StrCat("cannot write ", path_, ": ", status.message()));
    }
  }
  buffer_.clear();
  return status_;
}

absl::Status AtomicFileSink::Commit() {
  absl::Status status = Flush();
  if (!status.ok()) return status;
  if (close(fd_) != 0) status = absl::ErrnoToStatus(errno, absl::StrCat("cannot write ", path_));
  fd_ = -1;
  if (in_place_ || !status.ok()) return status;
  if (rename(temporary_.c_str(), target_.c_str()) != 0) {
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot write ", path_));
  }
  temporary_.clear();
  return absl::OkStatus();
}

}  // namespace picket
