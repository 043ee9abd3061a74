#include "common/base/destination.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <thread>

#include "absl/strings/str_cat.h"
#include "common/base/files.h"
#include "tests/support/status_matchers.h"

namespace picket {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using testing_support::IsOkAndHolds;
using testing_support::StatusIs;

class DestinationTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_NE(mkdtemp(directory_.data()), nullptr); }
  std::string In(const std::string& name) const { return directory_ + "/" + name; }

  std::string directory_ = ::testing::TempDir() + "/picket-base-XXXXXX";
};

TEST_F(DestinationTest, AFileIsReplacedAndSoIsWhatIsNotThere) {
  ASSERT_OK(WriteFileAtomically(In("file"), "x", 0600));
  const auto file = FindDestination(In("file"));
  ASSERT_OK(file);
  EXPECT_FALSE(file->in_place);
  EXPECT_EQ(file->mode, 0600u);
  const auto none = FindDestination(In("none"));
  ASSERT_OK(none);
  EXPECT_FALSE(none->in_place);
  EXPECT_EQ(none->mode, std::nullopt);
  EXPECT_THAT(FindDestination(directory_), StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST_F(DestinationTest, LinksAreFollowed) {
  ASSERT_OK(WriteFileAtomically(In("file"), "old"));
  fs::create_symlink("file", In("a"));
  fs::create_symlink(In("a"), In("b"));
  ASSERT_OK(WriteFileAtomically(In("b"), "new"));
  EXPECT_TRUE(fs::is_symlink(In("a")) && fs::is_symlink(In("b")));
  EXPECT_THAT(ReadFile(In("file"), 10), IsOkAndHolds(std::string("new")));
  // In circles they lead nowhere: the one that was named is replaced.
  fs::create_symlink("d", In("c"));
  fs::create_symlink("c", In("d"));
  EXPECT_OK(WriteFileAtomically(In("c"), "x"));
  EXPECT_THAT(ReadFile(In("c"), 10), IsOkAndHolds(std::string("x")));
}

TEST_F(DestinationTest, DevicesAreWrittenInto) {
  ASSERT_OK(WriteFileAtomically("/dev/null", "x"));
  EXPECT_TRUE(fs::is_character_file("/dev/null"));
  fs::create_symlink("/dev/full", In("full"));
  EXPECT_THAT(WriteFileAtomically(In("full"), "x"),
              StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("full")));
  EXPECT_TRUE(fs::is_character_file("/dev/full"));
}

TEST_F(DestinationTest, ADescriptorsFileIsAddedToAndNeverReplaced) {
  const int fd = open(In("log").c_str(), O_WRONLY | O_CREAT, 0600);
  ASSERT_EQ(write(fd, "before\n", 7), 7);
  const std::string path = absl::StrCat("/dev/fd/", fd);
  ASSERT_OK(WriteFileAtomically(path, "report\n"));
  fs::create_symlink(path, In("link"));
  ASSERT_OK(WriteFileAtomically(In("link"), "again\n"));
  close(fd);
  EXPECT_THAT(ReadFile(In("log"), 100), IsOkAndHolds(std::string("before\nreport\nagain\n")));
  EXPECT_TRUE(fs::is_symlink(In("link")));
}

TEST_F(DestinationTest, APipeThatNobodyReadsIsAnErrorAndOneThatIsReadLateIsNot) {
  ASSERT_EQ(mkfifo(In("pipe").c_str(), 0600), 0);
  EXPECT_THAT(OpenInPlace(In("pipe"), absl::Milliseconds(30)),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("nobody reads")));
  std::string read;
  std::thread reader([&] { read = ReadFile(In("pipe"), 1000).value_or("nothing"); });
  EXPECT_OK(WriteFileAtomically(In("pipe"), "through it"));
  reader.join();
  EXPECT_EQ(read, "through it");
}

}  // namespace
}  // namespace picket
