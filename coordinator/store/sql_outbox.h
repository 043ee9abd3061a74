// File: sql_outbox.h
//
// The outbox in an SQL store.
//
// Thread rule: thread-compatible.

#ifndef COORDINATOR_STORE_SQL_OUTBOX_H_
#define COORDINATOR_STORE_SQL_OUTBOX_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "coordinator/store/sql_driver.h"
#include "coordinator/store/store.h"

namespace picket {

// The rows that a seal leaves, one a target. REQUIRES: within the transaction that seals.
absl::Status InsertOutbox(SqlDriver& driver, const std::vector<std::string>& targets,
                          const v1::Run& run, absl::Time now);

// As the methods of Store. Claiming and settling REQUIRE: a transaction has begun at `now`.
absl::StatusOr<std::vector<Store::OutboxView>> ViewSqlOutbox(SqlDriver& driver);
absl::StatusOr<std::vector<OutboxRow>> ClaimSqlOutbox(SqlDriver& driver, const std::string& target,
                                                      absl::Time now, absl::Duration hold,
                                                      size_t most);
absl::Status SettleSqlOutbox(SqlDriver& driver, const std::vector<Store::OutboxEnd>& ends,
                             absl::Time now);

}  // namespace picket

#endif  // COORDINATOR_STORE_SQL_OUTBOX_H_
