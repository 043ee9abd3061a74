#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <deque>
#include <limits>
#include <map>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "agent/session/limits.h"
#include "agent/session/segment.h"
#include "agent/session/spool.h"
#include "common/base/files.h"
#include "common/base/ids.h"
#include "common/base/status_macros.h"

namespace picket {
namespace {

constexpr uint64_t kNone = std::numeric_limits<uint64_t>::max();
// A segment with more than this is started anew once all in it is acknowledged.
constexpr size_t kTidyBytes = 1u << 20;

absl::Status Failed(absl::string_view doing, absl::string_view path) {
  return absl::ErrnoToStatus(errno, absl::StrCat("cannot ", doing, " ", path));
}

class DiskSpool : public Spool {
 public:
  explicit DiskSpool(const SpoolOptions& options) : options_(options) {}
  ~DiskSpool() override {
    Flush();
    if (active_fd_ >= 0) close(active_fd_);
    if (lock_fd_ >= 0) close(lock_fd_);
  }

  absl::Status Open();

  const std::string& id() const override { return id_; }
  uint64_t Append(const v1::LeaseResults& result) override;
  std::vector<SpoolRecord> Read(uint64_t after, uint32_t count_most, size_t bytes_most) override;
  void Acknowledge(uint64_t through) override;
  void Flush() override;

  uint64_t last() const override { return last_; }
  uint64_t acknowledged() const override { return acknowledged_; }
  uint64_t bytes() const override { return bytes_; }
  bool Full() const override {
    const size_t reserve = DefaultSessionLimits().spool_reserve_bytes;
    if (disk_bytes_ + reserve > options_.disk_bytes) return true;
    return !disk_.ok() && memory_bytes_ + reserve > options_.memory_bytes;
  }
  uint64_t corrupt() const override { return corrupt_; }
  absl::Status disk() const override { return disk_; }

 private:
  struct Segment {
    uint64_t first = 0;  // lowest sequence it may hold
    uint64_t last = 0;   // highest result it holds; first - 1 if none
    size_t file_bytes = 0;
  };
  // Results that are on disk alone.
  struct Range {
    uint64_t first = 0, last = 0;
    uint64_t bytes = 0;
  };

  std::string PathOf(const Segment& segment) const {
    return absl::StrCat(options_.directory, "/", SegmentName(segment.first));
  }
  absl::Status Lock();
  absl::Status ReadId();
  absl::Status Replay();
  // Goes on in a new segment. On failure `disk_` says why and writing is tried again later.
  void Rotate();
  void Spill();
  void TrimRanges();
  void DropAcknowledged();
  const std::vector<SpoolRecord>& Load(const Segment& segment);
  std::vector<SpoolRecord> ReadDisk(uint64_t first, uint64_t last, uint32_t count_most,
                                    size_t bytes_most);

