#include "agent/engine/loop.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>
#include <vector>

#include "agent/engine/limits.h"
#include "agent/engine/loop_timers.h"
#include "common/base/clock.h"
#include "common/base/random.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/engine/transfer_test_util.h"

namespace picket {
namespace {

using testing::ElementsAre;

TEST(LoopTimersTest, FireInTheOrderOfTheirDeadlines) {
  LoopTimers timers;
  std::vector<int64_t> deadlines;
  Random random(1);
  std::vector<LoopTimers::Id> ids;
  for (int i = 0; i < 1000; ++i) {
    ids.push_back(timers.Start(static_cast<int64_t>(random.Below(1000)), [] {}));
  }
  for (size_t i = 0; i < ids.size(); i += 3) timers.Cancel(ids[i]);
  int64_t deadline = 0;
  while (auto fire = timers.PopDue(499, &deadline)) deadlines.push_back(deadline);
  EXPECT_TRUE(std::is_sorted(deadlines.begin(), deadlines.end()));
  EXPECT_LE(deadlines.back(), 499);
  EXPECT_GE(timers.Next(), 500);
  const size_t first = deadlines.size();
  while (auto fire = timers.PopDue(1000, &deadline)) deadlines.push_back(deadline);
  EXPECT_GT(deadlines.size(), first);
  EXPECT_EQ(deadlines.size(), 666u);
  EXPECT_EQ(timers.Next(), LoopTimers::kNever);
}

TEST(LoopTimersTest, AStaleIdCancelsNothing) {
  LoopTimers timers;
  const LoopTimers::Id first = timers.Start(1, [] {});
  timers.Cancel(first);
  const LoopTimers::Id second = timers.Start(2, [] {});
  EXPECT_NE(first, second);
  timers.Cancel(first);
  timers.Cancel(0);
  EXPECT_EQ(timers.size(), 1u);
}

class LoopTest : public testing::Test, public FdHandler {
 protected:
  LoopTest() : loop_(*EventLoop::Create()) {
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair_), 0);
  }
  ~LoopTest() override {
    loop_->Stop();
    for (const int fd : pair_) close(fd);
  }
  void Start() { loop_->Start(nullptr, nullptr, nullptr); }
  void OnReady(int fd, uint32_t events) override {
    char byte;
    reads_ += read(fd, &byte, 1) == 1 ? 1 : 0;
    ready_.Raise();
  }

  const std::unique_ptr<EventLoop> loop_;
  int pair_[2];
  int reads_ = 0;
  Signal ready_;
};

TEST_F(LoopTest, WorkRunsInTheOrderOfPosting) {
  std::vector<int> ran;
  Signal done;
  for (int i = 0; i < 3; ++i) loop_->Post([&ran, i] { ran.push_back(i); });
  loop_->Post([&] {
    loop_->Post([&] {
      ran.push_back(4);
      done.Raise();
    });
    ran.push_back(3);
  });
  Start();
  done.Wait();
  EXPECT_THAT(ran, ElementsAre(0, 1, 2, 3, 4));
}

TEST_F(LoopTest, AWatchedSocketIsTold) {
  Start();
  loop_->Post([this] {
    EXPECT_TRUE(loop_->Watch(pair_[0], EPOLLIN, this).ok());
    EXPECT_EQ(write(pair_[1], "x", 1), 1);
  });
  ready_.Wait();
  Signal read;
  loop_->Post([&] { read.Raise(); });
  read.Wait();
  EXPECT_EQ(reads_, 1);
}

TEST_F(LoopTest, AnUnwatchedSocketIsSilentAndMayBeWatchedAgain) {
  Start();
  Signal turned;
  loop_->Post([&] {
    EXPECT_TRUE(loop_->Watch(pair_[0], EPOLLIN, this).ok());
    loop_->Unwatch(pair_[0]);
    EXPECT_EQ(write(pair_[1], "x", 1), 1);
    loop_->StartTimer(5'000'000, [&] { turned.Raise(); });
  });
  turned.Wait();
  EXPECT_EQ(reads_, 0);
  loop_->Post([this] { EXPECT_TRUE(loop_->Watch(pair_[0], EPOLLIN, this).ok()); });
  ready_.Wait();
}

