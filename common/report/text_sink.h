// File: text_sink.h
//
// Where a report's text goes: a file, a socket, a string in tests.
//
// Thread rule: thread-compatible.

#ifndef COMMON_REPORT_TEXT_SINK_H_
#define COMMON_REPORT_TEXT_SINK_H_

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace picket {

class TextSink {
 public:
  virtual ~TextSink() = default;
  // May buffer. Errors are remembered and told by Flush.
  virtual void Write(absl::string_view text) = 0;
  // Everything written so far is on its way. The first error since the start, if any.
  virtual absl::Status Flush() = 0;
};

// Keeps the text.
class StringSink : public TextSink {
 public:
  void Write(absl::string_view text) override { text_.append(text.data(), text.size()); }
  absl::Status Flush() override { return absl::OkStatus(); }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

}  // namespace picket

#endif  // COMMON_REPORT_TEXT_SINK_H_
