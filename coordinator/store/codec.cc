#include "coordinator/store/codec.h"

#include <limits>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/policy/limits.h"

namespace picket {
namespace {

constexpr char kFormat = 1;
constexpr char kMarksFormat = 2;
constexpr uint8_t kDeciding = 1;
constexpr uint8_t kLate = 2;
constexpr uint8_t kFailedBefore = 1;
constexpr uint8_t kStarted = 2;
constexpr uint8_t kProbed = 4;

void PutVarint(uint64_t value, std::string& out) {
  while (value >= 0x80) {
    out.push_back(static_cast<char>(value | 0x80));
    value >>= 7;
  }
  out.push_back(static_cast<char>(value));
}

uint64_t Zigzag(int64_t value) {
  return (static_cast<uint64_t>(value) << 1) ^ static_cast<uint64_t>(value >> 63);
}
int64_t Unzigzag(uint64_t value) {
  return static_cast<int64_t>(value >> 1) ^ -static_cast<int64_t>(value & 1);
}

bool GetVarint(absl::string_view& in, uint64_t& value) {
  value = 0;
  for (int shift = 0; shift < 64 && !in.empty(); shift += 7) {
    const uint8_t byte = static_cast<uint8_t>(in.front());
    in.remove_prefix(1);
    value |= static_cast<uint64_t>(byte & 0x7f) << shift;
    if (byte < 0x80) return true;
  }
  return false;
}

bool GetUint32(absl::string_view& in, uint32_t& value) {
  uint64_t wide;
  if (!GetVarint(in, wide) || wide > std::numeric_limits<uint32_t>::max()) return false;
  value = static_cast<uint32_t>(wide);
  return true;
}

bool GetString(absl::string_view& in, absl::string_view& value) {
  uint64_t size;
  if (!GetVarint(in, size) || size > in.size()) return false;
  value = in.substr(0, size);
  in.remove_prefix(size);
  return true;
}

bool GetFormat(absl::string_view& in) {
  if (in.empty() || in.front() != kFormat) return false;
  in.remove_prefix(1);
  return true;
}

absl::Status Damaged(absl::string_view what) {
  return absl::DataLossError(
      absl::StrCat("the store is damaged: its record of ", what, " cannot be read"));
}

}  // namespace

int64_t TimeToMicros(absl::Time time) {
  if (time == absl::InfiniteFuture()) return std::numeric_limits<int64_t>::max();
  if (time == absl::InfinitePast()) return std::numeric_limits<int64_t>::min();
  return absl::ToUnixMicros(time);
}

absl::Time TimeFromMicros(int64_t micros) {
  if (micros == std::numeric_limits<int64_t>::max()) return absl::InfiniteFuture();
  if (micros == std::numeric_limits<int64_t>::min()) return absl::InfinitePast();
  return absl::FromUnixMicros(micros);
}

std::string EncodeNumbers(const std::vector<uint32_t>& numbers) {
  std::string out(1, kFormat);
  PutVarint(numbers.size(), out);
  int64_t end = 0;
  for (size_t i = 0; i < numbers.size();) {
    size_t next = i + 1;
    while (next < numbers.size() && numbers[next] == uint64_t{numbers[next - 1]} + 1) ++next;
    PutVarint(Zigzag(static_cast<int64_t>(numbers[i]) - end), out);
    PutVarint(next - i - 1, out);
    end = static_cast<int64_t>(numbers[next - 1]) + 1;
    i = next;
  }
  return out;
}

absl::Status DecodeNumbers(absl::string_view bytes, std::vector<uint32_t>& numbers) {
  numbers.clear();
  uint64_t count;
  if (!GetFormat(bytes) || !GetVarint(bytes, count) || count > DefaultLimits().executions_per_run) {
    return Damaged("a list of executions");
  }
  int64_t end = 0;
  while (numbers.size() < count) {
    uint64_t step, more;
    if (!GetVarint(bytes, step) || !GetVarint(bytes, more)) return Damaged("a list of executions");
    const int64_t first = end + Unzigzag(step);
    if (more >= count - numbers.size() || first < 0 ||
        first + static_cast<int64_t>(more) > std::numeric_limits<uint32_t>::max()) {
      return Damaged("a list of executions");
    }
    for (uint64_t i = 0; i <= more; ++i) numbers.push_back(static_cast<uint32_t>(first + i));
    end = first + static_cast<int64_t>(more) + 1;
  }
  return bytes.empty() ? absl::OkStatus() : Damaged("a list of executions");
}

std::string EncodeMarks(const std::vector<bool>& leased, const std::map<uint32_t, Mark>& marks) {
  std::vector<size_t> runs;
  bool kind = false;
  for (size_t i = 0; i < leased.size(); kind = !kind) {
    size_t end = i;
    while (end < leased.size() && leased[end] == kind) ++end;
    runs.push_back(end - i);
    i = end;
  }
  if (!runs.empty() && kind) runs.pop_back();  // the last run was of those never leased
  if (runs.empty() && marks.empty()) return "";
  std::string out(1, kMarksFormat);
  PutVarint(runs.size(), out);
  for (const size_t run : runs) PutVarint(run, out);
  PutVarint(marks.size(), out);
  for (const auto& [position, mark] : marks) {
    PutVarint(position, out);
    PutVarint(mark.losses, out);
    PutVarint(mark.attempts, out);
    out.push_back(static_cast<char>((mark.failed_before ? kFailedBefore : 0) |
                                    (mark.started ? kStarted : 0) |
                                    (mark.probed.empty() ? 0 : kProbed)));
    PutVarint(mark.avoid_instance.size(), out);
    out += mark.avoid_instance;
    PutVarint(Zigzag(TimeToMicros(mark.not_before)), out);
    PutVarint(Zigzag(TimeToMicros(mark.give_up)), out);
    if (mark.probed.empty()) continue;
    PutVarint(mark.probed.size(), out);
    for (const std::string& location : mark.probed) {
      PutVarint(location.size(), out);
      out += location;
    }
  }
  return out;
}

namespace {

bool GetLeased(absl::string_view& bytes, std::vector<bool>& leased) {
  uint64_t runs, size;
  if (!GetVarint(bytes, runs)) return false;
  for (uint64_t i = 0; i < runs; ++i) {
    if (!GetVarint(bytes, size) || size > DefaultLimits().executions_per_run - leased.size()) {
      return false;
    }
    leased.resize(leased.size() + size, i % 2 == 1);
  }
  return true;
}

}  // namespace

absl::Status DecodeMarks(absl::string_view bytes, std::vector<bool>& leased,
                         std::map<uint32_t, Mark>& marks) {
  leased.clear();
  marks.clear();
  if (bytes.empty()) return absl::OkStatus();
  const char format = bytes.front();
  bytes.remove_prefix(1);
  uint64_t count;
  if ((format != kFormat && format != kMarksFormat) ||
      (format == kMarksFormat && !GetLeased(bytes, leased)) || !GetVarint(bytes, count)) {
    return Damaged("a shard's marks");
  }
  for (uint64_t i = 0; i < count; ++i) {
    uint32_t position, leases = 0;
    Mark mark;
    if (!GetUint32(bytes, position) || position >= DefaultLimits().executions_per_run ||
        (format == kFormat && !GetUint32(bytes, leases)) || !GetUint32(bytes, mark.losses) ||
        !GetUint32(bytes, mark.attempts) || bytes.empty()) {
      return Damaged("a shard's marks");
    }
    const uint8_t flags = static_cast<uint8_t>(bytes.front());
    bytes.remove_prefix(1);
    mark.failed_before = (flags & kFailedBefore) != 0;
    mark.started = (flags & kStarted) != 0;
    absl::string_view instance;
    uint64_t not_before, give_up;
    if (!GetString(bytes, instance) || !GetVarint(bytes, not_before) ||
        !GetVarint(bytes, give_up)) {
      return Damaged("a shard's marks");
    }
    mark.avoid_instance = std::string(instance);
    mark.not_before = TimeFromMicros(Unzigzag(not_before));
    mark.give_up = TimeFromMicros(Unzigzag(give_up));
    uint64_t probed = 0;
    if ((flags & kProbed) != 0 && !GetVarint(bytes, probed)) return Damaged("a shard's marks");
    for (uint64_t place = 0; place < probed; ++place) {
      absl::string_view location;
      if (!GetString(bytes, location)) return Damaged("a shard's marks");
      mark.probed.emplace_back(location);
    }
    if (leases > 0) {
      if (leased.size() <= position) leased.resize(position + 1);
      leased[position] = true;
    }
    if (!mark.IsDefault()) marks.emplace_hint(marks.end(), position, std::move(mark));
  }
  return absl::OkStatus();
}

void AppendResult(const ResultRow& row, std::string& bytes) {
  PutVarint(row.execution, bytes);
  PutVarint(row.shard, bytes);
  PutVarint(row.epoch, bytes);
  bytes.push_back(static_cast<char>((row.deciding ? kDeciding : 0) | (row.late ? kLate : 0)));
  const size_t size = row.result.ByteSizeLong();
  PutVarint(size, bytes);
  const size_t start = bytes.size();
  bytes.resize(start + size);
  row.result.SerializeWithCachedSizesToArray(reinterpret_cast<uint8_t*>(bytes.data() + start));
}

absl::Status ResultReader::Next() {
  if (!GetUint32(rest_, execution_) || !GetUint32(rest_, shard_) || !GetUint32(rest_, epoch_) ||
      rest_.empty()) {
    rest_ = {};
    return Damaged("a result");
  }
  flags_ = static_cast<uint8_t>(rest_.front());
  rest_.remove_prefix(1);
  if (!GetString(rest_, payload_)) {
    rest_ = {};
    return Damaged("a result");
  }
  return absl::OkStatus();
}

absl::Status ResultReader::Parse(ResultRow& row) const {
  row.execution = execution_;
  row.shard = shard_;
  row.epoch = epoch_;
  row.deciding = (flags_ & kDeciding) != 0;
  row.late = (flags_ & kLate) != 0;
  row.evidence.clear();
  if (!row.result.ParseFromArray(payload_.data(), static_cast<int>(payload_.size()))) {
    return Damaged("a result");
  }
  return absl::OkStatus();
}

}  // namespace picket
