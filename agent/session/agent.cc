#include "agent/session/agent.h"

#include <algorithm>
#include <thread>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "agent/session/agent_metrics.h"
#include "agent/session/compiled_cache.h"
#include "agent/session/session_state.h"
#include "agent/session/spool.h"
#include "common/base/check.h"
#include "common/base/clock.h"
#include "common/base/ids.h"
#include "common/base/log.h"
#include "common/base/mutex.h"
#include "common/base/status_macros.h"
#include "common/base/version.h"
#include "common/telemetry/metrics.h"

namespace picket {
namespace {

absl::StatusOr<std::unique_ptr<Spool>> OpenSpool(const AgentOptions& options, Random& random) {
  if (options.spool_directory.empty()) {
    return MakeMemorySpool(NewUuid(random), options.spool_memory_bytes);
  }
  return OpenDiskSpool({.directory = options.spool_directory,
                        .new_id = NewUuid(random),
                        .memory_bytes = options.spool_memory_bytes,
                        .disk_bytes = options.spool_disk_bytes,
                        .segment_bytes = DefaultSessionLimits().segment_bytes});
}

SessionConfig ConfigOf(const AgentOptions& options) {
  SessionConfig config;
  config.name = options.name;
  config.location = options.location;
  config.instance = options.instance;
  config.version = std::string(kVersion);
  config.capacity = options.capacity;
  config.take_over = options.take_over;
  config.labels = options.labels;
  return config;
}

// The loop around the state machine: one thread drains a mailbox, asks what to do,
// flushes the spool, and does it.
class AgentImpl : public Agent {
 public:
  AgentImpl(const AgentOptions& options, SessionDialer* dialer, std::unique_ptr<Spool> spool,
            std::unique_ptr<Engine> engine, Random random)
      : dialer_(dialer),
        name_(options.name),
        spool_(std::move(spool)),
        metrics_(options.metrics),
        compiled_(DefaultSessionLimits().compiled_tests),
        state_(ConfigOf(options), spool_.get(), std::move(random)),
        engine_(std::move(engine)) {
    if (spool_->last() > spool_->acknowledged()) {
      Log(LogLevel::kInfo, "the spool holds results of an earlier agent",
          {{"results", absl::StrCat(spool_->last() - spool_->acknowledged())},
           {"corrupt", absl::StrCat(spool_->corrupt())}});
    }
    Publish();
    if (metrics_.on()) options.metrics->OnScrape([gate = gate_] { gate->Refresh(); });
    thread_ = std::thread([this] { Run(); });
  }

  ~AgentImpl() override {
    gate_->Close();
    {
      MutexLock lock(&mu_);
      stop_ = true;
      wake_.Signal();
    }
    thread_.join();
    stream_.reset();
    engine_.reset();  // its last callbacks still find the mailbox
  }

  void Drain() override { Post(DrainAsked{}); }

  AgentStatus Status() override {
    MutexLock lock(&mu_);
    return status_;
  }

  void OnChange(absl::AnyInvocable<void(const AgentStatus&)> notify) override {
    AgentStatus now;
    {
      MutexLock lock(&notify_mu_);
      notify_ = std::move(notify);
      now = Status();
      // What changed before it was set is told at once.
      if (notify_ && (now.connected || now.drained || !now.refused.ok())) notify_(now);
    }
  }

 private:
  // Hears one stream; says which one.
  class Sink : public SessionSink {
   public:
    Sink(AgentImpl* agent, uint64_t stream) : agent_(agent), stream_(stream) {}
    void OnMessage(v1::CoordinatorMessage message) override {
      agent_->Post(Received{stream_, std::move(message)});
    }
    void OnClosed(absl::Status status) override {
      agent_->Post(StreamClosed{stream_, std::move(status)});
    }

   private:
    AgentImpl* const agent_;
    const uint64_t stream_;
  };

  // Between scrapes, which may outlive the agent, and the agent.
  class Gate {
   public:
    explicit Gate(AgentImpl* agent) : agent_(agent) {}
    void Close() {
      MutexLock lock(&mu_);
      agent_ = nullptr;
    }
    void Refresh() {
      MutexLock lock(&mu_);
      if (agent_ != nullptr) agent_->RefreshMetrics();
    }

   private:
    Mutex mu_;
    AgentImpl* agent_ ABSL_GUARDED_BY(mu_);
  };

  void Post(SessionEvent event) {
    MutexLock lock(&mu_);
    mailbox_.push_back(std::move(event));
    if (mailbox_.size() == 1) wake_.Signal();
  }

  void Run();
  // Waits for events or the state's deadline; false = stop.
  bool Take(std::vector<SessionEvent>* events);
  // What is told is in the spool before it is told; the rest soon after it was made.
  void FlushSpool(const std::vector<SessionEffect>& effects);
  void Publish();
  void RefreshMetrics();

