#include "agent/engine/assertion.h"

#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/base/status_macros.h"
#include "common/policy/regression.h"

namespace picket {
namespace {

using Op = v1::Operator;

AssertionJudgement Say(bool passed) {
  return {passed ? AssertionJudgement::Value::kPassed : AssertionJudgement::Value::kFailed, ""};
}
AssertionJudgement Fail(std::string why) {
  return {AssertionJudgement::Value::kFailed, std::move(why)};
}
AssertionJudgement Unjudged(std::string why) {
  return {AssertionJudgement::Value::kUnjudged, std::move(why)};
}

// "2xx" as an operand of status.
bool IsStatusClass(const Json& operand) {
  const auto* text = operand.get_ptr<const std::string*>();
  return text != nullptr && text->size() == 3 && (*text)[0] >= '1' && (*text)[0] <= '5' &&
         absl::EqualsIgnoreCase(absl::string_view(*text).substr(1), "xx");
}

// The number that `value` is, or that its text spells.
std::optional<Json> NumberOf(const Json& value) {
  if (value.is_number()) return value;
  const auto* text = value.get_ptr<const std::string*>();
  if (text == nullptr) return std::nullopt;
  auto parsed = ParseJson(absl::StripAsciiWhitespace(*text));
  if (!parsed.ok() || !parsed->is_number()) return std::nullopt;
  return *std::move(parsed);
}

bool IsScalar(const Json& value) {
  return value.is_string() || value.is_number() || value.is_boolean();
}

// One subject's value under every operator.
class OperatorJudge {
 public:
  OperatorJudge(v1::Subject::Value subject, const Actual& actual,
                const CompiledOperation& operation, const Json& operand, const WorkLimits& work)
      : subject_(subject),
        actual_(actual),
        operation_(operation),
        operand_(operand),
        work_(work) {}

  AssertionJudgement Run() const {
    const Op::Value op = operation_.op;
    switch (actual_.state) {
      case Actual::State::kUnjudgeable:
        return Unjudged(absl::StrCat("cannot_evaluate: ", actual_.why));
      case Actual::State::kWrong:
        return Fail(actual_.why);
      case Actual::State::kAbsent:
        return Absent();
      case Actual::State::kPresent:
        break;
    }
    switch (op) {
      case Op::is:
        return Say(Equal(operand_));
      case Op::is_not:
        return Say(!Equal(operand_));
      case Op::one_of:
        return OneOf();
      case Op::contains:
      case Op::not_contains:
        return Contains(op == Op::contains);
      case Op::starts_with:
      case Op::ends_with:
        return Affix(op == Op::starts_with);
      case Op::matches:
      case Op::not_matches:
        return Matches(op == Op::matches);
      case Op::above:
      case Op::below:
      case Op::at_least:
      case Op::at_most:
        return Compare();
      case Op::exists:
        return Exists();
      case Op::count:
        return Count();
      case Op::type:
        return Type();
      case Op::schema:
        return Schema();
      default:
        return Unjudged("cannot_evaluate: this agent does not know the operator");
    }
  }

 private:
  bool is_text() const { return actual_.form == Actual::Form::kText; }

  AssertionJudgement Absent() const {
    if (operation_.op == Op::exists) return Say(operand_ == Json(false));
    if (operation_.op == Op::count)
      return Say(operand_.is_number() && JsonEquals(operand_, Json(0)));
    return Fail("");
  }

  bool Equal(const Json& operand) const {
    if (is_text()) return actual_.text == ToPlainText(operand);
    if (subject_ == v1::Subject::json || !actual_.json->is_number()) {
      return JsonEquals(*actual_.json, operand);
    }
    if (subject_ == v1::Subject::status && IsStatusClass(operand)) {
      return actual_.json->get<int>() / 100 == (*operand.get_ptr<const std::string*>())[0] - '0';
    }
    const std::optional<Json> number = NumberOf(operand);
    return number.has_value() && JsonEquals(*actual_.json, *number);
  }

  AssertionJudgement OneOf() const {
    if (!operand_.is_array()) return Unjudged("cannot_evaluate: one_of needs a list");
    for (const Json& choice : operand_) {
      if (Equal(choice)) return Say(true);
    }
    return Say(false);
  }

