#include "agent/engine/evaluate.h"

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "agent/engine/assertion.h"
#include "agent/engine/extract.h"
#include "agent/engine/limits.h"
#include "common/base/status_macros.h"
#include "common/policy/limits.h"

namespace picket {
namespace {

// A subject made ready, and what it stands on.
struct Prepared {
  ReadySubject subject;
  std::string argument;
  std::shared_ptr<const JsonPath> path;
  std::shared_ptr<const XPath> xpath;
};

class Evaluator {
 public:
  Evaluator(const CompiledStep& step, StepAnswer& answer, Variables& variables,
            const EvaluateOptions& options)
      : step_(step),
        answer_(answer),
        variables_(variables),
        options_(options),
        work_(options.brief ? DefaultEngineLimits().inline_work : DefaultEngineLimits().work) {}

  StepVerdict Run() {
    if (options_.brief) end_ = options_.clock->Monotonic() + DefaultEngineLimits().inline_time;
    out_.assertions.reserve(step_.expect.size());
    for (const CompiledExpectation& expectation : step_.expect) {
      Expect(expectation);
      if (IsTooMuch()) return std::move(out_);
    }
    for (const CompiledExtract& extract : step_.extract) {
      Extract(extract);
      if (IsTooMuch()) return std::move(out_);
    }
    return std::move(out_);
  }

 private:
  // Without work on the body nothing takes long.
  bool IsTooMuch() {
    if (options_.brief && step_.reads_body && options_.clock->Monotonic() > end_) {
      out_.unfinished = true;
    }
    return out_.unfinished;
  }

  absl::Status Prepare(const CompiledSubject& subject, Prepared& out) {
    out.subject.kind = subject.kind;
    if (subject.constant) {
      out.subject.argument = subject.argument;
      out.subject.path = subject.path.get();
      out.subject.xpath = subject.xpath.get();
      return absl::OkStatus();
    }
    ABSL_ASSIGN_OR_RETURN(
        out.argument, variables_.Text(subject.argument_template, options_.now, RenderMode::kText));
    out.subject.argument = out.argument;
    if (subject.kind == v1::Subject::json) {
      ABSL_ASSIGN_OR_RETURN(out.path, JsonPath::Compile(out.argument));
      out.subject.path = out.path.get();
    } else if (subject.kind == v1::Subject::xpath) {
      ABSL_ASSIGN_OR_RETURN(out.xpath, XPath::Compile(out.argument));
      out.subject.xpath = out.xpath.get();
    }
    return absl::OkStatus();
  }

  void Expect(const CompiledExpectation& expectation) {
    Prepared prepared;
    Actual actual;
    if (absl::Status status = Prepare(expectation.subject, prepared); !status.ok()) {
      actual.state = Actual::State::kUnjudgeable;
      actual.why = std::string(status.message());
      prepared.subject.argument = expectation.subject.argument;
    } else {
      Look(prepared.subject, answer_, work_, actual);
    }
    for (const CompiledOperation& operation : expectation.operations) {
      Operate(prepared.subject, actual, operation);
    }
  }

  void Operate(const ReadySubject& subject, const Actual& actual,
               const CompiledOperation& operation) {
    Json storage;
    absl::StatusOr<const Json*> operand =
        variables_.Value(operation.operand, options_.now, &storage);
    AssertionJudgement judgement;
    if (operand.ok() && operation.op == v1::Operator::regression &&
        actual.state == Actual::State::kPresent) {
      judgement = Gate(subject.argument, actual.json->get<uint32_t>(), **operand);
    } else if (operand.ok()) {
      judgement = Judge(subject.kind, actual, operation, **operand, work_);
      // A limit was reached; perhaps only that of a brief look.
      if (options_.brief && judgement.value == AssertionJudgement::Value::kUnjudged) {
        out_.unfinished = true;
      }
    } else {
      judgement.value = AssertionJudgement::Value::kUnjudged;
      judgement.why = absl::StrCat("cannot_evaluate: ", operand.status().message());
    }
    if (judgement.value == AssertionJudgement::Value::kFailed &&
        subject.kind == v1::Subject::time && operation.op != v1::Operator::regression &&
        actual.state == Actual::State::kPresent && !options_.poor.empty()) {
      judgement.value = AssertionJudgement::Value::kUnjudged;
      judgement.why = absl::StrCat("measurement_poor: ", options_.poor);
    }
    Record(subject, actual, operation.op, operand.ok() ? *operand : nullptr, judgement);
  }

