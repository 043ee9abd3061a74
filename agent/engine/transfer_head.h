// File: transfer_head.h
//
// Reads the head of a response line by line, as libcurl hands it over, and refuses
// what libcurl lets pass: heads that are cut, lengths that contradict each other,
// names and values that are none (RFC 9112, sections 4, 5 and 6).
//
// Thread rule: thread-compatible.

#ifndef AGENT_ENGINE_TRANSFER_HEAD_H_
#define AGENT_ENGINE_TRANSFER_HEAD_H_

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "picket/v1/suite.pb.h"

namespace picket {

class ResponseHead {
 public:
  // Forgets everything, for the next transfer.
  void Reset();

  // One line with its line end: a status line, a field, the empty line at the end, or
  // a trailer. False = the response must be refused: reason() and problem() say why.
  bool Line(absl::string_view line);

  // The empty line of a final response was seen.
  bool complete() const { return complete_; }
  // Any line at all was seen.
  bool begun() const { return begun_; }

  int status() const { return status_; }
  const std::string& version() const { return version_; }          // "1.0", "1.1", "2"
  const std::string& status_line() const { return status_line_; }  // without line end
  std::vector<std::pair<std::string, std::string>>& fields() { return fields_; }
  std::optional<uint64_t> content_length() const { return content_length_; }
  bool chunked() const { return chunked_; }
  // Values of Content-Encoding, split, in order.
  std::vector<std::string> codings() const;

  v1::FailureReason::Value reason() const { return reason_; }
  // A phrase: "its Content-Length is 'x'".
  const std::string& problem() const { return problem_; }

 private:
  bool StatusLine(absl::string_view line);
  bool Field(absl::string_view line);
  bool End();
  bool CheckField(absl::string_view name, absl::string_view value);
  bool CheckLength(absl::string_view value);
  bool Refuse(std::string problem);
  bool TooLarge(std::string problem);

  bool begun_ = false, complete_ = false, in_head_ = false, folded_ = false;
  int status_ = 0;
  int interim_ = 0;
  size_t bytes_ = 0, count_ = 0;
  std::string version_, status_line_;
  std::vector<std::pair<std::string, std::string>> fields_;
  std::optional<uint64_t> content_length_;
  bool chunked_ = false;
  v1::FailureReason::Value reason_ = v1::FailureReason::none;
  std::string problem_;
};

}  // namespace picket

#endif  // AGENT_ENGINE_TRANSFER_HEAD_H_
