#include "coordinator/store/sql_schema.h"

#include <iterator>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/base/version.h"

namespace picket {
namespace {

// Every key starts with the project, but for what the whole fleet shares: agents, and
// blobs, which are named by their contents. `results` holds packed results in order of
// arrival; `gone` names deleted runs whose rows are still being swept away.
constexpr const char* kMigrations[] = {
    // 1
    "CREATE TABLE runs (project TEXT NOT NULL, run_id TEXT NOT NULL, request_id TEXT NOT NULL,"
    "  spec_digest @BLOB@ NOT NULL, sealed BIGINT NOT NULL, seal_us BIGINT NOT NULL,"
    "  passed BIGINT NOT NULL, results_kept BIGINT NOT NULL, fail_fast BIGINT NOT NULL,"
    "  max_failures BIGINT NOT NULL, priority BIGINT NOT NULL, expect_agents BIGINT NOT NULL,"
    "  executions BIGINT NOT NULL, shards BIGINT NOT NULL, undecided BIGINT NOT NULL,"
    "  failed BIGINT NOT NULL, failed_blocking BIGINT NOT NULL, evidence_bytes BIGINT NOT NULL,"
    "  evidence_count BIGINT NOT NULL, late_results BIGINT NOT NULL, run @BLOB@ NOT NULL,"
    "  PRIMARY KEY (project, run_id));"
    "CREATE UNIQUE INDEX runs_by_id ON runs (run_id);"
    "CREATE UNIQUE INDEX runs_by_request ON runs (project, request_id);"
    "CREATE INDEX runs_active ON runs (run_id) WHERE sealed = 0;"
    "CREATE TABLE run_tests (project TEXT NOT NULL, run_id TEXT NOT NULL, idx BIGINT NOT NULL,"
    "  first_execution BIGINT NOT NULL, blocking BIGINT NOT NULL, digest @BLOB@ NOT NULL,"
    "  test @BLOB@ NOT NULL, data_rows @BLOB@ NOT NULL, PRIMARY KEY (project, run_id, idx));"
    "CREATE TABLE blobs (sha256 @BLOB@ NOT NULL PRIMARY KEY, data @BLOB@ NOT NULL);"
    "CREATE TABLE run_blobs (project TEXT NOT NULL, run_id TEXT NOT NULL,"
    "  sha256 @BLOB@ NOT NULL, PRIMARY KEY (project, run_id, sha256));"
    "CREATE INDEX run_blobs_by_digest ON run_blobs (sha256);"
    "CREATE TABLE shards (project TEXT NOT NULL, run_id TEXT NOT NULL, shard BIGINT NOT NULL,"
    "  location TEXT NOT NULL, priority BIGINT NOT NULL, rev BIGINT NOT NULL,"
    "  epoch BIGINT NOT NULL, expected_us BIGINT NOT NULL, executions @BLOB@ NOT NULL,"
    "  ends @BLOB@ NOT NULL, marks @BLOB@ NOT NULL, PRIMARY KEY (project, run_id, shard));"
    "CREATE TABLE leases (project TEXT NOT NULL, run_id TEXT NOT NULL, shard BIGINT NOT NULL,"
    "  epoch BIGINT NOT NULL, instance TEXT NOT NULL, spool TEXT NOT NULL, agent TEXT NOT NULL,"
    "  location TEXT NOT NULL, positions @BLOB@ NOT NULL, isolated BIGINT NOT NULL,"
    "  ended BIGINT NOT NULL, PRIMARY KEY (project, run_id, shard, epoch));"
    "CREATE TABLE results (id @ID@, project TEXT NOT NULL, run_id TEXT NOT NULL,"
    "  executions @BLOB@ NOT NULL, data @BLOB@ NOT NULL);"
    "CREATE INDEX results_by_run ON results (project, run_id, id);"
    "CREATE TABLE evidence (project TEXT NOT NULL, run_id TEXT NOT NULL, sha256 @BLOB@ NOT NULL,"
    "  data @BLOB@ NOT NULL, PRIMARY KEY (project, run_id, sha256));"
    "CREATE TABLE evidence_refs (project TEXT NOT NULL, run_id TEXT NOT NULL,"
    "  execution BIGINT NOT NULL, attempt BIGINT NOT NULL, sha256 @BLOB@ NOT NULL,"
    "  PRIMARY KEY (project, run_id, execution, attempt));"
    "CREATE TABLE agents (instance TEXT NOT NULL PRIMARY KEY, location TEXT NOT NULL,"
    "  name TEXT NOT NULL, state BIGINT NOT NULL, spool TEXT NOT NULL,"
    "  coordinator TEXT NOT NULL, renewed_us BIGINT NOT NULL, agent @BLOB@ NOT NULL);"
    "CREATE INDEX agents_by_name ON agents (location, name);"
    "CREATE TABLE history_keys (id @ID@, project TEXT NOT NULL, suite TEXT NOT NULL,"
    "  test_id TEXT NOT NULL, location TEXT NOT NULL, baseline TEXT NOT NULL,"
    "  measured BIGINT NOT NULL, expected_us BIGINT NOT NULL,"
    "  UNIQUE (project, suite, test_id, location, baseline));"
    "CREATE TABLE history (key_id BIGINT NOT NULL, slot BIGINT NOT NULL, run_id TEXT NOT NULL,"
    "  sequence BIGINT NOT NULL, time_us BIGINT NOT NULL, total_us BIGINT NOT NULL,"
    "  measurement @BLOB@ NOT NULL, PRIMARY KEY (key_id, slot));"
    "CREATE INDEX history_by_run ON history (run_id);"
    "CREATE TABLE gone (project TEXT NOT NULL, run_id TEXT NOT NULL, passed BIGINT NOT NULL,"
    "  PRIMARY KEY (project, run_id));",
    // 2
    "CREATE TABLE outbox (id @ID@, project TEXT NOT NULL, run_id TEXT NOT NULL,"
    "  target TEXT NOT NULL, create_us BIGINT NOT NULL, due_us BIGINT NOT NULL,"
    "  tries BIGINT NOT NULL, run @BLOB@ NOT NULL);"
    "CREATE INDEX outbox_by_due ON outbox (target, due_us);",
    // 3: measurements of a run wait at slots below 0 until it is sealed. What was kept before
    // was written in another form.
    "DELETE FROM history;"
    "ALTER TABLE history ADD COLUMN learning BIGINT NOT NULL DEFAULT 0;"
    "ALTER TABLE history_keys ADD COLUMN kept BIGINT NOT NULL DEFAULT 0;",
};

absl::StatusOr<int64_t> CurrentSchema(SqlDriver& driver) {
  int64_t version = 0;
  ABSL_RETURN_IF_ERROR(driver.Query("SELECT version FROM picket_schema ORDER BY version", {},
                                    [&](const SqlRow& row) {
                                      version = row.Int(0);
                                      return absl::OkStatus();
                                    }));
  return version;
}

// Migrates one step, unless another process has come first. True: there may be more.
absl::StatusOr<bool> Step(SqlDatabase& database) {
  SqlDriver& driver = *database.writer;
  ABSL_RETURN_IF_ERROR(driver.LockName("picket schema"));
  ABSL_ASSIGN_OR_RETURN(const int64_t version, CurrentSchema(driver));
  if (version > LatestSchema()) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the store ", database.name, " has schema version ", version,
        ", made by a newer Picket; this binary, ", kVersion, ", knows schema version ",
        LatestSchema(), ": use the newer binary, or another store"));
  }
  if (version == LatestSchema()) return false;
  ABSL_RETURN_IF_ERROR(driver.Script(kMigrations[version]));
  ABSL_RETURN_IF_ERROR(driver.Exec("INSERT INTO picket_schema (version) VALUES ($1)",
                                   {SqlValue::Int(version + 1)}));
  return true;
}

}  // namespace

int64_t LatestSchema() { return static_cast<int64_t>(std::size(kMigrations)); }

absl::Status Migrate(SqlDatabase& database) {
  SqlDriver& driver = *database.writer;
  ABSL_RETURN_IF_ERROR(driver.Begin().status());
  absl::Status status = driver.LockName("picket schema");
  if (status.ok()) {
    status =
        driver.Script("CREATE TABLE IF NOT EXISTS picket_schema (version BIGINT PRIMARY KEY)");
  }
  if (!status.ok()) {
    driver.Rollback();
    return status;
  }
  ABSL_RETURN_IF_ERROR(driver.Commit());
  bool more = true;
  while (more) {
    ABSL_RETURN_IF_ERROR(driver.Begin().status());
    absl::StatusOr<bool> step = Step(database);
    if (!step.ok()) {
      driver.Rollback();
      return step.status();
    }
    ABSL_RETURN_IF_ERROR(driver.Commit());
    more = *step;
  }
  return absl::OkStatus();
}

}  // namespace picket
