// File: evaluate.h
//
// Judges one step's answer: all its expectations, then its extracts, whose values go into
// the variables.
//
// Thread rule: uses `variables` and `answer` as their one owner; may run on any thread.

#ifndef AGENT_ENGINE_EVALUATE_H_
#define AGENT_ENGINE_EVALUATE_H_

#include <string>
#include <vector>

#include "absl/time/time.h"
#include "agent/engine/compiled_test.h"
#include "agent/engine/subject.h"
#include "agent/engine/variables.h"
#include "common/base/clock.h"
#include "common/policy/regression.h"
#include "picket/v1/result.pb.h"

namespace picket {

struct StepVerdict {
  v1::Outcome::Value outcome = v1::Outcome::PASSED;
  v1::FailureReason::Value reason = v1::FailureReason::none;
  std::string message;                    // of the first that did not pass; masked and bounded
  std::vector<v1::Assertion> assertions;  // all, in order; masked and bounded
  uint32_t passed = 0, failed = 0, unjudged = 0;
  uint32_t learning = 0;                  // of `unjudged`: gates that lack history
  std::vector<v1::GateTime> gate_times;   // good measurements, for gates
  bool extracts_failed = false;  // a variable of later steps is missing
  bool unfinished = false;       // it was too much for a brief look: the rest is void
};

struct EvaluateOptions {
  absl::Time now;
  // The measurement is poor: a time that fails is not held against the target. The text
  // says why.
  std::string poor;
  // Goes into each assertion; empty in tests of one step.
  std::string step_name;
  // Of CheckJob; null = none. Outlives the call.
  const std::vector<GateTimes>* gates = nullptr;
  // On a loop: within EngineLimits::inline_work and inline_time, by `clock`, or not at all.
  bool brief = false;
  Clock* clock = nullptr;  // with `brief`
};

StepVerdict Evaluate(const CompiledStep& step, StepAnswer& answer, Variables& variables,
                     const EvaluateOptions& options);

}  // namespace picket

#endif  // AGENT_ENGINE_EVALUATE_H_
