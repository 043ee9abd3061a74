#include "tests/simulation/wire.h"

#include <algorithm>
#include <utility>

namespace picket::simulation {

absl::Duration Stream::Arrival(bool to_coordinator) {
  const absl::Duration at =
      std::max({world_->now() + world_->Between(options_->delay_least, options_->delay_most),
                last_arrival_[to_coordinator], held_until_[to_coordinator]});
  last_arrival_[to_coordinator] = at;
  return at;
}

void Stream::HoldUp(bool to_coordinator, absl::Duration until) {
  held_until_[to_coordinator] = std::max(held_until_[to_coordinator], until);
}

void Stream::ToCoordinator(v1::AgentMessage message) {
  if (cut_ || agent_gone_) return;
  const bool repeatable = message.has_results() || message.has_heartbeat();
  if (repeatable && world_->random().Chance(options_->twice)) DeliverToCoordinator(message);
  DeliverToCoordinator(std::move(message));
}

void Stream::DeliverToCoordinator(v1::AgentMessage message) {
  world_->At(Arrival(true), [self = shared_from_this(), message = std::move(message)]() mutable {
    if (!self->cut_ && !self->coordinator_gone_ && !self->coordinator_told_ &&
        self->coordinator.on_agent_message) {
      self->coordinator.on_agent_message(std::move(message));
    }
  });
}

void Stream::ToAgent(v1::CoordinatorMessage message) {
  if (cut_ || coordinator_gone_) return;
  world_->At(Arrival(false), [self = shared_from_this(), message = std::move(message)]() mutable {
    if (!self->cut_ && !self->agent_gone_ && !self->agent_told_ &&
        self->agent.on_coordinator_message) {
      self->agent.on_coordinator_message(std::move(message));
    }
  });
}

void Stream::TellAgentClosed(absl::Status status) {
  if (std::exchange(agent_told_, true)) return;
  if (agent.on_closed) agent.on_closed(std::move(status));
}

void Stream::TellCoordinatorClosed() {
  if (std::exchange(coordinator_told_, true)) return;
  if (coordinator.on_closed) coordinator.on_closed(absl::OkStatus());
}

void Stream::CloseByCoordinator(absl::Status status) {
  if (cut_) return;
  world_->At(Arrival(false), [self = shared_from_this(), status = std::move(status)] {
    if (self->cut_) return;
    self->cut_ = true;
    self->TellAgentClosed(status);
    self->TellCoordinatorClosed();
  });
}

void Stream::CloseByAgent() {
  if (cut_) return;
  world_->At(Arrival(true), [self = shared_from_this()] {
    if (self->cut_) return;
    self->cut_ = true;
    self->TellCoordinatorClosed();
    self->TellAgentClosed(absl::OkStatus());
  });
}

void Stream::AgentDied(absl::Duration notice, bool delivered) {
  agent = {};
  agent_told_ = agent_gone_ = true;
  if (!delivered) cut_ = true;
  world_->After(notice, [self = shared_from_this()] {
    self->cut_ = true;
    self->TellCoordinatorClosed();
  });
}

void Stream::CoordinatorDied(absl::Duration notice, bool delivered) {
  coordinator = {};
  coordinator_told_ = coordinator_gone_ = true;
  if (!delivered) cut_ = true;
  world_->After(notice, [self = shared_from_this()] {
    self->cut_ = true;
    self->TellAgentClosed(absl::UnavailableError("connection reset"));
  });
}

void Stream::Linger(absl::Duration agent_notice, absl::Duration coordinator_notice) {
  if (cut_ || std::exchange(agent_gone_, true)) return;
  world_->After(agent_notice, [self = shared_from_this()] {
    self->TellAgentClosed(absl::UnavailableError("connection timed out"));
  });
  world_->After(coordinator_notice, [self = shared_from_this()] {
    self->cut_ = true;
    self->TellCoordinatorClosed();
  });
}

void Stream::Cut(absl::Duration agent_notice, absl::Duration coordinator_notice) {
  if (std::exchange(cut_, true)) return;
  world_->After(agent_notice, [self = shared_from_this()] {
    self->TellAgentClosed(absl::UnavailableError("connection timed out"));
  });
  world_->After(coordinator_notice, [self = shared_from_this()] { self->TellCoordinatorClosed(); });
}

}  // namespace picket::simulation
