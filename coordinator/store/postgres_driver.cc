// PostgreSQL through libpq, in pipeline mode: statements that answer nothing are sent
// without waiting, and a transaction costs as many round trips as it asks questions.

#include <libpq-fe.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <bit>
#include <cerrno>
#include <cstring>
#include <thread>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "common/base/mutex.h"
#include "common/base/status_macros.h"
#include "coordinator/store/limits.h"
#include "coordinator/store/sql_driver.h"

namespace picket {
namespace {

constexpr char kChannel[] = "picket";
// Type ids of the server's catalogue (pg_type.dat): int8, text, bytea.
constexpr Oid kInt8 = 20, kText = 25, kBytea = 17;

// To and from the order of bytes on the wire.
uint64_t BigEndian(uint64_t value) {
  return std::endian::native == std::endian::little ? __builtin_bswap64(value) : value;
}

// The address without user and password, for messages.
std::string WithoutPassword(const std::string& uri) {
  const size_t host = uri.find("://");
  if (host == std::string::npos) return "postgresql";
  const size_t at = uri.find('@', host);
  const size_t end = uri.find_first_of("?", host);
  std::string bare = uri.substr(0, end);
  if (at != std::string::npos && at < end) bare.erase(host + 3, at - host - 2);
  return bare;
}

std::string FirstLine(const char* message) {
  const absl::string_view text = absl::StripAsciiWhitespace(message == nullptr ? "" : message);
  return std::string(text.substr(0, text.find('\n')));
}

struct FreeResult {
  void operator()(PGresult* result) const { PQclear(result); }
};
using Result = std::unique_ptr<PGresult, FreeResult>;

struct FreeConnection {
  void operator()(PGconn* connection) const { PQfinish(connection); }
};
using Connection = std::unique_ptr<PGconn, FreeConnection>;

absl::StatusOr<Connection> Connect(const std::string& uri, const std::string& name) {
  const StoreLimits& limits = DefaultStoreLimits();
  const std::string timeout = absl::StrCat(absl::ToInt64Seconds(limits.connect_timeout));
  const std::string lost = absl::StrCat(absl::ToInt64Milliseconds(limits.lost_peer_timeout));
  // What the address says itself comes last and wins.
  const char* const keys[] = {"fallback_application_name", "client_encoding", "connect_timeout",
                              "tcp_user_timeout", "keepalives_idle", "dbname", nullptr};
  const char* const values[] = {"picket-coordinator", "UTF8", timeout.c_str(), lost.c_str(),
                                "10", uri.c_str(), nullptr};
  Connection connection(PQconnectdbParams(keys, values, /*expand_dbname=*/1));
  if (connection == nullptr || PQstatus(connection.get()) != CONNECTION_OK) {
    return absl::UnavailableError(absl::StrCat(
        "cannot connect to the store ", name, ": ",
        connection == nullptr ? "out of memory" : FirstLine(PQerrorMessage(connection.get()))));
  }
  // Notices are for people at a prompt.
  PQsetNoticeProcessor(connection.get(), [](void*, const char*) {}, nullptr);
  return connection;
}

class PostgresRow final : public SqlRow {
 public:
  PostgresRow(const PGresult* result, int row) : result_(result), row_(row) {}
  int64_t Int(int column) const override {
    if (PQgetlength(result_, row_, column) != 8) return 0;
    uint64_t value;
    std::memcpy(&value, PQgetvalue(result_, row_, column), sizeof(value));
    return static_cast<int64_t>(BigEndian(value));
  }
  absl::string_view Bytes(int column) const override {
    return {PQgetvalue(result_, row_, column),
            static_cast<size_t>(PQgetlength(result_, row_, column))};
  }

 private:
  const PGresult* const result_;
  const int row_;
};

class PostgresDriver final : public SqlDriver {
 public:
  // `pid`: where to keep the number of the server's process for this connection.
  PostgresDriver(std::string uri, std::string name, std::shared_ptr<std::atomic<int>> pid)
      : uri_(std::move(uri)), name_(std::move(name)), pid_(std::move(pid)) {}

