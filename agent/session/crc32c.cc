#include "agent/session/crc32c.h"

#include <array>
#include <cstddef>
#include <cstring>
#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

namespace picket {
namespace {

constexpr uint32_t kPolynomial = 0x82f63b78;  // 0x1edc6f41 with its bits reversed

constexpr std::array<uint32_t, 256> MakeTable() {
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ ((value & 1) ? kPolynomial : 0);
    table[i] = value;
  }
  return table;
}

constexpr std::array<uint32_t, 256> kTable = MakeTable();

uint32_t ByTable(absl::string_view bytes, uint32_t crc) {
  for (const char c : bytes)
    crc = kTable[(crc ^ static_cast<unsigned char>(c)) & 0xff] ^ (crc >> 8);
  return crc;
}

#if defined(__x86_64__)
// By the processor's own instruction, eight bytes at a time.
__attribute__((target("sse4.2"))) uint32_t ByInstruction(absl::string_view bytes, uint32_t crc) {
  uint64_t wide = crc;
  size_t at = 0;
  for (; at + 8 <= bytes.size(); at += 8) {
    uint64_t word = 0;
    std::memcpy(&word, bytes.data() + at, 8);
    wide = _mm_crc32_u64(wide, word);
  }
  crc = static_cast<uint32_t>(wide);
  for (; at < bytes.size(); ++at)
    crc = _mm_crc32_u8(crc, static_cast<unsigned char>(bytes[at]));
  return crc;
}

bool HasInstruction() { return __builtin_cpu_supports("sse4.2"); }
#else
uint32_t ByInstruction(absl::string_view bytes, uint32_t crc) { return ByTable(bytes, crc); }
bool HasInstruction() { return false; }
#endif

}  // namespace

uint32_t Crc32c(absl::string_view bytes, uint32_t seed) {
  static const bool instruction = HasInstruction();
  return ~(instruction ? ByInstruction(bytes, ~seed) : ByTable(bytes, ~seed));
}

uint32_t Crc32cByTable(absl::string_view bytes, uint32_t seed) { return ~ByTable(bytes, ~seed); }

}  // namespace picket
