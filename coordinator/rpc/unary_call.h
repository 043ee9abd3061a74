// File: unary_call.h
//
// One unary call: posts the request, finishes when the coordinator answers or the
// client has gone, whichever is first.
//
// Thread rule: the reactor synchronises itself; it deletes itself.

#ifndef COORDINATOR_RPC_UNARY_CALL_H_
#define COORDINATOR_RPC_UNARY_CALL_H_

#include <grpcpp/support/server_callback.h>

#include <memory>
#include <utility>

#include "absl/status/statusor.h"
#include "common/base/mutex.h"
#include "common/rpc/status.h"
#include "coordinator/app/coordinator.h"

namespace picket {

template <typename Response>
class UnaryCall final : public grpc::ServerUnaryReactor,
                        public std::enable_shared_from_this<UnaryCall<Response>> {
 public:
  // Calls `(coordinator->*method)(request, ...)`. `request` is gRPC's, made for this call
  // alone and not read again: it is taken, since a plan of a million rows need not be there
  // twice.
  template <typename Request>
  static grpc::ServerUnaryReactor* Start(
      Coordinator* coordinator, void (Coordinator::*method)(Request, Callback<Response>),
      const Request& request, Response* response) {
    auto call = std::make_shared<UnaryCall>(response);
    call->self_ = call;
    UnaryCall* reactor = call.get();
    (coordinator->*method)(std::move(const_cast<Request&>(request)),
                           [call = std::move(call)](absl::StatusOr<Response> answer) {
                             call->Answer(std::move(answer));
                           });
    return reactor;
  }

  // `response` is gRPC's, and valid until the call is finished.
  explicit UnaryCall(Response* response) : response_(response) {}

  void OnCancel() override {
    const auto alive = this->shared_from_this();
    MutexLock lock(&mu_);
    if (finished_) return;
    finished_ = true;
    Finish(grpc::Status::CANCELLED);
  }

  void OnDone() override { self_.reset(); }

 private:
  void Answer(absl::StatusOr<Response> answer) {
    MutexLock lock(&mu_);
    if (finished_) return;
    finished_ = true;
    if (answer.ok()) *response_ = *std::move(answer);
    Finish(ToGrpc(answer.status()));
  }

  std::shared_ptr<UnaryCall> self_;
  Mutex mu_;
  Response* const response_;
  bool finished_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace picket

#endif  // COORDINATOR_RPC_UNARY_CALL_H_