  void Do(DialStream& effect);
  void Do(CloseStream& effect);
  void Do(SendMessage& effect);
  void Do(StartCheck& effect);
  void Do(AbortCheck& effect);
  void Do(SetClockOffset& effect) { engine_->SetClockOffset(effect.offset); }
  void Do(ResultDropped& effect);

  // Constant, or safe by themselves.
  SessionDialer* const dialer_;
  const std::string name_;
  Clock* const clock_ = Clock::Real();
  const std::shared_ptr<Gate> gate_ = std::make_shared<Gate>(this);

  // Of the loop's thread.
  const std::unique_ptr<Spool> spool_;
  AgentMetrics metrics_;
  CompiledCache compiled_;
  SessionState state_;
  absl::flat_hash_map<CheckId, Engine::JobId> jobs_;
  std::unique_ptr<Sink> sink_;
  std::unique_ptr<SessionStream> stream_;
  uint64_t stream_number_ = 0;
  std::string disk_error_;
  absl::Duration turn_began_;
  absl::Duration flushed_ = -absl::InfiniteDuration();
  bool unflushed_ = false;  // the spool may hold what is not handed to the system

  Mutex mu_;
  CondVar wake_;
  std::vector<SessionEvent> mailbox_ ABSL_GUARDED_BY(mu_);
  AgentStatus status_ ABSL_GUARDED_BY(mu_);
  bool stop_ ABSL_GUARDED_BY(mu_) = false;

  Mutex notify_mu_;
  absl::AnyInvocable<void(const AgentStatus&)> notify_ ABSL_GUARDED_BY(notify_mu_);

