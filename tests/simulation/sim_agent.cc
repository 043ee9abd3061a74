#include "tests/simulation/sim_agent.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/ids.h"
#include "coordinator/core/proto_time.h"

namespace picket::simulation {
namespace {

// Tells the checkers what goes in.
class WatchedSpool final : public Spool {
 public:
  WatchedSpool(std::string id, Checkers* checkers)
      : spool_(MakeMemorySpool(std::move(id), 64u << 20)), checkers_(checkers) {}

  const std::string& id() const override { return spool_->id(); }
  uint64_t Append(const v1::LeaseResults& result) override {
    const uint64_t sequence = spool_->Append(result);
    checkers_->OnSpooled(id(), sequence, result);
    return sequence;
  }
  std::vector<SpoolRecord> Read(uint64_t after, uint32_t count_most,
                                size_t bytes_most) override {
    return spool_->Read(after, count_most, bytes_most);
  }
  void Acknowledge(uint64_t through) override { spool_->Acknowledge(through); }
  void Flush() override { spool_->Flush(); }
  uint64_t last() const override { return spool_->last(); }
  uint64_t acknowledged() const override { return spool_->acknowledged(); }
  uint64_t bytes() const override { return spool_->bytes(); }
  bool Full() const override { return spool_->Full(); }
  uint64_t corrupt() const override { return spool_->corrupt(); }
  absl::Status disk() const override { return spool_->disk(); }

