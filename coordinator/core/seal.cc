#include "coordinator/core/seal.h"

#include <utility>

#include "common/base/check.h"
#include "common/policy/judge.h"
#include "common/policy/plan_shape.h"
#include "coordinator/core/proto_time.h"
#include "coordinator/core/run_plan.h"

namespace picket {
namespace {

v1::End::Value EndFor(v1::EndCause::Value cause, const ShardRow& shard, uint32_t position) {
  if (cause != v1::EndCause::DEADLINE) return v1::End::CANCELLED;
  const bool leased = position < shard.leased.size() && shard.leased[position];
  return leased ? v1::End::EXPIRED : v1::End::UNASSIGNED;
}

// Writes an end into every undecided byte; what is decided stays as it is.
void EndUndecided(v1::EndCause::Value cause, ShardRow& shard) {
  bool changed = false;
  for (uint32_t i = 0; i < shard.ends.size(); ++i) {
    if (!IsOpen(shard.ends[i])) continue;
    shard.ends[i] = IsProbing(shard.ends[i]) ? WithoutProbe(shard.ends[i])
                                             : MakeEnd(EndFor(cause, shard, i));
    changed = true;
  }
  shard.marks.clear();
  if (changed) ++shard.epoch;
}

HistoryKept KeptOf(const v1::Run& run, const std::vector<EndByte>& ends) {
  if (run.verdict() == v1::Verdict::PASSED) return HistoryKept::kAll;
  if (run.end_cause() != v1::EndCause::COMPLETE) return HistoryKept::kNone;
  for (EndByte end : ends) {
    const bool sound = EndOf(end) == v1::End::PASSED || EndOf(end) == v1::End::SKIPPED ||
                       (EndOf(end) == v1::End::INCONCLUSIVE && IsLearning(end));
    if (!sound) return HistoryKept::kNone;
  }
  return HistoryKept::kLearning;
}

}  // namespace

HistoryKept SealRun(const std::vector<TestRow>& tests, v1::EndCause::Value cause, absl::Time now,
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
  return KeptOf(run.run, ends);
}

}  // namespace picket
