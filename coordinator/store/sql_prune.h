// File: sql_prune.h
//
// Retention in an SQL store: a few rows at a time, so that commits are never held up for
// long.
//
// Thread rule: thread-compatible.

#ifndef COORDINATOR_STORE_SQL_PRUNE_H_
#define COORDINATOR_STORE_SQL_PRUNE_H_

#include <cstddef>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "coordinator/store/sql_driver.h"

namespace picket {

// As Store::Prune. REQUIRES: a transaction has begun at `now`.
absl::StatusOr<size_t> PruneSql(SqlDriver& driver, size_t keep_runs, absl::Time results_before,
                                absl::Time now, size_t most);

}  // namespace picket

#endif  // COORDINATOR_STORE_SQL_PRUNE_H_
