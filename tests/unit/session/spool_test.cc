#include "agent/session/spool.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "agent/session/crc32c.h"
#include "agent/session/segment.h"
#include "common/base/files.h"
#include "common/base/ids.h"
#include "common/base/random.h"
#include "tests/support/status_matchers.h"

namespace picket {
namespace {

using ::picket::testing_support::StatusIs;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

v1::LeaseResults Result(uint32_t execution, size_t padding = 0) {
  v1::LeaseResults results;
  results.mutable_lease()->set_run_id("r");
  results.set_instance("i");
  results.add_results()->set_execution(execution);
  if (padding > 0) {
    results.mutable_results(0)->add_attempts()->set_message(std::string(padding, 'x'));
  }
  return results;
}

std::vector<uint64_t> Sequences(const std::vector<SpoolRecord>& records) {
  std::vector<uint64_t> all;
  for (const SpoolRecord& record : records) all.push_back(record.sequence);
  return all;
}

uint32_t ExecutionOf(const SpoolRecord& record) {
  v1::LeaseResults results;
  EXPECT_TRUE(results.ParseFromString(record.payload));
  return results.results(0).execution();
}

// Everything that is not acknowledged, batch by batch.
std::vector<uint64_t> All(Spool& spool) {
  std::vector<uint64_t> all;
  uint64_t after = spool.acknowledged();
  while (true) {
    const std::vector<uint64_t> next = Sequences(spool.Read(after, 7, 1u << 20));
    if (next.empty()) return all;
    all.insert(all.end(), next.begin(), next.end());
    after = next.back();
  }
}

class DiskSpoolTest : public ::testing::Test {
 protected:
  DiskSpoolTest()
      : directory_(absl::StrCat(::testing::TempDir(), "/spool-", getpid(), "-",
                                ::testing::UnitTest::GetInstance()->current_test_info()->name())) {
    std::filesystem::remove_all(directory_);
  }
  ~DiskSpoolTest() override { std::filesystem::remove_all(directory_); }

  SpoolOptions Options() const {
    Random random = Random::FromSystem();
    return {.directory = directory_, .new_id = NewUuid(random)};
  }
  std::unique_ptr<Spool> Open() { return Open(Options()); }
  std::unique_ptr<Spool> Open(const SpoolOptions& options) {
    auto spool = OpenDiskSpool(options);
    EXPECT_OK(spool);
    return spool.ok() ? *std::move(spool) : nullptr;
  }
  std::vector<std::string> Segments() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(directory_)) {
      if (SegmentFirst(entry.path().filename().string()) != 0) names.push_back(entry.path());
    }
    std::sort(names.begin(), names.end());
    return names;
  }
  // Changes the file in place.
  static void Corrupt(const std::string& path, size_t offset) {
    const int fd = open(path.c_str(), O_RDWR);
    ASSERT_GE(fd, 0);
    char byte;
    ASSERT_EQ(pread(fd, &byte, 1, static_cast<off_t>(offset)), 1);
    byte = static_cast<char>(byte ^ 0x55);
    ASSERT_EQ(pwrite(fd, &byte, 1, static_cast<off_t>(offset)), 1);
    close(fd);
  }

  const std::string directory_;
};

TEST(Crc32cTest, MatchesTheStandardVectors) {
  EXPECT_EQ(Crc32c("123456789"), 0xe3069283u);
  EXPECT_EQ(Crc32c(std::string(32, '\0')), 0x8a9136aau);  // RFC 3720 B.4
  EXPECT_EQ(Crc32c("6789", Crc32c("12345")), 0xe3069283u);
}

TEST(Crc32cTest, IsTheSameWithAndWithoutTheInstruction) {
  std::string bytes;
  for (int i = 0; i < 70; ++i) {
    for (const uint32_t seed : {0u, 1u, 0xffffffffu})
      EXPECT_EQ(Crc32c(bytes, seed), Crc32cByTable(bytes, seed)) << i;
    bytes.push_back(static_cast<char>(i * 37));
  }
}