  // The subject as a string, for the operators on strings.
  std::optional<std::string> OwnText() const {
    if (is_text() || !IsScalar(*actual_.json)) return std::nullopt;
    return ToPlainText(*actual_.json);
  }

  AssertionJudgement Contains(bool wanted) const {
    if (!is_text() && actual_.json->is_array()) {
      for (const Json& element : *actual_.json) {
        if (JsonEquals(element, operand_)) return Say(wanted);
      }
      return Say(!wanted);
    }
    const std::optional<std::string> own = OwnText();
    if (!is_text() && !own.has_value()) return Fail("neither a text nor a list");
    const absl::string_view text = own.has_value() ? absl::string_view(*own) : actual_.text;
    return Say(absl::StrContains(text, ToPlainText(operand_)) == wanted);
  }

  AssertionJudgement Affix(bool start) const {
    const std::optional<std::string> own = OwnText();
    if (!is_text() && !own.has_value()) return Fail("not a text");
    const absl::string_view text = own.has_value() ? absl::string_view(*own) : actual_.text;
    const std::string affix = ToPlainText(operand_);
    return Say(start ? absl::StartsWith(text, affix) : absl::EndsWith(text, affix));
  }

  AssertionJudgement Matches(bool wanted) const {
    const std::optional<std::string> own = OwnText();
    if (!is_text() && !own.has_value()) return Fail("not a text");
    std::shared_ptr<const Regex> regex = operation_.regex;
    if (regex == nullptr) {
      auto compiled = Regex::Compile(ToPlainText(operand_));
      if (!compiled.ok()) {
        return Unjudged(absl::StrCat("cannot_evaluate: ", compiled.status().message()));
      }
      regex = *std::move(compiled);
    }
    const absl::string_view text = own.has_value() ? absl::string_view(*own) : actual_.text;
    return Say(regex->Search(text) == wanted);
  }

  AssertionJudgement Compare() const {
    const std::optional<Json> bound = NumberOf(operand_);
    if (!bound.has_value()) return Unjudged("cannot_evaluate: the operand is not a number");
    std::optional<Json> number;
    if (is_text()) {
      // A text of more than some digits is no number, and may be a whole body.
      if (actual_.text.size() <= 400) number = NumberOf(Json(std::string(actual_.text)));
    } else if (actual_.json->is_number()) {
      number = *actual_.json;
    }
    if (!number.has_value()) {
      if (is_text()) return Fail("not a number");
      // A JSON text is none either, even if it spells one: the type is part of the answer.
      const absl::string_view type = JsonTypeName(*actual_.json);
      const bool vowel = type == "array" || type == "object";
      return Fail(absl::StrCat(vowel ? "an " : "a ", type, ", not a number"));
    }
    const int order = CompareNumbers(*number, *bound);
    switch (operation_.op) {
      case Op::above:
        return Say(order > 0);
      case Op::below:
        return Say(order < 0);
      case Op::at_least:
        return Say(order >= 0);
      default:
        return Say(order <= 0);
    }
  }

  AssertionJudgement Exists() const {
    if (!operand_.is_boolean()) return Unjudged("cannot_evaluate: exists needs true or false");
    // A query that selected no node found nothing.
    const bool there = actual_.form != Actual::Form::kNodes || !actual_.json->empty();
    return Say(there == operand_.get<bool>());
  }

  AssertionJudgement Count() const {
    const std::optional<Json> wanted = NumberOf(operand_);
    if (!wanted.has_value()) return Unjudged("cannot_evaluate: count needs a number");
    size_t count = 0;
    if (actual_.counted) {
      count = actual_.count;
    } else if (subject_ == v1::Subject::xpath) {
      return Fail("the XPath yields a value, not nodes that could be counted");
    } else if (is_text()) {
      count = CountCodePoints(actual_.text);
    } else if (actual_.json->is_structured()) {
      count = actual_.json->size();
    } else if (const auto* text = actual_.json->get_ptr<const std::string*>()) {
      count = CountCodePoints(*text);
    } else {
      return Fail(absl::StrCat("a ", JsonTypeName(*actual_.json), " has no length"));
    }
    AssertionJudgement judgement = Say(JsonEquals(Json(count), *wanted));
    judgement.why = absl::StrCat(count);
    return judgement;
  }

