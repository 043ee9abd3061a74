#include "agent/engine/decode.h"

#include <brotli/decode.h>
#include <zlib.h>

#include <memory>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"

namespace picket {
namespace {

std::string Deflate(const std::string& plain, int window) {
  z_stream stream{};
  deflateInit2(&stream, 6, Z_DEFLATED, window, 8, Z_DEFAULT_STRATEGY);
  std::string out(plain.size() + 1024, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(plain.data()));
  stream.avail_in = static_cast<uInt>(plain.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

std::string Gzip(const std::string& plain) { return Deflate(plain, 31); }

struct Outcome {
  std::string body;
  bool broken = false;
  bool complete = false;
};

// Feeds `wire` in pieces of `piece` bytes, taking `most` at a time.
Outcome Decode(const std::vector<std::string>& codings, absl::string_view wire, size_t piece,
               size_t most) {
  Outcome outcome;
  auto decoder = Decoder::Create(codings);
  EXPECT_TRUE(decoder.ok());
  for (size_t at = 0; at < wire.size() && !outcome.broken; at += piece) {
    absl::string_view rest = wire.substr(at, piece);
    Decoder::Result result = Decoder::Result::kFull;
    while (result == Decoder::Result::kFull) {
      const size_t before = outcome.body.size();
      result = (*decoder)->Decode(&rest, most, &outcome.body);
      EXPECT_LE(outcome.body.size() - before, most);
    }
    outcome.broken = result == Decoder::Result::kBroken;
  }
  outcome.complete = (*decoder)->complete();
  return outcome;
}

std::string Sample() {
  std::string text;
  for (int i = 0; i < 5000; ++i) text += "line " + std::to_string(i * 7919 % 1000) + "\n";
  return text;
}

TEST(DecoderTest, UndoesEveryCodingHoweverItIsCut) {
  const std::string plain = Sample();
  const std::vector<std::pair<std::vector<std::string>, std::string>> cases = {
      {{"gzip"}, Gzip(plain)},
      {{"X-GZIP"}, Gzip(plain)},
      {{"deflate"}, Deflate(plain, 15)},
      {{"deflate"}, Deflate(plain, -15)},
      {{"gzip", "identity"}, Gzip(plain)},
      {{"deflate", "gzip"}, Gzip(Deflate(plain, 15))},
      {{"gzip", "gzip", "gzip"}, Gzip(Gzip(Gzip(plain)))},
      {{}, plain},
  };
  for (const auto& [codings, wire] : cases) {
    for (const size_t piece : {size_t{1}, size_t{7}, size_t{8192}, wire.size()}) {
      for (const size_t most : {size_t{100}, size_t{1} << 20}) {
        const Outcome outcome = Decode(codings, wire, piece, most);
        EXPECT_FALSE(outcome.broken);
        EXPECT_TRUE(outcome.complete);
        EXPECT_EQ(outcome.body, plain);
      }
    }
  }
}

TEST(DecoderTest, UndoesBrotli) {
  // "hello" stored in one meta-block: RFC 7932, section 9.2.
  const std::string wire("\x0b\x02\x80hello\x03", 9);
  const Outcome outcome = Decode({"br"}, wire, 1, 100);
  EXPECT_FALSE(outcome.broken);
  EXPECT_TRUE(outcome.complete);
  EXPECT_EQ(outcome.body, "hello");
  EXPECT_TRUE(Decode({"br"}, wire + "more", 100, 100).broken);
}

TEST(DecoderTest, KnowsWhenDataIsCut) {
  const std::string wire = Gzip(Sample());
  for (const size_t length : {size_t{1}, size_t{9}, size_t{20}, wire.size() / 2, wire.size() - 1}) {
    const Outcome outcome = Decode({"gzip"}, absl::string_view(wire).substr(0, length), 100, 1000);
    EXPECT_FALSE(outcome.broken) << length;
    EXPECT_FALSE(outcome.complete) << length;
  }
}

TEST(DecoderTest, RefusesRubbishAndWhatFollowsTheEnd) {
  EXPECT_TRUE(Decode({"gzip"}, "this is not gzip", 100, 100).broken);
  EXPECT_TRUE(Decode({"br"}, "\xff\xff\xff\xff", 100, 100).broken);
  EXPECT_TRUE(Decode({"gzip"}, Gzip("hello") + "rubbish", 100, 100).broken);
  EXPECT_TRUE(Decode({"deflate"}, Deflate("hello", 15) + "rubbish", 100, 100).broken);
}

TEST(DecoderTest, MembersFollowEachOther) {
  const Outcome outcome = Decode({"gzip"}, Gzip("hello, ") + Gzip("again"), 3, 2);
  EXPECT_EQ(outcome.body, "hello, again");
  EXPECT_TRUE(outcome.complete);
}

TEST(DecoderTest, ABombComesOutInPortions) {
  const std::string wire = Gzip(Gzip(std::string(4 << 20, 'x')));
  ASSERT_LT(wire.size(), 4096u);
  auto decoder = Decoder::Create({"gzip", "gzip"});
  ASSERT_TRUE(decoder.ok());
  absl::string_view rest = wire;
  std::string out;
  EXPECT_EQ((*decoder)->Decode(&rest, 1000, &out), Decoder::Result::kFull);
  EXPECT_EQ(out.size(), 1000u);
}

TEST(DecoderTest, UnknownAndTooManyCodingsAreRefused) {
  EXPECT_FALSE(Decoder::Create({"zork"}).ok());
  EXPECT_TRUE(Decoder::Create({"gzip", "gzip", "gzip", "gzip"}).ok());
  EXPECT_FALSE(Decoder::Create({"gzip", "gzip", "gzip", "gzip", "gzip"}).ok());
}

}  // namespace
}  // namespace picket
