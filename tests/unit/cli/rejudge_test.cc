#include "cli/rejudge.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/base/files.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/cli/judged_run.h"

namespace picket {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;
using testing_support::JudgedRun;
using testing_support::StatusIs;

absl::StatusOr<StoredRun> Build(const testing_support::FakeCoordinator& c) {
  StoredRunBuilder builder;
  for (const v1::Execution& e : c.executions) {
    if (absl::Status s = builder.Add(e); !s.ok()) return s;
  }
  return builder.Finish(c.run);
}

StoredRun Stored() { return *Build(JudgedRun()); }

absl::StatusOr<v1::Verdict::Value> Under(const StoredRun& stored, const std::string& policy) {
  const ParsedPolicy parsed = ParsePolicyFile("version: 1\n" + policy, "p.yaml");
  EXPECT_TRUE(parsed.diagnostics.empty()) << parsed.diagnostics[0].ToString();
  const auto judged = UnderPolicy(stored, parsed.policy);
  if (!judged.ok()) return judged.status();
  return Judge(judged->shape, judged->ends).verdict;
}

TEST(StoredRunTest, ExecutionsBecomeThePlanTheyCameFrom) {
  const StoredRun stored = Stored();
  ASSERT_EQ(stored.tests.size(), 5u);
  const TestShape& buy = stored.shape.tests()[1];
  EXPECT_EQ(buy.first, 2u);
  EXPECT_THAT(buy.locations, ElementsAre("eu", "us"));
  EXPECT_EQ(buy.rows, 2u);
  EXPECT_TRUE(buy.has_rows);
  EXPECT_FALSE(stored.shape.tests()[2].blocking);
  EXPECT_TRUE(stored.shape.tests()[4].skipped);
  EXPECT_EQ(stored.shape.executions(), 10u);
  const Judgement judgement = Judge(stored.shape, stored.ends);
  EXPECT_EQ(judgement.verdict, v1::Verdict::FAILED);
  EXPECT_EQ(judgement.explanation, "1 of 4 blocking checks failed");
}

TEST(StoredRunTest, AnswersThatDoNotAddUpAreRefused) {
  testing_support::FakeCoordinator c = JudgedRun();
  c.executions.erase(c.executions.begin() + 3);
  EXPECT_THAT(Build(c), StatusIs(absl::StatusCode::kInternal, HasSubstr("execution 3")));
  c = JudgedRun();
  c.executions.pop_back();
  EXPECT_THAT(Build(c), StatusIs(absl::StatusCode::kInternal, HasSubstr("told 9")));
  c = JudgedRun();
  c.executions[3].set_row(4);
  EXPECT_THAT(Build(c), StatusIs(absl::StatusCode::kInternal));
  c = JudgedRun();
  c.executions[0].clear_policy();
  EXPECT_THAT(Build(c), StatusIs(absl::StatusCode::kFailedPrecondition));
}

TEST(RejudgeTest, ThePolicyDecidesAndNothingElse) {
  const StoredRun stored = Stored();
  EXPECT_EQ(*Under(stored, "policy: { locations: { at_least: 1 } }"), v1::Verdict::PASSED);
  EXPECT_EQ(*Under(stored, "policy: { inconclusive: pass }"), v1::Verdict::FAILED);
  EXPECT_EQ(*Under(stored, "tests: { home: { blocking: false } }"), v1::Verdict::INCONCLUSIVE);
  EXPECT_EQ(*Under(stored,
                   "policy: { inconclusive: pass }\ntests: { checkout/home: { blocking: false } }"),
            v1::Verdict::PASSED);
  EXPECT_EQ(*Under(stored,
                   "policy: { inconclusive: fail }\ntests: { checkout/home: { blocking: false } }"),
            v1::Verdict::FAILED);
  // What was not blocking may come to count.
  EXPECT_EQ(
      *Under(stored, "policy: { locations: { at_least: 1 } }\ntests: { slow: { blocking: true } }"),
      v1::Verdict::FAILED);
}

TEST(RejudgeTest, ATestsOwnPolicyStandsOverTheFiles) {
  EXPECT_EQ(*Under(Stored(),
                   "policy: { locations: all, inconclusive: pass }\n"
                   "tests: { home: { policy: { locations: { at_least: 1 } } } }"),
            v1::Verdict::PASSED);
}

TEST(RejudgeTest, AFlakyPassEndsAsThePolicySays) {
  const StoredRun stored = Stored();
  const ParsedPolicy fail = ParsePolicyFile("version: 1\npolicy: { flaky: fail }", "p.yaml");
  ASSERT_OK_AND_ASSIGN(const StoredRun failed, UnderPolicy(stored, fail.policy));
  EXPECT_EQ(EndOf(failed.ends[7]), v1::End::FAILED);
  EXPECT_TRUE(IsFlaky(failed.ends[7]));
  EXPECT_EQ(failed.ends[8], stored.ends[8]);
  EXPECT_EQ(failed.ends[1], stored.ends[1]);
  // And back again.
  const ParsedPolicy pass = ParsePolicyFile("version: 1\npolicy: { flaky: pass }", "p.yaml");
  ASSERT_OK_AND_ASSIGN(const StoredRun passed, UnderPolicy(failed, pass.policy));
  EXPECT_EQ(passed.ends, stored.ends);
}

TEST(RejudgeTest, WhatTheRunDoesNotHoldIsAnErrorAtItsPlace) {
  const StoredRun stored = Stored();
  EXPECT_THAT(Under(stored, "tests: { home: { blocking: true }, hone: { blocking: true } }"),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("p.yaml:2:36: run abcdefghijklmnop holds no test 'hone'")));
  EXPECT_THAT(Under(stored, "tests: { shop/home: { blocking: true } }"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("no test 'shop/home'")));
  EXPECT_THAT(
      Under(stored, "tests: { home: { blocking: true }, checkout/home: { blocking: false } }"),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("are one test")));
  EXPECT_THAT(Under(stored, "policy: { locations: { at_least: 2 } }"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("checkout/slow")));
  EXPECT_THAT(Under(stored, "tests: { home: { policy: { locations: { at_least: 3 } } } }"),
              StatusIs(absl::StatusCode::kInvalidArgument, StartsWith("p.yaml:2:10: ")));
}

