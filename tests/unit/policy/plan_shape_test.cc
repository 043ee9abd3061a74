#include "common/policy/plan_shape.h"

#include <gtest/gtest.h>

#include "common/policy/limits.h"
#include "tests/support/status_matchers.h"

namespace picket {
namespace {

using testing_support::StatusIs;

TestShape Shape(uint32_t locations, uint32_t rows) {
  TestShape shape;
  shape.locations.resize(locations, "eu");
  shape.rows = rows;
  shape.has_rows = true;
  return shape;
}

TEST(PlanShapeTest, ARunHasAMostOfExecutions) {
  const uint32_t most = static_cast<uint32_t>(DefaultLimits().executions_per_run);
  ASSERT_OK_AND_ASSIGN(const PlanShape full, PlanShape::Make({Shape(10, most / 10)}));
  EXPECT_EQ(full.executions(), most);
  EXPECT_THAT(PlanShape::Make({Shape(10, most / 10), Shape(1, 1)}),
              StatusIs(absl::StatusCode::kResourceExhausted));
  // Not even by numbers that overflow.
  EXPECT_THAT(PlanShape::Make({Shape(1000, 1'000'000), Shape(1000, 1'000'000)}),
              StatusIs(absl::StatusCode::kResourceExhausted));
}

}  // namespace
}  // namespace picket
