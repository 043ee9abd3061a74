#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "common/base/files.h"
#include "common/base/mutex.h"
#include "common/telemetry/info_file.h"
#include "common/telemetry/metrics.h"
#include "common/telemetry/signals.h"
#include "tests/support/status_matchers.h"

namespace picket {
namespace {

using ::testing::HasSubstr;

TEST(MetricsTest, SeriesOfAClosedSetReadZeroBeforeAnythingHappened) {
  Metrics metrics("test", absl::FromUnixSeconds(5));
  auto& family = metrics.Counters("picket_things_total", "Things.");
  family.Add({{"kind", "a"}});
  EXPECT_THAT(metrics.Text(), HasSubstr("picket_things_total{kind=\"a\"} 0\n"));
}

TEST(MetricsTest, NamesTheBuildAndTheStart) {
  Metrics metrics("picket-test", absl::FromUnixSeconds(5));
  EXPECT_THAT(metrics.Text(), HasSubstr("program=\"picket-test\""));
  EXPECT_THAT(metrics.Text(), HasSubstr("picket_process_start_time_seconds 5\n"));
}

TEST(MetricsTest, RefreshesBeforeEveryScrape) {
  Metrics metrics("test", absl::UnixEpoch());
  auto& gauge = metrics.OneGauge("picket_depth", "Depth.");
  int scrapes = 0;
  metrics.OnScrape([&] { gauge.Set(++scrapes); });
  metrics.Text();
  EXPECT_THAT(metrics.Text(), HasSubstr("picket_depth 2\n"));
}

TEST(InfoFileTest, HoldsAddressesAndTheProcess) {
  const std::string path = absl::StrCat(::testing::TempDir(), "/info-", getpid(), ".json");
  ASSERT_OK(WriteInfoFile(path, {{"grpc", "127.0.0.1:1"}, {"http", "127.0.0.1:2"}}));
  ASSERT_OK_AND_ASSIGN(const std::string text, ReadFile(path, 1000));
  EXPECT_EQ(
      text,
      absl::StrCat("{\"grpc\":\"127.0.0.1:1\",\"http\":\"127.0.0.1:2\",\"pid\":", getpid(), "}\n"));
  unlink(path.c_str());
}

TEST(JsonStringTest, EscapesWhatJsonForbidsAndMendsBrokenUtf8) {
  EXPECT_EQ(JsonString("a\"b\\c\n\x01"), "\"a\\\"b\\\\c\\u000a\\u0001\"");
  EXPECT_EQ(JsonString("\xc3\xa4"), "\"\xc3\xa4\"");
  EXPECT_EQ(JsonString("x\xffy\xc3"), "\"x\xef\xbf\xbdy\xef\xbf\xbd\"");
  EXPECT_EQ(JsonString("\xed\xa0\x80"),  // a surrogate
            "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
}

TEST(SignalWatcherTest, CountsSignalsInsteadOfDying) {
  Mutex mu;
  CondVar changed;
  std::vector<std::pair<int, int>> seen;
  SignalWatcher watcher([&](int signal, int count) {
    MutexLock lock(&mu);
    seen.emplace_back(signal, count);
    changed.SignalAll();
  });
  kill(getpid(), SIGTERM);
  {
    MutexLock lock(&mu);
    while (seen.empty()) changed.Wait(&mu);
  }
  kill(getpid(), SIGINT);
  {
    MutexLock lock(&mu);
    while (seen.size() < 2) changed.Wait(&mu);
    EXPECT_EQ(seen[0], std::make_pair(SIGTERM, 1));
    EXPECT_EQ(seen[1], std::make_pair(SIGINT, 2));
  }
  struct sigaction pipe;
  sigaction(SIGPIPE, nullptr, &pipe);
  EXPECT_EQ(pipe.sa_handler, SIG_IGN);
}

TEST(RaiseFileLimitTest, ReachesTheHardLimit) {
  const unsigned long limit = RaiseFileLimit();
  rlimit now;
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &now), 0);
  EXPECT_EQ(now.rlim_cur, limit);
  EXPECT_EQ(now.rlim_cur, now.rlim_max);
}

}  // namespace
}  // namespace picket