TEST(MemorySpoolTest, NumbersReadsAndFrees) {
  auto spool = MakeMemorySpool("s", 64u << 20);
  for (uint32_t i = 1; i <= 5; ++i) EXPECT_EQ(spool->Append(Result(i)), i);
  EXPECT_THAT(Sequences(spool->Read(0, 3, 1u << 20)), ElementsAre(1, 2, 3));
  EXPECT_THAT(Sequences(spool->Read(3, 3, 1u << 20)), ElementsAre(4, 5));
  spool->Acknowledge(4);
  EXPECT_THAT(Sequences(spool->Read(0, 9, 1u << 20)), ElementsAre(5));
  spool->Acknowledge(99);
  EXPECT_EQ(spool->bytes(), 0u);
  EXPECT_EQ(spool->Append(Result(6)), 6u);
}

TEST(MemorySpoolTest, ABatchIsBoundedByBytesButNeverEmpty) {
  auto spool = MakeMemorySpool("s", 64u << 20);
  for (uint32_t i = 1; i <= 3; ++i) spool->Append(Result(i, 1000));
  EXPECT_THAT(spool->Read(0, 9, 10), SizeIs(1));
  EXPECT_THAT(spool->Read(0, 9, 2100), SizeIs(2));
}

TEST_F(DiskSpoolTest, SurvivesTheEndOfItsProcess) {
  std::string id;
  {
    auto spool = Open();
    id = spool->id();
    EXPECT_TRUE(IsUuid(id));
    for (uint32_t i = 1; i <= 3; ++i) spool->Append(Result(i * 10));
    spool->Flush();
  }
  auto spool = Open();
  EXPECT_EQ(spool->id(), id);
  EXPECT_EQ(spool->last(), 3u);
  const auto records = spool->Read(0, 9, 1u << 20);
  ASSERT_THAT(Sequences(records), ElementsAre(1, 2, 3));
  EXPECT_EQ(ExecutionOf(records[1]), 20u);
  EXPECT_EQ(spool->Append(Result(40)), 4u) << "the sequence goes on";
  spool->Flush();
  EXPECT_THAT(All(*spool), ElementsAre(1, 2, 3, 4));
}

TEST_F(DiskSpoolTest, SurvivesAKill) {
  const pid_t child = fork();
  if (child == 0) {
    auto spool = OpenDiskSpool(Options());
    if (!spool.ok()) _exit(1);
    for (uint32_t i = 1; i <= 100; ++i) (*spool)->Append(Result(i));
    (*spool)->Flush();
    (*spool)->Append(Result(101));  // never handed over
    kill(getpid(), SIGKILL);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status));
  auto spool = Open();
  EXPECT_THAT(All(*spool), SizeIs(100));
}

TEST_F(DiskSpoolTest, IsHeldByOneProcess) {
  auto spool = Open();
  EXPECT_THAT(OpenDiskSpool(Options()),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr(directory_)));
  spool.reset();
  EXPECT_OK(OpenDiskSpool(Options()));
}

