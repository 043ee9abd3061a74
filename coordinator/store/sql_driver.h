// File: sql_driver.h
//
// One connection to an SQL database, and no more SQL dialect than two databases need:
// statements are written once, with $1.. as parameters, BIGINT for every number, @BLOB@
// and @ID@ in schemas, and `FOR UPDATE` last, which a driver drops where a write
// transaction has the whole database to itself.
//
// Thread rule: thread-compatible; one connection, one owner at a time.
// Errors: Aborted (met another transaction: roll back and try again), Unavailable (the
// database is away or full; the next call tries to connect again), DataLoss (damaged),
// FailedPrecondition and PermissionDenied at opening, Internal.

#ifndef COORDINATOR_STORE_SQL_DRIVER_H_
#define COORDINATOR_STORE_SQL_DRIVER_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/base/clock.h"

namespace picket {

// A parameter. Text and blobs are not copied: they must outlive the call.
struct SqlValue {
  enum class Kind { kInt, kText, kBlob };

  static SqlValue Int(int64_t value) { return {Kind::kInt, value, {}}; }
  static SqlValue Text(absl::string_view value) { return {Kind::kText, 0, value}; }
  static SqlValue Blob(absl::string_view value) { return {Kind::kBlob, 0, value}; }

  Kind kind;
  int64_t number;
  absl::string_view bytes;
};
using SqlValues = std::vector<SqlValue>;

// One row of an answer; valid during the callback. Columns count from 0.
class SqlRow {
 public:
  virtual ~SqlRow() = default;
  virtual int64_t Int(int column) const = 0;
  virtual absl::string_view Bytes(int column) const = 0;
  std::string String(int column) const { return std::string(Bytes(column)); }
};

using SqlRowFunction = absl::FunctionRef<absl::Status(const SqlRow&)>;

class SqlDriver {
 public:
  virtual ~SqlDriver() = default;

  // Starts a write transaction and answers the store's time.
  virtual absl::StatusOr<absl::Time> Begin() = 0;
  // Durable when it returns ok. On an error the transaction is over, and rolled back
  // unless the connection was lost just now, when that is unknown.
  virtual absl::Status Commit() = 0;
  virtual void Rollback() = 0;

  // `sql` is a constant of the program: its address names the prepared statement.
  // Exec may be sent later, with the next Query or Commit, which then answers its error.
  virtual absl::Status Exec(const char* sql, const SqlValues& values) = 0;
  // Stops at the first error of `row`.
  virtual absl::Status Query(const char* sql, const SqlValues& values, SqlRowFunction row) = 0;
  // Several statements without parameters; inside a transaction, if one has begun.
  virtual absl::Status Script(const std::string& sql) = 0;

  virtual absl::StatusOr<absl::Time> Now() = 0;
  // Until the end of the transaction no other transaction passes the same name.
  virtual absl::Status LockName(absl::string_view name) = 0;
  // Wakes the hint functions of other coordinators, once committed.
  virtual absl::Status Notify() = 0;
};

// An open database: a connection for the one writer, one for readers.
struct SqlDatabase {
  std::string name;  // for messages; without password
  std::unique_ptr<SqlDriver> writer;
  std::unique_ptr<SqlDriver> reader;
  // Null where nobody else can write. Replaces the function that is called, from a
  // thread of its own, when another coordinator has written.
  absl::AnyInvocable<void(absl::AnyInvocable<void()>)> on_hint;
};

// Takes the file for this process alone; makes it, 0600, if it is not there.
// FailedPrecondition names the process that holds it.
absl::StatusOr<SqlDatabase> OpenSqlite(const std::string& path, Clock* clock);

// `uri` as libpq reads it. The first connection must succeed.
absl::StatusOr<SqlDatabase> OpenPostgres(const std::string& uri);

}  // namespace picket

#endif  // COORDINATOR_STORE_SQL_DRIVER_H_
