#include "coordinator/store/sql_outbox.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "coordinator/store/codec.h"
#include "coordinator/store/limits.h"

namespace picket {
namespace {

using V = SqlValue;

// Rows due later than this were written before the clock was set back.
int64_t NotAfter(absl::Time now) {
  return TimeToMicros(now + DefaultStoreLimits().outbox_delay_longest);
}

}  // namespace

absl::Status InsertOutbox(SqlDriver& driver, const std::vector<std::string>& targets,
                          const v1::Run& run, absl::Time now) {
  if (targets.empty()) return absl::OkStatus();
  const std::string bytes = run.SerializeAsString();
  for (const std::string& target : targets) {
    ABSL_RETURN_IF_ERROR(driver.Exec(
        "INSERT INTO outbox (project, run_id, target, create_us, due_us, tries, run) "
        "VALUES ($1, $2, $3, $4, $4, 0, $5)",
        {V::Text(run.project()), V::Text(run.run_id()), V::Text(target),
         V::Int(TimeToMicros(now)), V::Blob(bytes)}));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<Store::OutboxView>> ViewSqlOutbox(SqlDriver& driver) {
  ABSL_ASSIGN_OR_RETURN(const absl::Time now, driver.Now());
  std::vector<Store::OutboxView> views;
  ABSL_RETURN_IF_ERROR(driver.Query(
      "SELECT target, COUNT(*), MIN(create_us), "
      "COUNT(CASE WHEN due_us <= $1 OR due_us > $2 THEN 1 END) FROM outbox "
      "GROUP BY target ORDER BY target",
      {V::Int(TimeToMicros(now)), V::Int(NotAfter(now))}, [&](const SqlRow& row) {
        Store::OutboxView& view = views.emplace_back();
        view.target = row.String(0);
        view.rows = static_cast<size_t>(row.Int(1));
        view.oldest = std::max(absl::ZeroDuration(), now - TimeFromMicros(row.Int(2)));
        view.due = static_cast<size_t>(row.Int(3));
        return absl::OkStatus();
      }));
  return views;
}

absl::StatusOr<std::vector<OutboxRow>> ClaimSqlOutbox(SqlDriver& driver, const std::string& target,
                                                      absl::Time now, absl::Duration hold,
                                                      size_t most) {
  // Coordinators that share a database take turns.
  ABSL_RETURN_IF_ERROR(driver.LockName("picket outbox"));
  std::vector<OutboxRow> rows;
  ABSL_RETURN_IF_ERROR(driver.Query(
      "SELECT id, tries, run FROM outbox WHERE target = $1 AND (due_us <= $2 OR due_us > $3) "
      "ORDER BY due_us, id LIMIT $4",
      {V::Text(target), V::Int(TimeToMicros(now)), V::Int(NotAfter(now)),
       V::Int(static_cast<int64_t>(most))},
      [&](const SqlRow& row) {
        OutboxRow& claimed = rows.emplace_back();
        claimed.id = row.Int(0);
        claimed.target = target;
        claimed.tries = static_cast<uint32_t>(row.Int(1)) + 1;
        if (claimed.run.ParseFromString(row.String(2))) return absl::OkStatus();
        return absl::DataLossError(
            absl::StrCat("row ", claimed.id, " of the outbox is damaged"));
      }));
  for (const OutboxRow& row : rows) {
    ABSL_RETURN_IF_ERROR(
        driver.Exec("UPDATE outbox SET due_us = $2, tries = $3 WHERE id = $1",
                    {V::Int(row.id), V::Int(TimeToMicros(now + hold)), V::Int(row.tries)}));
  }
  return rows;
}

absl::Status SettleSqlOutbox(SqlDriver& driver, const std::vector<Store::OutboxEnd>& ends,
                             absl::Time now) {
  ABSL_RETURN_IF_ERROR(driver.LockName("picket outbox"));
  for (const Store::OutboxEnd& end : ends) {
    if (!end.again.has_value()) {
      ABSL_RETURN_IF_ERROR(driver.Exec("DELETE FROM outbox WHERE id = $1 AND tries = $2",
                                       {V::Int(end.id), V::Int(end.tries)}));
      continue;
    }
    const absl::Duration again =
        std::min(*end.again, DefaultStoreLimits().outbox_delay_longest);
    ABSL_RETURN_IF_ERROR(
        driver.Exec("UPDATE outbox SET due_us = $3 WHERE id = $1 AND tries = $2",
                    {V::Int(end.id), V::Int(end.tries), V::Int(TimeToMicros(now + again))}));
  }
  return absl::OkStatus();
}

}  // namespace picket
