#include "agent/engine/decode.h"

#include <brotli/decode.h>
#include <zlib.h>

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "agent/engine/limits.h"

namespace picket {
namespace {

constexpr size_t kStepBytes = 16 << 10;

// gzip with one or more members, zlib, or bare deflate.
class InflateStage : public DecodeStage {
 public:
  explicit InflateStage(bool gzip) : gzip_(gzip) {}
  ~InflateStage() override {
    if (open_) inflateEnd(&stream_);
  }

  State Step(absl::string_view* input, char* out, size_t room, size_t* written) override {
    *written = 0;
    if (!open_ && !Open(*input)) return input->empty() ? State::kGoing : State::kBroken;
    if (between_members_) {
      if (input->empty()) return State::kGoing;
      // A further member (RFC 1952, section 2.2); its header is checked by zlib.
      inflateReset(&stream_);
      between_members_ = false;
    }
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(input->data()));
    stream_.avail_in = static_cast<uInt>(input->size());
    stream_.next_out = reinterpret_cast<Bytef*>(out);
    stream_.avail_out = static_cast<uInt>(room);
    const int status = inflate(&stream_, Z_NO_FLUSH);
    input->remove_prefix(input->size() - stream_.avail_in);
    *written = room - stream_.avail_out;
    if (status == Z_STREAM_END) {
      between_members_ = gzip_;
      return State::kEnded;
    }
    return status == Z_OK || status == Z_BUF_ERROR ? State::kGoing : State::kBroken;
  }

 private:
  bool Open(absl::string_view input) {
    if (input.empty()) return false;
    // A zlib header names method 8 and is a multiple of 31 (RFC 1950); its first byte
    // alone tells it from bare deflate well enough, as browsers do.
    int window = 15 + 16;
    if (!gzip_) window = (input[0] & 0x0f) == 8 ? 15 : -15;
    open_ = inflateInit2(&stream_, window) == Z_OK;
    return open_;
  }

  const bool gzip_;
  bool open_ = false;
  bool between_members_ = false;
  z_stream stream_{};
};

class BrotliStage : public DecodeStage {
 public:
  BrotliStage() : state_(BrotliDecoderCreateInstance(nullptr, nullptr, nullptr)) {}
  ~BrotliStage() override {
    if (state_ != nullptr) BrotliDecoderDestroyInstance(state_);
  }

  State Step(absl::string_view* input, char* out, size_t room, size_t* written) override {
    *written = 0;
    if (state_ == nullptr) return State::kBroken;
    size_t available = input->size();
    const auto* next = reinterpret_cast<const uint8_t*>(input->data());
    size_t left = room;
    auto* to = reinterpret_cast<uint8_t*>(out);
    const BrotliDecoderResult result =
        BrotliDecoderDecompressStream(state_, &available, &next, &left, &to, nullptr);
    input->remove_prefix(input->size() - available);
    *written = room - left;
    if (result == BROTLI_DECODER_RESULT_ERROR) return State::kBroken;
    return result == BROTLI_DECODER_RESULT_SUCCESS ? State::kEnded : State::kGoing;
  }

 private:
  BrotliDecoderState* const state_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Decoder>> Decoder::Create(const std::vector<std::string>& codings) {
  auto decoder = std::make_unique<Decoder>();
  for (auto coding = codings.rbegin(); coding != codings.rend(); ++coding) {
    const std::string name = absl::AsciiStrToLower(*coding);
    Link link;
    if (name == "gzip" || name == "x-gzip") {
      link.stage = std::make_unique<InflateStage>(true);
    } else if (name == "deflate") {
      link.stage = std::make_unique<InflateStage>(false);
    } else if (name == "br") {
      link.stage = std::make_unique<BrotliStage>();
    } else if (name == "identity" || name.empty()) {
      continue;
    } else {
      return absl::InvalidArgumentError(absl::StrCat("content coding '", name, "' is not known"));
    }
    decoder->links_.push_back(std::move(link));
  }
  if (decoder->links_.size() > DefaultEngineLimits().content_codings) {
    return absl::InvalidArgumentError(
        absl::StrCat("the body is coded ", decoder->links_.size(), " times over; at most ",
                     DefaultEngineLimits().content_codings, " are undone"));
  }
  return decoder;
}

Decoder::Result Decoder::Decode(absl::string_view* input, size_t most, std::string* out) {
  if (links_.empty()) {
    const size_t taken = std::min(most, input->size());
    out->append(input->data(), taken);
    input->remove_prefix(taken);
    return input->empty() ? Result::kAllRead : Result::kFull;
  }
  while (most > 0) {
    const size_t room = std::min(most, kStepBytes);
    const size_t before = out->size();
    out->resize(before + room);
    size_t written = 0;
    const Pull pull = Run(links_.size() - 1, input, out->data() + before, room, &written);
    out->resize(before + written);
    most -= written;
    if (pull == Pull::kBroken) return Result::kBroken;
    if (pull == Pull::kNothing) return Result::kAllRead;
  }
  return Result::kFull;
}

Decoder::Pull Decoder::Run(size_t index, absl::string_view* input, char* out, size_t room,
                           size_t* written) {
  Link& link = links_[index];
  *written = 0;
  while (true) {
    absl::string_view* from = index == 0 ? input : &links_[index - 1].unread;
    const size_t before = from->size();
    if (before == 0 && index > 0) {
      Link& source = links_[index - 1];
      source.buffer.resize(kStepBytes);
      size_t got = 0;
      const Pull pull = Run(index - 1, input, source.buffer.data(), kStepBytes, &got);
      if (pull == Pull::kBroken) return pull;
      source.unread = absl::string_view(source.buffer.data(), got);
      // Nothing more to feed: what the stage still holds comes out below.
    }
    const size_t fed = from->size();
    if (fed > 0) link.started = true;
    const DecodeStage::State state = link.stage->Step(from, out, room, written);
    if (state == DecodeStage::State::kBroken) return Pull::kBroken;
    if (state == DecodeStage::State::kEnded) {
      link.ended = true;
    } else if (fed != from->size() || *written > 0) {
      link.ended = false;
    }
    if (*written > 0) return Pull::kSome;
    if (from->empty() && (index == 0 || fed == 0)) return Pull::kNothing;
    if (fed == from->size()) return Pull::kBroken;  // bytes after the end
  }
}

bool Decoder::complete() const {
  for (const Link& link : links_) {
    if (link.started && !link.ended) return false;
  }
  return true;
}

}  // namespace picket