 private:
  std::unique_ptr<Spool> spool_;
  Checkers* const checkers_;
};

}  // namespace

SimAgent::SimAgent(World* world, Checkers* checkers, const Oracle* oracle, Options options,
                   Dialer dialer)
    : world_(world),
      checkers_(checkers),
      oracle_(oracle),
      options_(std::move(options)),
      dialer_(std::move(dialer)) {}

SimAgent::~SimAgent() {
  if (alive_ != nullptr) *alive_ = false;
}

void SimAgent::Later(absl::Duration delay, absl::AnyInvocable<void()> what) {
  world_->After(delay, [alive = alive_, what = std::move(what)]() mutable {
    if (*alive) what();
  });
}

void SimAgent::Start(bool keep_spool) {
  if (session_ != nullptr) Kill(absl::ZeroDuration());
  if (spool_ == nullptr || !keep_spool) {
    spool_ = std::make_unique<WatchedSpool>(NewUuid(world_->random()), checkers_);
  }
  alive_ = std::make_shared<bool>(true);
  armed_ = absl::InfiniteDuration();
  frozen_until_ = absl::ZeroDuration();
  SessionConfig config;
  config.name = options_.name;
  config.location = options_.location;
  config.instance = NewUuid(world_->random());
  config.version = "simulated";
  config.capacity = options_.capacity;
  world_->Note(absl::StrCat("agent ", options_.name, " starts as ", config.instance));
  session_ =
      std::make_unique<SessionState>(config, spool_.get(), Random(world_->random().Next()));
  Apply(Tick{});
}

void SimAgent::Kill(absl::Duration notice) {
  if (session_ == nullptr) return;
  world_->Note(absl::StrCat("agent ", options_.name, " dies"));
  *alive_ = false;
  session_ = nullptr;
  checks_.clear();
  if (stream_ != nullptr) stream_->AgentDied(notice, world_->random().Chance(0.5));
  stream_ = nullptr;
}

void SimAgent::Freeze(absl::Duration until) {
  if (world_->now() < frozen_until_) return;  // what waits keeps its order
  world_->Note(absl::StrCat("agent ", options_.name, " is frozen"));
  frozen_until_ = until;
}

void SimAgent::Drain() {
  if (session_ == nullptr) return;
  world_->Note(absl::StrCat("agent ", options_.name, " drains"));
  Apply(DrainAsked{});
}

void SimAgent::Apply(SessionEvent event) {
  if (world_->now() < frozen_until_) {
    auto held = std::make_shared<SessionEvent>(std::move(event));
    Later(frozen_until_ - world_->now() + absl::Microseconds(1),
          [this, held] { Apply(std::move(*held)); });
    return;
  }
  std::vector<SessionEvent> events;
  events.push_back(std::move(event));
  for (SessionEffect& effect : session_->Apply(world_->now(), std::move(events))) {
    Carry(std::move(effect));
  }
  Arm();
}

void SimAgent::Arm() {
  absl::Duration next = session_->NextDeadline();
  if (next == absl::InfiniteDuration()) return;
  next = std::max(next, world_->now() + absl::Milliseconds(1));
  if (next >= armed_ && armed_ > world_->now()) return;
  armed_ = next;
  Later(next - world_->now(), [this, next] {
    if (armed_ == next) armed_ = absl::InfiniteDuration();
    Apply(Tick{});
  });
}

void SimAgent::Carry(SessionEffect effect) {
  if (const auto* dial = std::get_if<DialStream>(&effect)) {
    const uint64_t number = dial->stream;
    stream_number_ = number;
    stream_ = dialer_();
    if (stream_ == nullptr) {
      Later(world_->Between(absl::Milliseconds(1), absl::Milliseconds(20)), [this, number] {
        Apply(StreamClosed{number, absl::UnavailableError("connection refused")});
      });
      return;
    }
    stream_->agent.on_coordinator_message = [this, number,
                                             alive = alive_](v1::CoordinatorMessage message) {
      if (*alive) Apply(Received{number, std::move(message)});
    };
    stream_->agent.on_closed = [this, number, alive = alive_](absl::Status status) {
      if (!*alive) return;
      if (stream_number_ == number) stream_ = nullptr;
      Apply(StreamClosed{number, std::move(status)});
    };
  } else if (auto* send = std::get_if<SendMessage>(&effect)) {
    if (stream_ != nullptr && send->stream == stream_number_) {
      if (send->message.has_hello()) {
        SetTimestamp(absl::FromUnixSeconds(1'700'000'000) + world_->now() + options_.clock_skew,
                     send->message.mutable_hello()->mutable_clock_time());
      }
      stream_->ToCoordinator(std::move(send->message));
    }
  } else if (const auto* close = std::get_if<CloseStream>(&effect)) {
    if (close->stream != stream_number_ || stream_ == nullptr) return;
    if (close->abandon) {
      // A reset may overtake what was sent before, or come long after it.
      if (world_->random().Chance(0.5)) {
        stream_->Cut(absl::Microseconds(10),
                     world_->Between(absl::ZeroDuration(), absl::Milliseconds(100)));
      } else {
        stream_->Linger(absl::Microseconds(10),
                        world_->Between(absl::ZeroDuration(), absl::Seconds(20)));
      }
    } else {
      stream_->CloseByAgent();
    }
  } else if (auto* start = std::get_if<StartCheck>(&effect)) {
    Begin(*start);
  } else if (const auto* abort = std::get_if<AbortCheck>(&effect)) {
    const CheckId check = abort->check;
    if (!checks_.contains(check)) return;
    Later(world_->Between(absl::ZeroDuration(), absl::Milliseconds(20)), [this, check] {
      if (checks_.erase(check) == 0) return;
      CheckDone done;
      done.check = check;
      done.attempt.set_outcome(v1::Outcome::INCONCLUSIVE);
      done.attempt.set_reason(v1::FailureReason::attempt_aborted);
      Apply(std::move(done));
    });
  }
}

void SimAgent::Begin(const StartCheck& start) {
  const v1::Test& test = start.test->test;
  if (!test.repeatable()) {
    world_->Note(absl::StrCat("agent ", options_.name, " starts ", start.lease.run_id, " ",
                              start.execution, " under ", start.lease.shard, "/",
                              start.lease.epoch));
  }
  checkers_->OnStarted(start.lease.run_id, start.execution, start.number);
  const CheckId check = start.check;
  checks_[check] = start;
  if (test.tags_size() > 0 && test.tags(0) == "poison") {
    // It kills whoever runs it; a supervisor starts the agent again.
    Later(world_->Between(absl::Milliseconds(1), absl::Milliseconds(30)), [this] {
      Kill(world_->Between(absl::ZeroDuration(), absl::Milliseconds(100)));
    });
    return;
  }
  const absl::Duration took =
      world_->Between(options_.check_least, options_.check_most) * options_.slowness;
  Later(took, [this, check] {
    const auto it = checks_.find(check);
    if (it == checks_.end()) return;
    const StartCheck start = std::move(it->second);
    checks_.erase(it);
    CheckDone done;
    done.check = check;
    done.attempt.set_number(start.number);
    done.attempt.set_duration_us(1000);
    done.attempt.set_outcome(oracle_->Answer(start.test->test, start.execution, start.number));
    if (done.attempt.outcome() == v1::Outcome::FAILED) {
      done.attempt.set_reason(v1::FailureReason::assertion);
    } else if (done.attempt.outcome() == v1::Outcome::INCONCLUSIVE) {
      done.attempt.set_reason(v1::FailureReason::cannot_evaluate);
    }
    Apply(std::move(done));
  });
}

}  // namespace picket::simulation
