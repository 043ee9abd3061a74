// File: run_watch.h
//
// The latest state of a run, for a handler that looks now and then.
//
// Thread rule: safe to call from any thread but the coordinator's.

#ifndef COORDINATOR_GATEWAY_RUN_WATCH_H_
#define COORDINATOR_GATEWAY_RUN_WATCH_H_

#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/base/mutex.h"
#include "coordinator/app/coordinator.h"

namespace picket {

class RunWatch {
 public:
  // `coordinator` must outlive it.
  RunWatch(Coordinator* coordinator, const std::string& run_id);
  ~RunWatch();

  // The state that came since the last call, if any.
  std::optional<v1::WatchRunResponse> Take();
  // How the watch ended, once it has and every state was taken.
  std::optional<absl::Status> Ended();
  // Waits until there is something to take, or the end, or `longest` has passed.
  void Wait(absl::Duration longest);

 private:
  struct Shared {
    Mutex mu;
    CondVar changed;
    std::optional<v1::WatchRunResponse> state ABSL_GUARDED_BY(mu);
    std::optional<absl::Status> ended ABSL_GUARDED_BY(mu);
  };

  Coordinator* const coordinator_;
  const std::shared_ptr<Shared> shared_ = std::make_shared<Shared>();
  Coordinator::WatchId id_;
};

}  // namespace picket

#endif  // COORDINATOR_GATEWAY_RUN_WATCH_H_
