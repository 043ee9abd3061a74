// SQLite: one file, one process. A lock beside the file keeps other coordinators out;
// WAL lets readers run beside the writer; synchronous=FULL makes a commit survive the
// loss of power.

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "common/base/status_macros.h"
#include "coordinator/store/compare.h"
#include "coordinator/store/limits.h"
#include "coordinator/store/sql_driver.h"

namespace picket {
namespace {

absl::Status SqliteError(int code, const std::string& path, absl::string_view message) {
  const std::string text = absl::StrCat("store ", path, ": ", message);
  switch (code & 0xff) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return absl::DataLossError(
          absl::StrCat(text, "; the file is damaged or is no store: restore it from a backup, or "
                             "start with another one"));
    case SQLITE_CONSTRAINT:
      return absl::AbortedError(text);
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
      return absl::PermissionDeniedError(absl::StrCat(text, "; the file must be writable"));
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_FULL:
    case SQLITE_IOERR:
    case SQLITE_NOMEM:
    case SQLITE_CANTOPEN:
      return absl::UnavailableError(text);
    default:
      return absl::InternalError(text);
  }
}

// The file beside the store that the process holding it has locked.
class FileLock {
 public:
  static absl::StatusOr<std::shared_ptr<FileLock>> Take(const std::string& path) {
    const std::string lock_path = path + ".lock";
    const int fd = open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) {
      const int error = errno;
      const std::string text =
          absl::StrCat("cannot open the store ", path, ": ", std::strerror(error),
                       "; its folder must exist and be writable");
      if (error == ENOENT || error == ENOTDIR) return absl::NotFoundError(text);
      return absl::PermissionDeniedError(text);
    }
    std::shared_ptr<FileLock> lock(new FileLock(fd));
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
      char holder[32] = {};
      const ssize_t size = pread(fd, holder, sizeof(holder) - 1, 0);
      const absl::string_view pid =
          absl::StripTrailingAsciiWhitespace(absl::string_view(holder, size > 0 ? size : 0));
      return absl::FailedPreconditionError(absl::StrCat(
          "the store ", path, " is in use by process ", pid.empty() ? "unknown" : pid,
          "; one SQLite file serves one coordinator (several can share a PostgreSQL)"));
    }
    const std::string pid = absl::StrCat(getpid(), "\n");
    // Only tells people who holds the file; the lock itself is what counts.
    if (ftruncate(fd, 0) != 0 || pwrite(fd, pid.data(), pid.size(), 0) < 0) errno = 0;
    return lock;
  }
  ~FileLock() { close(fd_); }

 private:
  explicit FileLock(int fd) : fd_(fd) {}
  const int fd_;
};

class SqliteRow final : public SqlRow {
 public:
  explicit SqliteRow(sqlite3_stmt* statement) : statement_(statement) {}
  int64_t Int(int column) const override { return sqlite3_column_int64(statement_, column); }
  absl::string_view Bytes(int column) const override {
    const void* data = sqlite3_column_blob(statement_, column);
    const int size = sqlite3_column_bytes(statement_, column);
    return {static_cast<const char*>(data), static_cast<size_t>(size)};
  }

 private:
  sqlite3_stmt* const statement_;
};

class SqliteDriver final : public SqlDriver {
 public:
  SqliteDriver(std::string path, Clock* clock, std::shared_ptr<FileLock> lock)
      : path_(std::move(path)), clock_(clock), lock_(std::move(lock)) {}

  ~SqliteDriver() override {
    for (const auto& [sql, statement] : statements_) sqlite3_finalize(statement);
    sqlite3_close(db_);
  }

  absl::Status Open(bool read_only) {
    const int code = sqlite3_open_v2(path_.c_str(), &db_,
                                     SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, nullptr);
    if (code != SQLITE_OK) return Error(code);
    sqlite3_busy_timeout(
        db_, static_cast<int>(absl::ToInt64Milliseconds(DefaultStoreLimits().busy_timeout)));
    ABSL_RETURN_IF_ERROR(
        Script("PRAGMA page_size=8192; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
               "PRAGMA cache_size=-16384; PRAGMA wal_autocheckpoint=4000;"
               "PRAGMA journal_size_limit=67108864; PRAGMA temp_store=MEMORY;"));
    if (read_only) return Script("PRAGMA query_only=1;");
    return absl::OkStatus();
  }

  // Reads the whole file. Of an undamaged one: ok.
  absl::Status QuickCheck() {
    std::string answer;
    ABSL_RETURN_IF_ERROR(Query("PRAGMA quick_check(1)", {}, [&](const SqlRow& row) {
      answer = row.String(0);
      return absl::OkStatus();
    }));
    if (answer == "ok") return absl::OkStatus();
    return SqliteError(SQLITE_CORRUPT, path_, answer);
  }

  absl::StatusOr<absl::Time> Begin() override {
    ABSL_RETURN_IF_ERROR(Exec("BEGIN IMMEDIATE", {}));
    return Now();
  }

  absl::Status Commit() override {
    const absl::Status status = Exec("COMMIT", {});
    if (!status.ok()) Rollback();
    return status;
  }

  void Rollback() override {
    if (sqlite3_get_autocommit(db_) == 0) sqlite3_exec(db_, "ROLLBACK", nullptr, nullptr, nullptr);
  }

