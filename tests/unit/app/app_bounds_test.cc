// The bounds of the coordinator's loop and of what it keeps for readers, each reached.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "common/policy/limits.h"
#include "coordinator/app/limits.h"
#include "coordinator/app/mailbox.h"
#include "coordinator/app/page_token.h"
#include "coordinator/app/probes.h"
#include "coordinator/app/reader_pool.h"
#include "tests/support/status_matchers.h"

namespace picket {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using testing_support::StatusIs;

TEST(MailboxTest, RefusesWhatDoesNotFitAndNeverWhatMustNotBeLost) {
  const AppLimits& limits = DefaultAppLimits();
  Mailbox mailbox(limits.mailbox_messages, limits.mailbox_bytes);
  EXPECT_TRUE(mailbox.Post(Event(event::PeerClosed{}), limits.mailbox_bytes));
  EXPECT_FALSE(mailbox.Post(Event(event::PeerClosed{}), 1));
  EXPECT_EQ(mailbox.Take(absl::ZeroDuration()).size(), 1u);
  for (size_t i = 0; i < limits.mailbox_messages; ++i) {
    ASSERT_TRUE(mailbox.Post(Event(event::PeerClosed{}))) << i;
  }
  EXPECT_FALSE(mailbox.Post(Event(event::PeerClosed{})));
  mailbox.PostAlways(Event(event::PeerClosed{}));
  EXPECT_EQ(mailbox.size(), limits.mailbox_messages + 1);
  mailbox.Close();
  EXPECT_FALSE(mailbox.Post(Event(event::PeerClosed{})));
}

TEST(ReaderPoolTest, AFullQueueTakesNoMore) {
  const AppLimits& limits = DefaultAppLimits();
  Mutex mu;
  CondVar changed;
  bool go = false;
  int waiting = 0;
  std::atomic<size_t> done{0};
  {
    ReaderPool pool(limits.readers, limits.reader_queue);
    const auto hold = [&] {
      MutexLock lock(&mu);
      ++waiting;
      changed.SignalAll();
      while (!go) changed.Wait(&mu);
      ++done;
    };
    for (int i = 0; i < limits.readers; ++i) ASSERT_TRUE(pool.Submit(hold));
    {
      MutexLock lock(&mu);
      while (waiting < limits.readers) changed.Wait(&mu);
    }
    for (size_t i = 0; i < limits.reader_queue; ++i) ASSERT_TRUE(pool.Submit([&] { ++done; })) << i;
    EXPECT_FALSE(pool.Submit([&] { ++done; }));
    MutexLock lock(&mu);
    go = true;
    changed.SignalAll();
  }
  EXPECT_EQ(done.load(), limits.reader_queue + static_cast<size_t>(limits.readers));
}

v1::ExecutionResult Passed() {
  v1::ExecutionResult result;
  result.set_outcome(v1::Outcome::PASSED);
  result.add_attempts()->set_outcome(v1::Outcome::PASSED);
  return result;
}

TEST(ProbesTest, SeriesAreBoundedCountedAndAge) {
  const AppLimits& limits = DefaultAppLimits();
  Probes probes(limits.probe_series, limits.probe_age);
  const absl::Time now = absl::FromUnixSeconds(1'790'000'000);
  for (size_t i = 0; i < limits.probe_series; ++i) {
    probes.Record("shop", absl::StrCat("t", i), "eu", Passed(), now);
  }
  EXPECT_GT(probes.dropped(), 0u);
  const std::string text = probes.Text(now);
  EXPECT_THAT(text, HasSubstr("test=\"t0\""));
  EXPECT_THAT(text, Not(HasSubstr(absl::StrCat("test=\"t", limits.probe_series - 1, "\""))));
  EXPECT_THAT(probes.Text(now + limits.probe_age + absl::Seconds(1)), Not(HasSubstr("test=")));
  // What has aged makes room.
  probes.Record("shop", "late", "eu", Passed(), now + limits.probe_age + absl::Seconds(1));
  EXPECT_THAT(probes.Text(now + limits.probe_age + absl::Seconds(1)), HasSubstr("test=\"late\""));
}

TEST(PageSizeTest, IsCutToTheMost) {
  const size_t most = DefaultLimits().list_page_size;
  EXPECT_THAT(ReadPageSize(0), ::testing::Eq(absl::StatusOr<size_t>(100)));
  EXPECT_THAT(ReadPageSize(static_cast<int32_t>(most) + 1),
              ::testing::Eq(absl::StatusOr<size_t>(most)));
  EXPECT_THAT(ReadPageSize(-1), StatusIs(absl::StatusCode::kInvalidArgument));
}

}  // namespace
}  // namespace picket