TEST_F(DiskSpoolTest, FilesAreForTheirOwnerAlone) {
  auto spool = Open();
  spool->Append(Result(1));
  spool->Flush();
  for (const auto& entry : std::filesystem::directory_iterator(directory_)) {
    struct stat info;
    ASSERT_EQ(stat(entry.path().c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0600u) << entry.path();
  }
}

TEST_F(DiskSpoolTest, AnUnusableDirectoryIsNamed) {
  SpoolOptions options = Options();
  options.directory = "/proc/nothing-can-be-made-here";
  EXPECT_THAT(OpenDiskSpool(options).status().message(), HasSubstr(options.directory));
}

TEST_F(DiskSpoolTest, WhatIsAcknowledgedDoesNotComeBack) {
  {
    auto spool = Open();
    for (uint32_t i = 1; i <= 5; ++i) spool->Append(Result(i));
    spool->Flush();
    spool->Acknowledge(3);
    spool->Flush();
  }
  auto spool = Open();
  EXPECT_THAT(All(*spool), ElementsAre(4, 5));
  spool->Acknowledge(5);
  spool.reset();
  spool = Open();
  EXPECT_THAT(All(*spool), IsEmpty());
  EXPECT_EQ(spool->Append(Result(6)), 6u) << "numbers are never used twice";
}

TEST_F(DiskSpoolTest, SegmentsGoWhenAllInThemIsAcknowledged) {
  SpoolOptions options = Options();
  options.segment_bytes = 2000;
  auto spool = Open(options);
  for (uint32_t i = 1; i <= 100; ++i) {
    spool->Append(Result(i, 100));
    spool->Flush();
  }
  EXPECT_GT(Segments().size(), 5u);
  spool->Acknowledge(50);
  const size_t half = Segments().size();
  EXPECT_LT(half, 6u);
  EXPECT_THAT(All(*spool), SizeIs(50));
  spool->Acknowledge(100);
  EXPECT_LE(Segments().size(), 2u);
}

TEST_F(DiskSpoolTest, WhatMemoryCannotHoldIsReadBackInOrder) {
  SpoolOptions options = Options();
  options.memory_bytes = 1000;
  options.segment_bytes = 3000;
  auto spool = Open(options);
  std::vector<uint64_t> expected;
  for (uint32_t i = 1; i <= 200; ++i) {
    expected.push_back(spool->Append(Result(i, 50)));
    if (i % 3 == 0) spool->Flush();
  }
  spool->Flush();
  EXPECT_EQ(All(*spool), expected);
  for (uint64_t through = 10; through <= 200; through += 10) {
    spool->Acknowledge(through);
    EXPECT_EQ(All(*spool),
              std::vector<uint64_t>(expected.begin() + static_cast<long>(through), expected.end()));
  }
  EXPECT_EQ(spool->bytes(), 0u);
}

TEST_F(DiskSpoolTest, InterleavedWritesReadsAndAcknowledgementsLoseNothing) {
  SpoolOptions options = Options();
  options.memory_bytes = 2000;
  options.segment_bytes = 1500;
  Random random(7);
  auto spool = Open(options);
  uint64_t acknowledged = 0;
  for (int step = 0; step < 2000; ++step) {
    switch (random.Below(6)) {
      case 0:
      case 1:
      case 2:
        spool->Append(Result(static_cast<uint32_t>(step), random.Below(200)));
        break;
      case 3:
        spool->Flush();
        break;
      case 4: {
        const auto some = spool->Read(acknowledged, 5, 1u << 20);
        uint64_t next = acknowledged;
        for (const SpoolRecord& record : some) ASSERT_EQ(record.sequence, ++next);
        ASSERT_TRUE(!some.empty() || spool->last() == acknowledged);
        break;
      }
      case 5: {
        const uint64_t open = spool->last() - acknowledged;
        if (random.Below(4) == 0) acknowledged += random.Below(open + 1);
        spool->Acknowledge(acknowledged);
        if (random.Below(20) == 0) {
          spool->Flush();
          const uint64_t last = spool->last();
          spool.reset();
          spool = Open(options);
          ASSERT_EQ(spool->last(), last);
          ASSERT_EQ(spool->acknowledged(), acknowledged);
        }
        break;
      }
    }
  }
  spool->Acknowledge(spool->last());
  EXPECT_EQ(spool->bytes(), 0u);
  EXPECT_EQ(spool->corrupt(), 0u);
}

TEST_F(DiskSpoolTest, IsFullBeforeItsBound) {
  SpoolOptions options = Options();
  options.disk_bytes = (4u << 20) + 2000;  // the reserve and a little
  auto spool = Open(options);
  EXPECT_FALSE(spool->Full());
  for (uint32_t i = 1; i <= 30; ++i) spool->Append(Result(i, 100));
  spool->Flush();
  EXPECT_TRUE(spool->Full());
  EXPECT_THAT(All(*spool), SizeIs(30)) << "what is in flight still finds room";
}

TEST_F(DiskSpoolTest, ATornTailIsDroppedAndNotCountedAsCorruption) {
  {
    auto spool = Open();
    for (uint32_t i = 1; i <= 3; ++i) spool->Append(Result(i, 100));
    spool->Flush();
  }
  const std::string path = Segments().at(0);
  const auto size = std::filesystem::file_size(path);
  for (uintmax_t cut = 1; cut <= 100; cut += 33) {
    std::filesystem::resize_file(path, size - cut);
    auto spool = Open();
    EXPECT_THAT(All(*spool), ElementsAre(1, 2)) << cut;
    EXPECT_EQ(spool->corrupt(), 0u) << cut;
  }
  EXPECT_EQ(Open()->Append(Result(9)), 3u);
}

TEST_F(DiskSpoolTest, ACorruptRecordIsSkippedAndCounted) {
  {
    auto spool = Open();
    for (uint32_t i = 1; i <= 5; ++i) spool->Append(Result(i, 100));
    spool->Flush();
  }
  const std::string path = Segments().at(0);
  const size_t record = (std::filesystem::file_size(path) - SegmentHeader().size()) / 5;
  Corrupt(path, SegmentHeader().size() + 2 * record + 60);  // in the payload of the third
  auto spool = Open();
  EXPECT_THAT(All(*spool), ElementsAre(1, 2, 4, 5));
  EXPECT_EQ(spool->corrupt(), 1u);
}

TEST_F(DiskSpoolTest, ACorruptLengthDoesNotHideWhatFollows) {
  {
    auto spool = Open();
    for (uint32_t i = 1; i <= 5; ++i) spool->Append(Result(i, 100));
    spool->Flush();
  }
  const std::string path = Segments().at(0);
  const size_t record = (std::filesystem::file_size(path) - SegmentHeader().size()) / 5;
  for (size_t byte = 0; byte < 4; ++byte) {
    Corrupt(path, SegmentHeader().size() + record + byte);
    auto spool = Open();
    EXPECT_THAT(All(*spool), ElementsAre(1, 3, 4, 5)) << byte;
    EXPECT_GE(spool->corrupt(), 1u) << byte;
    spool.reset();
    Corrupt(path, SegmentHeader().size() + record + byte);  // and back
  }
}

TEST_F(DiskSpoolTest, AnyOneByteOfDamageLosesAtMostOneResult) {
  {
    auto spool = Open();
    for (uint32_t i = 1; i <= 4; ++i) spool->Append(Result(i, 20));
    spool->Flush();
  }
  ASSERT_OK_AND_ASSIGN(const std::string good, ReadFile(Segments().at(0), 1u << 20));
  for (size_t i = SegmentHeader().size(); i < good.size(); ++i) {
    std::string bad = good;
    bad[i] = static_cast<char>(bad[i] ^ 0xff);
    std::vector<uint64_t> seen;
    ScanSegment(bad, [&](const SegmentRecord& record) {
      seen.push_back(record.sequence);
      return true;
    });
    ASSERT_GE(seen.size(), 3u) << i;
    ASSERT_TRUE(std::is_sorted(seen.begin(), seen.end())) << i;
  }
}

TEST_F(DiskSpoolTest, AForeignFileIsCountedAndLeftAlone) {
  Open().reset();
  ASSERT_OK(WriteFileAtomically(absl::StrCat(directory_, "/", SegmentName(900)), "not a segment"));
  auto spool = Open();
  EXPECT_EQ(spool->corrupt(), 1u);
  EXPECT_GE(spool->Append(Result(1)), 900u) << "its number may have been used";
}

TEST_F(DiskSpoolTest, ABrokenIdBecomesANewOne) {
  Open().reset();
  ASSERT_OK(WriteFileAtomically(absl::StrCat(directory_, "/id"), "garb"));
  EXPECT_TRUE(IsUuid(Open()->id()));
}

TEST_F(DiskSpoolTest, WhenTheDiskFailsResultsStayInMemoryAndAreWrittenLater) {
  auto spool = Open();
  spool->Append(Result(1));
  spool->Flush();
  // The directory goes away under it; the next segment cannot be made.
  const std::string away = directory_ + "-away";
  std::filesystem::remove_all(away);
  SpoolOptions options = Options();
  spool.reset();
  options.segment_bytes = 1;  // each Flush begins a new segment
  spool = Open(options);
  std::filesystem::rename(directory_, away);
  spool->Append(Result(2));
  spool->Flush();
  EXPECT_FALSE(spool->disk().ok());
  const auto records = spool->Read(1, 9, 1u << 20);
  EXPECT_THAT(Sequences(records), ElementsAre(2));
  std::filesystem::rename(away, directory_);
  spool->Flush();
  EXPECT_OK(spool->disk());
  spool.reset();
  EXPECT_THAT(All(*Open()), ElementsAre(1, 2));
}

}  // namespace
}  // namespace picket