TEST(RejudgeTest, AnIdOfTwoSuitesMustBeNamedWithItsSuite) {
  testing_support::FakeCoordinator c = JudgedRun();
  c.executions[6].set_suite("other");
  c.executions[6].set_test_id("home");
  ASSERT_OK_AND_ASSIGN(const StoredRun stored, Build(c));
  EXPECT_THAT(Under(stored, "tests: { home: { blocking: false } }"),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("write SUITE/home")));
  EXPECT_EQ(*Under(stored, "tests: { other/home: { blocking: true } }"), v1::Verdict::FAILED);
}

TEST(RejudgeTest, TheRuleIsToldWithItsNumbers) {
  const StoredRun stored = Stored();
  const auto rule = [&](uint32_t test, uint32_t row) {
    return RowRule(stored.shape.tests()[test].policy, CountRow(stored, test, row));
  };
  EXPECT_EQ(rule(0, 0), "all 2 locations must pass: 1 passed, 1 failed, so it FAILED");
  EXPECT_EQ(rule(1, 0), "all 2 locations must pass: 2 passed, 0 failed, so it PASSED");
  EXPECT_EQ(rule(1, 1),
            "all 2 locations must pass: 1 passed, 0 failed, 1 could not tell, so it is "
            "INCONCLUSIVE, which makes the run INCONCLUSIVE unless a check failed");
  EXPECT_EQ(rule(2, 0), "must pass at its one location: 0 passed, 1 failed, so it FAILED");
  EXPECT_EQ(rule(4, 0), "skipped everywhere: left out");
  v1::Policy majority;
  majority.set_locations(v1::Policy::MAJORITY);
  EXPECT_EQ(
      RowRule(
          majority,
          {.planned = 3, .passed = 2, .failed = 1, .needed = 2, .verdict = RowVerdict::kPassed}),
      "2 of 3 locations must pass (majority): 2 passed, 1 failed, so it PASSED");
}

class JudgeCommandsTest : public ::testing::Test {
 protected:
  JudgeCommandsTest() { world_.coordinator() = JudgedRun(); }
  std::string Policy(const std::string& text) {
    const std::string path = ::testing::TempDir() + "/judge_policy.yaml";
    EXPECT_OK(WriteFileAtomically(path, "version: 1\n" + text));
    return path;
  }
  testing_support::FakeWorld world_;
  const std::string id_ = "abcdefghijklmnop";
};

