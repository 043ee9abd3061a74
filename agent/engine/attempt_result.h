// File: attempt_result.h
//
// Folds what the steps of an attempt came to into the v1::Attempt that is reported.
//
// Thread rule: thread-compatible.

#ifndef AGENT_ENGINE_ATTEMPT_RESULT_H_
#define AGENT_ENGINE_ATTEMPT_RESULT_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "agent/engine/compiled_test.h"
#include "agent/engine/subject.h"
#include "agent/engine/transfer.h"
#include "picket/v1/result.pb.h"

namespace picket {

struct HopRecord {
  std::string url;  // masked and bounded
  int status = 0;
  PhaseTimes times;
  std::optional<v1::HttpDetail> http;  // where it is not the attempt's own
};

// One step as it went.
struct StepRecord {
  v1::Outcome::Value outcome = v1::Outcome::OUTCOME_UNSPECIFIED;
  v1::FailureReason::Value reason = v1::FailureReason::none;
  std::string message;
  bool skipped = false;
  bool ended = false;
  PhaseTimes times;
  std::vector<HopRecord> hops;
  std::vector<v1::Assertion> assertions;
  uint32_t passed = 0, failed = 0, unjudged = 0;
  uint32_t learning = 0;  // of `unjudged`
  std::vector<v1::GateTime> gate_times;
  std::optional<v1::Evidence> evidence;  // in replays
};

// About one transfer; `redirects` is left 0.
v1::HttpDetail DetailOf(const TransferResult& result);

class AttemptResult {
 public:
  // `test` outlives it.
  explicit AttemptResult(const CompiledTest& test) : test_(test) {}

  // In order of the steps.
  void AddStep(StepRecord record);
  // An end before any step could begin.
  void EndEarly(v1::Outcome::Value outcome, v1::FailureReason::Value reason, std::string message);
  void SetAborted() { aborted_ = true; }

  // Of the last response so far; replaces the earlier.
  void SetLast(const TransferResult& last);
  void AddWarning(std::string warning);

  // Failed, inconclusive or nothing yet.
  v1::Outcome::Value outcome() const { return outcome_; }
  bool has_evidence() const { return evidence_outcome_ != v1::Outcome::OUTCOME_UNSPECIFIED; }
  // Evidence of a failure replaces that of something inconclusive.
  bool WantsEvidence(v1::Outcome::Value outcome) const {
    return !has_evidence() ||
           (outcome == v1::Outcome::FAILED && evidence_outcome_ != v1::Outcome::FAILED);
  }
  void SetEvidence(v1::Outcome::Value outcome, v1::Evidence evidence);

  v1::Quality& quality() { return quality_; }
  const v1::Quality& quality() const { return quality_; }

  v1::Attempt Build(uint32_t number, absl::Time start, absl::Duration duration);

 private:
  void ApplyMustFail();
  void ApplyLearning();
  void ApplyMustFailReasons();
  void ApplyMustFailStatuses();
  void MustFailPassed(std::string message);
  void Pass();
  void WriteSteps(v1::Attempt& out) const;
  void WriteHops(const StepRecord& record, size_t& bytes, v1::StepResult& out) const;
  void WriteAssertions(v1::Attempt& out);
  void FitPassing(v1::Attempt& out) const;

  const CompiledTest& test_;
  bool aborted_ = false;
  v1::Outcome::Value outcome_ = v1::Outcome::OUTCOME_UNSPECIFIED;
  v1::FailureReason::Value reason_ = v1::FailureReason::none;
  std::string message_;
  std::vector<StepRecord> steps_;
  std::optional<v1::HttpDetail> http_;
  PhaseTimes times_;
  std::vector<std::string> warnings_;
  v1::Outcome::Value evidence_outcome_ = v1::Outcome::OUTCOME_UNSPECIFIED;
  v1::Evidence evidence_;
  v1::Quality quality_;
};

}  // namespace picket

#endif  // AGENT_ENGINE_ATTEMPT_RESULT_H_
