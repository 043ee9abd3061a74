#include "common/policy/blame.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_split.h"

namespace picket {
namespace {

// One attempt as "AGENT OUTCOME [REASON]", "AGENT@LOCATION ..." for a probe there. The
// outcome is p, f or i; the reason's default is assertion for f, agent_error for i.
v1::Attempt MakeAttempt(const std::string& text) {
  const std::vector<std::string> words = absl::StrSplit(text, ' ');
  const std::vector<std::string> who = absl::StrSplit(words[0], '@');
  v1::Attempt attempt;
  attempt.set_agent(who[0]);
  attempt.set_location(who.size() > 1 ? who[1] : "here");
  attempt.set_probe(who.size() > 1);
  attempt.set_outcome(words[1] == "p"   ? v1::Outcome::PASSED
                      : words[1] == "f" ? v1::Outcome::FAILED
                                        : v1::Outcome::INCONCLUSIVE);
  if (words[1] != "p") {
    attempt.set_reason(words[1] == "f" ? v1::FailureReason::assertion
                                       : v1::FailureReason::agent_error);
  }
  if (words.size() > 2) {
    v1::FailureReason::Value reason;
    EXPECT_TRUE(v1::FailureReason::Value_Parse(words[2], &reason)) << text;
    attempt.set_reason(reason);
  }
  return attempt;
}

struct Case {
  v1::End::Value end;
  bool flaky;
  std::vector<std::string> attempts;
  std::string others;  // one letter a location: p f i c u .
  v1::Blame::Value blame;
  bool local = false;
};

v1::Blame::Value Blamed(const Case& c) {
  v1::Execution execution;
  execution.set_end(c.end);
  execution.set_flaky(c.flaky);
  execution.set_location("here");
  for (const std::string& text : c.attempts) *execution.add_attempts() = MakeAttempt(text);
  BlameEvidence evidence{.execution = &execution, .others = {}, .local = c.local};
  for (char letter : c.others) {
    const v1::End::Value end = letter == 'p'   ? v1::End::PASSED
                               : letter == 'f' ? v1::End::FAILED
                               : letter == 'i' ? v1::End::INCONCLUSIVE
                               : letter == 'c' ? v1::End::CANCELLED
                               : letter == 'u' ? v1::End::UNASSIGNED
                                               : v1::End::UNDECIDED;
    evidence.others.push_back({"there-" + std::to_string(evidence.others.size()), end});
  }
  return BlameOf(evidence);
}

constexpr v1::End::Value P = v1::End::PASSED, F = v1::End::FAILED, I = v1::End::INCONCLUSIVE;

const std::vector<Case>& Table() {
  using B = v1::Blame;
  static const std::vector<Case> table = {
      // Clean, or never judged.
      {P, false, {"a p"}, "", B::none},
      {P, false, {"a i", "a p"}, "f", B::none},
      {v1::End::SKIPPED, false, {}, "f", B::none},
      {v1::End::CANCELLED, false, {"a f"}, "p", B::none},
      {v1::End::EXPIRED, false, {"a f"}, "p", B::none},
      {v1::End::UNASSIGNED, false, {}, "p", B::none},
      // Failed: one agent, nobody elsewhere: the target, as far as can be known.
      {F, false, {"a f"}, "", B::target},
      {F, false, {"a f connect_refused"}, "", B::target},
      {F, false, {"a f dns_timeout", "a f dns_timeout"}, "", B::target},
      {F, false, {"a f", "b f"}, "", B::target},
      {F, false, {"a f", "b i"}, "", B::target},
      {F, false, {"a f"}, "icu.", B::target},
      // Failed here, and elsewhere?
      {F, false, {"a f"}, "p", B::location},
      {F, false, {"a f", "b f"}, "p", B::location},
      {F, false, {"a f"}, "f", B::target},
      {F, false, {"a f"}, "pf", B::target},
      {F, false, {"a f"}, "ppf", B::location},
      {F, false, {"a f"}, "pff", B::target},
      {F, false, {"a f"}, "pi", B::location},
      {F, false, {"a f"}, "p", B::flaky, true},
      {F, false, {"a f"}, "f", B::target, true},
      // Probes speak for a place that has no end of its own; its own end stands over them.
      {F, false, {"a f", "c@there p"}, "", B::location},
      {F, false, {"a f", "c@there f"}, "", B::target},
      {F, false, {"a f", "c@there i"}, "", B::target},
      {F, false, {"a f", "c@there i", "d@yonder p"}, "", B::location},
      {F, false, {"a f", "c@there-0 f"}, "p", B::location},
      {F, false, {"a f", "c@there-0 p"}, "f", B::target},
      {F, false, {"a f", "c@there-0 p"}, "i", B::location},
      {F, false, {"a f", "c@there p"}, "f", B::target},
      // Flaky: which agent failed?
      {P, true, {"a f connect_timeout", "b p"}, "", B::agent},
      {P, true, {"a f dns_server_failure", "b p"}, "pp", B::agent},
      {P, true, {"a f", "b p"}, "", B::flaky},  // the target answered wrongly, once
      {P, true, {"a f", "a f", "b p"}, "", B::agent},
      {P, true, {"a f connect_refused", "a p"}, "", B::flaky},
      {P, true, {"a f connect_refused", "b f connect_refused", "b p"}, "", B::flaky},
      {P, true, {"a f connect_refused", "b f connect_refused", "c p"}, "", B::flaky},
      {P, true, {"a f connect_refused", "b i", "c p"}, "", B::agent},
      {F, true, {"a f connect_refused", "b p"}, "", B::agent},  // policy.flaky: fail
      {F, true, {"a f", "a p"}, "p", B::flaky},
      {P, true, {"a f connect_refused", "b p"}, "", B::flaky, true},
      // Could not tell: the fleet's side, unless history was all that it lacked.
      {I, false, {"a i"}, "", B::agent},
      {I, false, {"a i agent_lost"}, "pp", B::agent},
      {I, false, {"a i measurement_poor", "b i secret_missing"}, "", B::agent},
      {I, false, {"a i learning"}, "", B::none},
      {I, false, {"a i learning", "a i measurement_poor"}, "", B::agent},
      {I, false, {"a i", "c@there p"}, "", B::agent},
      {I, false, {}, "", B::agent},
  };
  return table;
}

TEST(BlameTest, TheSmallestClaimThatTheEvidenceSupports) {
  for (const Case& c : Table()) {
    EXPECT_EQ(v1::Blame::Value_Name(Blamed(c)), v1::Blame::Value_Name(c.blame))
        << v1::End::Value_Name(c.end) << (c.flaky ? " flaky [" : " [")
        << testing::PrintToString(c.attempts) << "] others " << c.others
        << (c.local ? " local" : "");
  }
}

TEST(BlameTest, TheOrderOfOtherLocationsDoesNotMatter) {
  for (Case c : Table()) {
    // A probe is told by the location's number here.
    if (c.others.size() < 2) continue;
    const v1::Blame::Value blame = Blamed(c);
    std::sort(c.others.begin(), c.others.end());
    do {
      EXPECT_EQ(Blamed(c), blame) << c.others;
    } while (std::next_permutation(c.others.begin(), c.others.end()));
  }
}

TEST(BlameTest, EveryFailingExecutionHasSomebodyToBlame) {
  for (const Case& c : Table()) {
    if (c.end == F || c.flaky) {
      EXPECT_NE(Blamed(c), v1::Blame::none);
    }
  }
}

TEST(BlameTest, NetworkFailuresAreThoseBeforeAnAnswer) {
  EXPECT_TRUE(IsNetworkFailure(v1::FailureReason::connect_unreachable));
  EXPECT_TRUE(IsNetworkFailure(v1::FailureReason::timeout_first_byte));
  EXPECT_FALSE(IsNetworkFailure(v1::FailureReason::assertion));
  EXPECT_FALSE(IsNetworkFailure(v1::FailureReason::protocol_error));
  EXPECT_FALSE(IsNetworkFailure(v1::FailureReason::must_fail_passed));
  EXPECT_FALSE(IsNetworkFailure(v1::FailureReason::none));
}

}  // namespace
}  // namespace picket