  absl::Status Exec(const char* sql, const SqlValues& values) override {
    return Query(sql, values, [](const SqlRow&) { return absl::OkStatus(); });
  }

  absl::Status Query(const char* sql, const SqlValues& values, SqlRowFunction row) override {
    ABSL_ASSIGN_OR_RETURN(sqlite3_stmt * statement, Prepare(sql));
    for (size_t i = 0; i < values.size(); ++i) Bind(statement, static_cast<int>(i) + 1, values[i]);
    absl::Status status;
    int code;
    while ((code = sqlite3_step(statement)) == SQLITE_ROW && status.ok()) {
      status = row(SqliteRow(statement));
    }
    if (code != SQLITE_ROW && code != SQLITE_DONE) status = Error(code);
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
    return status;
  }

  absl::Status Script(const std::string& sql) override {
    const std::string dialect = absl::StrReplaceAll(
        sql, {{"@BLOB@", "BLOB"}, {"@ID@", "INTEGER PRIMARY KEY"}});
    const int code = sqlite3_exec(db_, dialect.c_str(), nullptr, nullptr, nullptr);
    return code == SQLITE_OK ? absl::OkStatus() : Error(code);
  }

  absl::StatusOr<absl::Time> Now() override { return WholeMicros(clock_->TimeNow()); }
  absl::Status LockName(absl::string_view) override { return absl::OkStatus(); }
  absl::Status Notify() override { return absl::OkStatus(); }

 private:
  absl::Status Error(int code) {
    return SqliteError(code, path_, db_ == nullptr ? sqlite3_errstr(code) : sqlite3_errmsg(db_));
  }

  absl::StatusOr<sqlite3_stmt*> Prepare(const char* sql) {
    sqlite3_stmt*& statement = statements_[sql];
    if (statement == nullptr) {
      const std::string dialect =
          absl::StrReplaceAll(sql, {{"$", "?"}, {" FOR UPDATE", ""}});
      const int code = sqlite3_prepare_v3(db_, dialect.c_str(), -1, SQLITE_PREPARE_PERSISTENT,
                                          &statement, nullptr);
      if (code != SQLITE_OK) {
        statements_.erase(sql);
        return Error(code);
      }
    }
    return statement;
  }

  static void Bind(sqlite3_stmt* statement, int index, const SqlValue& value) {
    const char* bytes = value.bytes.data() == nullptr ? "" : value.bytes.data();
    switch (value.kind) {
      case SqlValue::Kind::kInt:
        sqlite3_bind_int64(statement, index, value.number);
        break;
      case SqlValue::Kind::kText:
        sqlite3_bind_text64(statement, index, bytes, value.bytes.size(), SQLITE_STATIC,
                            SQLITE_UTF8);
        break;
      case SqlValue::Kind::kBlob:
        sqlite3_bind_blob64(statement, index, bytes, value.bytes.size(), SQLITE_STATIC);
        break;
    }
  }

  const std::string path_;
  Clock* const clock_;
  const std::shared_ptr<FileLock> lock_;
  sqlite3* db_ = nullptr;
  absl::flat_hash_map<const char*, sqlite3_stmt*> statements_;
};

// The store's file, there and for its owner's eyes only. Answers its size.
absl::StatusOr<uint64_t> MakePrivate(const std::string& path) {
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  struct stat stats = {};
  if (fd < 0 || fstat(fd, &stats) != 0 || !S_ISREG(stats.st_mode)) {
    const int error = fd < 0 ? errno : EINVAL;
    if (fd >= 0) close(fd);
    return absl::PermissionDeniedError(absl::StrCat("cannot open the store ", path, " for writing: ",
                                                    error == EINVAL ? "it is not a regular file"
                                                                    : std::strerror(error)));
  }
  // Of a file that belongs to someone else the mode is theirs to choose.
  if ((stats.st_mode & 0077) != 0 && fchmod(fd, 0600) != 0) errno = 0;
  close(fd);
  return static_cast<uint64_t>(stats.st_size);
}

}  // namespace

absl::StatusOr<SqlDatabase> OpenSqlite(const std::string& path, Clock* clock) {
  if (path.empty()) {
    return absl::InvalidArgumentError("--store sqlite: needs a path, as in sqlite:picket.db");
  }
  ABSL_ASSIGN_OR_RETURN(const std::shared_ptr<FileLock> lock, FileLock::Take(path));
  ABSL_ASSIGN_OR_RETURN(const uint64_t size, MakePrivate(path));
  auto writer = std::make_unique<SqliteDriver>(path, clock, lock);
  ABSL_RETURN_IF_ERROR(writer->Open(/*read_only=*/false));
  if (size > 0 && size <= DefaultStoreLimits().quick_check_bytes) {
    ABSL_RETURN_IF_ERROR(writer->QuickCheck());
  }
  auto reader = std::make_unique<SqliteDriver>(path, clock, lock);
  ABSL_RETURN_IF_ERROR(reader->Open(/*read_only=*/true));
  SqlDatabase database;
  database.name = absl::StrCat("sqlite:", path);
  database.writer = std::move(writer);
  database.reader = std::move(reader);
  return database;
}

}  // namespace picket
