// What watchers of a run are told, and when.

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/policy/blame.h"
#include "coordinator/app/coordinator_impl.h"

namespace picket {

v1::WatchRunResponse CoordinatorImpl::StateOf(const RunState& run) {
  RunView view = core_->View(run);
  v1::WatchRunResponse state;
  *state.mutable_run() = std::move(view.run);
  for (v1::LocationProgress& location : view.locations) {
    *state.add_locations() = std::move(location);
  }
  state.set_failure_count(view.failures);
  const auto failures = failures_.find(run.id());
  if (failures != failures_.end()) {
    for (const v1::Execution& execution : failures->second.first) {
      *state.add_failures() = execution;
    }
  }
  // Others, or an earlier life of this coordinator, have seen failures that it has not.
  if (static_cast<size_t>(state.failures_size()) <
      std::min<size_t>(state.failure_count(), DefaultLimits().watch_failures)) {
    LoadFailures(run.id());
  }
  return state;
}

void CoordinatorImpl::Attach(WatchId id, const std::string& run_id) {
  if (const RunState* run = core_->FindRun(run_id); run != nullptr) {
    watches_.Tell(id, StateOf(*run));
    return;
  }
  ReadFinalState(id, run_id);
}

// Of a run that is not active here: sealed, unknown, or another coordinator's that this
// one is about to hear of.
void CoordinatorImpl::ReadFinalState(WatchId id, const std::string& run_id) {
  const bool submitted = Read([this, id, run_id] {
    absl::StatusOr<RunRow> row = store_->GetRun(run_id);
    absl::StatusOr<v1::WatchRunResponse> state = absl::UnknownError("not read");
    if (!row.ok()) {
      state = row.status();
    } else if (row->run.state() == v1::Run::SEALED) {
      state = queries_.WatchState(*row, nullptr);
    } else {
      mailbox_.PostAlways(Mailbox::Job([this, id, run_id] {
        unattached_[id] = run_id;
        poll_wanted_ = std::max<uint64_t>(poll_wanted_, 1);
      }));
      return;
    }
    mailbox_.PostAlways(Mailbox::Job([this, id, state = std::move(state)] {
      if (state.ok()) watches_.Tell(id, *state);
      watches_.Finish(id, state.status());
    }));
  });
  if (!submitted) {
    watches_.Finish(id, absl::UnavailableError("the coordinator has too much to do; try again"));
  }
}

void CoordinatorImpl::LoadFailures(const std::string& run_id) {
  Failures& failures = failures_[run_id];
  const absl::Duration now = clock_->Monotonic();
  if (failures.loading || now - failures.loaded < limits_.snapshot_interval) return;
  const RunState* run = core_->FindRun(run_id);
  if (run == nullptr) return;
  failures.loading = Read([this, run_id, plan = run->plan()] {
    absl::StatusOr<std::vector<v1::Execution>> found =
        queries_.Failures(run_id, plan, DefaultLimits().watch_failures);
    mailbox_.PostAlways(Mailbox::Job([this, run_id, found = std::move(found)]() mutable {
      const auto it = failures_.find(run_id);
      if (it == failures_.end()) return;
      it->second.loading = false;
      it->second.loaded = clock_->Monotonic();
      if (!found.ok() || found->size() <= it->second.first.size()) return;
      it->second.first = *std::move(found);
      watches_.Touch(run_id);
    }));
  });
}

void CoordinatorImpl::FlushWatches() {
  for (const std::string& run_id :
       watches_.TakeDue(clock_->Monotonic(), limits_.watch_interval)) {
    const RunState* run = core_->FindRun(run_id);
    if (run != nullptr) watches_.TellAll(run_id, StateOf(*run));
  }
  for (auto it = unattached_.begin(); it != unattached_.end();) {
    if (polling_ || poll_wanted_ != 0) break;  // an answer is on its way
    const auto [id, run_id] = *it;
    it = unattached_.erase(it);
    Attach(id, run_id);
  }
}

void CoordinatorImpl::TellSealed(SealedRun& sealed) {
  const std::string& run_id = sealed.row.run.run_id();
  const auto failures = failures_.find(run_id);
  uint32_t known = failures == failures_.end()
                       ? 0
                       : static_cast<uint32_t>(failures->second.first.size());
  const v1::Ledger& ledger = sealed.row.run.ledger();
  const uint32_t count = ledger.failed() + ledger.inconclusive();
  if (watches_.Watched(run_id)) {
    if (sealed.exact && known == std::min<size_t>(count, DefaultLimits().watch_failures) &&
        (known == 0 || !failures->second.partial)) {
      v1::WatchRunResponse state;
      *state.mutable_run() = sealed.row.run;
      for (v1::LocationProgress& location : sealed.locations) {
        *state.add_locations() = std::move(location);
      }
      state.set_failure_count(count);
      if (known > 0) {
        const bool local = sealed.row.run.local();
        for (v1::Execution& execution : failures->second.first) {
          execution.set_blame(BlameOf({.execution = &execution, .others = {}, .local = local}));
          *state.add_failures() = std::move(execution);
        }
      }
      watches_.TellAll(run_id, state);
      watches_.FinishAll(run_id, absl::OkStatus());
    } else {
      ReadSealedState(std::move(sealed));
    }
  }
  if (failures != failures_.end()) failures_.erase(failures);
}

void CoordinatorImpl::ReadSealedState(SealedRun sealed) {
  const std::string run_id = sealed.row.run.run_id();
  const bool submitted = Read([this, run_id, sealed = std::move(sealed)] {
    absl::StatusOr<v1::WatchRunResponse> state = queries_.WatchState(sealed.row, sealed.plan);
    mailbox_.PostAlways(Mailbox::Job([this, run_id, state = std::move(state)] {
      if (state.ok()) watches_.TellAll(run_id, *state);
      watches_.FinishAll(run_id, state.status());
    }));
  });
  if (!submitted) {
    watches_.FinishAll(run_id,
                       absl::UnavailableError("the coordinator has too much to do; try again"));
  }
}

void CoordinatorImpl::KeepResults(const StoredResults& stored) {
  const absl::Time now = StoreNow();
  Failures* failures = nullptr;
  // Of a test's rows the last is shown; they mostly come together.
  const ResultRow* latest = nullptr;
  uint32_t latest_test = 0;
  const auto record = [&] {
    if (latest == nullptr) return;
    const PlannedTest& test = stored.plan->tests[latest_test];
    if (test.replay) return;  // of what once was, often of a failure; it decides nothing
    probes_.Record(test.suite, test.id, stored.location, latest->result, now);
  };
  for (const ResultRow& row : stored.results) {
    if (!row.deciding) continue;
    const Position at = stored.plan->shape.At(row.execution);
    if (at.test != latest_test) record();
    latest = &row;
    latest_test = at.test;
    if (row.result.outcome() == v1::Outcome::PASSED && !row.result.flaky()) continue;
    const EndByte end = DecideEnd(row.result.outcome(), row.result.flaky(),
                                  stored.plan->shape.tests()[at.test].policy);
    if (EndOf(end) == v1::End::PASSED) continue;
    if (failures == nullptr) failures = &failures_[stored.plan->run_id];
    const TestShape& shape = stored.plan->shape.tests()[at.test];
    failures->partial |= shape.locations.size() > 1 || row.result.attempts(0).number() > 1;
    if (failures->first.size() >= DefaultLimits().watch_failures) continue;
    v1::Execution execution = DescribeExecution(*stored.plan, row.execution, end);
    AddResult(row, /*full=*/false, execution);
    failures->first.push_back(std::move(execution));
  }
  record();
}

}  // namespace picket
