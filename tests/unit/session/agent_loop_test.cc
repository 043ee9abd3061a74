// The agent's loop between a link, an engine of several threads and its owner, without
// gRPC, so that a race detector sees all of it.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <deque>
#include <set>
#include <thread>
#include <vector>

#include "agent/session/agent.h"
#include "common/base/mutex.h"
#include "common/telemetry/metrics.h"
#include "tests/support/status_matchers.h"

namespace picket {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

// Streams that end in this process: the test is the coordinator.
class PipeDialer : public SessionDialer {
 public:
  std::unique_ptr<SessionStream> Dial(SessionSink* sink) override {
    MutexLock lock(&mu_);
    sink_ = sink;
    changed_.SignalAll();
    return std::make_unique<Pipe>(this, sink);
  }
  v1::AgentMessage Next(v1::AgentMessage::KindCase kind) {
    MutexLock lock(&mu_);
    while (true) {
      while (!heard_.empty()) {
        v1::AgentMessage message = std::move(heard_.front());
        heard_.pop_front();
        if (message.kind_case() == kind) return message;
      }
      changed_.Wait(&mu_);
    }
  }
  void Say(v1::CoordinatorMessage message) {
    MutexLock lock(&mu_);
    while (sink_ == nullptr) changed_.Wait(&mu_);
    sink_->OnMessage(std::move(message));
  }
  v1::Hello Welcome() {
    v1::Hello hello = Next(v1::AgentMessage::kHello).hello();
    v1::CoordinatorMessage message;
    message.mutable_welcome();
    Say(message);
    return hello;
  }
  void Cut() {
    MutexLock lock(&mu_);
    if (sink_ != nullptr) sink_->OnClosed(absl::UnavailableError("cut"));
    sink_ = nullptr;
  }

 private:
  class Pipe : public SessionStream {
   public:
    Pipe(PipeDialer* dialer, SessionSink* sink) : dialer_(dialer), sink_(sink) {}
    ~Pipe() override { dialer_->End(sink_, absl::CancelledError("ended here")); }
    void Send(v1::AgentMessage message) override {
      MutexLock lock(&dialer_->mu_);
      if (dialer_->sink_ != sink_) return;
      dialer_->heard_.push_back(std::move(message));
      dialer_->changed_.SignalAll();
    }
    void Close() override { dialer_->End(sink_, absl::OkStatus()); }

   private:
    PipeDialer* const dialer_;
    SessionSink* const sink_;
  };
  void End(SessionSink* sink, absl::Status status) {
    MutexLock lock(&mu_);
    if (sink_ != sink) return;
    sink_->OnClosed(std::move(status));
    sink_ = nullptr;
  }

  Mutex mu_;
  CondVar changed_;
  SessionSink* sink_ ABSL_GUARDED_BY(mu_) = nullptr;
  std::deque<v1::AgentMessage> heard_ ABSL_GUARDED_BY(mu_);
};

// Ends checks on threads of its own.
class ThreadedEngine : public Engine {
 public:
  explicit ThreadedEngine(int threads) {
    for (int i = 0; i < threads; ++i) threads_.emplace_back([this] { Run(); });
  }
  ~ThreadedEngine() override {
    {
      MutexLock lock(&mu_);
      stop_ = true;
      changed_.SignalAll();
    }
    for (std::thread& thread : threads_) thread.join();
  }
  JobId Submit(CheckJob, Done done) override {
    MutexLock lock(&mu_);
    jobs_.push_back(std::move(done));
    changed_.Signal();
    return ++last_;
  }
  void Abort(JobId, absl::Duration) override {}
  Stats TakeStats() override { return {}; }
  void SetClockOffset(absl::Duration) override {}

 private:
  void Run() {
    while (true) {
      Done done;
      {
        MutexLock lock(&mu_);
        while (jobs_.empty() && !stop_) changed_.Wait(&mu_);
        if (jobs_.empty()) return;
        done = std::move(jobs_.front());
        jobs_.pop_front();
      }
      v1::Attempt attempt;
      attempt.set_outcome(v1::Outcome::PASSED);
      done(std::move(attempt));
    }
  }

