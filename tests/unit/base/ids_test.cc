#include "common/base/ids.h"

#include <gtest/gtest.h>

#include <string>

namespace picket {
namespace {

TEST(RunIdTest, HasSixteenCharactersAndSortsByTime) {
  Random random(1);
  const absl::Time start = absl::FromUnixSeconds(1'790'000'000);
  std::string last = NewRunId(start, random);
  for (int i = 1; i < 1000; ++i) {
    const std::string next = NewRunId(start + absl::Milliseconds(i), random);
    EXPECT_TRUE(IsRunId(next)) << next;
    EXPECT_LT(last, next);
    last = next;
  }
}

TEST(RunIdTest, OtherTextIsNoRunId) {
  EXPECT_FALSE(IsRunId(""));
  EXPECT_FALSE(IsRunId("aaaaaaaaaaaaaaa"));
  EXPECT_FALSE(IsRunId("aaaaaaaaaaaaaaa1"));
  EXPECT_FALSE(IsRunId("AAAAAAAAAAAAAAAA"));
}

TEST(UuidTest, IsVersionFour) {
  Random random(7);
  const std::string uuid = NewUuid(random);
  EXPECT_TRUE(IsUuid(uuid)) << uuid;
  EXPECT_EQ(uuid[14], '4');
  EXPECT_NE(std::string("89ab").find(uuid[19]), std::string::npos);
  EXPECT_FALSE(IsUuid("not-a-uuid"));
}

TEST(ResultIdTest, StaysWithinThirtyCharacters) {
  EXPECT_EQ(ResultId("abcdefghijklmnop", 9'999'999, 1234), "abcdefghijklmnop-9999999-1234");
}

TEST(SlugTest, KeepsLettersAndDigits) {
  EXPECT_EQ(Slug("  Buy a chair (2nd)! "), "buy-a-chair-2nd");
  EXPECT_EQ(Slug("!!!"), "");
  EXPECT_EQ(Slug(std::string(300, 'a')).size(), 100u);
}

TEST(LocationTest, FollowsItsPattern) {
  EXPECT_TRUE(IsLocation("aws:us-east-1"));
  EXPECT_TRUE(IsLocation(std::string(63, 'a')));
  EXPECT_FALSE(IsLocation(std::string(64, 'a')));
  EXPECT_FALSE(IsLocation(""));
  EXPECT_FALSE(IsLocation("-a"));
  EXPECT_FALSE(IsLocation("EU"));
}

}  // namespace
}  // namespace picket
