#include "common/policy/judge.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "common/base/random.h"
#include "common/policy/limits.h"
#include "tests/support/status_matchers.h"

namespace picket {
namespace {

using ::picket::testing_support::StatusIs;
using ::testing::HasSubstr;

v1::Policy MakePolicy(v1::Policy::Locations locations = v1::Policy::ALL, uint32_t at_least = 0) {
  v1::Policy policy;
  policy.set_locations(locations);
  policy.set_at_least(at_least);
  policy.set_flaky(v1::Policy::FLAKY_PASS);
  policy.set_inconclusive(v1::Policy::INCONCLUSIVE_INCONCLUSIVE);
  return policy;
}

TestShape Shape(uint32_t locations, uint32_t rows = 1, bool blocking = true) {
  TestShape shape;
  for (uint32_t i = 0; i < locations; ++i) shape.locations.push_back("l" + std::to_string(i));
  shape.rows = rows;
  shape.has_rows = rows != 1;
  shape.blocking = blocking;
  shape.policy = MakePolicy();
  return shape;
}

PlanShape Plan(std::vector<TestShape> tests) {
  auto shape = PlanShape::Make(std::move(tests));
  EXPECT_OK(shape);
  return *std::move(shape);
}

// One letter an execution: p f i s c e u, F = flaky pass, '.' = undecided.
std::vector<EndByte> Ends(const std::string& letters) {
  std::vector<EndByte> ends;
  for (char letter : letters) {
    switch (letter) {
      case 'p':
        ends.push_back(MakeEnd(v1::End::PASSED));
        break;
      case 'F':
        ends.push_back(MakeEnd(v1::End::PASSED, true));
        break;
      case 'f':
        ends.push_back(MakeEnd(v1::End::FAILED));
        break;
      case 'i':
        ends.push_back(MakeEnd(v1::End::INCONCLUSIVE));
        break;
      case 's':
        ends.push_back(MakeEnd(v1::End::SKIPPED));
        break;
      case 'c':
        ends.push_back(MakeEnd(v1::End::CANCELLED));
        break;
      case 'e':
        ends.push_back(MakeEnd(v1::End::EXPIRED));
        break;
      case 'u':
        ends.push_back(MakeEnd(v1::End::UNASSIGNED));
        break;
      default:
        ends.push_back(kUndecided);
    }
  }
  return ends;
}

v1::Verdict::Value VerdictOf(std::vector<TestShape> tests, const std::string& letters) {
  return Judge(Plan(std::move(tests)), Ends(letters)).verdict;
}

TEST(JudgeRowTest, QuorumTable) {
  struct Case {
    v1::Policy::Locations locations;
    uint32_t at_least;
    std::string ends;
    RowVerdict verdict;
  };
  const std::vector<Case> cases = {
      {v1::Policy::ALL, 0, "ppp", RowVerdict::kPassed},
      {v1::Policy::ALL, 0, "ppf", RowVerdict::kFailed},
      {v1::Policy::ALL, 0, "ppi", RowVerdict::kInconclusive},
      {v1::Policy::ALL, 0, "pfi", RowVerdict::kFailed},
      {v1::Policy::ALL, 0, "p", RowVerdict::kPassed},
      {v1::Policy::ALL, 0, "pps", RowVerdict::kPassed},
      {v1::Policy::ALL, 0, "sss", RowVerdict::kLeftOut},
      {v1::Policy::ALL, 0, "ppc", RowVerdict::kInconclusive},
      {v1::Policy::ALL, 0, "ppe", RowVerdict::kInconclusive},
      {v1::Policy::ALL, 0, "ppu", RowVerdict::kInconclusive},
      {v1::Policy::ALL, 0, "pp.", RowVerdict::kInconclusive},
      {v1::Policy::ALL, 0, "pFF", RowVerdict::kPassed},
      {v1::Policy::MAJORITY, 0, "ppf", RowVerdict::kPassed},
      {v1::Policy::MAJORITY, 0, "pff", RowVerdict::kFailed},
      {v1::Policy::MAJORITY, 0, "pfi", RowVerdict::kInconclusive},
      {v1::Policy::MAJORITY, 0, "pf", RowVerdict::kFailed},  // of 2 both are the majority
      {v1::Policy::MAJORITY, 0, "pp", RowVerdict::kPassed},
      {v1::Policy::MAJORITY, 0, "ppff", RowVerdict::kFailed},
      {v1::Policy::MAJORITY, 0, "pppf", RowVerdict::kPassed},
      {v1::Policy::MAJORITY, 0, "ppii", RowVerdict::kInconclusive},
      {v1::Policy::MAJORITY, 0, "pps", RowVerdict::kPassed},
      {v1::Policy::AT_LEAST, 1, "pff", RowVerdict::kPassed},
      {v1::Policy::AT_LEAST, 1, "fff", RowVerdict::kFailed},
      {v1::Policy::AT_LEAST, 1, "ffi", RowVerdict::kInconclusive},
      {v1::Policy::AT_LEAST, 2, "pfi", RowVerdict::kInconclusive},
      {v1::Policy::AT_LEAST, 2, "ffp", RowVerdict::kFailed},
      {v1::Policy::AT_LEAST, 3, "ppp", RowVerdict::kPassed},
  };
  for (const Case& c : cases) {
    TestShape test = Shape(static_cast<uint32_t>(c.ends.size()));
    test.policy = MakePolicy(c.locations, c.at_least);
    EXPECT_EQ(JudgeRow(Plan({test}), Ends(c.ends), 0, 0), c.verdict)
        << c.ends << " under " << v1::Policy::Locations_Name(c.locations) << " " << c.at_least;
  }
}

TEST(JudgeRowTest, RowsAreJudgedApart) {
  // 2 locations x 3 rows; numbered by location, then row.
  const PlanShape plan = Plan({Shape(2, 3)});
  const auto ends = Ends(
      "pfi"
      "ppp");
  EXPECT_EQ(JudgeRow(plan, ends, 0, 0), RowVerdict::kPassed);
  EXPECT_EQ(JudgeRow(plan, ends, 0, 1), RowVerdict::kFailed);
  EXPECT_EQ(JudgeRow(plan, ends, 0, 2), RowVerdict::kInconclusive);
}

TEST(JudgeTest, FailedWinsOverInconclusive) {
  EXPECT_EQ(VerdictOf({Shape(1), Shape(1), Shape(1)}, "ifp"), v1::Verdict::FAILED);
  EXPECT_EQ(VerdictOf({Shape(1), Shape(1)}, "cf"), v1::Verdict::FAILED);
  EXPECT_EQ(VerdictOf({Shape(1), Shape(1)}, "pi"), v1::Verdict::INCONCLUSIVE);
  EXPECT_EQ(VerdictOf({Shape(1), Shape(1)}, "pp"), v1::Verdict::PASSED);
}

TEST(JudgeTest, TestsThatDoNotBlockDoNotDecide) {
  EXPECT_EQ(VerdictOf({Shape(1), Shape(1, 1, false)}, "pf"), v1::Verdict::PASSED);
  EXPECT_EQ(VerdictOf({Shape(1), Shape(1, 1, false)}, "pi"), v1::Verdict::PASSED);
}

TEST(JudgeTest, PlanWithoutBlockingTestsPassesOnlyIfSomethingRan) {
  EXPECT_EQ(VerdictOf({Shape(1, 1, false)}, "f"), v1::Verdict::PASSED);
  EXPECT_EQ(VerdictOf({Shape(1, 1, false)}, "p"), v1::Verdict::PASSED);
  EXPECT_EQ(VerdictOf({Shape(1, 1, false)}, "i"), v1::Verdict::INCONCLUSIVE);
  EXPECT_EQ(VerdictOf({Shape(1, 1, false)}, "u"), v1::Verdict::INCONCLUSIVE);
  EXPECT_EQ(VerdictOf({Shape(1, 1, false)}, "s"), v1::Verdict::INCONCLUSIVE);
}

TEST(JudgeTest, NothingRanIsNeverPassed) {
  EXPECT_EQ(VerdictOf({}, ""), v1::Verdict::INCONCLUSIVE);
  EXPECT_EQ(VerdictOf({Shape(1)}, "s"), v1::Verdict::INCONCLUSIVE);
  EXPECT_EQ(VerdictOf({Shape(2, 0)}, ""), v1::Verdict::INCONCLUSIVE);
  // A blocking test that was skipped is no reason to let the others decide.
  EXPECT_EQ(VerdictOf({Shape(1), Shape(1, 1, false)}, "sp"), v1::Verdict::INCONCLUSIVE);
}

TEST(JudgeTest, PolicyOfInconclusiveIsThatOfTheTest) {
  TestShape fails = Shape(1), passes = Shape(1);
  fails.policy.set_inconclusive(v1::Policy::INCONCLUSIVE_FAIL);
  passes.policy.set_inconclusive(v1::Policy::INCONCLUSIVE_PASS);
  EXPECT_EQ(VerdictOf({Shape(1), fails}, "pi"), v1::Verdict::FAILED);
  EXPECT_EQ(VerdictOf({fails}, "i"), v1::Verdict::FAILED);
  EXPECT_EQ(VerdictOf({Shape(1), passes}, "pi"), v1::Verdict::PASSED);
  EXPECT_EQ(VerdictOf({passes}, "i"), v1::Verdict::INCONCLUSIVE);
  EXPECT_EQ(VerdictOf({passes, fails, Shape(1)}, "iii"), v1::Verdict::FAILED);
  EXPECT_EQ(VerdictOf({passes, Shape(1)}, "ii"), v1::Verdict::INCONCLUSIVE);
}

TEST(JudgeTest, CancelledExpiredUnassignedAreInconclusive) {
  for (const char* end : {"c", "e", "u"}) {
    EXPECT_EQ(VerdictOf({Shape(1), Shape(1)}, std::string("p") + end), v1::Verdict::INCONCLUSIVE);
  }
}

TEST(JudgeTest, LedgerCountsAllExecutionsBlockingOrNot) {
  const Judgement j = Judge(Plan({Shape(3), Shape(4, 1, false)}), Ends("pfi"
                                                                       "Fscu"));
  EXPECT_EQ(j.ledger.planned(), 7u);
  EXPECT_EQ(j.ledger.passed(), 2u);
  EXPECT_EQ(j.ledger.failed(), 1u);
  EXPECT_EQ(j.ledger.inconclusive(), 1u);
  EXPECT_EQ(j.ledger.skipped(), 1u);
  EXPECT_EQ(j.ledger.cancelled(), 1u);
  EXPECT_EQ(j.ledger.unassigned(), 1u);
  EXPECT_EQ(j.ledger.flaky(), 1u);
}

TEST(JudgeTest, CulpritsNameTestAndRowAndAreBounded) {
  const Judgement j = Judge(Plan({Shape(1), Shape(1, 2)}), Ends("p"
                                                                "pf"));
  ASSERT_EQ(j.culprits.size(), 1u);
  EXPECT_EQ(j.culprits[0].test, 1u);
  EXPECT_EQ(j.culprits[0].row, 1u);
  EXPECT_THAT(j.explanation, HasSubstr("1 of 3 blocking checks failed"));

  const Judgement many = Judge(Plan({Shape(1, 500)}), Ends(std::string(500, 'f')));
  EXPECT_EQ(many.culprits.size(), DefaultLimits().judgement_culprits);
  EXPECT_EQ(many.failed, 500u);
}

// How good a verdict is.
int Rank(v1::Verdict::Value verdict) {
  return verdict == v1::Verdict::PASSED ? 2 : verdict == v1::Verdict::INCONCLUSIVE ? 1 : 0;
}

std::vector<TestShape> DrawTests(Random& random, bool some_block) {
  std::vector<TestShape> tests;
  const uint32_t count = 1 + static_cast<uint32_t>(random.Below(4));
  for (uint32_t i = 0; i < count; ++i) {
    TestShape test = Shape(1 + static_cast<uint32_t>(random.Below(4)),
                           static_cast<uint32_t>(random.Below(3)),
                           (some_block && i == 0) || random.Below(3) != 0);
    test.policy.set_locations(static_cast<v1::Policy::Locations>(1 + random.Below(3)));
    test.policy.set_at_least(1 + static_cast<uint32_t>(random.Below(test.locations.size())));
    test.policy.set_inconclusive(static_cast<v1::Policy::Inconclusive>(1 + random.Below(3)));
    tests.push_back(test);
  }
  return tests;
}

std::string DrawEnds(Random& random, uint32_t count, const std::string& letters) {
  std::string ends;
  for (uint32_t i = 0; i < count; ++i) ends += letters[random.Below(letters.size())];
  return ends;
}

// The merge is a fold of decided ends. Whatever order decisions arrive in, and however
// often one is told, the judgement is the same; and a decided FAILED stays FAILED
// whatever else comes to be decided.
TEST(JudgePropertyTest, OrderAndRepetitionOfDecisionsDoNotMatter) {
  Random random(17);
  const std::string letters = "pFfisceu";
  for (int round = 0; round < 500; ++round) {
    const PlanShape plan = Plan(DrawTests(random, /*some_block=*/false));
    std::vector<std::pair<uint32_t, EndByte>> decisions;
    for (uint32_t e = 0; e < plan.executions(); ++e) {
      decisions.emplace_back(e, Ends(std::string(1, letters[random.Below(8)]))[0]);
    }
    std::vector<EndByte> in_order(plan.executions(), kUndecided);
    bool failed_already = false;
    for (const auto& [execution, end] : decisions) {
      in_order[execution] = end;
      if (Judge(plan, in_order).failed > 0) failed_already = true;
    }
    for (size_t i = decisions.size(); i > 1; --i) {
      std::swap(decisions[i - 1], decisions[random.Below(i)]);
    }
    const size_t once = decisions.size();
    for (size_t i = 0; i < once; ++i) {
      if (random.Below(2) == 0) decisions.push_back(decisions[i]);
    }
    std::vector<EndByte> shuffled(plan.executions(), kUndecided);
    for (const auto& [execution, end] : decisions) {
      if (EndOf(shuffled[execution]) == v1::End::UNDECIDED) shuffled[execution] = end;
    }
    const Judgement a = Judge(plan, in_order), b = Judge(plan, shuffled);
    EXPECT_EQ(a.verdict, b.verdict);
    EXPECT_EQ(a.explanation, b.explanation);
    EXPECT_EQ(a.ledger.SerializeAsString(), b.ledger.SerializeAsString());
    EXPECT_EQ(a.ledger.planned(), a.ledger.passed() + a.ledger.failed() + a.ledger.inconclusive() +
                                      a.ledger.skipped() + a.ledger.cancelled() +
                                      a.ledger.expired() + a.ledger.unassigned());
    // Skips come with the plan; any other decision cannot take a failure back.
    if (failed_already && a.ledger.skipped() == 0) {
      EXPECT_EQ(a.verdict, v1::Verdict::FAILED);
    }
    if (a.verdict == v1::Verdict::PASSED) {
      EXPECT_GT(a.ledger.passed() + a.ledger.failed(), 0u);
    }
  }
}

TEST(JudgePropertyTest, OneMoreFailureNeverMakesAVerdictBetter) {
  Random random(23);
  for (int round = 0; round < 3'000; ++round) {
    const PlanShape plan = Plan(DrawTests(random, /*some_block=*/true));
    if (plan.executions() == 0) continue;
    std::string ends = DrawEnds(random, plan.executions(), "pFficeu");
    const v1::Verdict::Value before = Judge(plan, Ends(ends)).verdict;
    const std::string was = ends;
    ends[random.Below(ends.size())] = 'f';
    const v1::Verdict::Value after = Judge(plan, Ends(ends)).verdict;
    EXPECT_LE(Rank(after), Rank(before)) << was << " -> " << ends;
  }
}

TEST(JudgePropertyTest, OneMorePassNeverMakesAVerdictWorse) {
  Random random(29);
  for (int round = 0; round < 3'000; ++round) {
    const PlanShape plan = Plan(DrawTests(random, /*some_block=*/false));
    if (plan.executions() == 0) continue;
    std::string ends = DrawEnds(random, plan.executions(), "pFficeu");
    const v1::Verdict::Value before = Judge(plan, Ends(ends)).verdict;
    const std::string was = ends;
    ends[random.Below(ends.size())] = 'p';
    EXPECT_GE(Rank(Judge(plan, Ends(ends)).verdict), Rank(before)) << was << " -> " << ends;
  }
}

TEST(JudgePropertyTest, TheOrderOfTestsLocationsAndRowsDoesNotMatter) {
  Random random(31);
  for (int round = 0; round < 1'000; ++round) {
    std::vector<TestShape> tests = DrawTests(random, /*some_block=*/false);
    const PlanShape plan = Plan(tests);
    const std::string ends = DrawEnds(random, plan.executions(), "pFfisceu");
    const Judgement before = Judge(plan, Ends(ends));
    // Tests from last to first; the locations and rows of each likewise.
    std::string turned;
    for (size_t t = plan.tests().size(); t-- > 0;) {
      const TestShape& test = plan.tests()[t];
      const std::string own = ends.substr(test.first, test.count());
      turned.append(own.rbegin(), own.rend());
    }
    std::reverse(tests.begin(), tests.end());
    const Judgement after = Judge(Plan(tests), Ends(turned));
    EXPECT_EQ(before.verdict, after.verdict) << ends;
    EXPECT_EQ(before.explanation, after.explanation);
    EXPECT_EQ(before.ledger.SerializeAsString(), after.ledger.SerializeAsString());
  }
}

TEST(JudgePropertyTest, AnAwaitedProbeChangesNoJudgement) {
  Random random(37);
  for (int round = 0; round < 1'000; ++round) {
    const PlanShape plan = Plan(DrawTests(random, /*some_block=*/false));
    std::vector<EndByte> ends = Ends(DrawEnds(random, plan.executions(), "pFfisceu"));
    const Judgement before = Judge(plan, ends);
    for (EndByte& end : ends) {
      if (random.Chance(0.5)) end = WithProbe(end);
    }
    const Judgement after = Judge(plan, ends);
    EXPECT_EQ(before.verdict, after.verdict);
    EXPECT_EQ(before.ledger.SerializeAsString(), after.ledger.SerializeAsString());
  }
}

TEST(PlanShapeTest, NumberAndPositionAreInverse) {
  const PlanShape plan = Plan({Shape(2, 0), Shape(3, 2), Shape(1), Shape(1, 0), Shape(2, 4)});
  EXPECT_EQ(plan.executions(), 15u);
  for (uint32_t e = 0; e < plan.executions(); ++e) {
    const Position at = plan.At(e);
    EXPECT_EQ(plan.tests()[at.test].Number(at.location, at.row), e);
    EXPECT_LT(at.location, plan.tests()[at.test].locations.size());
    EXPECT_LT(at.row, plan.tests()[at.test].rows);
  }
}

TEST(PlanShapeTest, TooManyExecutionsAreRefused) {
  EXPECT_THAT(PlanShape::Make({Shape(1000, 1'000'000), Shape(1000, 1'000'000)}),
              StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("executions")));
}

TEST(PlanShapeTest, TestWithAnEmptyTableHasNoExecutions) {
  v1::Test test;
  test.add_locations("default");
  EXPECT_EQ(ShapeOf(test).count(), 1u);
  test.mutable_for_each();
  EXPECT_EQ(ShapeOf(test).count(), 0u);
  EXPECT_TRUE(ShapeOf(test).has_rows);
}

TEST(ValidatePolicyTest, AtLeastMustBeWithinTheLocations) {
  EXPECT_OK(ValidatePolicy(MakePolicy(v1::Policy::AT_LEAST, 2), 2));
  EXPECT_THAT(ValidatePolicy(MakePolicy(v1::Policy::AT_LEAST, 3), 2),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("at_least 3")));
  EXPECT_THAT(ValidatePolicy(MakePolicy(v1::Policy::AT_LEAST, 0), 2),
              StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(ValidatePolicy(v1::Policy(), 2), StatusIs(absl::StatusCode::kInvalidArgument));
}

}  // namespace
}  // namespace picket
