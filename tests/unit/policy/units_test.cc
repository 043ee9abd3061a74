#include "common/policy/units.h"

#include <gtest/gtest.h>

#include "tests/support/status_matchers.h"

namespace picket {
namespace {

using ::picket::testing_support::IsOkAndHolds;
using ::picket::testing_support::StatusIs;

TEST(DurationTest, UnitsAreRead) {
  EXPECT_THAT(ParseDuration("500ms"), IsOkAndHolds(absl::Milliseconds(500)));
  EXPECT_THAT(ParseDuration("10s"), IsOkAndHolds(absl::Seconds(10)));
  EXPECT_THAT(ParseDuration("1.5s"), IsOkAndHolds(absl::Milliseconds(1500)));
  EXPECT_THAT(ParseDuration("5m"), IsOkAndHolds(absl::Minutes(5)));
  EXPECT_THAT(ParseDuration("1h30m"), IsOkAndHolds(absl::Minutes(90)));
  EXPECT_THAT(ParseDuration("0s"), IsOkAndHolds(absl::ZeroDuration()));
  EXPECT_THAT(ParseDuration("250us"), IsOkAndHolds(absl::Microseconds(250)));
}

TEST(DurationTest, AnythingElseIsRefused) {
  for (const char* bad : {"", "10", "s", "-1s", "+1s", "1 s", "1d", "1s1m", "1s1s", ".5s", "1.s",
                          "1..2s", "inf", "1e3s", "99999999999999999999h", "1S", "ten"}) {
    EXPECT_THAT(ParseDuration(bad), StatusIs(absl::StatusCode::kInvalidArgument)) << bad;
  }
}

TEST(DurationTest, FormatIsReadBack) {
  for (int64_t us : {0L, 1L, 1000L, 1500L, 60'000'000L, 5'400'000'000L, 3'600'000'001L}) {
    EXPECT_THAT(ParseDuration(DurationText(absl::Microseconds(us))),
                IsOkAndHolds(absl::Microseconds(us)));
  }
}

TEST(SizeTest, UnitsAreRead) {
  EXPECT_THAT(ParseSize("512"), IsOkAndHolds(512u));
  EXPECT_THAT(ParseSize("512B"), IsOkAndHolds(512u));
  EXPECT_THAT(ParseSize("10kB"), IsOkAndHolds(10'000u));
  EXPECT_THAT(ParseSize("1.5MB"), IsOkAndHolds(1'500'000u));
  EXPECT_THAT(ParseSize("64KiB"), IsOkAndHolds(65'536u));
  EXPECT_THAT(ParseSize("1GiB"), IsOkAndHolds(1u << 30));
}

TEST(SizeTest, AnythingElseIsRefused) {
  for (const char* bad : {"", "kB", "-1", "1 kB", "1.5", "1TB", "1mb", "10k", "1e6"}) {
    EXPECT_THAT(ParseSize(bad), StatusIs(absl::StatusCode::kInvalidArgument)) << bad;
  }
}

}  // namespace
}  // namespace picket
