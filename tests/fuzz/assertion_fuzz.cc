// One expectation judged on one answer. Three lines, then the body:
//
//   SUBJECT OPERATOR OPERAND      names of the enums; the operand is JSON
//   ARGUMENT                      which header, path, phase or field
//   STATUS CONTENT-TYPE

#include <cstdint>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "agent/engine/engine.h"
#include "agent/engine/evaluate.h"
#include "agent/engine/limits.h"
#include "common/base/check.h"

namespace picket {
namespace {

using Op = v1::Operator;

StepVerdict JudgeOne(const CompiledTest& test, const TransferResult& last) {
  Random random(1);
  Variables variables(test, &random);
  CheckJob job;
  const absl::Time now = absl::FromUnixSeconds(1'790'000'000);
  PICKET_CHECK(variables.Start(job, nullptr, now).ok());
  StepAnswer answer;
  answer.last = last;
  answer.now = now;
  answer.times.total = 1000;
  return Evaluate(test.steps[0], answer, variables, {.now = now});
}

// What a judgement may say of itself, whatever was judged.
void CheckVerdict(const StepVerdict& verdict) {
  PICKET_CHECK(verdict.assertions.size() == 1);
  PICKET_CHECK(verdict.passed + verdict.failed + verdict.unjudged == 1);
  const v1::Assertion& told = verdict.assertions[0];
  PICKET_CHECK(told.passed() == (verdict.outcome == v1::Outcome::PASSED));
  PICKET_CHECK(told.unjudged().empty() == (verdict.unjudged == 0));
  PICKET_CHECK((verdict.reason == v1::FailureReason::none) == told.passed());
  const size_t most = DefaultEngineLimits().assertion_text_bytes;
  PICKET_CHECK(told.expected().size() <= most && told.actual().size() <= most);
  PICKET_CHECK(IsValidUtf8(told.actual()) && IsValidUtf8(verdict.message));
}

// Of an operator and its contrary at most one holds; neither does on what is not there.
constexpr std::pair<Op::Value, Op::Value> kContraries[] = {
    {Op::is, Op::is_not},     {Op::contains, Op::not_contains}, {Op::matches, Op::not_matches},
    {Op::above, Op::at_most}, {Op::below, Op::at_least},
};

void JudgeWithContrary(v1::Test test, Op::Value op, const TransferResult& last) {
  const auto compiled = CompileTest(test, {});
  if (!compiled.ok()) return;
  const StepVerdict verdict = JudgeOne(**compiled, last);
  CheckVerdict(verdict);
  if (verdict.outcome != v1::Outcome::PASSED) return;
  v1::Operation& operation = *test.mutable_steps(0)->mutable_expect(0)->mutable_operations(0);
  for (const auto& [one, other] : kContraries) {
    if (op != one && op != other) continue;
    operation.set_operator_(op == one ? other : one);
    const auto contrary = CompileTest(test, {});
    PICKET_CHECK(contrary.ok());
    PICKET_CHECK(JudgeOne(**contrary, last).outcome != v1::Outcome::PASSED);
  }
}

}  // namespace
}  // namespace picket

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace picket;
  const std::string input(reinterpret_cast<const char*>(data), size);
  const std::vector<std::string> lines = absl::StrSplit(input, absl::MaxSplits('\n', 3));
  if (lines.size() != 4) return 0;
  const std::vector<std::string> words = absl::StrSplit(lines[0], absl::MaxSplits(' ', 2));
  const std::vector<std::string> answer = absl::StrSplit(lines[2], absl::MaxSplits(' ', 1));
  v1::Subject::Value subject;
  v1::Operator::Value op;
  if (words.size() != 3 || !v1::Subject::Value_Parse(words[0], &subject) ||
      !v1::Operator::Value_Parse(words[1], &op)) {
    return 0;
  }
  v1::Test test;
  test.set_id("t");
  v1::Step& step = *test.add_steps();
  step.mutable_http()->set_url("http://shop.example/");
  v1::Expectation& expectation = *step.add_expect();
  expectation.set_subject(subject);
  expectation.set_argument(lines[1]);
  v1::Operation& operation = *expectation.add_operations();
  operation.set_operator_(op);
  operation.set_operand_json(words[2]);

  TransferResult last;
  (void)absl::SimpleAtoi(answer[0], &last.status);
  if (answer.size() > 1) last.headers.emplace_back("Content-Type", answer[1]);
  last.http_version = "1.1";
  last.body = lines[3];
  JudgeWithContrary(std::move(test), op, last);
  return 0;
}
