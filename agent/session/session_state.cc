#include "agent/session/session_state.h"

#include <algorithm>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "common/policy/ends.h"
#include "common/policy/limits.h"
#include "common/policy/retry.h"

namespace picket {
namespace {

constexpr uint32_t kProtocol = 1;

absl::Duration DurationOf(const google::protobuf::Duration& proto, absl::Duration fallback) {
  const absl::Duration d = absl::Seconds(proto.seconds()) + absl::Nanoseconds(proto.nanos());
  return d > absl::ZeroDuration() ? d : fallback;
}

// Dialling again would meet the same refusal.
bool IsFinal(absl::StatusCode code) {
  return code == absl::StatusCode::kAlreadyExists || code == absl::StatusCode::kInvalidArgument ||
         code == absl::StatusCode::kFailedPrecondition ||
         code == absl::StatusCode::kPermissionDenied || code == absl::StatusCode::kUnauthenticated;
}

}  // namespace

SessionState::SessionState(SessionConfig config, Spool* spool, Random random)
    : config_(std::move(config)),
      spool_(spool),
      random_(std::move(random)),
      backoff_({.first = config_.limits.backoff_first, .longest = config_.limits.backoff_longest}),
      take_over_(config_.take_over),
      heartbeat_interval_(DefaultLimits().heartbeat_interval),
      progress_interval_(DefaultLimits().progress_interval),
      sender_(spool, config_.limits) {}

std::vector<SessionEffect> SessionState::Apply(absl::Duration now,
                                               std::vector<SessionEvent> events) {
  now_ = now;
  effects_.clear();
  for (SessionEvent& event : events) {
    std::visit([this](auto& e) { Handle(e); }, event);
  }
  Settle();
  return std::move(effects_);
}

void SessionState::Settle() {
  if (drained_) return;
  if (link_ == Link::kDown && refused_.ok() && now_ >= dial_at_) Dial();
  WatchLink();
  StartWhatFits();
  SendStarted();
  SendResults();
  SendHeartbeat();
  FinishDraining();
}

absl::Duration SessionState::NextDeadline() const {
  if (drained_) return absl::InfiniteDuration();
  absl::Duration next = std::min(book_.NextDue(), sender_.NextTake());
  if (link_ == Link::kDown && refused_.ok()) next = std::min(next, dial_at_);
  if (draining_ && link_ == Link::kDown && book_.slots() == 0) {
    next = std::min(next, down_since_ + config_.limits.drain_offline);
  }
  if (link_ == Link::kWelcomed) {
    next = std::min({next, next_heartbeat_, next_progress_,
                     sender_.waiting_since() + config_.limits.ack_timeout});
  }
  return std::min(next, link_deadline_);
}

// ---- The link ----

void SessionState::Dial() {
  link_ = Link::kDialled;
  link_deadline_ = now_ + config_.limits.welcome_timeout;
  ++stream_;
  effects_.push_back(DialStream{stream_});
  v1::AgentMessage message;
  *message.mutable_hello() = MakeHello();
  Send(std::move(message));
}

v1::Hello SessionState::MakeHello() {
  v1::Hello hello;
  hello.set_instance(config_.instance);
  hello.set_name(config_.name);
  hello.set_location(config_.location);
  hello.set_protocol_min(kProtocol);
  hello.set_protocol_max(kProtocol);
  hello.set_version(config_.version);
  hello.add_check_types("http");
  for (const auto& [key, value] : config_.labels) (*hello.mutable_labels())[key] = value;
  hello.set_capacity(config_.capacity);
  hello.set_window(window());
  hello.set_take_over(take_over_);
  hello.set_spool(spool_->id());
  book_.Forget(spool_->acknowledged());
  book_.ForEach([&](HeldLease& lease) {
    v1::HeldLease held;
    bool ours = lease.last_sequence > spool_->acknowledged();
    for (const HeldExecution& execution : lease.executions) {
      if (execution.stage == Stage::kDone || execution.stage == Stage::kGone) continue;
      if (execution.discard) continue;
      held.add_executions(execution.number);
      ours = true;
    }
    if (!ours) return;
    *held.mutable_lease() = lease.key.ToProto();
    *hello.add_held() = std::move(held);
  });
  window_told_ = hello.window();
  return hello;
}

void SessionState::Send(v1::AgentMessage message) {
  effects_.push_back(SendMessage{stream_, std::move(message)});
}

void SessionState::CloseLink(bool abandon) {
  effects_.push_back(CloseStream{stream_, abandon});
  sender_.Close();
  link_ = Link::kClosing;
  link_deadline_ = now_ + config_.limits.goodbye_timeout;
}

void SessionState::WatchLink() {
  const bool unanswered =
      link_ == Link::kWelcomed && now_ >= sender_.waiting_since() + config_.limits.ack_timeout;
  if (unanswered || (link_ == Link::kDialled && now_ >= link_deadline_)) {
    CloseLink(/*abandon=*/true);
    last_error_ = absl::DeadlineExceededError(unanswered ? "the coordinator acknowledges no results"
                                                         : "the coordinator does not answer");
  } else if (link_ == Link::kClosing && now_ >= link_deadline_) {
    link_deadline_ = absl::InfiniteDuration();
    effects_.push_back(CloseStream{stream_, /*abandon=*/true});
  } else if (link_ == Link::kWelcomed && definition_bytes_ > config_.limits.definition_bytes) {
    // A new session starts without definitions; that is how both sides forget them.
    CloseLink(/*abandon=*/false);
  }
}

void SessionState::Handle(StreamClosed& event) {
  if (event.stream != stream_ || link_ == Link::kDown) return;
  const bool refusal = link_ == Link::kDialled && IsFinal(event.status.code());
  if (link_ != Link::kClosing) {
    last_error_ = event.status.ok() ? absl::UnavailableError("the coordinator ended the session")
                                    : event.status;
  }
  link_ = Link::kDown;
  link_deadline_ = absl::InfiniteDuration();
  next_heartbeat_ = next_progress_ = absl::InfiniteDuration();
  if (std::exchange(welcomed_, false)) down_since_ = now_;
  sender_.Close();
  ForgetDefinitions();
  // What was asked is asked again by the next session.
  book_.ForEach([this](HeldLease& lease) {
    for (std::vector<uint32_t>* list : {&lease.asked, &lease.to_ask}) {
      for (const uint32_t position : std::exchange(*list, {})) {
        if (lease.executions[position].stage == Stage::kAsking) book_.Requeue(lease, position);
      }
    }
  });
  if (refusal) {
    refused_ = event.status;
    return;
  }
  dial_at_ = now_ + backoff_.Next(random_);
}

void SessionState::Handle(Received& event) {
  if (event.stream != stream_ || (link_ != Link::kDialled && link_ != Link::kWelcomed)) return;
  v1::CoordinatorMessage& message = event.message;
  if ((link_ == Link::kDialled) != message.has_welcome()) {
    last_error_ = absl::InternalError(
        "the coordinator does not speak the protocol: Welcome is the "
        "first message, once");
    CloseLink(/*abandon=*/true);
    return;
  }
  switch (message.kind_case()) {
    case v1::CoordinatorMessage::kWelcome:
      return OnWelcome(message.welcome());
    case v1::CoordinatorMessage::kTest:
      return OnTest(*message.mutable_test());
    case v1::CoordinatorMessage::kGrant:
      return OnGrant(*message.mutable_grant());
    case v1::CoordinatorMessage::kRecall:
      return OnRecall(message.recall());
    case v1::CoordinatorMessage::kRunEnded:
      return OnRunEnded(message.run_ended());
    case v1::CoordinatorMessage::kAck:
      return OnResultAck(message.ack());
    case v1::CoordinatorMessage::kStartedAck:
      return OnStartedAck(message.started_ack());
    case v1::CoordinatorMessage::kDrain:
      return StartDraining();
    case v1::CoordinatorMessage::KIND_NOT_SET:
      return;  // of a newer protocol
  }
}

void SessionState::OnWelcome(const v1::Welcome& welcome) {
  link_ = Link::kWelcomed;
  welcomed_ = true;
  link_deadline_ = absl::InfiniteDuration();
  ++sessions_;
  last_error_ = absl::OkStatus();
  backoff_.Reset();
  take_over_ = false;
  heartbeat_interval_ =
      DurationOf(welcome.heartbeat_interval(), DefaultLimits().heartbeat_interval);
  next_heartbeat_ = now_ + heartbeat_interval_;
  next_progress_ = now_;
  draining_told_ = false;
  effects_.push_back(SetClockOffset{absl::Microseconds(welcome.clock_offset_us())});
  for (const v1::LeaseId& id : welcome.dropped()) {
    if (HeldLease* lease = book_.Find(LeaseName::Of(id))) {
      Abandon(*lease, DefaultLimits().always_grace);
    }
  }
  book_.ForEach([](HeldLease& lease) { lease.progress_told = 0; });
  const size_t most = DefaultLimits().result_batch_bytes;
  const size_t told = welcome.result_batch_bytes();
  sender_.Open(now_, told > 0 ? std::min(told, most) : most);
  if (draining_) {
    book_.ForEach([this](HeldLease& lease) {
      v1::AgentMessage message;
      *message.mutable_lease_return() = Withdraw(lease, nullptr);
      if (message.lease_return().executions_size() > 0) Send(std::move(message));
    });
  }
}

// ---- What is held ----

void SessionState::OnTest(v1::TestDefinition& definition) {
  size_t bytes = definition.ByteSizeLong();
  definition_bytes_ += bytes;
  for (v1::Blob& blob : *definition.mutable_blobs()) {
    files_[blob.sha256()] = std::make_shared<const std::string>(std::move(*blob.mutable_data()));
  }
  auto unit = std::make_shared<TestUnit>();
  unit->digest = definition.digest();
  unit->test.Swap(definition.mutable_test());
  unit->gates = RegressionGates(unit->test);
  unit->bytes = bytes;
  for (const v1::FileRef& file : unit->test.files()) {
    const auto it = files_.find(file.sha256());
    if (it != files_.end()) unit->files[file.sha256()] = it->second;
  }
  tests_[unit->digest] = std::move(unit);
}

// Keeps what held executions need; the next session sends the rest again if it must.
void SessionState::ForgetDefinitions() {
  std::map<std::string, std::shared_ptr<const TestUnit>> kept;
  definition_bytes_ = 0;
  book_.ForEach([&](HeldLease& lease) {
    if (lease.open == 0) return;
    for (const HeldExecution& execution : lease.executions) {
      if (execution.stage == Stage::kDone || execution.stage == Stage::kGone) continue;
      const auto it = tests_.find(execution.digest);
      if (it == tests_.end()) continue;
      kept.emplace(it->first, it->second);
    }
  });
  tests_ = std::move(kept);
  files_.clear();
}

void SessionState::OnGrant(v1::LeaseGrant& grant) {
  HeldLease& lease = book_.Lease(LeaseName::Of(grant.lease()), grant.priority(), grant.isolated());
  next_progress_ = std::min(next_progress_, now_ + progress_interval_);
  if (grant.has_run_remaining()) {
    lease.run_deadline = now_ + DurationOf(grant.run_remaining(), absl::ZeroDuration());
  }
  v1::AgentMessage back;
  for (v1::LeasedExecution& leased : *grant.mutable_executions()) {
    if (draining_ || book_.held() >= DefaultLimits().window_most) {
      back.mutable_lease_return()->add_executions(leased.execution());
      continue;
    }
    HeldExecution execution;
    execution.number = leased.execution();
    execution.digest = leased.digest();
    if (leased.has_row()) execution.row = std::move(*leased.mutable_row());
    execution.attempts_before = leased.attempts_before();
    execution.failed_before = leased.failed_before();
    execution.ask = leased.ask_before_start();
    execution.probe = leased.probe();
    book_.Add(lease, std::move(execution));
  }
  if (back.has_lease_return()) {
    *back.mutable_lease_return()->mutable_lease() = grant.lease();
    Send(std::move(back));
  }
}

v1::LeaseReturn SessionState::Withdraw(HeldLease& lease,
                                       const google::protobuf::RepeatedField<uint32_t>* only) {
  v1::LeaseReturn back;
  *back.mutable_lease() = lease.key.ToProto();
  const auto withdraw = [&](uint32_t position) {
    HeldExecution& execution = lease.executions[position];
    if (execution.stage != Stage::kWaiting || execution.started) return;
    back.add_executions(execution.number);
    book_.Move(lease, position, Stage::kGone);
  };
  if (only != nullptr && !only->empty()) {
    for (const uint32_t number : *only) {
      const auto it = lease.position.find(number);
      if (it != lease.position.end()) withdraw(it->second);
    }
  } else {
    for (uint32_t i = 0; i < lease.executions.size(); ++i) withdraw(i);
  }
  return back;
}

void SessionState::Abandon(HeldLease& lease, absl::Duration grace) {
  lease.asked.clear();
  lease.to_ask.clear();
  for (uint32_t i = 0; i < lease.executions.size(); ++i) {
    HeldExecution& execution = lease.executions[i];
    if (execution.stage == Stage::kRunning) {
      if (!execution.discard) effects_.push_back(AbortCheck{execution.check, grace});
      execution.discard = true;
    } else if (execution.stage != Stage::kDone) {
      book_.Move(lease, i, Stage::kGone);
    }
  }
}

void SessionState::OnRecall(const v1::LeaseRecall& recall) {
  v1::AgentMessage message;
  HeldLease* lease = book_.Find(LeaseName::Of(recall.lease()));
  if (lease == nullptr) {
    *message.mutable_lease_return()->mutable_lease() = recall.lease();
  } else if (recall.ended()) {
    return Abandon(*lease, DefaultLimits().always_grace);
  } else {
    *message.mutable_lease_return() = Withdraw(*lease, &recall.executions());
  }
  Send(std::move(message));
}

void SessionState::OnRunEnded(const v1::RunEnded& ended) {
  const absl::Duration grace = DurationOf(ended.grace(), DefaultLimits().always_grace);
  book_.ForEach([&](HeldLease& lease) {
    if (lease.key.run_id == ended.run_id()) Abandon(lease, grace);
  });
}

void SessionState::OnStartedAck(const v1::StartedAck& ack) {
  HeldLease* lease = book_.Find(LeaseName::Of(ack.lease()));
  if (lease == nullptr) return;
  std::vector<uint32_t> go;
  for (const uint32_t number : ack.executions()) {
    const auto it = lease->position.find(number);
    if (it != lease->position.end()) go.push_back(it->second);
  }
  std::sort(go.begin(), go.end());
  for (const uint32_t position : std::exchange(lease->asked, {})) {
    if (lease->executions[position].stage != Stage::kAsking) continue;
    if (std::binary_search(go.begin(), go.end(), position)) {
      Start(*lease, position);
    } else {
      book_.Move(*lease, position, Stage::kGone);
    }
  }
  if (!lease->to_ask.empty()) asking_.insert(lease->order);
}

void SessionState::OnResultAck(const v1::ResultAck& ack) {
  for (const v1::ResultAck::Dropped& dropped : ack.dropped()) {
    effects_.push_back(ResultDropped{dropped.run_id(), dropped.execution(), dropped.reason()});
  }
  const absl::Duration trip = sender_.Acknowledged(now_, ack.through());
  if (trip > absl::ZeroDuration()) round_trip_ = Smooth(round_trip_, trip);
  book_.Forget(spool_->acknowledged());
}

}  // namespace picket
