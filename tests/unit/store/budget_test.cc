// How much of a run's evidence and late results is kept.

#include <gtest/gtest.h>

#include "common/policy/limits.h"
#include "coordinator/store/compare.h"

namespace picket {
namespace {

TEST(RunBudgetTest, EvidenceEndsByPieceByNumberAndInAll) {
  const Limits& limits = DefaultLimits();
  RunBudget budget;
  EXPECT_TRUE(budget.TakeEvidence(limits.evidence_bytes));
  EXPECT_FALSE(budget.TakeEvidence(limits.evidence_bytes + 1));
  budget.evidence_bytes = limits.evidence_run_bytes - 10;
  EXPECT_FALSE(budget.TakeEvidence(11));
  EXPECT_TRUE(budget.TakeEvidence(10));
  EXPECT_FALSE(budget.TakeEvidence(1));
  budget.evidence_bytes = 0;
  budget.evidence_count = limits.evidence_run_full - 1;
  EXPECT_TRUE(budget.TakeEvidence(1));
  EXPECT_FALSE(budget.TakeEvidence(1));
}

TEST(RunBudgetTest, LateResultsEndByNumber) {
  RunBudget budget;
  budget.late_results = DefaultLimits().late_results_run - 1;
  EXPECT_TRUE(budget.TakeLateResult());
  EXPECT_FALSE(budget.TakeLateResult());
}

}  // namespace
}  // namespace picket