  Mutex mu_;
  CondVar changed_;
  std::deque<Done> jobs_ ABSL_GUARDED_BY(mu_);
  JobId last_ ABSL_GUARDED_BY(mu_) = 0;
  bool stop_ ABSL_GUARDED_BY(mu_) = false;
  std::vector<std::thread> threads_;
};

void Lease(PipeDialer& link, const std::string& run, uint32_t first, uint32_t count) {
  v1::CoordinatorMessage test;
  test.mutable_test()->set_digest("t");
  v1::Test& spec = *test.mutable_test()->mutable_test();
  spec.mutable_timeout()->set_seconds(5);
  spec.mutable_retry()->set_attempts(1);
  v1::HttpCheck& http = *spec.add_steps()->mutable_http();
  http.set_method("GET");
  http.set_url("http://127.0.0.1:9/");
  link.Say(test);
  v1::CoordinatorMessage grant;
  grant.mutable_grant()->mutable_lease()->set_run_id(run);
  for (uint32_t i = 0; i < count; ++i) {
    v1::LeasedExecution& execution = *grant.mutable_grant()->add_executions();
    execution.set_execution(first + i);
    execution.set_digest("t");
  }
  link.Say(grant);
}

// Collects results into `seen` until it holds `count`, acknowledging every batch.
void Collect(PipeDialer& link, size_t count, std::set<uint32_t>& seen) {
  while (seen.size() < count) {
    const v1::AgentMessage message = link.Next(v1::AgentMessage::kResults);
    for (const auto& lease : message.results().results()) {
      for (const auto& result : lease.results()) seen.insert(result.execution());
    }
    v1::CoordinatorMessage ack;
    ack.mutable_ack()->set_through(message.results().sequence());
    link.Say(ack);
  }
}

AgentOptions Options(Metrics* metrics) {
  AgentOptions options;
  options.name = "a";
  options.capacity = 64;
  options.metrics = metrics;
  return options;
}

TEST(AgentLoopTest, ManyThreadsOfTheEngineAndOneOfScrapesLoseNothing) {
  Metrics metrics("test", absl::UnixEpoch());
  PipeDialer link;
  ASSERT_OK_AND_ASSIGN(auto agent,
                       Agent::Start(Options(&metrics), &link, std::make_unique<ThreadedEngine>(4)));
  std::atomic<bool> stop{false};
  std::thread scraper([&] {
    while (!stop) {
      metrics.Text();
      agent->Status();
    }
  });
  link.Welcome();
  Lease(link, "r", 0, 3000);
  std::set<uint32_t> seen;
  Collect(link, 3000, seen);
  stop = true;
  scraper.join();
  EXPECT_THAT(seen, SizeIs(3000));
  EXPECT_THAT(metrics.Text(),
              HasSubstr("picket_agent_checks_total{outcome=\"passed\",reason=\"none\"} 3000\n"));
}

TEST(AgentLoopTest, CutsInTheMiddleLoseNothing) {
  PipeDialer link;
  ASSERT_OK_AND_ASSIGN(auto agent,
                       Agent::Start(Options(nullptr), &link, std::make_unique<ThreadedEngine>(2)));
  link.Welcome();
  Lease(link, "r", 0, 2000);
  std::set<uint32_t> seen;
  for (size_t some : {200u, 900u, 1500u}) {
    Collect(link, some, seen);
    link.Cut();
    link.Welcome();
  }
  Collect(link, 2000, seen);
  EXPECT_THAT(seen, SizeIs(2000));
}

TEST(AgentLoopTest, DrainsFromAnyThreadAndTellsItsOwner) {
  PipeDialer link;
  Mutex mu;
  CondVar changed;
  bool drained = false;
  ASSERT_OK_AND_ASSIGN(auto agent,
                       Agent::Start(Options(nullptr), &link, std::make_unique<ThreadedEngine>(2)));
  agent->OnChange([&](const AgentStatus& status) {
    MutexLock lock(&mu);
    drained = status.drained;
    changed.SignalAll();
  });
  link.Welcome();
  Lease(link, "r", 0, 64);
  std::set<uint32_t> seen;
  Collect(link, 1, seen);  // so that all 64 have been started
  std::thread owner([&] { agent->Drain(); });
  Collect(link, 64, seen);
  link.Next(v1::AgentMessage::kGoodbye);
  owner.join();
  MutexLock lock(&mu);
  while (!drained) changed.Wait(&mu);
  EXPECT_EQ(agent->Status().held, 0u);
}

TEST(AgentLoopTest, EndsWhileItsEngineIsBusy) {
  PipeDialer link;
  ASSERT_OK_AND_ASSIGN(auto agent,
                       Agent::Start(Options(nullptr), &link, std::make_unique<ThreadedEngine>(2)));
  link.Welcome();
  Lease(link, "r", 0, 5000);
  std::set<uint32_t> seen;
  Collect(link, 100, seen);
  agent.reset();
  EXPECT_GE(seen.size(), 100u);
}

}  // namespace
}  // namespace picket
