#include "agent/session/segment.h"

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"
#include "agent/session/crc32c.h"
#include "agent/session/limits.h"

namespace picket {
namespace {

constexpr size_t kHeadBytes = 4 + 4 + 1 + 8;
// A sequence further ahead than this is not the next record but noise.
constexpr uint64_t kSequenceJump = 1ull << 40;

template <typename T>
void PutLittle(std::string& out, T value) {
  for (size_t i = 0; i < sizeof(T); ++i) out += static_cast<char>(value >> (8 * i));
}

template <typename T>
T GetLittle(const char* p) {
  T value = 0;
  for (size_t i = 0; i < sizeof(T); ++i) {
    value |= static_cast<T>(static_cast<unsigned char>(p[i])) << (8 * i);
  }
  return value;
}

enum class Parse { kRecord, kShort, kBad };

// The record at the start of `bytes`, its size in `size`.
Parse ParseRecord(absl::string_view bytes, SegmentRecord& record, size_t& size) {
  if (bytes.size() < kHeadBytes) return Parse::kShort;
  const uint32_t length = GetLittle<uint32_t>(bytes.data());
  const uint8_t kind = static_cast<uint8_t>(bytes[8]);
  if (kind != 1 && kind != 2) return Parse::kBad;
  if (length > DefaultSessionLimits().record_bytes) return Parse::kBad;
  if (bytes.size() - kHeadBytes < length) return Parse::kShort;
  size = kHeadBytes + length;
  if (GetLittle<uint32_t>(bytes.data() + 4) != Crc32c(bytes.substr(8, size - 8)))
    return Parse::kBad;
  record.kind = static_cast<RecordKind>(kind);
  record.sequence = GetLittle<uint64_t>(bytes.data() + 9);
  record.payload = bytes.substr(kHeadBytes, length);
  return Parse::kRecord;
}

}  // namespace

absl::string_view SegmentHeader() { return "PKSPOOL1"; }

std::string EncodeRecord(const SegmentRecord& record) {
  std::string checked;
  checked.reserve(kHeadBytes + record.payload.size());
  checked += static_cast<char>(record.kind);
  PutLittle<uint64_t>(checked, record.sequence);
  checked.append(record.payload.data(), record.payload.size());
  std::string out;
  out.reserve(kHeadBytes + record.payload.size());
  PutLittle<uint32_t>(out, static_cast<uint32_t>(record.payload.size()));
  PutLittle<uint32_t>(out, Crc32c(checked));
  out += checked;
  return out;
}

SegmentScan ScanSegment(absl::string_view contents,
                        const std::function<bool(const SegmentRecord&)>& visit) {
  SegmentScan scan;
  if (!absl::ConsumePrefix(&contents, SegmentHeader())) {
    scan.truncated = absl::StartsWith(SegmentHeader(), contents);  // a crash at its birth
    scan.foreign = !scan.truncated;
    return scan;
  }
  uint64_t last = 0;
  while (!contents.empty()) {
    SegmentRecord record;
    size_t size = 0;
    Parse parse = ParseRecord(contents, record, size);
    if (parse != Parse::kRecord) {
      // Look for the next whole record; without one this is the end, torn or broken.
      size_t skip = 1;
      for (; skip < contents.size(); ++skip) {
        SegmentRecord next;
        if (ParseRecord(contents.substr(skip), next, size) != Parse::kRecord) continue;
        if (last != 0 && next.sequence > last + kSequenceJump) continue;
        record = next;
        break;
      }
      if (skip >= contents.size()) {
        if (parse == Parse::kShort) {
          scan.truncated = true;
        } else {
          ++scan.corrupt;
        }
        return scan;
      }
      ++scan.corrupt;
      contents.remove_prefix(skip);
    }
    last = record.sequence;
    if (!visit(record)) return scan;
    contents.remove_prefix(size);
  }
  return scan;
}

std::string SegmentName(uint64_t first) { return absl::StrFormat("%020d.seg", first); }

uint64_t SegmentFirst(absl::string_view name) {
  uint64_t first = 0;
  if (!absl::ConsumeSuffix(&name, ".seg") || name.size() != 20 || !absl::SimpleAtoi(name, &first)) {
    return 0;
  }
  return first;
}

}  // namespace picket
