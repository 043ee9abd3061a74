#include "coordinator/store/sql_prune.h"

#include <algorithm>
#include <string>
#include <vector>

#include "common/base/status_macros.h"
#include "coordinator/store/codec.h"
#include "coordinator/store/limits.h"
#include "picket/v1/run_service.pb.h"

namespace picket {
namespace {

using V = SqlValue;

struct RunName {
  std::string project, run_id;
  bool passed = false;
};

absl::StatusOr<size_t> DeleteResults(SqlDriver& driver, const RunName& run, size_t most) {
  std::vector<int64_t> ids;
  ABSL_RETURN_IF_ERROR(driver.Query(
      "SELECT id FROM results WHERE project = $1 AND run_id = $2 ORDER BY id LIMIT $3",
      {V::Text(run.project), V::Text(run.run_id), V::Int(static_cast<int64_t>(most))},
      [&](const SqlRow& row) {
        ids.push_back(row.Int(0));
        return absl::OkStatus();
      }));
  if (ids.empty()) return size_t{0};
  ABSL_RETURN_IF_ERROR(
      driver.Exec("DELETE FROM results WHERE project = $1 AND run_id = $2 AND id <= $3",
                  {V::Text(run.project), V::Text(run.run_id), V::Int(ids.back())}));
  return ids.size();
}

absl::Status DeleteEvidence(SqlDriver& driver, const RunName& run) {
  const SqlValues name = {V::Text(run.project), V::Text(run.run_id)};
  ABSL_RETURN_IF_ERROR(
      driver.Exec("DELETE FROM evidence_refs WHERE project = $1 AND run_id = $2", name));
  return driver.Exec("DELETE FROM evidence WHERE project = $1 AND run_id = $2", name);
}

// What is left of a deleted run once its results are gone.
absl::Status DeleteRest(SqlDriver& driver, const RunName& run) {
  const SqlValues name = {V::Text(run.project), V::Text(run.run_id)};
  ABSL_RETURN_IF_ERROR(DeleteEvidence(driver, run));
  ABSL_RETURN_IF_ERROR(driver.Exec("DELETE FROM leases WHERE project = $1 AND run_id = $2", name));
  ABSL_RETURN_IF_ERROR(driver.Exec("DELETE FROM shards WHERE project = $1 AND run_id = $2", name));
  ABSL_RETURN_IF_ERROR(
      driver.Exec("DELETE FROM run_tests WHERE project = $1 AND run_id = $2", name));
  std::vector<std::string> digests;
  ABSL_RETURN_IF_ERROR(
      driver.Query("SELECT sha256 FROM run_blobs WHERE project = $1 AND run_id = $2", name,
                   [&](const SqlRow& row) {
                     digests.push_back(row.String(0));
                     return absl::OkStatus();
                   }));
  if (!digests.empty()) ABSL_RETURN_IF_ERROR(driver.LockName("picket blobs"));
  ABSL_RETURN_IF_ERROR(
      driver.Exec("DELETE FROM run_blobs WHERE project = $1 AND run_id = $2", name));
  for (const std::string& digest : digests) {
    ABSL_RETURN_IF_ERROR(driver.Exec(
        "DELETE FROM blobs WHERE sha256 = $1 AND NOT EXISTS "
        "(SELECT 1 FROM run_blobs WHERE run_blobs.sha256 = blobs.sha256)",
        {V::Blob(digest)}));
  }
  return driver.Exec("DELETE FROM gone WHERE project = $1 AND run_id = $2", name);
}

// Takes runs out of sight; what they leave behind is swept by later steps.
absl::StatusOr<size_t> HideRuns(SqlDriver& driver, size_t keep_runs, size_t most) {
  std::vector<RunName> runs;
  ABSL_RETURN_IF_ERROR(driver.Query(
      "SELECT project, run_id, passed FROM runs WHERE sealed = 1 ORDER BY run_id DESC "
      "LIMIT $1 OFFSET $2",
      {V::Int(static_cast<int64_t>(most)), V::Int(static_cast<int64_t>(keep_runs))},
      [&](const SqlRow& row) {
        runs.push_back({row.String(0), row.String(1), row.Int(2) != 0});
        return absl::OkStatus();
      }));
  for (const RunName& run : runs) {
    ABSL_RETURN_IF_ERROR(driver.Exec(
        "INSERT INTO gone (project, run_id, passed) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
        {V::Text(run.project), V::Text(run.run_id), V::Int(run.passed)}));
    ABSL_RETURN_IF_ERROR(driver.Exec("DELETE FROM runs WHERE project = $1 AND run_id = $2",
                                     {V::Text(run.project), V::Text(run.run_id)}));
  }
  return runs.size();
}

absl::StatusOr<size_t> SweepHidden(SqlDriver& driver, size_t most) {
  std::vector<RunName> runs;
  ABSL_RETURN_IF_ERROR(driver.Query("SELECT project, run_id, passed FROM gone LIMIT $1",
                                    {V::Int(static_cast<int64_t>(most))}, [&](const SqlRow& row) {
                                      runs.push_back(
                                          {row.String(0), row.String(1), row.Int(2) != 0});
                                      return absl::OkStatus();
                                    }));
  size_t swept = 0;
  for (const RunName& run : runs) {
    if (swept >= most) break;
    ABSL_ASSIGN_OR_RETURN(const size_t results, DeleteResults(driver, run, most - swept));
    swept += results;
    if (swept >= most) break;
    ABSL_RETURN_IF_ERROR(DeleteRest(driver, run));
    ++swept;
  }
  return swept;
}

absl::StatusOr<size_t> PruneResults(SqlDriver& driver, absl::Time before, size_t most) {
  std::vector<RunName> runs;
  ABSL_RETURN_IF_ERROR(driver.Query(
      "SELECT project, run_id FROM runs WHERE sealed = 1 AND results_kept = 1 AND seal_us < $1 "
      "ORDER BY run_id LIMIT $2",
      {V::Int(TimeToMicros(before)), V::Int(static_cast<int64_t>(most))}, [&](const SqlRow& row) {
        runs.push_back({row.String(0), row.String(1)});
        return absl::OkStatus();
      }));
  size_t gone = 0;
  for (const RunName& run : runs) {
    if (gone >= most) break;
    ABSL_ASSIGN_OR_RETURN(const size_t results, DeleteResults(driver, run, most - gone));
    gone += results;
    if (gone >= most) break;
    ABSL_RETURN_IF_ERROR(DeleteEvidence(driver, run));
    ABSL_RETURN_IF_ERROR(
        driver.Exec("UPDATE runs SET results_kept = 0 WHERE project = $1 AND run_id = $2",
                    {V::Text(run.project), V::Text(run.run_id)}));
    ++gone;
  }
  return gone;
}

}  // namespace

absl::StatusOr<size_t> PruneSql(SqlDriver& driver, size_t keep_runs, absl::Time results_before,
                                absl::Time now, size_t most) {
  if (most == 0) return size_t{0};
  // Coordinators that share a database take turns.
  ABSL_RETURN_IF_ERROR(driver.LockName("picket prune"));
  size_t gone = 0;
  if (keep_runs > 0) {
    ABSL_ASSIGN_OR_RETURN(gone, HideRuns(driver, keep_runs, most));
  }
  if (gone < most) {
    ABSL_ASSIGN_OR_RETURN(const size_t swept, SweepHidden(driver, most - gone));
    gone += swept;
  }
  if (gone < most && results_before > absl::InfinitePast()) {
    ABSL_ASSIGN_OR_RETURN(const size_t pruned, PruneResults(driver, results_before, most - gone));
    gone += pruned;
  }
  ABSL_RETURN_IF_ERROR(
      driver.Exec("DELETE FROM outbox WHERE create_us < $1",
                  {V::Int(TimeToMicros(now - DefaultStoreLimits().outbox_kept))}));
  ABSL_RETURN_IF_ERROR(
      driver.Exec("DELETE FROM agents WHERE state = $1 AND renewed_us < $2",
                  {V::Int(v1::Agent::GONE),
                   V::Int(TimeToMicros(now - DefaultStoreLimits().gone_agents_kept))}));
  ABSL_RETURN_IF_ERROR(driver.Exec(
      "DELETE FROM agents WHERE state = $1 AND renewed_us < (SELECT renewed_us FROM agents "
      "WHERE state = $2 ORDER BY renewed_us DESC LIMIT 1 OFFSET $3)",
      {V::Int(v1::Agent::GONE), V::Int(v1::Agent::GONE),
       V::Int(static_cast<int64_t>(DefaultStoreLimits().gone_agents_most) - 1)}));
  return gone;
}

}  // namespace picket
