#include "coordinator/store/sql_results.h"

#include <algorithm>

#include "common/base/status_macros.h"
#include "coordinator/store/codec.h"
#include "coordinator/store/limits.h"

namespace picket {
namespace {

using V = SqlValue;

// Rows that one statement reads; short lists are filled up by repetition.
constexpr size_t kRowsPerQuery = 16;

}  // namespace

SqlResults::Index& SqlResults::Find(const std::string& run_id) {
  const auto known = std::find_if(indexes_.begin(), indexes_.end(),
                                  [&](const Index& index) { return index.run_id == run_id; });
  if (known != indexes_.end()) {
    indexes_.splice(indexes_.begin(), indexes_, known);
  } else {
    indexes_.emplace_front();
    indexes_.front().run_id = run_id;
    if (indexes_.size() > DefaultStoreLimits().cached_result_indexes) indexes_.pop_back();
  }
  return indexes_.front();
}

absl::Status SqlResults::Update(SqlDriver& driver, const std::string& project, Index& index) {
  const size_t sorted = index.entries.size();
  std::vector<uint32_t> executions;
  ABSL_RETURN_IF_ERROR(driver.Query(
      "SELECT id, executions FROM results WHERE project = $1 AND run_id = $2 AND id > $3 "
      "ORDER BY id",
      {V::Text(project), V::Text(index.run_id), V::Int(index.last_id)}, [&](const SqlRow& row) {
        ABSL_RETURN_IF_ERROR(DecodeNumbers(row.Bytes(1), executions));
        const uint64_t position = index.ids.size();
        index.last_id = row.Int(0);
        index.ids.push_back(index.last_id);
        for (const uint32_t execution : executions) {
          index.entries.push_back(uint64_t{execution} << 32 | position);
        }
        return absl::OkStatus();
      }));
  const auto middle = index.entries.begin() + static_cast<std::ptrdiff_t>(sorted);
  std::sort(middle, index.entries.end());
  std::inplace_merge(index.entries.begin(), middle, index.entries.end());
  return absl::OkStatus();
}

absl::StatusOr<std::vector<ResultRow>> SqlResults::Load(SqlDriver& driver,
                                                        const std::string& project,
                                                        const std::string& run_id, uint32_t first,
                                                        uint32_t count) {
  Index& index = Find(run_id);
  absl::Status status = Update(driver, project, index);
  if (!status.ok()) {
    indexes_.pop_front();  // half read
    return status;
  }
  const uint64_t end = uint64_t{first} + count;
  const auto from = std::lower_bound(index.entries.begin(), index.entries.end(),
                                     uint64_t{first} << 32);
  const auto to = end > 0xffffffff
                      ? index.entries.end()
                      : std::lower_bound(from, index.entries.end(), end << 32);
  std::vector<int64_t> ids;
  for (auto entry = from; entry != to; ++entry) {
    ids.push_back(index.ids[static_cast<uint32_t>(*entry)]);
  }
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  std::vector<ResultRow> rows;
  rows.reserve(static_cast<size_t>(to - from));
  for (size_t start = 0; start < ids.size(); start += kRowsPerQuery) {
    SqlValues values;
    for (size_t i = 0; i < kRowsPerQuery; ++i) {
      values.push_back(V::Int(ids[std::min(start + i, ids.size() - 1)]));
    }
    ABSL_RETURN_IF_ERROR(driver.Query(
        "SELECT data FROM results WHERE id IN ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, "
        "$13, $14, $15, $16) ORDER BY id",
        values, [&](const SqlRow& row) {
          ResultReader reader(row.Bytes(0));
          while (!reader.Done()) {
            ABSL_RETURN_IF_ERROR(reader.Next());
            if (reader.execution() < first || reader.execution() >= end) continue;
            ABSL_RETURN_IF_ERROR(reader.Parse(rows.emplace_back()));
            rows.back().run_id = run_id;
          }
          return absl::OkStatus();
        }));
  }
  return rows;
}

}  // namespace picket
