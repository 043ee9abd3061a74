// Following what others write: at the start, every poll interval while others may, and
// when the core asks.

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/log.h"
#include "common/base/status_macros.h"
#include "coordinator/app/coordinator_impl.h"

namespace picket {

void CoordinatorImpl::MaybePoll() {
  if (polling_) return;
  const absl::Duration now = clock_->Monotonic();
  const bool due = (!store_->Exclusive() || !loaded_) && now - polled_ >= options_.poll_interval;
  const bool hinted = hinted_.exchange(false);
  if (!due && !hinted && poll_wanted_ == 0 && reload_.empty()) return;
  if (!loaded_ && now - polled_ < options_.poll_interval) return;
  if (now < poll_not_before_) return;
  PollRequest request;
  request.generation = std::exchange(poll_wanted_, 0);
  request.reload = std::exchange(reload_, {});
  for (const std::string& id : core_->ActiveRuns()) request.known[id] = core_->KnownRevs(id);
  polling_ = true;
  polled_ = now;
  if (!Read([this, request = std::move(request)]() mutable { Poll(std::move(request)); })) {
    polling_ = false;
  }
}

// On a reader.
void CoordinatorImpl::Poll(PollRequest request) {
  const absl::Status status = PollStore(request);
  if (!status.ok() && read_ok_) {
    Log(LogLevel::kWarning, "the store cannot be read", {{"status", status.ToString()}});
  }
  mailbox_.PostAlways(Mailbox::Job([this, request = std::move(request), status] {
    polling_ = false;
    if (!status.ok()) {
      read_ok_ = false;
      poll_not_before_ = clock_->Monotonic() + options_.poll_interval;
      poll_wanted_ = std::max(poll_wanted_, request.generation);
      reload_.insert(request.reload.begin(), request.reload.end());
      return;
    }
    if (!read_ok_) Log(LogLevel::kInfo, "the store can be read again");
    read_ok_ = true;
    loaded_ = true;
    if (request.generation != 0) {
      Tell(core_->Apply(StoreNow(), event::Polled{.generation = request.generation}));
    }
  }));
}

absl::Status CoordinatorImpl::LoadRun(const RunRow& row) {
  const std::string& id = row.run.run_id();
  ABSL_ASSIGN_OR_RETURN(const std::vector<TestRow> tests, store_->LoadTests(id, DataRows::kLoad));
  std::set<std::string> digests;
  for (const TestRow& test : tests) {
    for (const v1::FileRef& file : test.test.files()) digests.insert(file.sha256());
  }
  std::vector<v1::Blob> blobs;
  if (!digests.empty()) {
    ABSL_ASSIGN_OR_RETURN(
        blobs, store_->LoadBlobs(std::vector<std::string>(digests.begin(), digests.end())));
  }
  event::RunLoaded loaded;
  loaded.run = row;
  loaded.plan = MakeRunPlan(row, tests, std::move(blobs));
  ABSL_ASSIGN_OR_RETURN(loaded.shards, store_->LoadShards(id));
  ABSL_ASSIGN_OR_RETURN(loaded.leases, store_->LoadLeases(id));
  mailbox_.PostAlways(Event(std::move(loaded)));
  return absl::OkStatus();
}

absl::Status CoordinatorImpl::PollStore(const PollRequest& request) {
  // Agents first: a run's leases are then never older than what is known of their agents.
  if (request.agents) {
    ABSL_ASSIGN_OR_RETURN(std::vector<AgentRow> agents, store_->LoadAgents());
    mailbox_.PostAlways(Event(event::AgentsLoaded{.agents = std::move(agents)}));
  }
  ABSL_ASSIGN_OR_RETURN(const std::vector<RunRow> active, store_->ListActiveRuns());
  std::set<std::string> seen;
  for (const RunRow& row : active) {
    const std::string& id = row.run.run_id();
    seen.insert(id);
    const auto known = request.known.find(id);
    if (known == request.known.end()) {
      ABSL_RETURN_IF_ERROR(LoadRun(row));
      continue;
    }
    event::ShardsLoaded loaded{
        .run_id = id, .known = known->second, .shards = {}, .leases = {}};
    ABSL_ASSIGN_OR_RETURN(loaded.shards,
                          store_->LoadChangedShards(id, known->second, limits_.poll_shards));
    if (loaded.shards.empty() && !request.reload.contains(id)) continue;
    ABSL_ASSIGN_OR_RETURN(loaded.leases, store_->LoadLeases(id));
    mailbox_.PostAlways(Event(std::move(loaded)));
  }
  for (const auto& [id, revs] : request.known) {
    if (seen.contains(id)) continue;
    absl::StatusOr<RunRow> row = store_->GetRun(id);
    event::RunGone gone{.run_id = id, .run = std::nullopt};
    if (row.ok()) {
      if (row->run.state() != v1::Run::SEALED) continue;
      gone.run = *std::move(row);
    } else if (!absl::IsNotFound(row.status())) {
      return row.status();
    }
    mailbox_.PostAlways(Event(std::move(gone)));
  }
  return absl::OkStatus();
}

void CoordinatorImpl::Lookup(const v1::LeaseId& id) {
  const bool submitted = Read([this, id] {
    absl::StatusOr<std::optional<LeaseRow>> lease =
        store_->FindLease(id.run_id(), id.shard(), id.epoch());
    mailbox_.PostAlways(Mailbox::Job([this, id, lease = std::move(lease)]() mutable {
      if (!lease.ok()) {
        failed_lookups_.push_back(id);
        return;
      }
      Tell(core_->Apply(StoreNow(), event::LeaseFound{.id = id, .lease = *std::move(lease)}));
    }));
  });
  if (!submitted) failed_lookups_.push_back(id);
}

}  // namespace picket
