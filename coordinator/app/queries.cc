#include "coordinator/app/queries.h"

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/policy/blame.h"
#include "common/policy/limits.h"
#include "coordinator/app/limits.h"
#include "coordinator/app/page_token.h"

namespace picket {
namespace {

constexpr absl::string_view kKind = "executions";
// Executions further apart than this are read by another call.
constexpr uint32_t kGap = 64;

bool IsFailure(EndByte end) {
  return EndOf(end) == v1::End::FAILED || EndOf(end) == v1::End::INCONCLUSIVE;
}

bool SameAttempt(const v1::Attempt& a, const v1::Attempt& b) {
  return a.agent() == b.agent() && a.number() == b.number() &&
         a.start_time().seconds() == b.start_time().seconds() &&
         a.start_time().nanos() == b.start_time().nanos();
}

v1::FailureReason::Value LastFailure(const v1::Execution& execution) {
  v1::FailureReason::Value reason = v1::FailureReason::none;
  for (const v1::Attempt& attempt : execution.attempts()) {
    if (!attempt.probe() && attempt.outcome() == v1::Outcome::FAILED) reason = attempt.reason();
  }
  return reason;
}

v1::Blame::Value BlameFor(const PlanShape& shape, const std::vector<EndByte>& ends, bool local,
                          const v1::Execution& execution) {
  const Position at = shape.At(execution.execution());
  const TestShape& test = shape.tests()[at.test];
  BlameEvidence evidence{.execution = &execution, .others = {}, .local = local};
  if (execution.end() == v1::End::FAILED) {
    for (uint32_t other = 0; other < test.locations.size(); ++other) {
      if (other == at.location) continue;
      evidence.others.push_back({test.locations[other], EndOf(ends[test.Number(other, at.row)])});
    }
  }
  return BlameOf(evidence);
}

}  // namespace

void AddResult(const ResultRow& row, bool full, v1::Execution& execution) {
  for (const v1::Attempt& attempt : row.result.attempts()) {
    const bool known =
        row.late && std::any_of(execution.attempts().begin(), execution.attempts().end(),
                                [&](const v1::Attempt& a) { return SameAttempt(a, attempt); });
    if (known) continue;  // sent again after a lost acknowledgement
    v1::Attempt& added = row.late ? *execution.add_late_attempts() : *execution.add_attempts();
    added = attempt;
    if (!full) {
      added.clear_assertions();
      added.clear_steps();
      added.clear_evidence();
    }
  }
  if (row.late || execution.end() == v1::End::PASSED) return;
  if (!row.result.attempts().empty() && row.result.attempts(0).probe()) return;
  const bool passed = row.deciding && row.result.outcome() == v1::Outcome::PASSED;
  execution.set_reason(passed ? LastFailure(execution) : row.result.reason());
}

absl::StatusOr<std::shared_ptr<const Queries::Snapshot>> Queries::Load(
    const RunRow& run, std::shared_ptr<const RunPlan> plan) {
  const std::string& run_id = run.run.run_id();
  const bool sealed = run.run.state() == v1::Run::SEALED;
  if (sealed) {
    MutexLock lock(&mu_);
    for (auto it = cache_.begin(); it != cache_.end(); ++it) {
      if ((*it)->run_id != run_id) continue;
      cache_.splice(cache_.begin(), cache_, it);
      return cache_.front();
    }
  }
  auto snapshot = std::make_shared<Snapshot>();
  snapshot->run_id = run_id;
  snapshot->sealed = sealed;
  snapshot->local = run.run.local();
  if (plan == nullptr) {
    ABSL_ASSIGN_OR_RETURN(const std::vector<TestRow> tests,
                          store_->LoadTests(run_id, DataRows::kSkip));
    plan = MakeRunPlan(run, tests, {});
  }
  snapshot->plan = std::move(plan);
  ABSL_ASSIGN_OR_RETURN(const std::vector<ShardRow> shards, store_->LoadShards(run_id));
  snapshot->ends.resize(run.executions, kUndecided);
  for (const ShardRow& shard : shards) {
    for (size_t i = 0; i < shard.executions.size(); ++i) {
      if (shard.executions[i] < snapshot->ends.size()) {
        snapshot->ends[shard.executions[i]] = shard.ends[i];
      }
    }
  }
  if (sealed) {
    MutexLock lock(&mu_);
    cache_.push_front(snapshot);
    if (cache_.size() > DefaultAppLimits().plans_cached) cache_.pop_back();
  }
  return snapshot;
}

absl::StatusOr<std::vector<v1::Execution>> Queries::Read(const Snapshot& snapshot,
                                                         const std::vector<uint32_t>& executions,
                                                         bool full) {
  std::vector<v1::Execution> described;
  described.reserve(executions.size());
  for (uint32_t execution : executions) {
    described.push_back(DescribeExecution(*snapshot.plan, execution, snapshot.ends[execution]));
  }
  for (size_t i = 0; i < executions.size();) {
    size_t last = i;
    while (last + 1 < executions.size() && executions[last + 1] - executions[last] <= kGap) ++last;
    ABSL_ASSIGN_OR_RETURN(
        const std::vector<ResultRow> rows,
        store_->LoadResults(snapshot.run_id, executions[i], executions[last] - executions[i] + 1));
    for (const ResultRow& row : rows) {
      const auto at = std::lower_bound(executions.begin() + static_cast<ptrdiff_t>(i),
                                       executions.begin() + static_cast<ptrdiff_t>(last) + 1,
                                       row.execution);
      if (at == executions.end() || *at != row.execution) continue;
      AddResult(row, full, described[static_cast<size_t>(at - executions.begin())]);
    }
    i = last + 1;
  }
  if (!snapshot.sealed) return described;
  for (v1::Execution& execution : described) {
    execution.set_blame(
        BlameFor(snapshot.plan->shape, snapshot.ends, snapshot.local, execution));
  }
  return described;
}

absl::StatusOr<v1::ListExecutionsResponse> Queries::ListExecutions(
    const v1::ListExecutionsRequest& request, std::shared_ptr<const RunPlan> plan) {
  ABSL_ASSIGN_OR_RETURN(const size_t most, ReadPageSize(request.page_size()));
  ABSL_ASSIGN_OR_RETURN(const uint32_t first, ReadNumberToken(kKind, request.page_token()));
  ABSL_ASSIGN_OR_RETURN(const RunRow run, store_->GetRun(request.run_id()));
  ABSL_ASSIGN_OR_RETURN(const std::shared_ptr<const Snapshot> snapshot,
                        Load(run, std::move(plan)));
  std::vector<uint32_t> page;
  uint32_t next = first;
  for (; next < snapshot->ends.size() && page.size() < most; ++next) {
    const v1::End::Value end = EndOf(snapshot->ends[next]);
    const bool good = end == v1::End::PASSED || end == v1::End::SKIPPED ||
                      end == v1::End::UNDECIDED;
    const bool flaky = request.or_flaky() && IsFlaky(snapshot->ends[next]);
    if (request.only_failures() && good && !flaky) continue;
    page.push_back(next);
  }
  ABSL_ASSIGN_OR_RETURN(
      std::vector<v1::Execution> executions,
      Read(*snapshot, page, request.view() == v1::ListExecutionsRequest::FULL));
  v1::ListExecutionsResponse response;
  for (v1::Execution& execution : executions) *response.add_executions() = std::move(execution);
  if (next < snapshot->ends.size()) {
    response.set_next_page_token(MakePageToken(kKind, absl::StrCat(next)));
  }
  return response;
}

absl::StatusOr<v1::Definition> Queries::Definition(const v1::GetDefinitionRequest& request,
                                                   std::shared_ptr<const RunPlan> plan) {
  ABSL_ASSIGN_OR_RETURN(const RunRow run, store_->GetRun(request.run_id()));
  if (request.execution() >= run.executions) {
    return absl::NotFoundError(absl::StrCat("run ", request.run_id(), " has ", run.executions,
                                            " executions, numbered from 0; there is none with number ",
                                            request.execution()));
  }
  if (plan == nullptr) {
    // A snapshot's plan leaves the data rows on disk; a replay needs its own.
    ABSL_ASSIGN_OR_RETURN(const std::vector<TestRow> tests,
                          store_->LoadTests(request.run_id(), DataRows::kLoad));
    plan = MakeRunPlan(run, tests, {});
  }
  ABSL_ASSIGN_OR_RETURN(const std::shared_ptr<const Snapshot> snapshot, Load(run, plan));
  ABSL_ASSIGN_OR_RETURN(std::vector<v1::Execution> executions,
                        Read(*snapshot, {request.execution()}, /*full=*/true));
  v1::Definition definition;
  *definition.mutable_execution() = std::move(executions[0]);
  *definition.mutable_test() = TestOfExecution(*plan, request.execution());
  definition.set_baseline(run.run.baseline());
  std::vector<std::string> digests;
  for (const v1::FileRef& file : definition.test().files()) digests.push_back(file.sha256());
  if (digests.empty()) return definition;
  ABSL_ASSIGN_OR_RETURN(std::vector<v1::Blob> blobs, store_->LoadBlobs(digests));
  for (v1::Blob& blob : blobs) *definition.add_blobs() = std::move(blob);
  return definition;
}

absl::StatusOr<std::vector<v1::Execution>> Queries::Failures(const std::string& run_id,
                                                             std::shared_ptr<const RunPlan> plan,
                                                             size_t most) {
  ABSL_ASSIGN_OR_RETURN(const RunRow run, store_->GetRun(run_id));
  ABSL_ASSIGN_OR_RETURN(const std::shared_ptr<const Snapshot> snapshot,
                        Load(run, std::move(plan)));
  std::vector<uint32_t> failing;
  for (uint32_t i = 0; i < snapshot->ends.size() && failing.size() < most; ++i) {
    if (IsFailure(snapshot->ends[i])) failing.push_back(i);
  }
  return Read(*snapshot, failing, /*full=*/false);
}

absl::StatusOr<v1::WatchRunResponse> Queries::WatchState(const RunRow& run,
                                                         std::shared_ptr<const RunPlan> plan) {
  ABSL_ASSIGN_OR_RETURN(const std::shared_ptr<const Snapshot> snapshot,
                        Load(run, std::move(plan)));
  std::map<std::string, v1::Ledger> ledgers;
  std::vector<uint32_t> failing;
  uint32_t failures = 0;
  for (const TestShape& test : snapshot->plan->shape.tests()) {
    for (uint32_t location = 0; location < test.locations.size(); ++location) {
      v1::Ledger& ledger = ledgers[test.locations[location]];
      for (uint32_t row = 0; row < test.rows; ++row) {
        const uint32_t execution = test.Number(location, row);
        AddToLedger(snapshot->ends[execution], ledger);
        if (!IsFailure(snapshot->ends[execution])) continue;
        ++failures;
        if (failing.size() < DefaultLimits().watch_failures) failing.push_back(execution);
      }
    }
  }
  v1::WatchRunResponse state;
  *state.mutable_run() = run.run;
  for (auto& [name, ledger] : ledgers) {
    v1::LocationProgress* location = state.add_locations();
    location->set_location(name);
    *location->mutable_ledger() = std::move(ledger);
  }
  ABSL_ASSIGN_OR_RETURN(std::vector<v1::Execution> executions,
                        Read(*snapshot, failing, /*full=*/false));
  for (v1::Execution& execution : executions) *state.add_failures() = std::move(execution);
  state.set_failure_count(failures);
  return state;
}

}  // namespace picket
