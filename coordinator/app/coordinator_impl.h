// File: coordinator_impl.h
//
// The loop behind the façade: in which order things happen. It drains the mailbox,
// asks the core, commits, and only then tells.
//
// Thread rule: the methods of Coordinator are safe to call from any thread; the rest
// runs on the thread that each section names.

#ifndef COORDINATOR_APP_COORDINATOR_IMPL_H_
#define COORDINATOR_APP_COORDINATOR_IMPL_H_

#include <atomic>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "common/base/backoff.h"
#include "common/base/random.h"
#include "coordinator/app/coordinator.h"
#include "coordinator/app/coordinator_metrics.h"
#include "coordinator/app/limits.h"
#include "coordinator/app/mailbox.h"
#include "coordinator/app/probes.h"
#include "coordinator/app/queries.h"
#include "coordinator/app/reader_pool.h"
#include "coordinator/app/store_thread.h"
#include "coordinator/app/watches.h"
#include "coordinator/core/core.h"

namespace picket {

class CoordinatorImpl final : public Coordinator {
 public:
  CoordinatorImpl(CoordinatorOptions options, Store* store, Clock* clock, Metrics* metrics);
  ~CoordinatorImpl() override;

  void CreateRun(v1::CreateRunRequest request, Callback<v1::CreateRunResponse> done) override;
  void EstimateRun(v1::EstimateRunRequest request, Callback<v1::PlanEstimate> done) override;
  void GetRun(v1::GetRunRequest request, Callback<v1::Run> done) override;
  void ListRuns(v1::ListRunsRequest request, Callback<v1::ListRunsResponse> done) override;
  void CancelRun(v1::CancelRunRequest request, Callback<v1::Run> done) override;
  void ListExecutions(v1::ListExecutionsRequest request,
                      Callback<v1::ListExecutionsResponse> done) override;
  void GetEvidence(v1::GetEvidenceRequest request, Callback<v1::Evidence> done) override;
  void GetDefinition(v1::GetDefinitionRequest request, Callback<v1::Definition> done) override;
  void ListAgents(v1::ListAgentsRequest request, Callback<v1::ListAgentsResponse> done) override;
  void DrainAgent(v1::DrainAgentRequest request, Callback<v1::Agent> done) override;
  WatchId WatchRun(v1::WatchRunRequest request,
                   absl::AnyInvocable<void(const v1::WatchRunResponse&)> update,
                   absl::AnyInvocable<void(absl::Status)> end) override;
  void Unwatch(WatchId id) override;
  PeerId AgentOpened(std::shared_ptr<AgentPeer> peer) override;
  void AgentSent(PeerId id, v1::AgentMessage message) override;
  void AgentClosed(PeerId id) override;
  bool Ready() override;
  std::string ProbesText() override;

 private:
  // A question to the core that waits for its answer.
  using Waiter = absl::AnyInvocable<void(Answer)>;
  // What is known of a run's failures here.
  struct Failures {
    std::vector<v1::Execution> first;  // at most Limits::watch_failures
    // Other attempts of theirs, or ends elsewhere, belong to what is told of them at the end.
    bool partial = false;
    bool loading = false;
    absl::Duration loaded = -absl::InfiniteDuration();
  };
  // What a poll starts from.
  struct PollRequest {
    uint64_t generation = 0;
    std::map<std::string, std::vector<uint64_t>> known;  // run -> revs
    std::set<std::string> reload;
    bool agents = true;
  };

  // ---- loop.cc: on the loop ----
  void Run();
  void Handle(Mailbox::Mail mail);
  void Tell(Effects effects);
  void TellSealed(SealedRun& sealed);
  void KeepResults(const StoredResults& stored);
  void OnCommit(StoreThread::Done done);
  void MaybeCommit();
  void MaybeSnapshot();
  void MaybePrune();
  absl::Duration TimeToWait();
  absl::Time StoreNow() const;
  TokenId Wait(Waiter waiter);
  void Shutdown();

  // ---- watching.cc: on the loop ----
  void Attach(WatchId id, const std::string& run_id);
  v1::WatchRunResponse StateOf(const RunState& run);
  void FlushWatches();
  void LoadFailures(const std::string& run_id);
  void ReadFinalState(WatchId id, const std::string& run_id);
  void ReadSealedState(SealedRun sealed);

  // ---- polling.cc ----
  void MaybePoll();                        // on the loop
  void Poll(PollRequest request);          // on a reader
  absl::Status PollStore(const PollRequest& request);
  absl::Status LoadRun(const RunRow& row);
  void Lookup(const v1::LeaseId& id);      // on the loop

  // ---- creating.cc: on a reader ----
  absl::StatusOr<RunPlanned> Plan(v1::CreateRunRequest request, Fleet fleet, absl::Time now);
  void PlanAndAdmit(v1::CreateRunRequest request, Fleet fleet, absl::Time now,
                    Callback<v1::CreateRunResponse> done);

  // Runs `job` on a reader; false when there is no room.
  bool Read(absl::AnyInvocable<void()> job);
  // Posts a job to the loop; false when it takes none.
  bool PostJob(Mailbox::Job job) { return mailbox_.Post(Mailbox::Mail(std::move(job))); }

  const CoordinatorOptions options_;
  Store* const store_;
  Clock* const clock_;
  const AppLimits& limits_ = DefaultAppLimits();

  Mailbox mailbox_;
  Watches watches_;
  Probes probes_;
  CoordinatorMetrics metrics_;
  Queries queries_;
  std::atomic<bool> loaded_ = false;    // the active runs are in memory
  std::atomic<bool> write_ok_ = true;   // the last commit went well
  std::atomic<bool> read_ok_ = true;    // the last poll went well
  std::atomic<PeerId> next_peer_ = 1;
  std::atomic<int64_t> store_offset_us_ = 0;  // store's clock minus our monotonic one
  std::atomic<bool> hinted_ = false;

  Mutex peers_mu_;
  absl::flat_hash_map<PeerId, std::shared_ptr<AgentPeer>> peers_ ABSL_GUARDED_BY(peers_mu_);

  // The loop's own.
  std::unique_ptr<Core> core_;
  Random random_ = Random::FromSystem();
  Backoff backoff_;
  bool store_busy_ = false;
  absl::Duration commit_not_before_ = -absl::InfiniteDuration();
  TokenId next_token_ = 1;
  absl::flat_hash_map<TokenId, Waiter> waiters_;
  std::map<std::string, Failures> failures_;
  // Watches of runs that this coordinator has not heard of yet.
  std::map<WatchId, std::string> unattached_;
  std::vector<v1::LeaseId> failed_lookups_;  // to be tried again
  bool stopping_ = false;
  bool polling_ = false;
  uint64_t poll_wanted_ = 0;
  std::set<std::string> reload_;
  absl::Duration polled_ = -absl::InfiniteDuration();
  absl::Duration poll_not_before_ = -absl::InfiniteDuration();
  absl::Duration snapped_ = -absl::InfiniteDuration();
  absl::Duration pruned_;
  bool pruning_ = false;

  // Last: their threads use what is above.
  std::unique_ptr<ReaderPool> readers_;
  std::unique_ptr<StoreThread> committer_;
  std::thread loop_;
};

}  // namespace picket

#endif  // COORDINATOR_APP_COORDINATOR_IMPL_H_
