#include "coordinator/store/codec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/base/random.h"
#include "tests/support/status_matchers.h"

namespace picket {
namespace {

using ::picket::testing_support::StatusIs;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<uint32_t> RoundTrip(const std::vector<uint32_t>& numbers) {
  std::vector<uint32_t> back = {77};
  EXPECT_OK(DecodeNumbers(EncodeNumbers(numbers), back));
  return back;
}

TEST(CodecTest, NumbersComeBackInTheirOrder) {
  EXPECT_THAT(RoundTrip({}), IsEmpty());
  EXPECT_THAT(RoundTrip({5}), ElementsAre(5));
  EXPECT_THAT(RoundTrip({7, 8, 9, 3, 4, 0xffffffff, 0, 0}),
              ElementsAre(7, 8, 9, 3, 4, 0xffffffff, 0, 0));
  Random random(1);
  for (int round = 0; round < 200; ++round) {
    std::vector<uint32_t> numbers(random.Below(50));
    for (uint32_t& number : numbers) number = static_cast<uint32_t>(random.Next() >> random.Below(64));
    EXPECT_EQ(RoundTrip(numbers), numbers);
  }
}

TEST(CodecTest, AShardOfNeighboursIsSmall) {
  std::vector<uint32_t> numbers;
  for (uint32_t i = 0; i < 100'000; ++i) numbers.push_back(1'000'000 + i);
  EXPECT_LT(EncodeNumbers(numbers).size(), 16u);
}

TEST(CodecTest, BytesThatAreNoNumbersAreDataLoss) {
  std::vector<uint32_t> numbers;
  const std::string good = EncodeNumbers({1, 5, 9});
  for (size_t size = 0; size < good.size(); ++size) {
    EXPECT_THAT(DecodeNumbers(good.substr(0, size), numbers), StatusIs(absl::StatusCode::kDataLoss));
  }
  EXPECT_THAT(DecodeNumbers(good + "x", numbers), StatusIs(absl::StatusCode::kDataLoss));
  Random random(2);
  for (int round = 0; round < 500; ++round) {
    std::string bytes(random.Below(20), '\0');
    for (char& byte : bytes) byte = static_cast<char>(random.Next());
    if (!bytes.empty()) bytes[0] = 1;
    const absl::Status status = DecodeNumbers(bytes, numbers);
    EXPECT_TRUE(status.ok() || absl::IsDataLoss(status));
  }
}

TEST(CodecTest, MarksComeBack) {
  std::map<uint32_t, Mark> marks;
  marks[3].losses = 4;
  marks[3].avoid_instance = "i1";
  marks[9].started = true;
  marks[9].give_up = absl::FromUnixMicros(12'345);
  marks[12].attempts = 2;
  marks[12].probed = {"eu-west", "us:2"};
  marks[13].losses = 1;  // what follows a mark with more to it is found
  std::vector<bool> leased(12);
  leased[0] = leased[3] = leased[4] = leased[9] = true;
  std::map<uint32_t, Mark> back;
  std::vector<bool> leased_back;
  ASSERT_OK(DecodeMarks(EncodeMarks(leased, marks), leased_back, back));
  leased_back.resize(leased.size());  // the end that was never leased is not written
  EXPECT_EQ(leased_back, leased);
  ASSERT_EQ(back.size(), 4u);
  EXPECT_EQ(back[3].losses, 4u);
  EXPECT_EQ(back[12].attempts, 2u);
  EXPECT_EQ(back[12].probed, (std::vector<std::string>{"eu-west", "us:2"}));
  EXPECT_TRUE(back[3].probed.empty());
  EXPECT_EQ(back[13].losses, 1u);
  EXPECT_EQ(back[3].avoid_instance, "i1");
  EXPECT_EQ(back[3].not_before, absl::InfinitePast());
  EXPECT_TRUE(back[9].started);
  EXPECT_EQ(back[9].give_up, absl::FromUnixMicros(12'345));
  const std::string good = EncodeMarks(leased, marks);
  EXPECT_THAT(DecodeMarks(good.substr(0, good.size() / 2), leased_back, back),
              StatusIs(absl::StatusCode::kDataLoss));
  EXPECT_EQ(EncodeMarks({}, {}), "");
  EXPECT_EQ(EncodeMarks({false, false}, {}), "");
}

TEST(CodecTest, AShardThatIsLeasedWholeTakesAFewBytes) {
  EXPECT_LE(EncodeMarks(std::vector<bool>(1000, true), {}).size(), 8u);
}

TEST(CodecTest, MarksOfTheFirstFormatAreRead) {
  // Byte 1, one mark: position 2, 3 leases, 1 loss, no attempt, no flag, no instance,
  // the two infinities.
  std::string old("\x01\x01\x02\x03\x01\x00\x00\x00", 8);
  old += std::string(9, '\xff') + "\x01";
  old += "\xfe" + std::string(8, '\xff') + "\x01";
  std::map<uint32_t, Mark> marks;
  std::vector<bool> leased;
  ASSERT_OK(DecodeMarks(old, leased, marks));
  EXPECT_EQ(leased, std::vector<bool>({false, false, true}));
  ASSERT_EQ(marks.size(), 1u);
  EXPECT_EQ(marks[2].losses, 1u);
  EXPECT_EQ(marks[2].not_before, absl::InfinitePast());
  EXPECT_EQ(marks[2].give_up, absl::InfiniteFuture());
}

TEST(CodecTest, DamagedMarksAreDataLoss) {
  Random random(7);
  std::map<uint32_t, Mark> marks;
  std::vector<bool> leased;
  for (int i = 0; i < 2000; ++i) {
    std::string bytes(random.Below(20), '\0');
    for (char& byte : bytes) byte = static_cast<char>(random.Next());
    if (!bytes.empty()) bytes[0] = static_cast<char>(1 + random.Below(2));
    const absl::Status status = DecodeMarks(bytes, leased, marks);
    EXPECT_TRUE(status.ok() || absl::IsDataLoss(status));
  }
}

TEST(CodecTest, ResultsArePackedAndReadOneByOne) {
  std::string packed;
  for (uint32_t i = 0; i < 3; ++i) {
    ResultRow row;
    row.execution = 100 - i;
    row.shard = 7;
    row.epoch = i;
    row.deciding = i == 1;
    row.late = i == 2;
    row.result.set_execution(row.execution);
    AppendResult(row, packed);
  }
  ResultReader reader(packed);
  for (uint32_t i = 0; i < 3; ++i) {
    ASSERT_FALSE(reader.Done());
    ASSERT_OK(reader.Next());
    EXPECT_EQ(reader.execution(), 100 - i);
    ResultRow row;
    ASSERT_OK(reader.Parse(row));
    EXPECT_EQ(row.shard, 7u);
    EXPECT_EQ(row.epoch, i);
    EXPECT_EQ(row.deciding, i == 1);
    EXPECT_EQ(row.late, i == 2);
    EXPECT_EQ(row.result.execution(), 100 - i);
  }
  EXPECT_TRUE(reader.Done());
  ResultReader cut(absl::string_view(packed).substr(0, packed.size() - 1));
  ASSERT_OK(cut.Next());
  ASSERT_OK(cut.Next());
  EXPECT_THAT(cut.Next(), StatusIs(absl::StatusCode::kDataLoss));
  EXPECT_TRUE(cut.Done());
}

}  // namespace
}  // namespace picket