TEST_F(LoopTest, AForgottenDescriptorMayComeBackAsAnother) {
  Start();
  loop_->Post([this] {
    EXPECT_TRUE(loop_->Watch(pair_[0], EPOLLIN, this).ok());
    const int number = pair_[0];
    loop_->Forget(number);
    close(number);
    int fresh[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fresh), 0);
    EXPECT_EQ(fresh[0], number);
    close(pair_[1]);
    pair_[0] = fresh[0];
    pair_[1] = fresh[1];
    EXPECT_TRUE(loop_->Watch(pair_[0], EPOLLIN, this).ok());
    EXPECT_EQ(write(pair_[1], "x", 1), 1);
  });
  ready_.Wait();
}

TEST_F(LoopTest, ACrowdOfPostedWorkHoldsUpNoSocket) {
  int worked = 0, worked_before = -1;
  Signal done;
  loop_->Post([&] {
    EXPECT_TRUE(loop_->Watch(pair_[0], EPOLLIN, this).ok());
    EXPECT_EQ(write(pair_[1], "x", 1), 1);
  });
  for (int i = 0; i < 1000; ++i) {
    loop_->Post([&, i] {
      ++worked;
      if (worked_before < 0 && reads_ > 0) worked_before = worked - 1;
      if (i == 999) done.Raise();
    });
  }
  Start();
  done.Wait();
  EXPECT_EQ(worked, 1000);
  EXPECT_GE(worked_before, 0);
  EXPECT_LE(worked_before, static_cast<int>(DefaultEngineLimits().turn_posts));
}

TEST_F(LoopTest, ACrowdOfTimersHoldsUpNoSocket) {
  int fired = 0, fired_before = -1;
  Signal done;
  loop_->Post([&] {
    EXPECT_TRUE(loop_->Watch(pair_[0], EPOLLIN, this).ok());
    EXPECT_EQ(write(pair_[1], "x", 1), 1);
    for (int i = 0; i < 1000; ++i) {
      loop_->StartTimer(0, [&] {
        if (fired_before < 0 && reads_ > 0) fired_before = fired;
        if (++fired == 1000) done.Raise();
      });
    }
  });
  Start();
  done.Wait();
  EXPECT_GE(fired_before, 0);
  EXPECT_LE(fired_before, static_cast<int>(2 * DefaultEngineLimits().turn_timers));
}

// Many sockets that are ready at once.
class CrowdTest : public LoopTest {
 protected:
  static constexpr int kSockets = 200;
  CrowdTest() {
    for (auto& pair : crowd_) {
      EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
      EXPECT_EQ(write(pair[1], "x", 1), 1);
    }
  }
  ~CrowdTest() override {
    loop_->Stop();
    for (const auto& pair : crowd_) {
      close(pair[0]);
      close(pair[1]);
    }
  }
  void OnReady(int fd, uint32_t) override {
    char byte;
    EXPECT_EQ(read(fd, &byte, 1), 1);
    if (++reads_ == 1) loop_->Post([this] { reads_before_work_ = reads_; });
    if (reads_ == kSockets) ready_.Raise();
  }

  int crowd_[kSockets][2];
  int reads_before_work_ = 0;
};

TEST_F(CrowdTest, OfSocketsHoldsUpNoOtherWork) {
  Start();
  loop_->Post([this] {
    for (const auto& pair : crowd_) EXPECT_TRUE(loop_->Watch(pair[0], EPOLLIN, this).ok());
  });
  ready_.Wait();
  loop_->Stop();
  EXPECT_EQ(reads_, kSockets);
  EXPECT_GE(reads_before_work_, 1);
  EXPECT_LE(reads_before_work_, static_cast<int>(EngineLimits::turn_events));
}

TEST_F(LoopTest, StallsAreRememberedForAsLongAsTheyConcern) {
  Start();
  Signal done;
  loop_->Post([&] {
    const int64_t before = EventLoop::ReadClockNs();
    while (EventLoop::ReadClockNs() - before < 20'000'000) {
    }
    loop_->StartTimer(1'000'000, [&, before] {
      const int64_t after = EventLoop::ReadClockNs();
      EXPECT_GE(loop_->LongestStallNs(before), 19'000'000);
      loop_->StartTimer(1'000'000, [&, after] {
        EXPECT_LE(loop_->LongestStallNs(after), EventLoop::ReadClockNs() - after);
        done.Raise();
      });
    });
  });
  done.Wait();
  Signal taken;
  loop_->Post([&] {
    EXPECT_GE(loop_->TakeLagNs(), 19'000'000);
    taken.Raise();
  });
  taken.Wait();
}

}  // namespace
}  // namespace picket