  // Connects if there is no connection.
  absl::Status EnsureConnected() {
    if (connection_ != nullptr) return absl::OkStatus();
    ABSL_ASSIGN_OR_RETURN(connection_, Connect(uri_, name_));
    statements_.clear();
    fresh_.clear();
    outstanding_ = 0;
    in_transaction_ = false;
    if (PQenterPipelineMode(connection_.get()) != 1) return Lost();
    pid_->store(PQbackendPID(connection_.get()));
    return absl::OkStatus();
  }

  absl::StatusOr<absl::Time> Begin() override {
    const bool fresh = connection_ == nullptr;
    absl::StatusOr<absl::Time> now = TryBegin();
    // A connection that died while it was idle is no news.
    if (!fresh && connection_ == nullptr) now = TryBegin();
    return now;
  }

  absl::Status Commit() override {
    ABSL_RETURN_IF_ERROR(Exec("COMMIT", {}));
    absl::Status status = Drain(nullptr);
    if (!status.ok()) {
      Rollback();
      return status;
    }
    in_transaction_ = false;
    return status;
  }

  void Rollback() override {
    // Answers to what was sent before are of no interest any more.
    const absl::Status before = Drain(nullptr);
    if (connection_ != nullptr && in_transaction_) {
      const absl::Status status = Send("ROLLBACK", {});
      if (!status.ok() || !Drain(nullptr).ok()) Drop();
    }
    in_transaction_ = false;
  }

  absl::Status Exec(const char* sql, const SqlValues& values) override {
    ABSL_RETURN_IF_ERROR(Send(sql, values));
    if (outstanding_ < DefaultStoreLimits().pipeline_statements) return absl::OkStatus();
    return Drain(nullptr);
  }

  absl::Status Query(const char* sql, const SqlValues& values, SqlRowFunction row) override {
    const bool may_retry = !in_transaction_ && connection_ != nullptr;
    absl::Status status = TryQuery(sql, values, row);
    if (may_retry && connection_ == nullptr) status = TryQuery(sql, values, row);
    return status;
  }

  absl::Status Script(const std::string& sql) override {
    ABSL_RETURN_IF_ERROR(EnsureConnected());
    ABSL_RETURN_IF_ERROR(Drain(nullptr));
    const std::string dialect = absl::StrReplaceAll(
        sql, {{"@BLOB@", "BYTEA"},
              {"@ID@", "BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY"}});
    if (PQexitPipelineMode(connection_.get()) != 1) return Lost();
    const Result result(PQexec(connection_.get(), dialect.c_str()));
    const ExecStatusType code = PQresultStatus(result.get());
    absl::Status status;
    if (code != PGRES_COMMAND_OK && code != PGRES_TUPLES_OK) status = ErrorOf(result.get());
    if (connection_ != nullptr && PQenterPipelineMode(connection_.get()) != 1) return Lost();
    return status;
  }

  absl::StatusOr<absl::Time> Now() override {
    absl::Time now;
    ABSL_RETURN_IF_ERROR(Query(kNow, {}, [&](const SqlRow& row) {
      now = absl::FromUnixMicros(row.Int(0));
      return absl::OkStatus();
    }));
    return now;
  }

  absl::Status LockName(absl::string_view name) override {
    return Exec("SELECT pg_advisory_xact_lock(hashtextextended($1, 7425))", {SqlValue::Text(name)});
  }

  absl::Status Notify() override {
    return Exec("SELECT pg_notify($1, '')", {SqlValue::Text(kChannel)});
  }

 private:
  static constexpr const char* kNow =
      "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint";

  struct Statement {
    std::string name;
  };

  absl::StatusOr<absl::Time> TryBegin() {
    ABSL_RETURN_IF_ERROR(EnsureConnected());
    in_transaction_ = true;
    absl::Time now;
    absl::Status status = Send("BEGIN", {});
    if (status.ok()) {
      status = TryQuery(kNow, {}, [&](const SqlRow& row) {
        now = absl::FromUnixMicros(row.Int(0));
        return absl::OkStatus();
      });
    }
    if (status.ok()) return now;
    Rollback();
    in_transaction_ = false;
    return status;
  }

  absl::Status TryQuery(const char* sql, const SqlValues& values, SqlRowFunction row) {
    ABSL_RETURN_IF_ERROR(Send(sql, values));
    Result answer;
    ABSL_RETURN_IF_ERROR(Drain(&answer));
    if (answer == nullptr) return absl::InternalError("a query was not answered");
    const int rows = PQntuples(answer.get());
    for (int i = 0; i < rows; ++i) ABSL_RETURN_IF_ERROR(row(PostgresRow(answer.get(), i)));
    return absl::OkStatus();
  }

