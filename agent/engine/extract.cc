#include "agent/engine/extract.h"

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace picket {

absl::StatusOr<Json> ExtractValue(const CompiledExtract& extract, const ReadySubject& subject,
                                  StepAnswer& answer, const WorkLimits& work) {
  const std::string label = SubjectLabel(subject.kind, subject.argument);
  Actual actual;
  Look(subject, answer, work, actual);
  switch (actual.state) {
    case Actual::State::kAbsent:
      return absl::NotFoundError(absl::StrCat("the answer has no ", label));
    case Actual::State::kWrong:
      return absl::InvalidArgumentError(absl::StrCat(label, ": ", actual.why));
    case Actual::State::kUnjudgeable:
      return absl::ResourceExhaustedError(absl::StrCat(label, ": ", actual.why));
    case Actual::State::kPresent:
      break;
  }
  if (extract.regex != nullptr) {
    std::optional<std::string> group = extract.regex->Group(actual.text, extract.group);
    if (!group.has_value()) {
      return absl::NotFoundError(
          absl::StrCat("group ", extract.group, " of the pattern is not in the body"));
    }
    return Json(*std::move(group));
  }
  if (actual.form == Actual::Form::kText) return Json(std::string(actual.text));
  if (actual.form == Actual::Form::kNodes && actual.json->empty()) {
    return absl::NotFoundError(absl::StrCat("the answer has no ", label));
  }
  return *actual.json;
}

}  // namespace picket