  // A measurement that the agent may have made longer speaks for the target or not at all.
  AssertionJudgement Gate(absl::string_view phase, uint32_t us, const Json& operand) {
    using Value = AssertionJudgement::Value;
    const std::optional<RegressionRule> rule = ParseRegression(ToText(operand));
    if (!rule.has_value()) return {Value::kUnjudged, "cannot_evaluate: this is no regression gate"};
    RegressionTimes times = TimesOf(phase);
    ++times.made;
    const bool good = options_.poor.empty() ||
                      (times.before.size() >= rule->over && WithinAllowed(*rule, times.before, us));
    if (good) {
      times.now.push_back(us);
      KeepGateTime(phase, us);
    }
    const RegressionAnswer answer = JudgeRegression(*rule, times);
    switch (answer.value) {
      case RegressionAnswer::Value::kLearning:
        ++out_.learning;
        return {Value::kUnjudged, absl::StrCat("learning: ", Describe(answer), ", of ", rule->over)};
      case RegressionAnswer::Value::kMeasure:
        return {Value::kUnjudged,
                absl::StrCat("measuring: ", answer.samples, " of ",
                             DefaultLimits().regression_samples, " measurements so far")};
      case RegressionAnswer::Value::kPoor:
        return {Value::kUnjudged,
                absl::StrCat("measurement_poor: only ", answer.samples, " of ", times.made,
                             " measurements were good",
                             options_.poor.empty() ? "" : "; of the last one, ", options_.poor)};
      case RegressionAnswer::Value::kPassed:
        return {Value::kPassed, Describe(answer)};
      case RegressionAnswer::Value::kFailed:
        break;
    }
    return {Value::kFailed, Describe(answer)};
  }

  RegressionTimes TimesOf(absl::string_view phase) const {
    if (options_.gates == nullptr) return {};
    for (const GateTimes& gate : *options_.gates) {
      if (gate.step == options_.step_name && gate.phase == phase) return gate.times;
    }
    return {};
  }

  void KeepGateTime(absl::string_view phase, uint32_t us) {
    v1::Phase::Name name = v1::Phase::PHASE_UNSPECIFIED;
    if (!v1::Phase::Name_Parse(std::string(phase), &name)) return;
    for (const v1::GateTime& kept : out_.gate_times) {
      if (kept.phase() == name) return;
    }
    v1::GateTime& time = out_.gate_times.emplace_back();
    time.set_step(options_.step_name);
    time.set_phase(name);
    time.set_us(us);
  }

  std::string Clean(absl::string_view text, size_t bytes_most) const {
    // Masked before it is cut, so that no half of a secret stays.
    if (variables_.masker().empty()) return CleanText(text, bytes_most);
    return CleanText(variables_.masker().Mask(text, bytes_most + 1), bytes_most);
  }

  void Record(const ReadySubject& subject, const Actual& actual, v1::Operator::Value op,
              const Json* operand, const AssertionJudgement& judgement) {
    const size_t most = DefaultEngineLimits().assertion_text_bytes;
    v1::Assertion& assertion = out_.assertions.emplace_back();
    assertion.set_subject(Clean(SubjectLabel(subject.kind, subject.argument), most));
    assertion.set_operator_(v1::Operator::Value_Name(op));
    assertion.set_step(options_.step_name);
    if (operand != nullptr) assertion.set_expected(Clean(ExpectedText(actual, op, *operand), most));
    assertion.set_passed(judgement.value == AssertionJudgement::Value::kPassed);
    assertion.set_actual(
        HidesValue(subject, actual, op) ? kMask : Clean(ActualOf(actual, op, judgement), most));
    switch (judgement.value) {
      case AssertionJudgement::Value::kPassed:
        ++out_.passed;
        return;
      case AssertionJudgement::Value::kFailed:
        ++out_.failed;
        Settle(v1::Outcome::FAILED, v1::FailureReason::assertion, Complaint(assertion, op));
        return;
      case AssertionJudgement::Value::kUnjudged:
        ++out_.unjudged;
        assertion.set_unjudged(Clean(judgement.why, most));
        // A gate that only learns leaves the word to the other assertions.
        if (ReasonOf(judgement.why) == v1::FailureReason::learning) return;
        Settle(v1::Outcome::INCONCLUSIVE, ReasonOf(judgement.why),
               absl::StrCat(assertion.subject(), " ", assertion.operator_(),
                            " could not be judged: ", assertion.unjudged()));
    }
  }

