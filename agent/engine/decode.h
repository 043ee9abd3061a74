// File: decode.h
//
// Undoes the Content-Encoding of a response (RFC 9110, section 8.4): gzip (RFC 1952),
// deflate (RFC 1950, and the bare RFC 1951 that some servers send), br (RFC 7932), and
// chains of them, in steps of bounded output.
//
// Thread rule: thread-compatible.

#ifndef AGENT_ENGINE_DECODE_H_
#define AGENT_ENGINE_DECODE_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace picket {

// One coding. Reads from `*input`, advancing it, and writes to `out`.
class DecodeStage {
 public:
  virtual ~DecodeStage() = default;
  enum class State {
    kGoing,   // more input, or more room, is needed
    kEnded,   // the coded data is complete
    kBroken,  // it is not data of this coding
  };
  // Writes at most `room` bytes; `*written` receives how many.
  virtual State Step(absl::string_view* input, char* out, size_t room, size_t* written) = 0;
};

class Decoder {
 public:
  // `codings` as in the header, in the order they were applied; "identity" counts for
  // nothing. InvalidArgument for an unknown coding or too many of them.
  static absl::StatusOr<std::unique_ptr<Decoder>> Create(const std::vector<std::string>& codings);

  enum class Result {
    kAllRead,  // `*input` is used up; feed more
    kFull,     // `most` bytes were written; call again with the same input
    kBroken,   // not decodable
  };
  // Appends at most `most` decoded bytes to `*out`, advancing `*input`.
  Result Decode(absl::string_view* input, size_t most, std::string* out);

  // Whether the coded data is complete: true at the start and after the last byte.
  bool complete() const;

 private:
  struct Link {
    std::unique_ptr<DecodeStage> stage;
    std::string buffer;        // output of this stage not yet read by the next
    absl::string_view unread;  // in buffer
    bool started = false, ended = false;
  };
  enum class Pull { kSome, kNothing, kBroken };
  // Runs link `index` (0 = nearest to the wire) into `out`.
  Pull Run(size_t index, absl::string_view* input, char* out, size_t room, size_t* written);

  std::vector<Link> links_;
};

}  // namespace picket

#endif  // AGENT_ENGINE_DECODE_H_
