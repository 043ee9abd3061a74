// The working half of SessionState: starting, retrying, finishing, telling, draining.

#include <algorithm>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "agent/session/session_state.h"
#include "common/policy/ends.h"
#include "common/policy/limits.h"
#include "common/policy/retry.h"

namespace picket {
namespace {

constexpr size_t kMessageBytes = 1000;

// Cuts between characters.
void CutText(std::string& text) {
  if (text.size() <= kMessageBytes) return;
  size_t end = kMessageBytes;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  text.resize(end);
}

// A replay draws what the attempt that it repeats drew; should it be tried again, what that
// one's next attempt would have drawn.
uint64_t SeedOf(const v1::Test& test, const std::string& run_id, uint32_t execution,
                uint32_t number) {
  if (!test.has_replay()) return AttemptSeed(run_id, execution, number);
  const v1::Replay& replay = test.replay();
  return AttemptSeed(replay.run_id(), replay.execution(), replay.attempt() + number - 1);
}

// A result with its evidence keeps within Limits::result_bytes: first evidence goes,
// then steps and assertions; outcome, reason and times always stay.
void BoundResult(v1::ExecutionResult& result) {
  const size_t most = DefaultLimits().result_bytes;
  if (result.ByteSizeLong() <= most) return;
  for (v1::Attempt& attempt : *result.mutable_attempts()) {
    attempt.clear_evidence();
    for (v1::StepResult& step : *attempt.mutable_steps()) step.clear_evidence();
  }
  if (result.ByteSizeLong() <= most) return;
  for (v1::Attempt& attempt : *result.mutable_attempts()) {
    attempt.clear_steps();
    attempt.clear_assertions();
    attempt.clear_warnings();
    CutText(*attempt.mutable_message());
  }
}

}  // namespace

uint32_t SessionState::window() const {
  if (draining_ || spool_->Full()) return 0;
  const uint64_t capacity = std::max(config_.capacity, 1u);
  uint64_t window = capacity * config_.limits.window_factor;
  if (mean_check_ > absl::ZeroDuration()) {
    const double ahead =
        absl::FDivDuration(2 * round_trip_ + config_.limits.prefetch_work, mean_check_);
    window =
        capacity + static_cast<uint64_t>(std::min(static_cast<double>(capacity) * ahead, 1e6)) + 1;
  }
  window += book_.delaying();
  return static_cast<uint32_t>(std::min<uint64_t>(window, DefaultLimits().window_most));
}

void SessionState::StartWhatFits() {
  book_.WakeDue(now_);
  while (book_.slots() < config_.capacity && !spool_->Full() && !book_.isolated_busy()) {
    const auto next = book_.Next({.can_ask = connected(), .only_started = draining_}, now_);
    if (!next.has_value()) return;
    auto [lease, position] = *next;
    // Runs with nothing beside it: wait until the agent is empty.
    if (lease->isolated && book_.slots() > 0) return;
    HeldExecution& execution = lease->executions[position];
    if (execution.ask && !execution.started) {
      book_.Move(*lease, position, Stage::kAsking);
      lease->to_ask.push_back(position);
      asking_.insert(lease->order);
    } else {
      Start(*lease, position);
    }
  }
}

void SessionState::Start(HeldLease& lease, uint32_t position) {
  HeldExecution& execution = lease.executions[position];
  const auto test = tests_.find(execution.digest);
  if (test == tests_.end()) {
    return FailToRun(lease, position,
                     absl::StrCat("the coordinator sent no definition of test ",
                                  absl::BytesToHexString(execution.digest)));
  }
  book_.Move(lease, position, Stage::kRunning);
  execution.check = next_check_++;
  execution.began = now_;
  running_[execution.check] = {&lease, position};
  StartCheck start;
  start.check = execution.check;
  start.test = test->second;
  start.row = execution.row;
  start.number = execution.attempts_before + execution.result.attempts_size() + 1;
  start.seed = SeedOf(test->second->test, lease.key.run_id, execution.number, start.number);
  if (!start.test->gates.empty()) {
    start.gates = GateTimesFor(start.test->test, start.test->gates, config_.location,
                               RowKey(start.row.has_value() ? &*start.row : nullptr),
                               execution.result.attempts());
  }
  start.lease = lease.key;
  start.execution = execution.number;
  effects_.push_back(std::move(start));
}

void SessionState::FailToRun(HeldLease& lease, uint32_t position, const std::string& why) {
  HeldExecution& execution = lease.executions[position];
  v1::Attempt& attempt = *execution.result.add_attempts();
  attempt.set_number(execution.attempts_before + execution.result.attempts_size());
  attempt.set_outcome(v1::Outcome::INCONCLUSIVE);
  attempt.set_reason(v1::FailureReason::agent_error);
  attempt.set_message(why);
  Finish(lease, position);
}

void SessionState::Handle(CheckDone& event) {
  const auto it = running_.find(event.check);
  if (it == running_.end()) return;
  HeldLease& lease = *it->second.first;
  const uint32_t position = it->second.second;
  running_.erase(it);
  HeldExecution& execution = lease.executions[position];
  mean_check_ = Smooth(mean_check_, std::max(now_ - execution.began, absl::Microseconds(1)));
  const uint32_t attempts = execution.attempts_before + execution.result.attempts_size() + 1;
  const v1::Retry& retry = tests_.at(execution.digest)->test.retry();
  // A regression gate wants another measurement: no retry, but the same try going on.
  const bool measuring = !execution.probe &&
                         event.attempt.reason() == v1::FailureReason::measuring &&
                         attempts < DefaultLimits().attempts_most;
  const bool wanted =
      measuring || (!execution.probe && RetryWanted(retry, event.attempt, attempts));
  // Of a lease that is over only what is finished counts; the rest is run elsewhere.
  if (execution.discard &&
      (wanted || event.attempt.reason() == v1::FailureReason::attempt_aborted)) {
    return book_.Move(lease, position, Stage::kGone);
  }
  event.attempt.set_probe(execution.probe);
  *execution.result.add_attempts() = std::move(event.attempt);
  if (!wanted || (!measuring && RetryWhere(retry, attempts) != v1::Retry::SAME_AGENT)) {
    return Finish(lease, position);
  }
  absl::Duration due =
      now_ + (measuring ? DefaultLimits().regression_gap : RetryDelay(retry, attempts));
  if (draining_) due = std::min(due, now_ + config_.limits.drain_delay_longest);
  book_.Delay(lease, position, due);
}

void SessionState::Finish(HeldLease& lease, uint32_t position) {
  HeldExecution& execution = lease.executions[position];
  FoldAttempts(execution.failed_before, execution.result);
  BoundResult(execution.result);
  v1::LeaseResults results;
  *results.mutable_lease() = lease.key.ToProto();
  results.set_instance(config_.instance);
  results.add_results()->Swap(&execution.result);
  lease.last_sequence = spool_->Append(results);
  execution.row.reset();
  book_.Move(lease, position, Stage::kDone);
}

// ---- Telling ----

void SessionState::SendStarted() {
  if (!connected()) return;
  for (const uint64_t order : std::exchange(asking_, {})) {
    HeldLease* lease = book_.At(order);
    // One question a lease at a time; the answer brings the next.
    if (lease == nullptr || lease->to_ask.empty() || !lease->asked.empty()) continue;
    lease->asked = std::exchange(lease->to_ask, {});
    v1::AgentMessage message;
    v1::Started& started = *message.mutable_started();
    *started.mutable_lease() = lease->key.ToProto();
    for (const uint32_t position : lease->asked) {
      started.add_executions(lease->executions[position].number);
    }
    Send(std::move(message));
  }
}

void SessionState::SendResults() {
  if (!connected()) return;
  for (v1::ResultBatch& batch : sender_.Take(now_, book_.slots() >= config_.limits.turn_pace_in_flight)) {
    v1::AgentMessage message;
    message.mutable_results()->Swap(&batch);
    Send(std::move(message));
  }
}

void SessionState::SendHeartbeat() {
  if (!connected() || now_ < std::min(next_heartbeat_, next_progress_)) return;
  v1::AgentMessage message;
  v1::Heartbeat& heartbeat = *message.mutable_heartbeat();
  book_.ForEach([&](HeldLease& lease) {
    if (lease.progress == lease.progress_told) return;
    lease.progress_told = lease.progress;
    v1::LeaseProgress& progress = *heartbeat.add_progress();
    *progress.mutable_lease() = lease.key.ToProto();
    progress.set_started(lease.progress);
  });
  const uint32_t window = this->window();
  // A window that wavers by an eighth is not worth a message.
  const uint32_t change = window > window_told_ ? window - window_told_ : window_told_ - window;
  const bool news =
      heartbeat.progress_size() > 0 || change > window_told_ / 8 || draining_ != draining_told_;
  next_progress_ =
      book_.held() > 0 || draining_ ? now_ + progress_interval_ : absl::InfiniteDuration();
  if (!news && now_ < next_heartbeat_) return;
  heartbeat.set_window(window);
  heartbeat.set_in_flight(book_.slots());
  heartbeat.set_draining(draining_);
  window_told_ = window;
  draining_told_ = draining_;
  next_heartbeat_ = now_ + heartbeat_interval_;
  book_.Forget(spool_->acknowledged());
  Send(std::move(message));
}

// ---- Draining ----

void SessionState::StartDraining() {
  if (draining_) return;
  draining_ = true;
  down_since_ = std::max(down_since_, now_);
  book_.HurryDelays(now_ + config_.limits.drain_delay_longest);
  if (!connected()) return;  // given back once a coordinator hears of it
  next_progress_ = now_;
  book_.ForEach([this](HeldLease& lease) {
    v1::AgentMessage message;
    *message.mutable_lease_return() = Withdraw(lease, nullptr);
    if (message.lease_return().executions_size() > 0) Send(std::move(message));
  });
}

void SessionState::FinishDraining() {
  if (!draining_) return;
  const bool nothing_left = book_.held() == 0 && sender_.Idle();
  if (link_ == Link::kDown) {
    // Results that no coordinator takes stay in the spool for the next agent on it.
    const bool waited = now_ >= down_since_ + config_.limits.drain_offline;
    drained_ = goodbye_ || nothing_left || (book_.slots() == 0 && (waited || !refused_.ok()));
    return;
  }
  if (link_ == Link::kDialled && nothing_left && sessions_ == 0) {
    effects_.push_back(CloseStream{stream_, /*abandon=*/true});
    drained_ = true;
    return;
  }
  if (link_ != Link::kWelcomed || !nothing_left) return;
  v1::AgentMessage message;
  message.mutable_goodbye()->set_reason("drained");
  Send(std::move(message));
  goodbye_ = true;
  CloseLink(/*abandon=*/false);
}

}  // namespace picket
