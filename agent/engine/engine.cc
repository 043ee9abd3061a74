#include "agent/engine/engine.h"

#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "agent/engine/attempt.h"
#include "agent/engine/limits.h"
#include "agent/engine/quality.h"
#include "agent/engine/tls_store.h"
#include "agent/engine/transfer.h"
#include "agent/engine/worker_pool.h"
#include "common/base/clock.h"
#include "common/base/cores.h"
#include "common/base/mutex.h"
#include "common/base/status_macros.h"

namespace picket {
namespace {

// As many open files as the machine lets this process have: each check in flight holds one.
void RaiseFileLimit() {
  rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= limit.rlim_max) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

uint32_t ClampMicroseconds(absl::Duration duration) {
  return static_cast<uint32_t>(
      std::clamp<int64_t>(absl::ToInt64Microseconds(duration), 0, UINT32_MAX));
}

// A loop and the attempts that live on it.
struct Lane {
  std::atomic<uint32_t> in_flight{0};
  std::atomic<int64_t> lag_us{0};
  // On the loop's thread only.
  absl::flat_hash_map<Engine::JobId, std::shared_ptr<Attempt>> attempts;
  AttemptServices services;
  // Last: gone first, so that nothing on it outlives what it touches.
  std::unique_ptr<TransferLoop> loop;
};

class MultiLoopEngine : public Engine {
 public:
  explicit MultiLoopEngine(EngineOptions options)
      : options_(std::move(options)),
        workers_(std::make_unique<WorkerPool>(DefaultEngineLimits().workers,
                                              DefaultEngineLimits().worker_queue)) {
    SetClockOffset(options_.clock_offset);
  }

  absl::Status Open() {
    RaiseFileLimit();
    int loops = options_.loops;
    if (loops <= 0) loops = UsableCores();
    for (int i = 0; i < loops; ++i) {
      TransferLoop::Options options;
      options.dns_servers = options_.dns_servers;
      options.hosts_file = options_.hosts_file;
      options.ca_file = options_.ca_file;
      auto lane = std::make_unique<Lane>();
      ABSL_ASSIGN_OR_RETURN(lane->loop, TransferLoop::Start(std::move(options)));
      lane->services = {lane->loop.get(), clock_, options_.secrets, workers_.get(),
                        &clock_offset_us_};
      lanes_.push_back(std::move(lane));
    }
    for (auto& lane : lanes_) {
      lane->loop->Post([this, lane = lane.get()] { WatchLag(lane); });
    }
    lanes_[0]->loop->Post([this] { WatchSteal(); });
    return absl::OkStatus();
  }

  ~MultiLoopEngine() override {
    stopping_.store(true);
    // Ends them all, on their own threads; each counts itself out as it goes.
    for (auto& lane : lanes_) {
      lane->loop->Post([lane = lane.get()] {
        std::vector<std::shared_ptr<Attempt>> attempts;
        for (auto& [id, attempt] : lane->attempts) attempts.push_back(attempt);
        for (auto& attempt : attempts) attempt->Abort(absl::ZeroDuration());
      });
    }
    {
      MutexLock lock(&mu_);
      while (in_flight_.load() != 0) idle_.Wait(&mu_);
    }
    workers_.reset();  // posts its last verdicts to loops that still turn
    lanes_.clear();
  }

  JobId Submit(CheckJob job, Done done) override {
    const uint64_t number = next_.fetch_add(1, std::memory_order_relaxed);
    const size_t index = LeastLoaded(number);
    Lane* lane = lanes_[index].get();
    const JobId id = number * lanes_.size() + index;
    const uint32_t before = in_flight_.fetch_add(1, std::memory_order_relaxed);
    lane->in_flight.fetch_add(1, std::memory_order_relaxed);
    checks_.fetch_add(1, std::memory_order_relaxed);
    const absl::Duration submitted = clock_->Monotonic();
    const bool refused = before >= options_.in_flight_most || stopping_.load();
    lane->loop->Post([this, lane, id, before, submitted, refused, job = std::move(job),
                      done = std::move(done)]() mutable {
      if (refused) return Refuse(lane, job.number, std::move(done));
      Begin(lane, id, before, submitted, std::move(job), std::move(done));
    });
    return id;
  }