  // A schema is long and stands in the assertion; what did not fit is what a reader wants.
  static std::string Complaint(const v1::Assertion& assertion, v1::Operator::Value op) {
    if (op == v1::Operator::schema) {
      return absl::StrCat(assertion.subject(), " does not match its schema: ", assertion.actual());
    }
    return absl::StrCat(assertion.subject(), " ", assertion.operator_(), " ", assertion.expected(),
                        ", but it was ", assertion.actual());
  }

  static bool IsSensitive(const ReadySubject& subject) {
    return subject.kind == v1::Subject::cookie ||
           (subject.kind == v1::Subject::header && IsSensitiveHeader(subject.argument));
  }

  static bool HidesValue(const ReadySubject& subject, const Actual& actual,
                         v1::Operator::Value op) {
    return IsSensitive(subject) && actual.state == Actual::State::kPresent &&
           op != v1::Operator::exists && op != v1::Operator::count && op != v1::Operator::type;
  }

  // Not yet masked or cut.
  std::string ActualOf(const Actual& actual, v1::Operator::Value op,
                       const AssertionJudgement& judgement) const {
    // With secrets about, a text is cut only once it is masked.
    if (op == v1::Operator::regression && judgement.value != AssertionJudgement::Value::kUnjudged &&
        !judgement.why.empty()) {
      return judgement.why;
    }
    const size_t most = DefaultEngineLimits().assertion_text_bytes;
    const std::string text =
        ActualText(actual, op, most, variables_.masker().empty() ? most + 1 : SIZE_MAX);
    if (op == v1::Operator::count && !judgement.why.empty() &&
        judgement.value != AssertionJudgement::Value::kUnjudged) {
      return judgement.why;
    }
    if (judgement.why.empty() || judgement.value != AssertionJudgement::Value::kFailed ||
        actual.state != Actual::State::kPresent) {
      return text;
    }
    switch (op) {
      case v1::Operator::type:
      case v1::Operator::schema:
        return judgement.why;
      default:
        return absl::StrCat(text, " (", judgement.why, ")");
    }
  }

  static v1::FailureReason::Value ReasonOf(absl::string_view unjudged) {
    if (absl::StartsWith(unjudged, "measurement_poor")) return v1::FailureReason::measurement_poor;
    if (absl::StartsWith(unjudged, "learning")) return v1::FailureReason::learning;
    if (absl::StartsWith(unjudged, "measuring")) return v1::FailureReason::measuring;
    return v1::FailureReason::cannot_evaluate;
  }

  // The first failure stands; a failure stands over anything inconclusive.
  void Settle(v1::Outcome::Value outcome, v1::FailureReason::Value reason, std::string message) {
    if (out_.outcome == v1::Outcome::FAILED) return;
    if (out_.outcome == v1::Outcome::INCONCLUSIVE && outcome == v1::Outcome::INCONCLUSIVE) return;
    out_.outcome = outcome;
    out_.reason = reason;
    out_.message = CleanText(message, DefaultEngineLimits().message_bytes);
  }

  void Extract(const CompiledExtract& extract) {
    Prepared prepared;
    absl::StatusOr<Json> value;
    if (absl::Status status = Prepare(extract.subject, prepared); !status.ok()) {
      value = absl::ResourceExhaustedError(status.message());
    } else {
      value = ExtractValue(extract, prepared.subject, answer_, work_);
      if (options_.brief && absl::IsResourceExhausted(value.status())) out_.unfinished = true;
    }
    if (value.ok()) {
      // At once: a later extract of the step may name it.
      variables_.SetExtracted(extract.name, *std::move(value), IsSensitive(prepared.subject));
      return;
    }
    out_.extracts_failed = true;
    const std::string message =
        Clean(absl::StrCat("variable ", extract.name,
                           " could not be extracted: ", value.status().message()),
              DefaultEngineLimits().message_bytes);
    if (absl::IsResourceExhausted(value.status())) {
      Settle(v1::Outcome::INCONCLUSIVE, v1::FailureReason::cannot_evaluate, message);
    } else {
      Settle(v1::Outcome::FAILED, v1::FailureReason::extract, message);
    }
  }

  const CompiledStep& step_;
  StepAnswer& answer_;
  Variables& variables_;
  const EvaluateOptions& options_;
  const WorkLimits& work_;
  absl::Duration end_;  // of a brief look
  StepVerdict out_;
};

}  // namespace

StepVerdict Evaluate(const CompiledStep& step, StepAnswer& answer, Variables& variables,
                     const EvaluateOptions& options) {
  return Evaluator(step, answer, variables, options).Run();
}

}  // namespace picket
