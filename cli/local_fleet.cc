#include "cli/local_fleet.h"

#include <grpcpp/channel.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "agent/engine/engine.h"
#include "agent/session/agent.h"
#include "agent/session/grpc_session.h"
#include "cli/interrupts.h"
#include "common/base/clock.h"
#include "common/base/status_macros.h"
#include "common/base/steady_wall_clock.h"
#include "common/telemetry/signals.h"
#include "coordinator/app/coordinator.h"
#include "coordinator/rpc/rpc_server.h"
#include "coordinator/store/store.h"

namespace picket {
namespace {

// Members are destroyed from the last to the first: agents hang up before the
// coordinator they speak to goes, and that before its store.
class InProcessFleet : public LocalFleet {
 public:
  absl::Status Start(const LocalFleetOptions& options) {
    RaiseFileLimit();
    secrets_ = MakeSecretSource("", options.secrets);
    clock_ = SteadyWallClock::Real();
    store_ = MakeMemoryStore(clock_.get());
    coordinator_ = Coordinator::Start({}, store_.get(), Clock::Real(), nullptr);
    ABSL_ASSIGN_OR_RETURN(rpc_, CoordinatorRpc::Start("", coordinator_.get()));
    dialer_ = MakeDialer(rpc_->InProcessChannel());
    for (const std::string& location : options.locations) {
      AgentOptions agent;
      agent.name = absl::StrCat("local-", location);
      agent.location = location;
      agent.capacity = options.capacity;
      agent.engine.loops = 1;
      agent.engine.secrets = secrets_.get();
      ABSL_ASSIGN_OR_RETURN(auto started, Agent::Start(std::move(agent), dialer_.get()));
      agents_.push_back(std::move(started));
    }
    client_ = MakeRunClient(rpc_->InProcessChannel(), "this process");
    return absl::OkStatus();
  }

  RunClient* client() override { return client_.get(); }

  void Settle(absl::Duration most) override {
    const absl::Duration end = Clock::Real()->Monotonic() + most;
    for (const auto& agent : agents_) {
      while (agent->Status().in_flight > 0 && Clock::Real()->Monotonic() < end) {
        PauseFor(absl::Milliseconds(5));
      }
    }
  }

 private:
  std::unique_ptr<SecretSource> secrets_;
  std::unique_ptr<SteadyWallClock> clock_;
  std::unique_ptr<Store> store_;
  std::unique_ptr<Coordinator> coordinator_;
  std::unique_ptr<CoordinatorRpc> rpc_;
  std::unique_ptr<SessionDialer> dialer_;
  std::vector<std::unique_ptr<Agent>> agents_;
  std::unique_ptr<RunClient> client_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<LocalFleet>> StartLocalFleet(const LocalFleetOptions& options) {
  auto fleet = std::make_unique<InProcessFleet>();
  ABSL_RETURN_IF_ERROR(fleet->Start(options));
  return fleet;
}

}  // namespace picket
