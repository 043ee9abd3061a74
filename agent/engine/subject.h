// File: subject.h
//
// What an answer holds, as expectations and extracts look at it.
//
// Thread rule: thread-compatible; one owner at a time (documents are parsed at first use).

#ifndef AGENT_ENGINE_SUBJECT_H_
#define AGENT_ENGINE_SUBJECT_H_

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "agent/engine/compiled_test.h"
#include "agent/engine/cookies.h"
#include "agent/engine/limits.h"
#include "agent/engine/transfer.h"
#include "agent/engine/xpath.h"
#include "common/expr/json.h"

namespace picket {

// Adds hop to hop: a phase that happened in either happened.
void AddTimes(const PhaseTimes& hop, PhaseTimes& sum);

// All that a step received.
struct StepAnswer {
  // Of the last hop.
  TransferResult last;
  // Summed over hops.
  PhaseTimes times;
  int redirects = 0;
  // Set by any hop of the step; a later one of the same name wins, one deleted is out.
  std::vector<Cookie> cookies;
  // For days_left.
  absl::Time now;

  // The body as a document, parsed once.
  const absl::StatusOr<Json>& AsJson();
  const absl::StatusOr<std::unique_ptr<XPathDocument>>& AsXPathDocument();

 private:
  std::optional<absl::StatusOr<Json>> json_;
  std::optional<absl::StatusOr<std::unique_ptr<XPathDocument>>> document_;
};

// A subject's value.
struct Actual {
  enum class State {
    kPresent,
    kAbsent,       // nothing there: fails all but exists: false and count: 0
    kWrong,        // the target's fault (not JSON, say): fails every operator
    kUnjudgeable,  // ours: a bound was reached
  };
  enum class Form {
    kText,   // `text`: compared as text
    kJson,   // `json`: compared as JSON
    kNodes,  // `json`, an array of what a JSONPath or XPath selected
  };
  enum class Unit { kNone, kMicroseconds };

  State state = State::kAbsent;
  Form form = Form::kText;
  Unit unit = Unit::kNone;
  absl::string_view text;      // into the answer, or into `owned`
  const Json* json = nullptr;  // into the answer, or &owned_json
  size_t count = 0;            // of nodes, with an XPath's text
  bool counted = false;        // `count` holds
  std::string why;             // with kWrong, kUnjudgeable

  std::string owned;
  Json owned_json;

  Actual() = default;
  Actual(const Actual&) = delete;
  Actual& operator=(const Actual&) = delete;
};

// A subject whose argument is known.
struct ReadySubject {
  v1::Subject::Value kind = v1::Subject::SUBJECT_UNSPECIFIED;
  absl::string_view argument;
  const JsonPath* path = nullptr;
  const XPath* xpath = nullptr;
};

void Look(const ReadySubject& subject, StepAnswer& answer, const WorkLimits& work, Actual& out);

// "status", "header content-type", "json $.a.b", "time total".
std::string SubjectLabel(v1::Subject::Value kind, absl::string_view argument);

// Values of a repeated field joined by ", "; nothing if it is absent.
std::optional<std::string> JoinedHeader(const HeaderList& headers, absl::string_view name);

}  // namespace picket

#endif  // AGENT_ENGINE_SUBJECT_H_
