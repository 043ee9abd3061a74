// File: watch_stream.h
//
// One WatchRun stream. A client that reads slowly gets the latest state and never a
// backlog: one message is with gRPC, at most one waits.
//
// Thread rule: the reactor synchronises itself; it deletes itself.

#ifndef COORDINATOR_RPC_WATCH_STREAM_H_
#define COORDINATOR_RPC_WATCH_STREAM_H_

#include <grpcpp/support/server_callback.h>

#include <memory>
#include <optional>

#include "absl/status/status.h"
#include "common/base/mutex.h"
#include "coordinator/app/coordinator.h"
#include "picket/v1/run_service.pb.h"

namespace picket {

class WatchStream final : public grpc::ServerWriteReactor<v1::WatchRunResponse>,
                          public std::enable_shared_from_this<WatchStream> {
 public:
  // `coordinator` must outlive the stream.
  static grpc::ServerWriteReactor<v1::WatchRunResponse>* Start(Coordinator* coordinator,
                                                               const v1::WatchRunRequest& request);
  explicit WatchStream(Coordinator* coordinator) : coordinator_(coordinator) {}

  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

 private:
  void Update(const v1::WatchRunResponse& state);
  void End(absl::Status status);
  // Writes, or finishes, if it is time to.
  void Proceed() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void FinishOnce(const absl::Status& status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  Coordinator* const coordinator_;
  std::shared_ptr<WatchStream> self_;
  Coordinator::WatchId watch_ = 0;  // set before gRPC learns of the stream

  Mutex mu_;
  bool writing_ ABSL_GUARDED_BY(mu_) = false;
  bool finished_ ABSL_GUARDED_BY(mu_) = false;
  v1::WatchRunResponse with_grpc_ ABSL_GUARDED_BY(mu_);
  std::optional<v1::WatchRunResponse> waiting_ ABSL_GUARDED_BY(mu_);
  std::optional<absl::Status> ended_ ABSL_GUARDED_BY(mu_);
};

}  // namespace picket

#endif  // COORDINATOR_RPC_WATCH_STREAM_H_
