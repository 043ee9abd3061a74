#include "cli/follow.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/status_matchers.h"
#include "tests/unit/cli/canned_run.h"

namespace picket {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing_support::CannedRun;
using testing_support::FakeRunClient;
using testing_support::FakeWorld;
using testing_support::StatusIs;

class NoteKeeper : public Display {
 public:
  void Show(const v1::WatchRunResponse&) override { ++states; }
  void Note(absl::string_view line) override { notes.emplace_back(line); }
  void Close() override {}
  int states = 0;
  std::vector<std::string> notes;
};

class FollowTest : public ::testing::Test {
 protected:
  FollowTest() : client_(&world_.coordinator()) { world_.coordinator() = CannedRun(); }

  absl::StatusOr<v1::WatchRunResponse> Follow(FollowOptions options) {
    return FollowRun(world_.env(), client_, "abcdefghijklmnop", options, notes_);
  }

  FakeWorld world_;
  FakeRunClient client_;
  NoteKeeper notes_;
};

TEST_F(FollowTest, ReturnsTheSealedState) {
  ASSERT_OK_AND_ASSIGN(const auto state, Follow({.deadline = absl::Minutes(1)}));
  EXPECT_EQ(state.run().verdict(), v1::Verdict::FAILED);
  EXPECT_TRUE(notes_.notes.empty());
}

TEST_F(FollowTest, AttachesAgainAfterALostConnectionAndSaysSoOnce) {
  world_.coordinator().watch_errors = {absl::OkStatus(), absl::UnavailableError("gone"),
                                       absl::UnavailableError("gone"), absl::OkStatus()};
  ASSERT_OK_AND_ASSIGN(const auto state, Follow({.deadline = absl::Minutes(1)}));
  EXPECT_EQ(state.run().state(), v1::Run::SEALED);
  EXPECT_EQ(world_.coordinator().watches, 5);
  EXPECT_THAT(notes_.notes, ElementsAre(HasSubstr("lost the run"), "attached again",
                                        HasSubstr("lost the run"), "attached again"));
}

TEST_F(FollowTest, GivesUpAMinuteAfterTheDeadline) {
  for (int i = 0; i < 1000; ++i) {
    world_.coordinator().watch_errors.push_back(absl::UnavailableError("down"));
  }
  const absl::Duration start = world_.clock().Monotonic();
  EXPECT_THAT(Follow({.deadline = absl::Seconds(30)}),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("down")));
  EXPECT_EQ(world_.clock().Monotonic() - start, absl::Seconds(90));
}

TEST_F(FollowTest, GivesUpSoonWhenNoStateEverCame) {
  for (int i = 0; i < 1000; ++i) {
    world_.coordinator().watch_errors.push_back(absl::UnavailableError("down"));
  }
  const absl::Duration start = world_.clock().Monotonic();
  EXPECT_THAT(Follow({.connect_timeout = absl::Seconds(10)}),
              StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_EQ(world_.clock().Monotonic() - start, absl::Seconds(10));
}

TEST_F(FollowTest, LearnsTheDeadlineFromTheFirstState) {
  world_.coordinator().run.mutable_deadline_time()->set_seconds(
      absl::ToUnixSeconds(world_.clock().TimeNow() + absl::Seconds(100)));
  world_.coordinator().watch_errors.push_back(absl::OkStatus());
  for (int i = 0; i < 1000; ++i) {
    world_.coordinator().watch_errors.push_back(absl::UnavailableError("down"));
  }
  const absl::Duration start = world_.clock().Monotonic();
  EXPECT_THAT(Follow({}), StatusIs(absl::StatusCode::kUnavailable));
  EXPECT_EQ(world_.clock().Monotonic() - start, absl::Seconds(160));
}

TEST_F(FollowTest, ARefusalEndsItAtOnce) {
  world_.coordinator().watch_errors = {absl::NotFoundError("no such run")};
  EXPECT_THAT(Follow({.deadline = absl::Minutes(1)}), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_EQ(world_.coordinator().watches, 1);
}

TEST_F(FollowTest, ASignalEndsIt) {
  world_.coordinator().watch_errors = {absl::OkStatus(), absl::OkStatus()};
  world_.coordinator().on_watch = [&] {
    if (world_.coordinator().watches == 2) world_.interrupts().Raise(2);
  };
  EXPECT_THAT(Follow({.deadline = absl::Minutes(1)}), StatusIs(absl::StatusCode::kCancelled));
}

}  // namespace
}  // namespace picket
