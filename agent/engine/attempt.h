// File: attempt.h
//
// One try of one execution: a state machine that lives on a loop's thread. It runs the
// steps in order, follows redirects, judges the answers and folds them into one outcome.
//
// Thread rule: everything on the loop's thread. While a worker judges an answer, the
// attempt leaves its variables and answer alone.

#ifndef AGENT_ENGINE_ATTEMPT_H_
#define AGENT_ENGINE_ATTEMPT_H_

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/time/time.h"
#include "agent/engine/attempt_result.h"
#include "agent/engine/compiled_test.h"
#include "agent/engine/cookies.h"
#include "agent/engine/engine.h"
#include "agent/engine/evaluate.h"
#include "agent/engine/render_request.h"
#include "agent/engine/transfer.h"
#include "agent/engine/variables.h"
#include "agent/engine/worker_pool.h"
#include "common/base/clock.h"
#include "common/base/random.h"

namespace picket {

// What attempts on one loop share. All outlive the attempts.
struct AttemptServices {
  TransferLoop* loop = nullptr;
  Clock* clock = nullptr;
  SecretSource* secrets = nullptr;                        // null = none
  WorkerPool* workers = nullptr;                          // null = judge on the loop
  const std::atomic<int64_t>* clock_offset_us = nullptr;  // null = 0
};

class Attempt : public std::enable_shared_from_this<Attempt> {
 public:
  using Done = absl::AnyInvocable<void(v1::Attempt)>;

  // `quality` holds what is known before the start.
  Attempt(const AttemptServices* services, CheckJob job, v1::Quality quality, Done done);

  // `done` is called once, now or later.
  void Start();
  // See Engine::Abort. Harmless once ended.
  void Abort(absl::Duration grace);

 private:
  void NextStep();
  // These return true while the step is under way, false once it has ended.
  bool BeginStep();
  bool StartHop();
  bool Follow(TransferResult& result);
  bool JudgeAnswer();

  void OnTransfer(TransferResult result);
  void OnVerdict(StepVerdict verdict);
  void OnOverrun();
  void TakeHop(const TransferResult& result);
  bool TransferFailed(const TransferResult& result);

  void EndStep(v1::Outcome::Value outcome, v1::FailureReason::Value reason, std::string message);
  void EndStep(StepVerdict verdict);
  void SkipStep(std::string why);
  void KeepEvidence(v1::Outcome::Value outcome);
  // REQUIRES: request_.
  v1::Evidence EvidenceNow();
  std::string Masked(absl::string_view text) const;
  void CancelTimers();
  void HardStop();
  void Finish();

  absl::Time Now() const;
  absl::Duration Remaining() const { return deadline_ - services_.clock->Monotonic(); }
  const CompiledStep& step() const { return job_.test->steps[step_]; }
  bool IsAlwaysStepLeft() const;
  std::string PoorNow() const;

  const AttemptServices& services_;
  const CheckJob job_;
  Done done_;
  absl::Duration start_, deadline_;
  Random random_;
  Variables variables_;
  CookieJar jar_;
  std::unique_ptr<TransferSession> session_;
  AttemptResult result_;

  size_t step_ = 0;
  bool broken_ = false;  // only `always` steps run from here on
  bool aborted_ = false;
  bool finished_ = false;
  bool grace_given_ = false;  // time for `always` steps beyond the timeout

  // Of the step under way.
  std::optional<RenderedRequest> request_;
  StepAnswer answer_;
  StepRecord record_;
  std::optional<TransferLoop::TransferId> transfer_;
  bool judging_ = false;
  bool overrun_ = false;
  std::optional<TransferLoop::TimerId> overrun_timer_, abort_timer_;
};

}  // namespace picket

#endif  // AGENT_ENGINE_ATTEMPT_H_