  // Last: its callbacks use what is above.
  std::unique_ptr<Engine> engine_;
  std::thread thread_;
};

void AgentImpl::Run() {
  std::vector<SessionEvent> events;
  events.push_back(Tick{});
  do {
    for (const SessionEvent& event : events) {
      if (const auto* done = std::get_if<CheckDone>(&event)) {
        jobs_.erase(done->check);
        metrics_.CountAttempt(done->attempt);
      }
    }
    std::vector<SessionEffect> effects = state_.Apply(clock_->Monotonic(), std::move(events));
    FlushSpool(effects);
    Publish();
    for (SessionEffect& effect : effects) {
      std::visit([this](auto& e) { Do(e); }, effect);
    }
  } while (Take(&events));
}

void AgentImpl::FlushSpool(const std::vector<SessionEffect>& effects) {
  const absl::Duration now = clock_->Monotonic();
  const bool tells = std::any_of(effects.begin(), effects.end(), [](const SessionEffect& effect) {
    return std::holds_alternative<SendMessage>(effect);
  });
  unflushed_ = !tells && now < flushed_ + DefaultSessionLimits().flush_delay;
  if (unflushed_) return;
  spool_->Flush();
  flushed_ = now;
}

bool AgentImpl::Take(std::vector<SessionEvent>* events) {
  events->clear();
  absl::Duration deadline = state_.NextDeadline();
  if (unflushed_) deadline = std::min(deadline, flushed_ + DefaultSessionLimits().flush_delay);
  MutexLock lock(&mu_);
  while (mailbox_.empty() && !stop_) {
    const absl::Duration left = deadline - clock_->Monotonic();
    if (left <= absl::ZeroDuration()) break;
    wake_.WaitWithTimeout(&mu_, left);
  }
  // Busy: let more of it gather.
  if (state_.in_flight() >= DefaultSessionLimits().turn_pace_in_flight) {
    const absl::Duration next = turn_began_ + DefaultSessionLimits().turn_pace;
    while (!stop_ && clock_->Monotonic() < next) {
      wake_.WaitWithTimeout(&mu_, next - clock_->Monotonic());
    }
  }
  turn_began_ = clock_->Monotonic();
  events->swap(mailbox_);
  if (events->empty()) events->push_back(Tick{});
  return !stop_;
}

void AgentImpl::Publish() {
  AgentStatus next;
  next.connected = state_.connected();
  next.draining = state_.draining();
  next.drained = state_.drained();
  next.in_flight = state_.in_flight();
  next.held = state_.held();
  next.spool_bytes = spool_->bytes();
  next.spool_corrupt = spool_->corrupt();
  next.window = state_.window();
  next.sessions = state_.sessions();
  next.last_error = std::string(state_.last_error().message());
  next.refused = state_.refused();
  bool news;
  {
    MutexLock lock(&mu_);
    news = next.connected != status_.connected || next.drained != status_.drained ||
           next.draining != status_.draining || next.refused != status_.refused;
    status_ = next;
  }
  const std::string disk_error(spool_->disk().message());
  if (disk_error != disk_error_) {
    disk_error_ = disk_error;
    Log(LogLevel::kWarning,
        disk_error.empty() ? "the spool is written again"
                           : "the spool cannot be written; results stay in memory",
        {{"error", disk_error}});
  }
  if (!news) return;
  Log(LogLevel::kInfo, "agent changed",
      {{"agent", name_},
       {"connected", next.connected ? "yes" : "no"},
       {"draining", next.draining ? "yes" : "no"},
       {"drained", next.drained ? "yes" : "no"},
       {"last_error", next.connected ? "" : next.last_error}});
  MutexLock lock(&notify_mu_);
  if (notify_) notify_(next);
}

void AgentImpl::RefreshMetrics() {
  const AgentStatus now = Status();
  const Engine::Stats stats = engine_->TakeStats();
  metrics_.Set({.connected = now.connected,
                .in_flight = now.in_flight,
                .held = now.held,
                .window = now.window,
                .spool_bytes = now.spool_bytes,
                .spool_corrupt = now.spool_corrupt,
                .sessions = now.sessions,
                .poor = stats.poor,
                .loop_lag = stats.loop_lag});
}

void AgentImpl::Do(DialStream& effect) {
  stream_.reset();
  stream_number_ = effect.stream;
  sink_ = std::make_unique<Sink>(this, effect.stream);
  stream_ = dialer_->Dial(sink_.get());
}

void AgentImpl::Do(CloseStream& effect) {
  if (effect.stream != stream_number_ || stream_ == nullptr) return;
  if (effect.abandon) {
    stream_.reset();
  } else {
    stream_->Close();
  }
}

void AgentImpl::Do(SendMessage& effect) {
  if (effect.stream != stream_number_ || stream_ == nullptr) return;
  if (effect.message.has_hello()) {
    const absl::Duration now = clock_->TimeNow() - absl::UnixEpoch();
    auto* time = effect.message.mutable_hello()->mutable_clock_time();
    time->set_seconds(absl::ToInt64Seconds(now));
    time->set_nanos(static_cast<int32_t>(absl::ToInt64Nanoseconds(now % absl::Seconds(1))));
  }
  stream_->Send(std::move(effect.message));
}

void AgentImpl::Do(StartCheck& effect) {
  const CheckId check = effect.check;
  const auto& compiled = compiled_.Get(*effect.test);
  if (!compiled.ok()) {
    v1::Attempt attempt;
    attempt.set_number(effect.number);
    attempt.set_outcome(v1::Outcome::INCONCLUSIVE);
    attempt.set_reason(v1::FailureReason::agent_error);
    attempt.set_message(
        absl::StrCat("this agent cannot run the test: ", compiled.status().message()));
    return Post(CheckDone{check, std::move(attempt)});
  }
  CheckJob job;
  job.test = *compiled;
  job.row = std::move(effect.row);
  const auto& columns = effect.test->test.for_each().columns();
  job.columns.assign(columns.begin(), columns.end());
  job.seed = effect.seed;
  job.number = effect.number;
  job.gates = std::move(effect.gates);
  jobs_[check] = engine_->Submit(std::move(job), [this, check](v1::Attempt attempt) {
    Post(CheckDone{check, std::move(attempt)});
  });
}

void AgentImpl::Do(AbortCheck& effect) {
  const auto it = jobs_.find(effect.check);
  if (it != jobs_.end()) engine_->Abort(it->second, effect.grace);
}

void AgentImpl::Do(ResultDropped& effect) {
  metrics_.CountResultDropped();
  Log(LogLevel::kWarning, "result dropped by the fleet",
      {{"run_id", effect.run_id},
       {"execution", absl::StrCat(effect.execution)},
       {"reason", effect.reason}});
}

}  // namespace

absl::StatusOr<std::unique_ptr<Agent>> Agent::Start(AgentOptions options, SessionDialer* dialer) {
  options.engine.in_flight_most = std::max(options.engine.in_flight_most, options.capacity);
  ABSL_ASSIGN_OR_RETURN(std::unique_ptr<Engine> engine, Engine::Start(options.engine));
  return Start(std::move(options), dialer, std::move(engine));
}

absl::StatusOr<std::unique_ptr<Agent>> Agent::Start(AgentOptions options, SessionDialer* dialer,
                                                    std::unique_ptr<Engine> engine) {
  if (options.name.empty()) return absl::InvalidArgumentError("an agent needs a name");
  if (!IsLocation(options.location)) {
    return absl::InvalidArgumentError(
        absl::StrCat("'", options.location, "' is no location: [a-z0-9][a-z0-9._:-]{0,62}"));
  }
  if (options.capacity == 0) return absl::InvalidArgumentError("an agent's capacity is at least 1");
  Random random = Random::FromSystem();
  if (options.instance.empty()) options.instance = NewUuid(random);
  ABSL_ASSIGN_OR_RETURN(std::unique_ptr<Spool> spool, OpenSpool(options, random));
  return std::unique_ptr<Agent>(std::make_unique<AgentImpl>(options, dialer, std::move(spool),
                                                            std::move(engine), std::move(random)));
}

}  // namespace picket