  absl::Status Send(const char* sql, const SqlValues& values) {
    if (in_transaction_ && connection_ == nullptr) return Away();
    ABSL_RETURN_IF_ERROR(EnsureConnected());
    std::vector<Oid> types(values.size());
    std::vector<const char*> data(values.size());
    std::vector<int> lengths(values.size()), formats(values.size(), 1);
    std::vector<uint64_t> numbers(values.size());
    for (size_t i = 0; i < values.size(); ++i) {
      const SqlValue& value = values[i];
      if (value.kind == SqlValue::Kind::kInt) {
        numbers[i] = BigEndian(static_cast<uint64_t>(value.number));
        types[i] = kInt8;
        data[i] = reinterpret_cast<const char*>(&numbers[i]);
        lengths[i] = 8;
        continue;
      }
      types[i] = value.kind == SqlValue::Kind::kText ? kText : kBytea;
      data[i] = value.bytes.data() == nullptr ? "" : value.bytes.data();
      lengths[i] = static_cast<int>(value.bytes.size());
    }
    Statement& statement = statements_[sql];
    const int count = static_cast<int>(values.size());
    if (statement.name.empty()) {
      statement.name = absl::StrCat("p", ++prepared_);
      fresh_.push_back(sql);
      if (PQsendPrepare(connection_.get(), statement.name.c_str(), sql, count, types.data()) != 1) {
        return Lost();
      }
      ++outstanding_;
    }
    if (PQsendQueryPrepared(connection_.get(), statement.name.c_str(), count, data.data(),
                            lengths.data(), formats.data(), /*resultFormat=*/1) != 1) {
      return Lost();
    }
    ++outstanding_;
    return absl::OkStatus();
  }

  // Reads the answers to all that was sent; `last` gets the last set of rows.
  absl::Status Drain(Result* last) {
    if (connection_ == nullptr) return Away();
    if (outstanding_ == 0) return absl::OkStatus();
    if (PQpipelineSync(connection_.get()) != 1) return Lost();
    absl::Status status;
    for (bool synced = false; !synced;) {
      Result result(PQgetResult(connection_.get()));
      if (result == nullptr) {  // parts one statement's answer from the next one's
        if (PQstatus(connection_.get()) != CONNECTION_OK) return Lost();
        continue;
      }
      switch (PQresultStatus(result.get())) {
        case PGRES_PIPELINE_SYNC:
          synced = true;
          break;
        case PGRES_TUPLES_OK:
          if (last != nullptr) *last = std::move(result);
          break;
        case PGRES_COMMAND_OK:
        case PGRES_PIPELINE_ABORTED:
          break;
        default:
          if (status.ok()) status = ErrorOf(result.get());
          if (connection_ == nullptr) return status;
          break;
      }
    }
    outstanding_ = 0;
    // What was prepared in a pipeline that failed may be there or not.
    if (!status.ok()) {
      for (const char* sql : fresh_) statements_.erase(sql);
    }
    fresh_.clear();
    return status;
  }

  // The status of a failed statement; closes a connection that is of no more use.
  absl::Status ErrorOf(const PGresult* result) {
    const char* field = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const std::string state = field == nullptr ? "" : field;
    const char* primary = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    const std::string text =
        absl::StrCat("store ", name_, ": ",
                     primary == nullptr ? FirstLine(PQresultErrorMessage(result)) : primary,
                     state.empty() ? "" : absl::StrCat(" (", state, ")"));
    const auto is = [&](absl::string_view prefix) { return absl::StartsWith(state, prefix); };
    if (state.empty() || is("08") || is("57P") || is("25006")) {
      Drop();
      return absl::UnavailableError(text);
    }
    if (is("40") || is("23505") || is("42P07") || is("55P03")) return absl::AbortedError(text);
    if (is("53") || is("57")) return absl::UnavailableError(text);
    if (is("XX001") || is("XX002")) return absl::DataLossError(text);
    if (is("42501")) return absl::PermissionDeniedError(text);
    return absl::InternalError(text);
  }

