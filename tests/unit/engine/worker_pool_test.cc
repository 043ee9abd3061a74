// The worker that judges what would hold up a loop: its own bounds, and what is left to it.

#include "agent/engine/worker_pool.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>

#include "agent/engine/limits.h"
#include "tests/unit/engine/test_builder.h"
#include "tests/unit/engine/transfer_test_util.h"

namespace picket {
namespace {

// Each look at it is a step later: a machine so slow that the steps are seen.
class SlowClock : public Clock {
 public:
  explicit SlowClock(absl::Duration step) : step_(step) {}
  absl::Time TimeNow() override { return absl::UnixEpoch(); }
  absl::Duration Monotonic() override { return step_ * looks_.fetch_add(1); }

 private:
  const absl::Duration step_;
  std::atomic<int64_t> looks_{0};
};

constexpr char kTwoLooks[] =
    "steps { expect { subject: body operations { operator: contains operand_json: '\"x\"' } } "
    "expect { subject: body operations { operator: contains operand_json: '\"y\"' } } }";

// A queue that takes nothing: what is not judged on the loop cannot be judged at all.
v1::Attempt JudgedOnTheLoop(Clock& clock) {
  WorkerPool none(1, 0);
  Bench bench(Always(Respond(200, "xy")));
  bench.services.workers = &none;
  bench.services.clock = &clock;
  return bench.Run(kTwoLooks);
}

TEST(WorkerPoolTest, ALookOnTheLoopEndsWithItsTime) {
  SlowClock quick(DefaultEngineLimits().inline_time / 100);
  EXPECT_EQ(JudgedOnTheLoop(quick).outcome(), v1::Outcome::PASSED);
  SlowClock slow(DefaultEngineLimits().inline_time * 2);
  const v1::Attempt attempt = JudgedOnTheLoop(slow);
  EXPECT_EQ(attempt.outcome(), v1::Outcome::INCONCLUSIVE);
  EXPECT_EQ(attempt.reason(), v1::FailureReason::agent_resources);
}

TEST(WorkerPoolTest, WhatTookTooLongOnTheLoopIsJudgedByTheWorker) {
  Signal go;  // until then the worker is busy
  WorkerPool workers(1, 10);
  ASSERT_TRUE(workers.Submit([&] { go.Wait(); }));
  SlowClock slow(DefaultEngineLimits().inline_time * 2);
  Bench bench(Always(Respond(200, "xy")));
  bench.services.workers = &workers;
  bench.services.clock = &slow;
  bench.Start(MakeTest(kTwoLooks));
  bench.loop.Run();
  EXPECT_FALSE(bench.ended.has_value());
  go.Raise();
  while (!bench.ended.has_value()) bench.loop.WaitForPost();
  ASSERT_TRUE(bench.ended.has_value());
  EXPECT_EQ(bench.ended->outcome(), v1::Outcome::PASSED);
}

TEST(WorkerPoolTest, ItsThreadGivesWayToTheLoops) {
  const int own = getpriority(PRIO_PROCESS, static_cast<id_t>(gettid()));
  int worker = own;
  {
    WorkerPool workers(1, 1);
    ASSERT_TRUE(workers.Submit(
        [&] { worker = getpriority(PRIO_PROCESS, static_cast<id_t>(gettid())); }));
  }
  EXPECT_EQ(worker, std::min(19, own + DefaultEngineLimits().worker_niceness));
}

}  // namespace
}  // namespace picket
