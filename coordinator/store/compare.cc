#include "coordinator/store/compare.h"

#include <algorithm>
#include <utility>

#include "common/base/check.h"
#include "common/policy/ends.h"
#include "common/policy/limits.h"

namespace picket {

void BlockingIndex::Add(uint32_t first_execution, bool blocking) {
  firsts_.push_back(first_execution);
  blocking_.push_back(blocking);
}

bool BlockingIndex::IsBlocking(uint32_t execution) const {
  const auto after = std::upper_bound(firsts_.begin(), firsts_.end(), execution);
  if (after == firsts_.begin()) return false;
  return blocking_[static_cast<size_t>(after - firsts_.begin()) - 1];
}

bool RunBudget::TakeEvidence(size_t bytes) {
  const Limits& limits = DefaultLimits();
  if (bytes > limits.evidence_bytes || evidence_count >= limits.evidence_run_full ||
      evidence_bytes + bytes > limits.evidence_run_bytes) {
    return false;
  }
  ++evidence_count;
  evidence_bytes += bytes;
  return true;
}

bool RunBudget::TakeLateResult() {
  if (late_results >= DefaultLimits().late_results_run) return false;
  ++late_results;
  return true;
}

bool MayWriteShard(const ShardRow& proposed, const ShardRow& stored, const RunRow& run) {
  return run.run.state() != v1::Run::SEALED && proposed.rev == stored.rev &&
         proposed.ends.size() == stored.ends.size() &&
         proposed.executions.size() == proposed.ends.size();
}

void WriteShardOver(const ShardRow& proposed, const BlockingIndex& blocking, ShardRow& stored,
                    RunRow& run) {
  v1::Ledger& ledger = *run.run.mutable_ledger();
  const uint32_t planned = ledger.planned();
  for (size_t i = 0; i < stored.ends.size(); ++i) {
    if (stored.ends[i] == proposed.ends[i]) continue;
    const EndByte before = std::exchange(stored.ends[i], proposed.ends[i]);
    const bool undecided = EndOf(before) == v1::End::UNDECIDED;
    PICKET_CHECK(undecided || WithoutProbe(before) == stored.ends[i]);
    if (IsOpen(before) && !IsOpen(stored.ends[i])) {
      PICKET_CHECK(run.undecided > 0);
      --run.undecided;
    }
    if (!undecided || EndOf(stored.ends[i]) == v1::End::UNDECIDED) continue;
    AddToLedger(stored.ends[i], ledger);
    if (EndOf(stored.ends[i]) == v1::End::FAILED) {
      ++run.failed;
      if (blocking.IsBlocking(stored.executions[i])) ++run.failed_blocking;
    }
  }
  ledger.set_planned(planned);
  stored.marks = proposed.marks;
  stored.leased = proposed.leased;
  stored.epoch = proposed.epoch;
  stored.expected_us = proposed.expected_us;
  ++stored.rev;
}

void StartRun(const WriteShard& write, absl::Time now, RunRow& run) {
  if (!write.starts_run || run.run.state() != v1::Run::QUEUED) return;
  run.run.set_state(v1::Run::RUNNING);
  const int64_t micros = absl::ToUnixMicros(now);
  run.run.mutable_start_time()->set_seconds(micros / 1'000'000);
  run.run.mutable_start_time()->set_nanos(static_cast<int32_t>(micros % 1'000'000) * 1000);
}

uint32_t FoldDuration(uint32_t expected_us, uint32_t total_us) {
  if (expected_us == 0) return total_us;
  return static_cast<uint32_t>((uint64_t{expected_us} * 7 + total_us) / 8);
}

bool HoldsName(const AgentRow& agent) {
  return agent.agent.state() == v1::Agent::LIVE && !agent.coordinator.empty();
}

void LoseName(AgentRow& agent) {
  agent.agent.set_state(agent.coordinator.empty() ? v1::Agent::GONE : v1::Agent::DRAINING);
}

absl::Time WholeMicros(absl::Time time) { return absl::FromUnixMicros(absl::ToUnixMicros(time)); }

}  // namespace picket