  absl::Status Away() {
    return absl::UnavailableError(absl::StrCat("the connection to the store ", name_, " was lost"));
  }
  absl::Status Lost() {
    const std::string why =
        connection_ == nullptr ? "" : FirstLine(PQerrorMessage(connection_.get()));
    Drop();
    return absl::UnavailableError(
        absl::StrCat("the connection to the store ", name_, " was lost: ", why));
  }
  void Drop() {
    connection_.reset();
    statements_.clear();
    fresh_.clear();
    outstanding_ = 0;
  }

  const std::string uri_;
  const std::string name_;
  Connection connection_;
  const std::shared_ptr<std::atomic<int>> pid_;
  bool in_transaction_ = false;
  uint64_t prepared_ = 0;
  size_t outstanding_ = 0;  // statements whose answers have not been read
  absl::flat_hash_map<const char*, Statement> statements_;
  std::vector<const char*> fresh_;  // prepared since the last sync
};

// Listens for other coordinators' commits on a connection and a thread of its own.
class HintListener {
 public:
  HintListener(std::string uri, std::string name, std::shared_ptr<std::atomic<int>> own_pid)
      : uri_(std::move(uri)), name_(std::move(name)), own_pid_(std::move(own_pid)) {
    stop_fd_ = eventfd(0, EFD_CLOEXEC);
    thread_ = std::thread([this] { Run(); });
  }
  ~HintListener() {
    const uint64_t one = 1;
    while (write(stop_fd_, &one, sizeof(one)) < 0 && errno == EINTR) {
    }
    thread_.join();
    close(stop_fd_);
  }

  void Set(absl::AnyInvocable<void()> hint) {
    MutexLock lock(&mu_);
    hint_ = std::move(hint);
  }

 private:
  // Waits for the socket (-1 = none); false when it is time to stop.
  bool Wait(int fd, absl::Duration longest) {
    pollfd fds[2] = {{stop_fd_, POLLIN, 0}, {fd, POLLIN, 0}};
    poll(fds, fd < 0 ? 1 : 2, static_cast<int>(absl::ToInt64Milliseconds(longest)));
    return fds[0].revents == 0;
  }

  void Run() {
    Connection connection;
    bool go_on = true;
    while (go_on) {
      if (connection == nullptr || PQstatus(connection.get()) != CONNECTION_OK) {
        connection.reset();
        absl::StatusOr<Connection> fresh = Connect(uri_, name_);
        if (fresh.ok()) {
          connection = *std::move(fresh);
          const Result result(
              PQexec(connection.get(), absl::StrCat("LISTEN ", kChannel).c_str()));
          if (PQresultStatus(result.get()) != PGRES_COMMAND_OK) connection.reset();
        }
      }
      go_on = Wait(connection == nullptr ? -1 : PQsocket(connection.get()), absl::Seconds(2));
      if (connection == nullptr || PQconsumeInput(connection.get()) != 1) {
        connection.reset();
        continue;
      }
      bool others = false;
      while (PGnotify* notify = PQnotifies(connection.get())) {
        others = others || notify->be_pid != own_pid_->load();
        PQfreemem(notify);
      }
      if (!others) continue;
      MutexLock lock(&mu_);
      if (hint_ != nullptr) hint_();
    }
  }

  const std::string uri_;
  const std::string name_;
  const std::shared_ptr<std::atomic<int>> own_pid_;
  int stop_fd_ = -1;
  Mutex mu_;
  absl::AnyInvocable<void()> hint_ ABSL_GUARDED_BY(mu_);
  std::thread thread_;
};

}  // namespace

absl::StatusOr<SqlDatabase> OpenPostgres(const std::string& uri) {
  SqlDatabase database;
  database.name = WithoutPassword(uri);
  auto pid = std::make_shared<std::atomic<int>>(0);
  auto writer = std::make_unique<PostgresDriver>(uri, database.name, pid);
  ABSL_RETURN_IF_ERROR(writer->EnsureConnected());
  database.writer = std::move(writer);
  database.reader = std::make_unique<PostgresDriver>(uri, database.name,
                                                     std::make_shared<std::atomic<int>>(0));
  database.on_hint = [uri, name = database.name, pid,
                      listener = std::shared_ptr<HintListener>()](
                         absl::AnyInvocable<void()> hint) mutable {
    if (listener == nullptr) listener = std::make_shared<HintListener>(uri, name, pid);
    listener->Set(std::move(hint));
  };
  return database;
}

}  // namespace picket
