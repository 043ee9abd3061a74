#include "coordinator/core/session.h"

#include <gtest/gtest.h>

#include "tests/support/status_matchers.h"

namespace picket {
namespace {

using ::testing::HasSubstr;
using testing_support::StatusIs;

TEST(AckWindowTest, NothingIsAcknowledgedBeforeAllBeforeItIsStored) {
  AckWindow window;
  const uint64_t first = window.Open(10, 2);
  const uint64_t second = window.Open(20, 1);
  window.Settle(second);
  EXPECT_FALSE(window.Take().has_value());
  window.Settle(first);
  EXPECT_FALSE(window.Take().has_value());
  EXPECT_EQ(window.waiting(), 1u);
  window.Settle(first);
  const auto ack = window.Take();
  ASSERT_TRUE(ack.has_value());
  EXPECT_EQ(ack->through(), 20u);
  EXPECT_FALSE(window.Take().has_value());
}

TEST(AckWindowTest, ADroppedResultIsSettledAndNamed) {
  AckWindow window;
  const uint64_t batch = window.Open(3, 1);
  v1::ResultAck::Dropped dropped;
  dropped.set_reason("because");
  window.Drop(batch, dropped);
  const auto ack = window.Take();
  ASSERT_TRUE(ack.has_value());
  EXPECT_EQ(ack->through(), 3u);
  ASSERT_EQ(ack->dropped_size(), 1);
  EXPECT_EQ(ack->dropped(0).reason(), "because");
}

TEST(AckWindowTest, AnEmptyBatchIsAcknowledgedAtOnce) {
  AckWindow window;
  window.Open(5, 0);
  ASSERT_EQ(window.Take()->through(), 5u);
}

v1::Hello Hello() {
  v1::Hello hello;
  hello.set_instance("11111111-2222-4333-8444-555555555555");
  hello.set_name("a");
  hello.set_location("eu");
  hello.set_protocol_min(1);
  hello.set_protocol_max(1);
  return hello;
}

TEST(HelloTest, TheNewestCommonProtocolIsSpoken) {
  v1::Hello hello = Hello();
  hello.set_protocol_max(kProtocol + 7);
  EXPECT_EQ(*CheckHello(hello), kProtocol);
}

TEST(HelloTest, WindowsThatDoNotMeetAreRefusedNamingBoth) {
  v1::Hello hello = Hello();
  hello.set_protocol_min(kProtocol + 1);
  hello.set_protocol_max(kProtocol + 2);
  EXPECT_THAT(CheckHello(hello).status(),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("2 to 3, this coordinator (version ")));
}

TEST(HelloTest, MalformedIdentitiesAreRefused) {
  v1::Hello hello = Hello();
  hello.set_instance("me");
  EXPECT_THAT(CheckHello(hello).status(),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("instance")));
  hello = Hello();
  hello.set_name("");
  EXPECT_THAT(CheckHello(hello).status(),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("name")));
  hello = Hello();
  hello.set_location("Not A Place");
  EXPECT_THAT(CheckHello(hello).status(),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("Not A Place")));
}

}  // namespace
}  // namespace picket
