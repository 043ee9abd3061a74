// The fake: the same behaviour as the SQL stores, without a disk. `picket run --local`
// runs on it.

#include <algorithm>
#include <deque>
#include <map>
#include <tuple>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "common/base/mutex.h"
#include "common/policy/limits.h"
#include "coordinator/core/seal.h"
#include "coordinator/store/compare.h"
#include "coordinator/store/limits.h"
#include "coordinator/store/memory_agents.h"
#include "coordinator/store/memory_outbox.h"
#include "coordinator/store/result_log.h"
#include "coordinator/store/store.h"

namespace picket {
namespace {

// Everything of one run.
struct MemoryRun {
  RunRow row;
  std::vector<TestRow> tests;
  std::vector<ShardRow> shards;
  std::map<std::pair<uint32_t, uint32_t>, LeaseRow> leases;  // by (shard, epoch)
  std::vector<std::string> blobs;                            // digests
  BlockingIndex blocking;
  RunBudget budget;
  ResultLog results;
  std::vector<HistoryRow> history;  // until it is sealed
  std::map<std::pair<uint32_t, uint32_t>, std::string> evidence;  // (execution, attempt) -> digest
  absl::flat_hash_map<std::string, std::string> evidence_bytes;   // digest -> bytes

  bool sealed() const { return row.run.state() == v1::Run::SEALED; }
};

struct SharedBlob {
  v1::Blob blob;
  size_t runs = 0;
};

class MemoryStore final : public Store {
 public:
  explicit MemoryStore(Clock* clock) : clock_(clock) {}

  absl::StatusOr<CommitResult> Commit(const std::vector<Proposal>& proposals) override {
    MutexLock lock(&mu_);
    CommitResult result;
    result.now = WholeMicros(clock_->TimeNow());
    result.outcomes.reserve(proposals.size());
    for (const Proposal& proposal : proposals) {
      result.outcomes.push_back(std::visit(
          [&](const auto& p) ABSL_NO_THREAD_SAFETY_ANALYSIS { return Apply(p, result.now); },
          proposal));
    }
    return result;
  }

  absl::StatusOr<absl::Time> Now() override { return WholeMicros(clock_->TimeNow()); }

  absl::StatusOr<std::vector<RunRow>> ListActiveRuns() override {
    MutexLock lock(&mu_);
    std::vector<RunRow> rows;
    for (const auto& [id, run] : runs_) {
      if (!run.sealed()) rows.push_back(run.row);
    }
    return rows;
  }

  absl::StatusOr<std::vector<TestRow>> LoadTests(const std::string& run_id,
                                                 DataRows rows) override {
    MutexLock lock(&mu_);
    std::vector<TestRow> tests;
    const MemoryRun* run = Find(run_id);
    if (run == nullptr) return tests;
    tests.reserve(run->tests.size());
    for (const TestRow& test : run->tests) {
      tests.push_back({.index = test.index,
                       .first_execution = test.first_execution,
                       .digest = test.digest,
                       .test = test.test});
      if (rows == DataRows::kLoad) tests.back().rows = test.rows;
    }
    return tests;
  }

  absl::StatusOr<std::vector<ShardRow>> LoadShards(const std::string& run_id) override {
    MutexLock lock(&mu_);
    const MemoryRun* run = Find(run_id);
    return run == nullptr ? std::vector<ShardRow>() : run->shards;
  }

  absl::StatusOr<std::vector<ShardRow>> LoadChangedShards(const std::string& run_id,
                                                          const std::vector<uint64_t>& known_revs,
                                                          size_t most) override {
    MutexLock lock(&mu_);
    std::vector<ShardRow> rows;
    const MemoryRun* run = Find(run_id);
    if (run == nullptr || run->sealed()) return rows;
    for (size_t i = 0; i < run->shards.size() && rows.size() < most; ++i) {
      if (i >= known_revs.size() || known_revs[i] != run->shards[i].rev) {
        rows.push_back(run->shards[i]);
      }
    }
    return rows;
  }

  absl::StatusOr<std::vector<LeaseRow>> LoadLeases(const std::string& run_id) override {
    MutexLock lock(&mu_);
    std::vector<LeaseRow> rows;
    const MemoryRun* run = Find(run_id);
    if (run == nullptr || run->sealed()) return rows;
    for (const auto& [key, lease] : run->leases) {
      if (!lease.ended) rows.push_back(lease);
    }
    return rows;
  }

