#include "coordinator/store/result_log.h"

#include <algorithm>

#include "common/base/check.h"
#include "coordinator/store/codec.h"
#include "coordinator/store/limits.h"

namespace picket {

void ResultLog::Append(const ResultRow& row) {
  const size_t chunk_bytes = DefaultStoreLimits().memory_chunk_bytes;
  if (chunks_.empty() || chunks_.back().size() >= chunk_bytes) {
    // The first chunk grows, so that a small run stays small.
    chunks_.emplace_back();
    if (chunks_.size() > 1) chunks_.back().reserve(chunk_bytes + chunk_bytes / 16);
  }
  const uint32_t entry = static_cast<uint32_t>(entries_.size());
  entries_.push_back({.chunk = static_cast<uint32_t>(chunks_.size() - 1),
                      .offset = static_cast<uint32_t>(chunks_.back().size()),
                      .next = kNone});
  AppendResult(row, chunks_.back());
  if (by_execution_.size() <= row.execution) {
    by_execution_.resize(std::max<size_t>(row.execution + size_t{1}, by_execution_.size() * 5 / 4),
                         {kNone, kNone});
  }
  Ends& ends = by_execution_[row.execution];
  if (ends.first == kNone) {
    ends.first = entry;
  } else {
    entries_[ends.last].next = entry;
  }
  ends.last = entry;
}

std::vector<ResultRow> ResultLog::Load(const std::string& run_id, uint32_t first,
                                       uint32_t count) const {
  std::vector<uint32_t> found;
  const uint64_t end = std::min<uint64_t>(uint64_t{first} + count, by_execution_.size());
  for (uint64_t execution = first; execution < end; ++execution) {
    for (uint32_t entry = by_execution_[execution].first; entry != kNone;
         entry = entries_[entry].next) {
      found.push_back(entry);
    }
  }
  std::sort(found.begin(), found.end());
  std::vector<ResultRow> rows(found.size());
  for (size_t i = 0; i < found.size(); ++i) {
    const Entry& entry = entries_[found[i]];
    const absl::string_view chunk = chunks_[entry.chunk];
    ResultReader reader(chunk.substr(entry.offset));
    PICKET_CHECK(reader.Next().ok() && reader.Parse(rows[i]).ok());
    rows[i].run_id = run_id;
  }
  return rows;
}

void ResultLog::Clear() { *this = ResultLog(); }

}  // namespace picket