  const SpoolOptions options_;
  std::string id_;
  int lock_fd_ = -1;
  int active_fd_ = -1;
  std::deque<Segment> segments_;            // the last one is written to while active_fd_ >= 0
  std::string pending_;                     // encoded, not yet written
  uint64_t pending_last_ = 0;               // last result in it
  uint64_t written_ = 0;                    // last result that is in a file
  std::map<uint64_t, std::string> memory_;  // by sequence
  std::deque<Range> disk_only_;
  // The segment read last, for the next Read.
  uint64_t loaded_first_ = 0;
  size_t loaded_bytes_ = 0;
  std::vector<SpoolRecord> loaded_;
  uint64_t last_ = 0, acknowledged_ = 0;
  uint64_t bytes_ = 0, memory_bytes_ = 0, disk_bytes_ = 0;
  uint64_t corrupt_ = 0;
  absl::Status disk_;
};

absl::Status DiskSpool::Open() {
  if (mkdir(options_.directory.c_str(), 0700) != 0 && errno != EEXIST) {
    return Failed("make the spool directory", options_.directory);
  }
  ABSL_RETURN_IF_ERROR(Lock());
  ABSL_RETURN_IF_ERROR(ReadId());
  ABSL_RETURN_IF_ERROR(Replay());
  Rotate();
  return disk_;
}

absl::Status DiskSpool::Lock() {
  const std::string path = absl::StrCat(options_.directory, "/lock");
  lock_fd_ = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (lock_fd_ < 0) return Failed("open", path);
  if (flock(lock_fd_, LOCK_EX | LOCK_NB) == 0) return absl::OkStatus();
  if (errno != EWOULDBLOCK) return Failed("lock", path);
  return absl::FailedPreconditionError(
      absl::StrCat("the spool ", options_.directory,
                   " is in use by another agent; give each agent its own --spool"));
}

absl::Status DiskSpool::ReadId() {
  const std::string path = absl::StrCat(options_.directory, "/id");
  absl::StatusOr<std::string> text = ReadFile(path, 100);
  if (text.ok()) {
    id_ = std::string(absl::StripAsciiWhitespace(*text));
    if (IsUuid(id_)) return absl::OkStatus();
  } else if (!absl::IsNotFound(text.status())) {
    return text.status();
  }
  // New, or torn: a new identity; what the spool holds is then late evidence at worst.
  id_ = options_.new_id;
  return WriteFileAtomically(path, absl::StrCat(id_, "\n"), 0600);
}

absl::Status DiskSpool::Replay() {
  DIR* dir = opendir(options_.directory.c_str());
  if (dir == nullptr) return Failed("list", options_.directory);
  absl::Cleanup closer = [dir] { closedir(dir); };
  while (const dirent* entry = readdir(dir)) {
    if (const uint64_t first = SegmentFirst(entry->d_name)) segments_.push_back({first, first - 1});
  }
  std::sort(segments_.begin(), segments_.end(),
            [](const Segment& a, const Segment& b) { return a.first < b.first; });
  std::deque<Range> ranges;
  for (Segment& segment : segments_) {
    ABSL_ASSIGN_OR_RETURN(const std::string contents,
                          ReadFile(PathOf(segment), std::numeric_limits<size_t>::max() / 2));
    segment.file_bytes = contents.size();
    disk_bytes_ += contents.size();
    Range range;
    const SegmentScan scan = ScanSegment(contents, [&](const SegmentRecord& record) {
      if (record.kind == RecordKind::kAcknowledged) {
        acknowledged_ = std::max(acknowledged_, record.sequence);
      } else if (record.sequence > last_) {
        if (range.first == 0) range.first = record.sequence;
        range.last = last_ = segment.last = record.sequence;
        range.bytes += record.payload.size();
      }
      return true;
    });
    corrupt_ += scan.corrupt + scan.foreign;
    last_ = std::max(last_, segment.first - 1);
    if (range.first != 0) ranges.push_back(range);
  }
  last_ = std::max(last_, acknowledged_);
  for (const Range& range : ranges) {
    disk_only_.push_back(range);
    bytes_ += range.bytes;
  }
  TrimRanges();
  written_ = last_;
  if (disk_only_.empty()) acknowledged_ = last_;
  return absl::OkStatus();
}

void DiskSpool::Rotate() {
  if (active_fd_ >= 0) close(active_fd_);
  loaded_first_ = 0;
  Segment segment{written_ + 1, written_};
  // An empty one of that name may be there already.
  if (!segments_.empty() && segments_.back().first == segment.first) {
    disk_bytes_ -= segments_.back().file_bytes;
    segments_.pop_back();
  }
  const std::string path = PathOf(segment);
  active_fd_ = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (active_fd_ < 0) {
    disk_ = Failed("write the spool segment", path);
    return;
  }
  const absl::string_view header = SegmentHeader();
  if (write(active_fd_, header.data(), header.size()) != static_cast<ssize_t>(header.size())) {
    disk_ = Failed("write the spool segment", path);
    close(active_fd_);
    active_fd_ = -1;
    unlink(path.c_str());
    return;
  }
  disk_ = absl::OkStatus();
  segment.file_bytes = header.size();
  disk_bytes_ += header.size();
  segments_.push_back(segment);
  DropAcknowledged();
}

uint64_t DiskSpool::Append(const v1::LeaseResults& result) {
  std::string payload = result.SerializeAsString();
  ++last_;
  pending_ += EncodeRecord({RecordKind::kResult, last_, payload});
  pending_last_ = last_;
  bytes_ += payload.size();
  memory_bytes_ += payload.size();
  memory_.emplace(last_, std::move(payload));
  return last_;
}

void DiskSpool::Flush() {
  if (pending_.empty()) return;
  if (active_fd_ < 0 || segments_.back().file_bytes >= options_.segment_bytes) Rotate();
  if (active_fd_ < 0) return;
  Segment& segment = segments_.back();
  absl::string_view rest = pending_;
  while (!rest.empty()) {
    const ssize_t n = write(active_fd_, rest.data(), rest.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      // What was written of it is a torn tail; it goes whole into the next segment.
      disk_ = Failed("write the spool segment", PathOf(segment));
      close(active_fd_);
      active_fd_ = -1;
      return;
    }
    segment.file_bytes += static_cast<size_t>(n);
    disk_bytes_ += static_cast<size_t>(n);
    rest.remove_prefix(static_cast<size_t>(n));
  }
  disk_ = absl::OkStatus();
  pending_.clear();
  if (pending_last_ > written_) written_ = segment.last = pending_last_;
  Spill();
}

// Beyond its bound, memory keeps the oldest, which are sent next.
void DiskSpool::Spill() {
  while (memory_bytes_ > options_.memory_bytes && !memory_.empty()) {
    const auto newest = std::prev(memory_.end());
    const uint64_t sequence = newest->first;
    if (sequence > written_) return;
    const uint64_t size = newest->second.size();
    memory_bytes_ -= size;
    memory_.erase(newest);
    const auto next =
        std::lower_bound(disk_only_.begin(), disk_only_.end(), sequence,
                         [](const Range& range, uint64_t s) { return range.last < s; });
    if (next != disk_only_.end() && next->first == sequence + 1) {
      next->first = sequence;
      next->bytes += size;
      if (next != disk_only_.begin() && std::prev(next)->last + 1 == sequence) {
        std::prev(next)->last = next->last;
        std::prev(next)->bytes += next->bytes;
        disk_only_.erase(next);
      }
    } else if (next != disk_only_.begin() && std::prev(next)->last + 1 == sequence) {
      std::prev(next)->last = sequence;
      std::prev(next)->bytes += size;
    } else {
      disk_only_.insert(next, {sequence, sequence, size});
    }
  }
}

std::vector<SpoolRecord> DiskSpool::Read(uint64_t after, uint32_t count_most, size_t bytes_most) {
  while (true) {
    const auto memory = memory_.upper_bound(after);
    const uint64_t in_memory = memory == memory_.end() ? kNone : memory->first;
    const Range* range = nullptr;
    for (const Range& candidate : disk_only_) {
      if (candidate.last > after) {
        range = &candidate;
        break;
      }
    }
    const uint64_t on_disk = range == nullptr ? kNone : std::max(range->first, after + 1);
    if (in_memory == kNone && on_disk == kNone) return {};
    if (on_disk < in_memory) {
      const uint64_t last = std::min(range->last, in_memory - 1);
      std::vector<SpoolRecord> out = ReadDisk(on_disk, last, count_most, bytes_most);
      if (!out.empty()) return out;
      after = last;  // nothing of it can be read back
      continue;
    }
    std::vector<SpoolRecord> out;
    size_t bytes = 0;
    for (auto it = memory; it != memory_.end() && it->first < on_disk; ++it) {
      bytes += it->second.size();
      if (!out.empty() && (out.size() >= count_most || bytes > bytes_most)) break;
      out.push_back({it->first, it->second});
    }
    return out;
  }
}

std::vector<SpoolRecord> DiskSpool::ReadDisk(uint64_t first, uint64_t last, uint32_t count_most,
                                             size_t bytes_most) {
  std::vector<SpoolRecord> out;
  size_t bytes = 0;
  for (const Segment& segment : segments_) {
    if (segment.first > last) break;
    if (segment.last < first) continue;
    const std::vector<SpoolRecord>& records = Load(segment);
    auto it = std::lower_bound(records.begin(), records.end(), first,
                               [](const SpoolRecord& r, uint64_t s) { return r.sequence < s; });
    for (; it != records.end() && it->sequence <= last; ++it) {
      bytes += it->payload.size();
      if (!out.empty() && (out.size() >= count_most || bytes > bytes_most)) return out;
      out.push_back(*it);
      first = it->sequence + 1;
    }
  }
  return out;
}

const std::vector<SpoolRecord>& DiskSpool::Load(const Segment& segment) {
  if (loaded_first_ == segment.first && loaded_bytes_ == segment.file_bytes) return loaded_;
  loaded_.clear();
  loaded_first_ = segment.first;
  loaded_bytes_ = segment.file_bytes;
  const absl::StatusOr<std::string> contents =
      ReadFile(PathOf(segment), std::numeric_limits<size_t>::max() / 2);
  if (!contents.ok()) {
    ++corrupt_;
    return loaded_;
  }
  ScanSegment(*contents, [&](const SegmentRecord& record) {
    const bool next = loaded_.empty() || record.sequence > loaded_.back().sequence;
    if (record.kind == RecordKind::kResult && next) {
      loaded_.push_back({record.sequence, std::string(record.payload)});
    }
    return true;
  });
  return loaded_;
}

void DiskSpool::Acknowledge(uint64_t through) {
  through = std::min(through, last_);
  if (through <= acknowledged_) return;
  acknowledged_ = through;
  while (!memory_.empty() && memory_.begin()->first <= through) {
    memory_bytes_ -= memory_.begin()->second.size();
    bytes_ -= memory_.begin()->second.size();
    memory_.erase(memory_.begin());
  }
  TrimRanges();
  pending_ += EncodeRecord({RecordKind::kAcknowledged, through, ""});
  DropAcknowledged();
  if (acknowledged_ == last_ && active_fd_ >= 0 && segments_.back().file_bytes > kTidyBytes) {
    pending_ = EncodeRecord({RecordKind::kAcknowledged, through, ""});
    written_ = last_;
    Rotate();
  }
}

// Takes what is acknowledged off the ranges; bytes by share, exact again at a range's end.
void DiskSpool::TrimRanges() {
  while (!disk_only_.empty() && disk_only_.front().first <= acknowledged_) {
    Range& range = disk_only_.front();
    const uint64_t count = range.last + 1 - range.first;
    const uint64_t gone = std::min(count, acknowledged_ + 1 - range.first);
    const uint64_t part = range.bytes * gone / count;
    bytes_ -= part;
    range.bytes -= part;
    range.first += gone;
    if (gone == count) disk_only_.pop_front();
  }
}

void DiskSpool::DropAcknowledged() {
  while (segments_.size() > 1 && segments_.front().last <= acknowledged_ &&
         segments_[1].first <= acknowledged_ + 1) {
    unlink(PathOf(segments_.front()).c_str());
    disk_bytes_ -= segments_.front().file_bytes;
    segments_.pop_front();
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<Spool>> OpenDiskSpool(const SpoolOptions& options) {
  auto spool = std::make_unique<DiskSpool>(options);
  ABSL_RETURN_IF_ERROR(spool->Open());
  return std::unique_ptr<Spool>(std::move(spool));
}

}  // namespace picket
