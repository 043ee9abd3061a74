// File: await.h
//
// From callbacks to waiting: for HTTP handlers, which have a thread of their own.
//
// Thread rule: safe to call from any thread but the coordinator's.

#ifndef COORDINATOR_GATEWAY_AWAIT_H_
#define COORDINATOR_GATEWAY_AWAIT_H_

#include <memory>
#include <optional>
#include <utility>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/mutex.h"
#include "coordinator/app/coordinator.h"
#include "coordinator/gateway/limits.h"

namespace picket {

// The answer of `start(callback)`; DeadlineExceeded if it does not come in time.
template <typename Response>
absl::StatusOr<Response> Await(absl::FunctionRef<void(Callback<Response>)> start) {
  struct Shared {
    Mutex mu;
    CondVar answered;
    std::optional<absl::StatusOr<Response>> answer ABSL_GUARDED_BY(mu);
  };
  auto shared = std::make_shared<Shared>();
  start([shared](absl::StatusOr<Response> answer) {
    MutexLock lock(&shared->mu);
    shared->answer = std::move(answer);
    shared->answered.Signal();
  });
  MutexLock lock(&shared->mu);
  while (!shared->answer.has_value()) {
    if (shared->answered.WaitWithTimeout(&shared->mu, DefaultGatewayLimits().answer_timeout) &&
        !shared->answer.has_value()) {
      return absl::DeadlineExceededError("the coordinator did not answer in time; try again");
    }
  }
  return *std::move(shared->answer);
}

// Calls `(coordinator->*method)(request, ...)` and waits.
template <typename Request, typename Response>
absl::StatusOr<Response> Call(Coordinator* coordinator,
                              void (Coordinator::*method)(Request, Callback<Response>),
                              Request request) {
  return Await<Response>([&](Callback<Response> done) {
    (coordinator->*method)(std::move(request), std::move(done));
  });
}

}  // namespace picket

#endif  // COORDINATOR_GATEWAY_AWAIT_H_
