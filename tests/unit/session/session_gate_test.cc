// The session and regression gates: another measurement is no retry.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/policy/limits.h"
#include "tests/unit/session/session_harness.h"

namespace picket {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using H = SessionHarness;

// A test with a regression gate on first_byte, and two runs before at eu-west.
v1::CoordinatorMessage Gated(const std::string& digest) {
  v1::CoordinatorMessage message;
  message.mutable_test()->set_digest(digest);
  v1::Test& test = *message.mutable_test()->mutable_test();
  v1::Expectation& expectation = *test.add_steps()->add_expect();
  expectation.set_subject(v1::Subject::time);
  expectation.set_argument("first_byte");
  v1::Operation& operation = *expectation.add_operations();
  operation.set_operator_(v1::Operator::regression);
  operation.set_operand_json(R"({"at_most_percent":20.0,"over":5})");
  for (const char* location : {"eu-west", "us-east"}) {
    v1::PastTimes& past = *test.add_past_times();
    past.set_location(location);
    past.set_phase("first_byte");
    past.add_us(location[0]);
    past.add_us(7);
  }
  return message;
}

TEST(SessionGateTest, AGateThatMeasuresIsGivenAnotherMeasurementWhateverTheRetries) {
  SessionHarness h;
  h.Connect();
  h.Receive(Gated("gated"));
  h.Receive(H::Grant(H::Id("r"), {1}, 0, "gated"));
  ASSERT_THAT(h.starts, SizeIs(1));
  ASSERT_THAT(h.starts[0].gates, SizeIs(1));
  EXPECT_THAT(h.starts[0].gates[0].times.before, ElementsAre('e', 7)) << "of this location";
  EXPECT_THAT(h.starts[0].gates[0].times.now, IsEmpty());

  h.End(1, v1::Outcome::INCONCLUSIVE, v1::FailureReason::measuring);
  EXPECT_THAT(h.starts, IsEmpty());
  EXPECT_THAT(h.Results(), IsEmpty());
  h.Advance(DefaultLimits().regression_gap);
  ASSERT_THAT(h.starts, SizeIs(1));
  EXPECT_EQ(h.starts[0].number, 2u);
  EXPECT_EQ(h.starts[0].gates[0].times.made, 1u);

  h.End(1);
  ASSERT_THAT(h.Results(), SizeIs(1));
  EXPECT_THAT(h.Results()[0].attempts(), SizeIs(2));
  EXPECT_EQ(h.Results()[0].outcome(), v1::Outcome::PASSED);
  EXPECT_FALSE(h.Results()[0].flaky()) << "it never failed";
}

TEST(SessionGateTest, AGateThatNeverSettlesEndsWithTheAttempts) {
  SessionHarness h;
  h.Connect();
  h.Receive(Gated("gated"));
  h.Receive(H::Grant(H::Id("r"), {1}, 0, "gated"));
  for (uint32_t i = 1; i < DefaultLimits().attempts_most; ++i) {
    h.End(1, v1::Outcome::INCONCLUSIVE, v1::FailureReason::measuring);
    h.Advance(DefaultLimits().regression_gap);
    ASSERT_THAT(h.starts, SizeIs(1)) << i;
  }
  h.End(1, v1::Outcome::INCONCLUSIVE, v1::FailureReason::measuring);
  ASSERT_THAT(h.Results(), SizeIs(1));
  EXPECT_EQ(h.Results()[0].outcome(), v1::Outcome::INCONCLUSIVE);
}

}  // namespace
}  // namespace picket