  AssertionJudgement Type() const {
    const std::string wanted = ToPlainText(operand_);
    if (is_text()) return Say(wanted == "string");
    if (wanted == "integer") return Say(actual_.json->is_number() && IsIntegral(*actual_.json));
    const absl::string_view type = JsonTypeName(*actual_.json);
    if (type == wanted) return Say(true);
    return Fail(std::string(type));
  }

  AssertionJudgement Schema() const {
    std::shared_ptr<const JsonSchema> schema = operation_.schema;
    if (schema == nullptr) {
      auto compiled = JsonSchema::Compile(operand_);
      if (!compiled.ok()) {
        return Unjudged(absl::StrCat("cannot_evaluate: ", compiled.status().message()));
      }
      schema = *std::move(compiled);
    }
    Json parsed;
    const Json* instance = actual_.json;
    if (is_text()) {
      auto document = ParseJson(actual_.text);
      if (absl::IsResourceExhausted(document.status())) {
        return Unjudged(absl::StrCat("cannot_evaluate: ", document.status().message()));
      }
      if (!document.ok()) return Fail(std::string(document.status().message()));
      parsed = *std::move(document);
      instance = &parsed;
    }
    auto result = schema->Validate(*instance, work_.schema_steps);
    if (!result.ok()) {
      return Unjudged(absl::StrCat("cannot_evaluate: ", result.status().message()));
    }
    if (result->valid) return Say(true);
    std::string why;
    for (const JsonSchema::Error& error : result->errors) {
      absl::StrAppend(&why, why.empty() ? "" : "; ",
                      error.instance.empty() ? "the value" : error.instance, ": ", error.message);
    }
    return Fail(why);
  }

  const v1::Subject::Value subject_;
  const Actual& actual_;
  const CompiledOperation& operation_;
  const Json& operand_;
  const WorkLimits& work_;
};

// Microseconds as people write durations.
std::string DurationText(const Json& us) {
  if (!us.is_number()) return ToPlainText(us);
  return absl::FormatDuration(absl::Microseconds(us.get<double>()));
}

// As ToText, but of a large value no more than its first elements are written.
std::string Bounded(const Json& value, size_t bytes_most) {
  if (!value.is_structured()) return ToPlainText(value);
  std::string out(1, value.is_array() ? '[' : '{');
  bool first = true;
  for (auto it = value.begin(); it != value.end() && out.size() <= bytes_most; ++it) {
    if (!first) out += ',';
    first = false;
    if (value.is_object()) absl::StrAppend(&out, picket::ToText(Json(it.key())), ":");
    out += it->is_structured() ? Bounded(*it, bytes_most) : picket::ToText(*it);
  }
  out += value.is_array() ? ']' : '}';
  return out;
}

}  // namespace

AssertionJudgement Judge(v1::Subject::Value subject, const Actual& actual,
                         const CompiledOperation& operation, const Json& operand,
                         const WorkLimits& work) {
  return OperatorJudge(subject, actual, operation, operand, work).Run();
}

std::string ExpectedText(const Actual& actual, v1::Operator::Value op, const Json& operand) {
  if (op == v1::Operator::regression) {
    const std::optional<RegressionRule> rule = ParseRegression(picket::ToText(operand));
    if (rule.has_value()) return Describe(*rule);
  }
  if (actual.unit == Actual::Unit::kMicroseconds) {
    if (!operand.is_array()) return DurationText(operand);
    std::string out;
    for (const Json& us : operand) absl::StrAppend(&out, out.empty() ? "" : ", ", DurationText(us));
    return out;
  }
  return Bounded(operand, 4096);
}

std::string ActualText(const Actual& actual, v1::Operator::Value op, size_t bytes_most,
                       size_t text_most) {
  switch (actual.state) {
    case Actual::State::kAbsent:
      return "absent";
    case Actual::State::kWrong:
    case Actual::State::kUnjudgeable:
      return actual.why;
    case Actual::State::kPresent:
      break;
  }
  if (op == v1::Operator::exists) {
    const bool there = actual.form != Actual::Form::kNodes || !actual.json->empty();
    return there ? "present" : "absent";
  }
  if (actual.unit == Actual::Unit::kMicroseconds) return DurationText(*actual.json);
  if (actual.form == Actual::Form::kText) return std::string(actual.text.substr(0, text_most));
  return Bounded(*actual.json, bytes_most);
}

}  // namespace picket
