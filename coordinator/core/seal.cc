#include "coordinator/core/seal.h"

#include <utility>

#include "common/base/check.h"
#include "common/policy/judge.h"
#include "common/policy/plan_shape.h"
#include "coordinator/core/proto_time.h"

namespace picket {
namespace {

PlanShape ShapeOfRun(const std::vector<TestRow>& tests, uint32_t executions) {
  std::vector<TestShape> shapes;
  shapes.reserve(tests.size());
  for (size_t i = 0; i < tests.size(); ++i) {
    TestShape shape = ShapeOf(tests[i].test);
    const uint32_t end = i + 1 < tests.size() ? tests[i + 1].first_execution : executions;
    const size_t locations = shape.locations.size();
    if (locations > 0) {
      shape.rows = (end - tests[i].first_execution) / static_cast<uint32_t>(locations);
    }
    shapes.push_back(std::move(shape));
  }
  absl::StatusOr<PlanShape> plan = PlanShape::Make(std::move(shapes));
  PICKET_CHECK(plan.ok());  // it was when the run was admitted
  return *std::move(plan);
}

v1::End::Value EndFor(v1::EndCause::Value cause, const ShardRow& shard, uint32_t position) {
  if (cause != v1::EndCause::DEADLINE) return v1::End::CANCELLED;
  const auto mark = shard.marks.find(position);
  const bool leased = mark != shard.marks.end() && mark->second.leases > 0;
  return leased ? v1::End::EXPIRED : v1::End::UNASSIGNED;
}

// Writes an end into every undecided byte.
void EndUndecided(v1::EndCause::Value cause, ShardRow& shard) {
  bool changed = false;
  for (uint32_t i = 0; i < shard.ends.size(); ++i) {
    if (shard.ends[i] != kUndecided) continue;
    shard.ends[i] = MakeEnd(EndFor(cause, shard, i));
    changed = true;
  }
  shard.marks.clear();
  if (changed) ++shard.epoch;
}

}  // namespace

void SealRun(const std::vector<TestRow>& tests, v1::EndCause::Value cause, absl::Time now,
             std::vector<ShardRow>& shards, RunRow& run) {
  const PlanShape shape = ShapeOfRun(tests, run.executions);
  std::vector<EndByte> ends(shape.executions(), kUndecided);
  run.failed = run.failed_blocking = 0;
  for (ShardRow& shard : shards) {
    EndUndecided(cause, shard);
    for (size_t i = 0; i < shard.executions.size(); ++i) {
      const uint32_t execution = shard.executions[i];
      PICKET_CHECK(execution < ends.size());
      ends[execution] = shard.ends[i];
      if (EndOf(shard.ends[i]) != v1::End::FAILED) continue;
      ++run.failed;
      if (shape.tests()[shape.At(execution).test].blocking) ++run.failed_blocking;
    }
  }
  Judgement judgement = Judge(shape, ends);
  run.undecided = 0;
  run.run.set_state(v1::Run::SEALED);
  run.run.set_verdict(judgement.verdict);
  run.run.set_end_cause(cause);
  *run.run.mutable_ledger() = std::move(judgement.ledger);
  run.run.set_explanation(std::move(judgement.explanation));
  SetTimestamp(now, run.run.mutable_seal_time());
}

}  // namespace picket
