// The first byte chooses the codings, the rest is coded data in pieces.

#include <cstdint>
#include <string>

#include "agent/engine/decode.h"
#include "common/base/check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using picket::Decoder;
  if (size == 0) return 0;
  const std::vector<std::vector<std::string>> choices = {
      {"gzip"}, {"deflate"}, {"br"}, {"gzip", "br"}, {"deflate", "gzip"}, {"identity"}};
  auto decoder = Decoder::Create(choices[data[0] % choices.size()]);
  PICKET_CHECK(decoder.ok());
  absl::string_view input(reinterpret_cast<const char*>(data + 1), size - 1);
  std::string out;
  while (!input.empty() && out.size() < (1 << 20)) {
    absl::string_view piece = input.substr(0, 1 + (input.size() / 2));
    const size_t before = piece.size();
    const size_t had = out.size();
    const Decoder::Result result = (*decoder)->Decode(&piece, 4096, &out);
    PICKET_CHECK(out.size() - had <= 4096);
    input.remove_prefix(before - piece.size());
    if (result == Decoder::Result::kBroken) return 0;
    if (result == Decoder::Result::kAllRead && before == piece.size() && out.size() == had) return 0;
  }
  return 0;
}