  absl::StatusOr<std::optional<LeaseRow>> FindLease(const std::string& run_id, uint32_t shard,
                                                    uint32_t epoch) override {
    MutexLock lock(&mu_);
    const MemoryRun* run = Find(run_id);
    if (run == nullptr) return std::optional<LeaseRow>();
    const auto it = run->leases.find({shard, epoch});
    if (it == run->leases.end()) return std::optional<LeaseRow>();
    return std::optional<LeaseRow>(it->second);
  }

  absl::StatusOr<std::vector<AgentRow>> LoadAgents() override {
    MutexLock lock(&mu_);
    return agents_.All();
  }

  absl::StatusOr<std::vector<v1::Blob>> LoadBlobs(
      const std::vector<std::string>& digests) override {
    MutexLock lock(&mu_);
    std::vector<v1::Blob> blobs;
    for (const std::string& digest : digests) {
      const auto it = blobs_.find(digest);
      if (it != blobs_.end()) blobs.push_back(it->second.blob);
    }
    return blobs;
  }

  absl::StatusOr<std::vector<uint32_t>> ExpectedDurations(
      const std::string& project, const std::vector<DurationKey>& keys) override {
    MutexLock lock(&mu_);
    std::vector<uint32_t> expected;
    expected.reserve(keys.size());
    for (const DurationKey& key : keys) {
      const auto it = expected_.find({project, key.suite, key.test_id, key.location});
      expected.push_back(it == expected_.end() ? 0 : it->second);
    }
    return expected;
  }

  absl::StatusOr<RunRow> GetRun(const std::string& run_id) override {
    MutexLock lock(&mu_);
    const MemoryRun* run = Find(run_id);
    if (run == nullptr) return absl::NotFoundError(absl::StrCat("no run ", run_id));
    return run->row;
  }

  absl::StatusOr<std::vector<RunRow>> ListRuns(const std::string& project,
                                               const std::string& before_run_id,
                                               size_t most) override {
    MutexLock lock(&mu_);
    std::vector<RunRow> rows;
    auto it = before_run_id.empty() ? runs_.end() : runs_.lower_bound(before_run_id);
    while (it != runs_.begin() && rows.size() < most) {
      --it;
      if (it->second.row.run.project() == project) rows.push_back(it->second.row);
    }
    return rows;
  }

  absl::StatusOr<std::vector<ResultRow>> LoadResults(const std::string& run_id, uint32_t first,
                                                     uint32_t count) override {
    MutexLock lock(&mu_);
    const MemoryRun* run = Find(run_id);
    if (run == nullptr) return std::vector<ResultRow>();
    return run->results.Load(run_id, first, count);
  }

  absl::StatusOr<v1::Evidence> GetEvidence(const std::string& run_id, uint32_t execution,
                                           uint32_t attempt) override {
    MutexLock lock(&mu_);
    const MemoryRun* run = Find(run_id);
    if (run != nullptr) {
      const auto ref = run->evidence.find({execution, attempt});
      if (ref != run->evidence.end()) {
        v1::Evidence evidence;
        if (!evidence.ParseFromString(run->evidence_bytes.at(ref->second))) {
          return absl::DataLossError(absl::StrCat("the evidence of execution ", execution,
                                                  " of run ", run_id, " cannot be read"));
        }
        return evidence;
      }
    }
    return absl::NotFoundError(absl::StrCat("no evidence is kept of attempt ", attempt,
                                            " of execution ", execution, " of run ", run_id));
  }

  absl::StatusOr<std::vector<HistoryRow>> LoadHistory(const std::string& project,
                                                      const DurationKey& key,
                                                      const std::string& baseline,
                                                      size_t most) override {
    MutexLock lock(&mu_);
    const auto it = history_.find({project, key.suite, key.test_id, key.location, baseline});
    if (it == history_.end()) return std::vector<HistoryRow>();
    const auto newest = it->second.rbegin();
    most = std::min(most, it->second.size());
    return std::vector<HistoryRow>(newest, newest + static_cast<ptrdiff_t>(most));
  }

  void KeepOutbox(std::vector<std::string> targets) override {
    MutexLock lock(&mu_);
    outbox_.Keep(std::move(targets));
  }

  absl::StatusOr<std::vector<OutboxView>> ViewOutbox() override {
    MutexLock lock(&mu_);
    return outbox_.View(WholeMicros(clock_->TimeNow()));
  }

  absl::StatusOr<std::vector<OutboxRow>> ClaimOutbox(const std::string& target,
                                                     absl::Duration hold, size_t most) override {
    MutexLock lock(&mu_);
    return outbox_.Claim(target, WholeMicros(clock_->TimeNow()), hold, most);
  }

