// File: file_sink.h
//
// Where the command line's text goes: a descriptor, or a file that a report becomes.
//
// Thread rule: thread-compatible.

#ifndef CLI_FILE_SINK_H_
#define CLI_FILE_SINK_H_

#include <cstddef>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "common/report/text_sink.h"

namespace picket {

// Writes to a descriptor, which it does not own, through a buffer.
class DescriptorSink : public TextSink {
 public:
  explicit DescriptorSink(int fd, size_t buffer_bytes = 64u << 10)
      : fd_(fd), buffer_bytes_(buffer_bytes) {}
  void Write(absl::string_view text) override;
  absl::Status Flush() override;

 private:
  int fd_;
  size_t buffer_bytes_;
  std::string buffer_;
  absl::Status status_;
};

// Writes a file beside the one that `path` leads to and renames it over that on Commit, so
// that a reader sees a whole report or none. Without Commit the file beside it is removed.
// A pipe, a device or a descriptor (/dev/stdout) is written into as it is.
class AtomicFileSink : public TextSink {
 public:
  AtomicFileSink() = default;
  ~AtomicFileSink() override;
  AtomicFileSink(const AtomicFileSink&) = delete;
  AtomicFileSink& operator=(const AtomicFileSink&) = delete;

  // Errors name the path. REQUIRES: called once, before anything is written.
  absl::Status Open(const std::string& path);
  void Write(absl::string_view text) override;
  absl::Status Flush() override;
  absl::Status Commit();

 private:
  std::string path_, target_, temporary_;
  int fd_ = -1;
  bool in_place_ = false;
  std::string buffer_;
  absl::Status status_;
};

}  // namespace picket

#endif  // CLI_FILE_SINK_H_
