#include "coordinator/app/coordinator_metrics.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "coordinator/app/limits.h"

namespace picket {
namespace {

std::string Lower(absl::string_view name) { return absl::AsciiStrToLower(name); }

}  // namespace

struct CoordinatorMetrics::Shared {
  explicit Shared(Metrics* m)
      : runs(m->Counters("picket_runs_total", "Runs sealed, by verdict.")),
        executions(m->Counters("picket_executions_total", "Executions decided by a result.")),
        queue(m->Gauges("picket_queue_executions", "Executions that wait for an agent.")),
        oldest(m->Gauges("picket_queue_oldest_age_seconds",
                         "Age of the oldest run with executions that wait.")),
        agents(m->Gauges("picket_agents", "Agents by state.")),
        sessions(m->OneGauge("picket_agent_sessions", "Agent streams that are open here.")),
        active(m->OneGauge("picket_runs_active", "Runs that are not sealed.")),
        mailbox(m->OneGauge("picket_mailbox_depth", "Messages that wait for the loop.")),
        leases_granted(m->OneCounter("picket_leases_granted_total", "Leases granted.")),
        leases_expired(
            m->OneCounter("picket_leases_expired_total", "Leases ended by an agent's silence.")),
        splits(m->OneCounter("picket_leases_split_total",
                             "Rests of leases given to an idle agent as well.")),
        late(m->OneCounter("picket_results_late_total", "Results that came too late to count.")),
        disagreeing(m->OneCounter("picket_results_disagreeing_total",
                                  "Late results that would have decided otherwise.")),
        dropped(m->OneCounter("picket_results_dropped_total", "Results that were not kept.")),
        refusals(m->OneCounter("picket_store_refusals_total",
                               "Proposals that another writer had overtaken.")),
        failures(m->OneCounter("picket_store_failures_total", "Commits that failed.")),
        probes_dropped(m->OneGauge("picket_probe_executions_dropped",
                                   "Executions not shown on /probes for want of budget.")),
        commit(m->OneHistogram("picket_store_commit_duration_seconds",
                               "Time of one commit of the store.", Metrics::DurationBuckets())),
        batch(m->OneHistogram("picket_store_commit_proposals", "Proposals of one commit.",
                              {1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 5000})) {
    for (const char* verdict : {"PASSED", "FAILED", "INCONCLUSIVE"}) {
      verdicts[verdict] = &runs.Add({{"verdict", verdict}});
    }
  }

  prometheus::Family<prometheus::Counter>& runs;
  prometheus::Family<prometheus::Counter>& executions;
  prometheus::Family<prometheus::Gauge>& queue;
  prometheus::Family<prometheus::Gauge>& oldest;
  prometheus::Family<prometheus::Gauge>& agents;
  prometheus::Gauge& sessions;
  prometheus::Gauge& active;
  prometheus::Gauge& mailbox;
  prometheus::Counter& leases_granted;
  prometheus::Counter& leases_expired;
  prometheus::Counter& splits;
  prometheus::Counter& late;
  prometheus::Counter& disagreeing;
  prometheus::Counter& dropped;
  prometheus::Counter& refusals;
  prometheus::Counter& failures;
  prometheus::Gauge& probes_dropped;
  prometheus::Histogram& commit;
  prometheus::Histogram& batch;
  std::map<std::string, prometheus::Counter*> verdicts;

  Mutex mu;
  std::map<std::string, std::string> labels ABSL_GUARDED_BY(mu);
  // (location, outcome) -> its counter
  std::map<std::pair<std::string, int>, prometheus::Counter*> outcomes ABSL_GUARDED_BY(mu);
  GaugeSnapshot snapshot ABSL_GUARDED_BY(mu);

  const std::string& Label(const std::string& location) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu) {
    static const std::string kOther = "other";
    const auto it = labels.find(location);
    if (it != labels.end()) return it->second;
    if (labels.size() >= DefaultAppLimits().metric_locations) return kOther;
    return labels.emplace(location, location).first->second;
  }