  void Abort(JobId id, absl::Duration grace) override {
    Lane* lane = lanes_[id % lanes_.size()].get();
    lane->loop->Post([lane, id, grace] {
      auto it = lane->attempts.find(id);
      if (it == lane->attempts.end()) return;
      const std::shared_ptr<Attempt> attempt = it->second;
      attempt->Abort(grace);
    });
  }

  Stats TakeStats() override {
    Stats stats;
    stats.in_flight = in_flight_.load(std::memory_order_relaxed);
    stats.checks = checks_.load(std::memory_order_relaxed);
    stats.poor = poor_.load(std::memory_order_relaxed);
    for (auto& lane : lanes_) {
      stats.loop_lag = std::max(stats.loop_lag, absl::Microseconds(lane->lag_us.exchange(0)));
    }
    return stats;
  }

  void SetClockOffset(absl::Duration offset) override {
    clock_offset_us_.store(absl::ToInt64Microseconds(offset), std::memory_order_relaxed);
  }

 private:
  // Two of all, the less busy one: nearly as even as looking at each.
  size_t LeastLoaded(uint64_t number) const {
    const size_t a = number % lanes_.size();
    const size_t b = (number + 1) % lanes_.size();
    return lanes_[b]->in_flight.load(std::memory_order_relaxed) <
                   lanes_[a]->in_flight.load(std::memory_order_relaxed)
               ? b
               : a;
  }

  void Begin(Lane* lane, JobId id, uint32_t in_flight, absl::Duration submitted, CheckJob job,
             Done done) {
    v1::Quality quality;
    quality.set_scheduling_lag_us(ClampMicroseconds(clock_->Monotonic() - submitted));
    quality.set_cpu_steal_permille(steal_.permille());
    quality.set_in_flight(in_flight + 1);
    auto attempt = std::make_shared<Attempt>(
        &lane->services, std::move(job), std::move(quality),
        [this, lane, id, done = std::move(done)](v1::Attempt result) mutable {
          if (result.quality().poor()) poor_.fetch_add(1, std::memory_order_relaxed);
          lane->attempts.erase(id);
          done(std::move(result));
          CountOut(lane);
        });
    lane->attempts.emplace(id, attempt);
    attempt->Start();
  }

  void Refuse(Lane* lane, uint32_t number, Done done) {
    v1::Attempt result;
    result.set_number(number);
    result.set_outcome(v1::Outcome::INCONCLUSIVE);
    result.set_reason(v1::FailureReason::agent_resources);
    result.set_message(absl::StrCat("more than ", options_.in_flight_most,
                                    " checks would be in flight on this agent"));
    done(std::move(result));
    CountOut(lane);
  }

  void CountOut(Lane* lane) {
    lane->in_flight.fetch_sub(1, std::memory_order_relaxed);
    // The lock only when somebody may wait for the last one.
    if (in_flight_.fetch_sub(1) == 1) {
      MutexLock lock(&mu_);
      idle_.SignalAll();
    }
  }

  void WatchLag(Lane* lane) {
    const int64_t lag = absl::ToInt64Microseconds(lane->loop->TakeLoopLag());
    if (lag > lane->lag_us.load(std::memory_order_relaxed)) lane->lag_us.store(lag);
    lane->loop->StartTimer(DefaultEngineLimits().lag_interval, [this, lane] { WatchLag(lane); });
  }

  void WatchSteal() {
    steal_.Sample();
    lanes_[0]->loop->StartTimer(DefaultEngineLimits().steal_interval, [this] { WatchSteal(); });
  }

  const EngineOptions options_;
  Clock* const clock_ = Clock::Real();

  std::atomic<uint64_t> next_{1};
  std::atomic<uint32_t> in_flight_{0};
  std::atomic<uint64_t> checks_{0}, poor_{0};
  std::atomic<bool> stopping_{false};
  std::atomic<int64_t> clock_offset_us_{0};
  StealMeter steal_;

  std::unique_ptr<WorkerPool> workers_;
  std::vector<std::unique_ptr<Lane>> lanes_;  // constant after Open

  Mutex mu_;
  CondVar idle_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Engine>> Engine::Start(EngineOptions options) {
  if (!options.ca_file.empty()) ABSL_RETURN_IF_ERROR(SystemStore(options.ca_file).status());
  auto engine = std::make_unique<MultiLoopEngine>(std::move(options));
  ABSL_RETURN_IF_ERROR(engine->Open());
  return std::unique_ptr<Engine>(std::move(engine));
}

}  // namespace picket
