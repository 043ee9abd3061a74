// The loop: drain the mailbox, ask the core, commit, and only then tell.

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/log.h"
#include "coordinator/app/coordinator_impl.h"

namespace picket {

CoordinatorImpl::CoordinatorImpl(CoordinatorOptions options, Store* store, Clock* clock,
                                 Metrics* metrics)
    : options_(std::move(options)),
      store_(store),
      clock_(clock),
      mailbox_(limits_.mailbox_messages, limits_.mailbox_bytes),
      probes_(limits_.probe_series, limits_.probe_age),
      metrics_(metrics),
      queries_(store),
      pruned_(clock->Monotonic() + limits_.first_prune - limits_.prune_interval),
      readers_(std::make_unique<ReaderPool>(limits_.readers, limits_.reader_queue)) {
  // What is active is loaded before anybody is served; when the store does not answer,
  // the loop goes on trying.
  const absl::StatusOr<absl::Time> now = store_->Now();
  const absl::Time start = now.ok() ? *now : clock_->TimeNow();
  store_offset_us_ = absl::ToUnixMicros(start) - absl::ToInt64Microseconds(clock_->Monotonic());
  core_ = std::make_unique<Core>(CoreOptions{.coordinator = options_.id,
                                             .heartbeat_interval = options_.heartbeat_interval,
                                             .lease_time = options_.lease_time,
                                             .agent_grace = options_.agent_grace,
                                             .exclusive = store_->Exclusive()},
                                 start);
  committer_ = std::make_unique<StoreThread>(store_, clock_, [this](StoreThread::Done done) {
    auto shared = std::make_shared<StoreThread::Done>(std::move(done));
    mailbox_.PostAlways(Mailbox::Job([this, shared] { OnCommit(std::move(*shared)); }));
  });
  Poll(PollRequest{});
  store_->OnHint([this] {
    hinted_ = true;
    mailbox_.PostAlways(Mailbox::Job([] {}));
  });
  loop_ = std::thread([this] { Run(); });
}

CoordinatorImpl::~CoordinatorImpl() {
  store_->OnHint([] {});
  mailbox_.PostAlways(Mailbox::Job([this] { stopping_ = true; }));
  loop_.join();
  readers_.reset();    // jobs that still run find a closed mailbox
  committer_.reset();
}

absl::Time CoordinatorImpl::StoreNow() const {
  return absl::FromUnixMicros(store_offset_us_ +
                              absl::ToInt64Microseconds(clock_->Monotonic()));
}

TokenId CoordinatorImpl::Wait(Waiter waiter) {
  const TokenId token = next_token_++;
  waiters_.emplace(token, std::move(waiter));
  return token;
}

void CoordinatorImpl::Run() {
  while (!stopping_) {
    std::vector<Mailbox::Mail> mails = mailbox_.Take(TimeToWait());
    for (Mailbox::Mail& mail : mails) Handle(std::move(mail));
    mails.clear();
    if (StoreNow() >= core_->NextDeadline()) Tell(core_->Apply(StoreNow(), event::Tick{}));
    MaybeCommit();
    MaybePoll();
    FlushWatches();
    MaybeSnapshot();
    MaybePrune();
  }
  Shutdown();
}

absl::Duration CoordinatorImpl::TimeToWait() {
  const absl::Duration now = clock_->Monotonic();
  absl::Duration wait = std::min(absl::Seconds(1), core_->NextDeadline() - StoreNow());
  wait = std::min(wait, watches_.NextDue(limits_.watch_interval) - now);
  if (!store_busy_ && commit_not_before_ > now) wait = std::min(wait, commit_not_before_ - now);
  if (!store_->Exclusive() || !loaded_) {
    wait = std::min(wait, polled_ + options_.poll_interval - now);
  }
  if (poll_wanted_ != 0 || !reload_.empty()) {
    wait = std::min(wait, polling_ ? absl::Seconds(1)
                                   : std::max(absl::Milliseconds(1), poll_not_before_ - now));
  }
  if (!unattached_.empty()) wait = std::min(wait, options_.poll_interval);
  return std::max(wait, absl::ZeroDuration());
}

void CoordinatorImpl::Handle(Mailbox::Mail mail) {
  if (auto* event = std::get_if<Event>(&mail)) {
    Tell(core_->Apply(StoreNow(), std::move(*event)));
  } else {
    std::get<Mailbox::Job>(mail)();
  }
}

void CoordinatorImpl::MaybeCommit() {
  if (!loaded_ || store_busy_ || clock_->Monotonic() < commit_not_before_) return;
  Effects effects = core_->Apply(StoreNow(), event::StoreIdle{});
  std::vector<Proposal> proposals = std::move(effects.proposals);
  effects.proposals.clear();
  Tell(std::move(effects));
  if (proposals.empty()) return;
  size_t results = 0;
  for (const Proposal& proposal : proposals) {
    const auto* write = std::get_if<WriteShard>(&proposal);
    if (write != nullptr) results += write->results.size();
  }
  if (results >= limits_.commit_pace_results) {
    commit_not_before_ = clock_->Monotonic() + limits_.commit_pace;
  }
  store_busy_ = true;
  committer_->Commit(std::move(proposals));
}

void CoordinatorImpl::OnCommit(StoreThread::Done done) {
  store_busy_ = false;
  metrics_.CountCommit(done.finished - done.started, done.result.ok(), done.proposals.size());
  if (!done.result.ok()) {
    write_ok_ = false;
    const absl::Duration wait = backoff_.Next(random_);
    commit_not_before_ = clock_->Monotonic() + wait;
    Log(LogLevel::kError, "the store cannot be written; nothing is acknowledged",
        {{"status", done.result.status().ToString()},
         {"retry_in", absl::FormatDuration(wait)}});
    Tell(core_->Apply(StoreNow(), event::StoreFailed{.proposals = std::move(done.proposals)}));
    return;
  }
  if (!write_ok_) Log(LogLevel::kInfo, "the store can be written again");
  write_ok_ = true;
  backoff_.Reset();
  store_offset_us_ =
      absl::ToUnixMicros(done.result->now) - absl::ToInt64Microseconds(done.started);
  Tell(core_->Apply(StoreNow(), event::Committed{.proposals = std::move(done.proposals),
                                                 .outcomes = std::move(done.result->outcomes)}));
}

void CoordinatorImpl::Tell(Effects effects) {
  for (Send& send : effects.sends) {
    std::shared_ptr<AgentPeer> peer;
    {
      MutexLock lock(&peers_mu_);
      const auto it = peers_.find(send.peer);
      if (it != peers_.end()) peer = it->second;
    }
    if (peer != nullptr) peer->Send(std::move(send.message));
  }
  for (ClosePeer& close : effects.closes) {
    std::shared_ptr<AgentPeer> peer;
    {
      MutexLock lock(&peers_mu_);
      const auto it = peers_.find(close.peer);
      if (it != peers_.end()) peer = it->second;
    }
    if (peer == nullptr) continue;
    if (!close.status.ok()) {
      Log(LogLevel::kInfo, "agent stream closed", {{"status", close.status.ToString()}});
    }
    peer->Close(std::move(close.status));
  }
  for (Answer& answer : effects.answers) {
    const auto it = waiters_.find(answer.token);
    if (it == waiters_.end()) continue;
    Waiter waiter = std::move(it->second);
    waiters_.erase(it);
    waiter(std::move(answer));
  }
  for (const v1::LeaseId& id : effects.lookups) Lookup(id);
  for (std::string& run : effects.reload) reload_.insert(std::move(run));
  poll_wanted_ = std::max(poll_wanted_, effects.poll);
  metrics_.Count(effects);
  for (const StoredResults& stored : effects.stored) KeepResults(stored);
  for (const std::string& run : effects.changed) watches_.Touch(run);
  for (SealedRun& sealed : effects.sealed) {
    const v1::Run& run = sealed.row.run;
    Log(LogLevel::kInfo, "run sealed",
        {{"run", run.run_id()},
         {"verdict", v1::Verdict::Value_Name(run.verdict())},
         {"cause", v1::EndCause::Value_Name(run.end_cause())},
         {"executions", absl::StrCat(run.ledger().planned())}});
    TellSealed(sealed);
  }
  if (!effects.sealed.empty() && options_.on_sealed) options_.on_sealed();
  // Thousands of results take their time to be freed: not the loop's.
  size_t results = 0;
  for (const StoredResults& stored : effects.stored) results += stored.results.size();
  if (results >= limits_.free_elsewhere_results) {
    Read([stored = std::move(effects.stored)] { static_cast<void>(stored); });
  }
}

void CoordinatorImpl::MaybeSnapshot() {
  const absl::Duration now = clock_->Monotonic();
  if (now - snapped_ < limits_.snapshot_interval) return;
  snapped_ = now;
  metrics_.SetGauges(GaugeSnapshot{.queue = core_->Queue(),
                                   .agents = core_->Agents(),
                                   .sessions = core_->sessions(),
                                   .active_runs = core_->ActiveRuns().size(),
                                   .mailbox = mailbox_.size(),
                                   .probes_dropped = probes_.dropped(),
                                   .now = StoreNow()});
  for (const v1::LeaseId& id : std::exchange(failed_lookups_, {})) Lookup(id);
}

void CoordinatorImpl::MaybePrune() {
  const absl::Duration now = clock_->Monotonic();
  if (pruning_ || now - pruned_ < limits_.prune_interval) return;
  pruned_ = now;
  const absl::Time before = options_.keep_results == absl::InfiniteDuration()
                                ? absl::InfinitePast()
                                : StoreNow() - options_.keep_results;
  pruning_ = Read([this, before] {
    const absl::StatusOr<size_t> gone =
        store_->Prune(options_.keep_runs, before, limits_.prune_rows);
    if (!gone.ok()) {
      Log(LogLevel::kWarning, "old runs cannot be deleted", {{"status", gone.status().ToString()}});
    } else if (*gone > 0) {
      Log(LogLevel::kInfo, "old runs deleted", {{"rows", absl::StrCat(*gone)}});
    }
    const bool more = gone.ok() && *gone >= limits_.prune_rows;
    mailbox_.PostAlways(Mailbox::Job([this, more] {
      pruning_ = false;
      if (more) pruned_ = -absl::InfiniteDuration();
    }));
  });
}

void CoordinatorImpl::Shutdown() {
  const absl::Status stopping = absl::UnavailableError("the coordinator is stopping; try again");
  readers_->Stop();
  mailbox_.Close();
  for (Mailbox::Mail& mail : mailbox_.Take(absl::ZeroDuration())) {
    // Jobs answer their callers; events are the agents' to repeat.
    if (auto* job = std::get_if<Mailbox::Job>(&mail)) (*job)();
  }
  auto waiters = std::move(waiters_);
  waiters_.clear();
  for (auto& [token, waiter] : waiters) waiter(Answer{.token = token, .status = stopping});
  watches_.FinishEverything(stopping);
  std::vector<std::shared_ptr<AgentPeer>> peers;
  {
    MutexLock lock(&peers_mu_);
    for (auto& [id, peer] : peers_) peers.push_back(peer);
  }
  for (const auto& peer : peers) peer->Close(stopping);
}

}  // namespace picket