TEST_F(JudgeCommandsTest, ExplainShowsTheRuleAndTheCulpritsWithTheirLocations) {
  EXPECT_EQ(world_.Run({"explain", id_}), 0);
  EXPECT_THAT(world_.out(), HasSubstr("run abcdefghijklmnop is FAILED\n"
                                      "because 1 of 4 blocking checks failed\n"
                                      "rule: one failed blocking check makes the run FAILED\n"));
  EXPECT_THAT(
      world_.out(),
      HasSubstr("  FAILED  home <it> (checkout/home)\n"
                "    all 2 locations must pass: 1 passed, 1 failed, so it FAILED\n"
                "      us                   FAILED  connect_refused  (blame: location)  #1\n"
                "      eu                   PASSED  #0\n"));
  EXPECT_THAT(world_.out(), HasSubstr("  2 passed\n"));
  EXPECT_THAT(world_.out(), HasSubstr("  1 inconclusive, which does not matter"));
  EXPECT_THAT(world_.out(), HasSubstr("  1 skipped: left out\n"));
  EXPECT_THAT(world_.out(), HasSubstr("  1 not blocking"));
  EXPECT_THAT(world_.out(), Not(HasSubstr("wobbly")));
  EXPECT_THAT(world_.LastLine(), StartsWith("FAILED  planned 10 = "));
}

TEST_F(JudgeCommandsTest, ExplainAllShowsEveryCheckAndLimitBoundsIt) {
  EXPECT_EQ(world_.Run({"explain", id_, "--all"}), 0);
  EXPECT_THAT(world_.out(), HasSubstr("buy <it> (checkout/buy) row 1"));
  EXPECT_THAT(world_.out(), HasSubstr("not blocking: it does not count"));
  EXPECT_THAT(world_.out(), HasSubstr("flaky: passed after a failed attempt"));
  testing_support::FakeWorld other;
  other.coordinator() = JudgedRun();
  EXPECT_EQ(other.Run({"explain", id_, "--all", "--limit", "2"}), 0);
  EXPECT_THAT(other.out(), HasSubstr("and 4 more; --limit N"));
}

TEST_F(JudgeCommandsTest, ExplainOfARunningRunSaysSo) {
  world_.coordinator().run.set_state(v1::Run::RUNNING);
  EXPECT_EQ(world_.Run({"explain", id_}), 0);
  EXPECT_THAT(world_.out(), HasSubstr("is not sealed; ended now, it would be FAILED"));
}

TEST_F(JudgeCommandsTest, ExplainOfAnUnknownRunIsNoVerdict) {
  EXPECT_EQ(world_.Run({"explain", "aaaaaaaaaaaaaaaa"}), 4);
  EXPECT_EQ(world_.Run({"explain", "x"}), 2);
}

TEST_F(JudgeCommandsTest, JudgeExitsWithTheOtherVerdictAndRunsNothing) {
  EXPECT_EQ(world_.Run({"judge", id_, "--policy", Policy("policy: { locations: {at_least: 1} }")}),
            0);
  EXPECT_THAT(world_.out(), HasSubstr("was sealed FAILED; under "));
  EXPECT_THAT(world_.out(), HasSubstr("  FAILED -> PASSED  home <it> (checkout/home)\n"));
  EXPECT_THAT(world_.out(), HasSubstr("  INCONCLUSIVE -> PASSED  buy <it> (checkout/buy) row 1\n"));
  EXPECT_THAT(world_.LastLine(), StartsWith("PASSED  planned 10 = "));
  EXPECT_TRUE(world_.coordinator().created.empty());
  EXPECT_EQ(world_.Run({"judge", id_, "--policy", Policy("policy: { flaky: pass }")}), 1);
  EXPECT_THAT(world_.out(), HasSubstr("no check comes out otherwise"));
  EXPECT_EQ(world_.Run({"judge", id_, "--policy", Policy("tests: { home: { blocking: false } }")}),
            3);
}

TEST_F(JudgeCommandsTest, JudgeRefusesWrongPoliciesAndUnsealedRuns) {
  EXPECT_EQ(world_.Run({"judge", id_}), 2);
  EXPECT_EQ(world_.Run({"judge", id_, "--policy", "/nowhere/p.yaml"}), 2);
  EXPECT_EQ(world_.Run({"judge", id_, "--policy", Policy("policy: { flaky: perhaps }")}), 2);
  EXPECT_THAT(world_.err(), HasSubstr("judge_policy.yaml:2:18: flaky"));
  EXPECT_EQ(world_.Run({"judge", id_, "--policy", Policy("tests: { hone: { blocking: true } }")}),
            2);
  world_.coordinator().run.set_state(v1::Run::RUNNING);
  EXPECT_EQ(world_.Run({"judge", id_, "--policy", Policy("policy: { flaky: pass }")}), 4);
  EXPECT_THAT(world_.err(), HasSubstr("is not sealed"));
}

}  // namespace
}  // namespace picket