  void Refresh() {
    MutexLock lock(&mu);
    std::map<std::string, std::pair<double, double>> waiting;  // label -> executions, age
    for (const auto& [location, view] : snapshot.queue) {
      auto& [count, age] = waiting[Label(location)];
      count += static_cast<double>(view.executions);
      if (view.oldest < snapshot.now) {
        age = std::max(age, absl::ToDoubleSeconds(snapshot.now - view.oldest));
      }
    }
    for (const auto& [location, label] : labels) waiting.try_emplace(label);
    for (const auto& [label, values] : waiting) {
      queue.Add({{"location", label}}).Set(values.first);
      oldest.Add({{"location", label}}).Set(values.second);
    }
    std::map<std::pair<std::string, std::string>, double> by_state;
    for (const v1::Agent& agent : snapshot.agents) {
      by_state[{Label(agent.location()), Lower(v1::Agent::State_Name(agent.state()))}] += 1;
    }
    for (const auto& [location, label] : labels) {
      for (const char* state : {"live", "draining", "gone"}) by_state.try_emplace({label, state});
    }
    for (const auto& [key, count] : by_state) {
      agents.Add({{"location", key.first}, {"state", key.second}}).Set(count);
    }
    sessions.Set(static_cast<double>(snapshot.sessions));
    active.Set(static_cast<double>(snapshot.active_runs));
    mailbox.Set(static_cast<double>(snapshot.mailbox));
    probes_dropped.Set(static_cast<double>(snapshot.probes_dropped));
  }
};

CoordinatorMetrics::CoordinatorMetrics(Metrics* metrics) {
  if (metrics == nullptr) return;
  shared_ = std::make_shared<Shared>(metrics);
  metrics->OnScrape([shared = shared_] { shared->Refresh(); });
}

void CoordinatorMetrics::Count(const Effects& effects) {
  if (shared_ == nullptr) return;
  const Tally& tally = effects.tally;
  const auto add = [](prometheus::Counter& counter, uint64_t by) {
    if (by > 0) counter.Increment(static_cast<double>(by));
  };
  add(shared_->leases_granted, tally.leases_granted);
  add(shared_->leases_expired, tally.leases_expired);
  add(shared_->splits, tally.splits);
  add(shared_->late, tally.results_late);
  add(shared_->disagreeing, tally.results_disagreeing);
  add(shared_->dropped, tally.results_dropped);
  add(shared_->refusals, tally.refusals);
  for (const StoredResults& stored : effects.stored) CountStored(stored);
  for (const SealedRun& sealed : effects.sealed) {
    const auto it = shared_->verdicts.find(v1::Verdict::Value_Name(sealed.row.run.verdict()));
    if (it != shared_->verdicts.end()) it->second->Increment();
  }
}

void CoordinatorMetrics::CountStored(const StoredResults& stored) {
  uint64_t by_outcome[4] = {};
  for (const ResultRow& row : stored.results) {
    if (row.deciding) ++by_outcome[row.result.outcome() & 3];
  }
  MutexLock lock(&shared_->mu);
  for (int outcome = 1; outcome < 4; ++outcome) {
    if (by_outcome[outcome] == 0) continue;
    const std::string& label = shared_->Label(stored.location);
    prometheus::Counter*& counter = shared_->outcomes[{label, outcome}];
    if (counter == nullptr) {
      counter = &shared_->executions.Add(
          {{"location", label},
           {"outcome", Lower(v1::Outcome::Value_Name(static_cast<v1::Outcome::Value>(outcome)))}});
    }
    counter->Increment(static_cast<double>(by_outcome[outcome]));
  }
}

void CoordinatorMetrics::CountCommit(absl::Duration took, bool ok, size_t proposals) {
  if (shared_ == nullptr) return;
  shared_->commit.Observe(absl::ToDoubleSeconds(took));
  shared_->batch.Observe(static_cast<double>(proposals));
  if (!ok) shared_->failures.Increment();
}

void CoordinatorMetrics::SetGauges(GaugeSnapshot snapshot) {
  if (shared_ == nullptr) return;
  MutexLock lock(&shared_->mu);
  shared_->snapshot = std::move(snapshot);
}

}  // namespace picket
