// File: sql_schema.h
//
// The tables of an SQL store, as numbered migrations. A migration that has been
// released never changes; a change of the schema is a further one.
//
// Thread rule: thread-compatible.

#ifndef COORDINATOR_STORE_SQL_SCHEMA_H_
#define COORDINATOR_STORE_SQL_SCHEMA_H_

#include <cstdint>

#include "absl/status/status.h"
#include "coordinator/store/sql_driver.h"

namespace picket {

// The schema that this binary makes and reads.
int64_t LatestSchema();

// Brings a store to LatestSchema. FailedPrecondition: it is newer; both versions are
// named and nothing is changed.
absl::Status Migrate(SqlDatabase& database);

}  // namespace picket

#endif  // COORDINATOR_STORE_SQL_SCHEMA_H_
