#include "coordinator/app/coordinator.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/ids.h"
#include "common/base/status_macros.h"
#include "coordinator/app/coordinator_impl.h"
#include "coordinator/app/page_token.h"

namespace picket {
namespace {

absl::Status Busy() {
  return absl::UnavailableError("the coordinator is stopping or has too much to do; try again");
}

}  // namespace

std::unique_ptr<Coordinator> Coordinator::Start(CoordinatorOptions options, Store* store,
                                                Clock* clock, Metrics* metrics) {
  if (options.id.empty()) {
    Random random = Random::FromSystem();
    options.id = NewUuid(random);
  }
  return std::make_unique<CoordinatorImpl>(std::move(options), store, clock, metrics);
}

bool CoordinatorImpl::Read(absl::AnyInvocable<void()> job) {
  return readers_->Submit(std::move(job));
}

bool CoordinatorImpl::Ready() { return loaded_ && write_ok_ && read_ok_; }

std::string CoordinatorImpl::ProbesText() { return probes_.Text(StoreNow()); }

void CoordinatorImpl::GetRun(v1::GetRunRequest request, Callback<v1::Run> done) {
  auto shared = std::make_shared<Callback<v1::Run>>(std::move(done));
  const bool posted = PostJob([this, request = std::move(request), shared] {
    if (const RunState* run = core_->FindRun(request.run_id()); run != nullptr) {
      (*shared)(core_->View(*run).run);
      return;
    }
    if (!Read([this, request, shared] {
          absl::StatusOr<RunRow> row = store_->GetRun(request.run_id());
          if (row.ok()) {
            (*shared)(std::move(row->run));
          } else {
            (*shared)(row.status());
          }
        })) {
      (*shared)(Busy());
    }
  });
  if (!posted) (*shared)(Busy());
}

void CoordinatorImpl::ListRuns(v1::ListRunsRequest request, Callback<v1::ListRunsResponse> done) {
  auto shared = std::make_shared<Callback<v1::ListRunsResponse>>(std::move(done));
  const bool submitted = Read([this, request = std::move(request), shared] {
    const absl::StatusOr<size_t> most = ReadPageSize(request.page_size());
    const absl::StatusOr<std::string> before = ReadPageToken("runs", request.page_token());
    if (!most.ok() || !before.ok()) {
      (*shared)(most.ok() ? before.status() : most.status());
      return;
    }
    const std::string project = request.project().empty() ? "default" : request.project();
    absl::StatusOr<std::vector<RunRow>> rows = store_->ListRuns(project, *before, *most + 1);
    if (!rows.ok()) {
      (*shared)(rows.status());
      return;
    }
    v1::ListRunsResponse response;
    if (rows->size() > *most) {
      rows->resize(*most);
      response.set_next_page_token(MakePageToken("runs", rows->back().run.run_id()));
    }
    for (RunRow& row : *rows) *response.add_runs() = std::move(row.run);
    // The ledgers of active runs are in the loop's memory.
    const bool posted = PostJob([this, response, shared]() mutable {
      for (v1::Run& run : *response.mutable_runs()) {
        const RunState* active = core_->FindRun(run.run_id());
        if (active != nullptr) run = core_->View(*active).run;
      }
      (*shared)(std::move(response));
    });
    if (!posted) (*shared)(Busy());
  });
  if (!submitted) (*shared)(Busy());
}

void CoordinatorImpl::CancelRun(v1::CancelRunRequest request, Callback<v1::Run> done) {
  auto shared = std::make_shared<Callback<v1::Run>>(std::move(done));
  const bool posted = PostJob([this, request = std::move(request), shared] {
    if (!Ready()) {
      (*shared)(absl::UnavailableError("the store does not answer; try again"));
      return;
    }
    const TokenId token = Wait([shared](Answer answer) {
      if (answer.status.ok() && answer.run.has_value()) {
        (*shared)(std::move(answer.run->run));
      } else {
        (*shared)(answer.status);
      }
    });
    Tell(core_->Apply(StoreNow(), event::Cancel{.token = token, .run_id = request.run_id()}));
  });
  if (!posted) (*shared)(Busy());
}

void CoordinatorImpl::ListExecutions(v1::ListExecutionsRequest request,
                                     Callback<v1::ListExecutionsResponse> done) {
  auto shared = std::make_shared<Callback<v1::ListExecutionsResponse>>(std::move(done));
  const bool posted = PostJob([this, request = std::move(request), shared] {
    const RunState* run = core_->FindRun(request.run_id());
    std::shared_ptr<const RunPlan> plan = run == nullptr ? nullptr : run->plan();
    if (!Read([this, request, plan = std::move(plan), shared] {
          (*shared)(queries_.ListExecutions(request, plan));
        })) {
      (*shared)(Busy());
    }
  });
  if (!posted) (*shared)(Busy());
}

void CoordinatorImpl::GetEvidence(v1::GetEvidenceRequest request, Callback<v1::Evidence> done) {
  auto shared = std::make_shared<Callback<v1::Evidence>>(std::move(done));
  const bool submitted = Read([this, request = std::move(request), shared] {
    (*shared)(store_->GetEvidence(request.run_id(), request.execution(), request.attempt()));
  });
  if (!submitted) (*shared)(Busy());
}

void CoordinatorImpl::GetDefinition(v1::GetDefinitionRequest request,
                                    Callback<v1::Definition> done) {
  auto shared = std::make_shared<Callback<v1::Definition>>(std::move(done));
  const bool posted = PostJob([this, request = std::move(request), shared] {
    const RunState* run = core_->FindRun(request.run_id());
    std::shared_ptr<const RunPlan> plan = run == nullptr ? nullptr : run->plan();
    if (!Read([this, request, plan = std::move(plan), shared] {
          (*shared)(queries_.Definition(request, plan));
        })) {
      (*shared)(Busy());
    }
  });
  if (!posted) (*shared)(Busy());
}

void CoordinatorImpl::ListAgents(v1::ListAgentsRequest request,
                                 Callback<v1::ListAgentsResponse> done) {
  auto shared = std::make_shared<Callback<v1::ListAgentsResponse>>(std::move(done));
  const bool posted = PostJob([this, request = std::move(request), shared] {
    const absl::StatusOr<size_t> most = ReadPageSize(request.page_size());
    const absl::StatusOr<uint32_t> first = ReadNumberToken("agents", request.page_token());
    if (!most.ok() || !first.ok()) {
      (*shared)(most.ok() ? first.status() : most.status());
      return;
    }
    std::vector<v1::Agent> agents = core_->Agents();
    v1::ListAgentsResponse response;
    size_t next = *first;
    for (; next < agents.size() && next < *first + *most; ++next) {
      *response.add_agents() = std::move(agents[next]);
    }
    if (next < agents.size()) {
      response.set_next_page_token(MakePageToken("agents", absl::StrCat(next)));
    }
    (*shared)(std::move(response));
  });
  if (!posted) (*shared)(Busy());
}

void CoordinatorImpl::DrainAgent(v1::DrainAgentRequest request, Callback<v1::Agent> done) {
  auto shared = std::make_shared<Callback<v1::Agent>>(std::move(done));
  const bool posted = PostJob([this, request = std::move(request), shared] {
    const TokenId token = Wait([shared](Answer answer) {
      if (answer.status.ok() && answer.agent.has_value()) {
        (*shared)(std::move(answer.agent->agent));
      } else {
        (*shared)(answer.status);
      }
    });
    Tell(core_->Apply(StoreNow(), event::Drain{.token = token, .agent = request.agent()}));
  });
  if (!posted) (*shared)(Busy());
}

Coordinator::WatchId CoordinatorImpl::WatchRun(
    v1::WatchRunRequest request, absl::AnyInvocable<void(const v1::WatchRunResponse&)> update,
    absl::AnyInvocable<void(absl::Status)> end) {
  const bool room = watches_.size() < limits_.watches;
  const WatchId id = watches_.Add(request.run_id(), std::move(update), std::move(end));
  const bool posted = room && PostJob([this, id, run_id = request.run_id()] { Attach(id, run_id); });
  if (!posted) watches_.Finish(id, Busy());
  return id;
}

void CoordinatorImpl::Unwatch(WatchId id) { watches_.Remove(id); }

Coordinator::PeerId CoordinatorImpl::AgentOpened(std::shared_ptr<AgentPeer> peer) {
  const PeerId id = next_peer_++;
  {
    MutexLock lock(&peers_mu_);
    peers_[id] = peer;
  }
  if (!mailbox_.Post(Event(event::PeerOpened{.peer = id}))) peer->Close(Busy());
  return id;
}

void CoordinatorImpl::AgentSent(PeerId id, v1::AgentMessage message) {
  size_t bytes = 256;
  for (const v1::LeaseResults& results : message.results().results()) {
    bytes += static_cast<size_t>(results.results_size()) * 512;
  }
  if (mailbox_.Post(Event(event::PeerSent{.peer = id, .message = std::move(message)}), bytes)) return;
  std::shared_ptr<AgentPeer> peer;
  {
    MutexLock lock(&peers_mu_);
    const auto it = peers_.find(id);
    if (it != peers_.end()) peer = it->second;
  }
  if (peer != nullptr) peer->Close(Busy());
}

void CoordinatorImpl::AgentClosed(PeerId id) {
  {
    MutexLock lock(&peers_mu_);
    peers_.erase(id);
  }
  mailbox_.PostAlways(Event(event::PeerClosed{.peer = id}));
}

}  // namespace picket