  absl::Status SettleOutbox(const std::vector<OutboxEnd>& ends) override {
    MutexLock lock(&mu_);
    outbox_.Settle(ends, WholeMicros(clock_->TimeNow()));
    return absl::OkStatus();
  }

  absl::StatusOr<size_t> Prune(size_t keep_runs, absl::Time results_before, size_t most) override {
    MutexLock lock(&mu_);
    size_t gone = 0;
    size_t sealed = 0;
    std::vector<std::string> runs_to_go;
    for (auto it = runs_.rbegin(); it != runs_.rend(); ++it) {
      if (!it->second.sealed()) continue;
      ++sealed;
      if (keep_runs != 0 && sealed > keep_runs) {
        runs_to_go.push_back(it->first);
      } else if (gone < most && it->second.results.size() > 0 &&
                 SealTime(it->second) < results_before) {
        gone += it->second.results.size();
        it->second.results.Clear();
        it->second.evidence.clear();
        it->second.evidence_bytes.clear();
      }
    }
    while (gone < most && !runs_to_go.empty()) {
      gone += 1 + Find(runs_to_go.back())->results.size();
      Forget(runs_to_go.back());
      runs_to_go.pop_back();
    }
    outbox_.ForgetOld(clock_->TimeNow());
    agents_.ForgetGone(clock_->TimeNow() - DefaultStoreLimits().gone_agents_kept);
    return gone;
  }

  // Nobody else writes here.
  void OnHint(absl::AnyInvocable<void()>) override {}
  bool Exclusive() const override { return true; }

 private:
  MemoryRun* Find(const std::string& run_id) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    const auto it = runs_.find(run_id);
    return it == runs_.end() ? nullptr : &it->second;
  }

  static absl::Time SealTime(const MemoryRun& run) {
    return absl::FromUnixSeconds(run.row.run.seal_time().seconds()) +
           absl::Nanoseconds(run.row.run.seal_time().nanos());
  }

  void Forget(const std::string& run_id) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    MemoryRun& run = runs_.at(run_id);
    requests_.erase({run.row.run.project(), run.row.request_id});
    for (const std::string& digest : run.blobs) {
      const auto it = blobs_.find(digest);
      if (--it->second.runs == 0) blobs_.erase(it);
    }
    runs_.erase(run_id);
  }

  void Seal(MemoryRun& run, v1::EndCause::Value cause, absl::Time now)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    std::vector<std::pair<uint32_t, std::vector<EndByte>>> before;
    if (run.row.undecided > 0) {
      for (const ShardRow& shard : run.shards) before.emplace_back(shard.epoch, shard.ends);
    }
    const HistoryKept kept = SealRun(run.tests, cause, now, run.shards, run.row);
    for (HistoryRow& row : std::exchange(run.history, {})) {
      if (kept == HistoryKept::kNone || (kept != HistoryKept::kAll && !row.learning)) continue;
      Keep(std::move(row));
    }
    for (size_t i = 0; i < before.size(); ++i) {
      ShardRow& shard = run.shards[i];
      if (shard.epoch != before[i].first || shard.ends != before[i].second) ++shard.rev;
    }
    for (auto& [key, lease] : run.leases) lease.ended = true;
    outbox_.Insert(run.row.run, now);
  }

  void Append(MemoryRun& run, const ResultRow& row) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    if (row.late && !run.budget.TakeLateResult()) return;
    run.results.Append(row);
    for (const ResultRow::EvidenceRow& evidence : row.evidence) {
      if (!run.budget.TakeEvidence(evidence.bytes.size())) continue;
      run.evidence.try_emplace({row.execution, evidence.attempt}, evidence.digest);
      run.evidence_bytes.try_emplace(evidence.digest, evidence.bytes);
    }
  }

  Outcome Apply(const AdmitRun& admit, absl::Time now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    Outcome outcome;
    const std::string& run_id = admit.run.run.run_id();
    const auto [request, fresh] =
        requests_.try_emplace({admit.run.run.project(), admit.run.request_id}, run_id);
    if (!fresh) {
      outcome.run.push_back(Find(request->second)->row);
      return outcome;
    }
    MemoryRun& run = runs_[run_id];
    run.row = admit.run;
    run.tests = admit.tests;
    run.shards = admit.shards;
    for (const TestRow& test : run.tests) {
      run.blocking.Add(test.first_execution, test.test.blocking());
    }
    for (const v1::Blob& blob : admit.blobs) {
      SharedBlob& shared = blobs_[blob.sha256()];
      if (shared.runs++ == 0) shared.blob = blob;
      run.blobs.push_back(blob.sha256());
    }
    outcome.committed = true;
    if (run.sealed()) outbox_.Insert(run.row.run, now);
    if (run.row.undecided == 0 && !run.sealed()) Seal(run, v1::EndCause::COMPLETE, now);
    if (run.sealed()) outcome.sealed.push_back(run.row);
    return outcome;
  }

  Outcome Apply(const WriteShard& write, absl::Time now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    Outcome outcome;
    MemoryRun* run = Find(write.shard.run_id);
    if (run == nullptr || write.shard.shard >= run->shards.size()) return outcome;
    ShardRow& stored = run->shards[write.shard.shard];
    if (!MayWriteShard(write.shard, stored, run->row)) {
      outcome.shard.push_back(stored);
      outcome.run.push_back(run->row);
      return outcome;
    }
    outcome.committed = true;
    WriteShardOver(write.shard, run->blocking, stored, run->row);
    for (const LeaseRow& lease : write.grant) run->leases[{lease.shard, lease.epoch}] = lease;
    for (const uint32_t epoch : write.end_epochs) {
      const auto it = run->leases.find({write.shard.shard, epoch});
      if (it != run->leases.end()) it->second.ended = true;
    }
    for (const ResultRow& row : write.results) Append(*run, row);
    for (const HistoryRow& row : write.history) Remember(*run, row);
    StartRun(write, now, run->row);
    if (run->row.undecided == 0) {
      Seal(*run, v1::EndCause::COMPLETE, now);
      outcome.sealed.push_back(run->row);
    }
    return outcome;
  }

  // Its duration counts at once; the measurement waits for the run's verdict.
  void Remember(MemoryRun& run, const HistoryRow& row) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    run.history.push_back(row);
    uint32_t& us = expected_[{row.project, row.suite, row.test_id, row.location}];
    us = FoldDuration(us, row.total_us);
  }

  void Keep(HistoryRow row) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    auto& rows = history_[{row.project, row.suite, row.test_id, row.location, row.baseline}];
    rows.push_back(std::move(row));
    if (rows.size() > DefaultStoreLimits().history_per_key) rows.pop_front();
  }

  Outcome Apply(const AppendResults& append, absl::Time) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    for (const ResultRow& row : append.results) {
      MemoryRun* run = Find(row.run_id);
      if (run != nullptr) Append(*run, row);
    }
    Outcome outcome;
    outcome.committed = true;
    return outcome;
  }

  Outcome Apply(const EndRun& end, absl::Time now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    Outcome outcome;
    MemoryRun* run = Find(end.run_id);
    if (run == nullptr) return outcome;
    if (run->sealed()) {
      outcome.run.push_back(run->row);
      return outcome;
    }
    Seal(*run, end.cause, now);
    outcome.committed = true;
    outcome.sealed.push_back(run->row);
    return outcome;
  }

  Outcome Apply(const PutAgent& put, absl::Time now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return agents_.Apply(put, now);
  }
  Outcome Apply(const CloseAgent& close, absl::Time) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return agents_.Apply(close);
  }
  Outcome Apply(const ExpireAgent& expire, absl::Time) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return agents_.Apply(expire);
  }
  Outcome Apply(const RenewAgents& renew, absl::Time now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return agents_.Apply(renew, now);
  }

  Clock* const clock_;
  Mutex mu_;
  std::map<std::string, MemoryRun> runs_ ABSL_GUARDED_BY(mu_);
  std::map<std::pair<std::string, std::string>, std::string> requests_ ABSL_GUARDED_BY(mu_);
  MemoryAgents agents_ ABSL_GUARDED_BY(mu_);
  MemoryOutbox outbox_ ABSL_GUARDED_BY(mu_);
  absl::flat_hash_map<std::string, SharedBlob> blobs_ ABSL_GUARDED_BY(mu_);
  std::map<std::tuple<std::string, std::string, std::string, std::string, std::string>,
           std::deque<HistoryRow>>
      history_ ABSL_GUARDED_BY(mu_);
  std::map<std::tuple<std::string, std::string, std::string, std::string>, uint32_t> expected_
      ABSL_GUARDED_BY(mu_);
};

}  // namespace

std::unique_ptr<Store> MakeMemoryStore(Clock* clock) {
  return std::make_unique<MemoryStore>(clock);
}

}  // namespace picket
