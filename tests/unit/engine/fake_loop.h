// File: fake_loop.h
//
// A TransferLoop without a network: a script answers each request, time moves only when
// told to.
//
// Thread rule: Post may be called from any thread; everything else from the test's.

#ifndef TESTS_UNIT_ENGINE_FAKE_LOOP_H_
#define TESTS_UNIT_ENGINE_FAKE_LOOP_H_

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "agent/engine/transfer.h"
#include "common/base/clock.h"
#include "common/base/mutex.h"

namespace picket {

inline TransferResult Respond(int status, std::string body = "", HeaderList headers = {}) {
  TransferResult result;
  result.status = status;
  result.http_version = "1.1";
  result.status_line = "HTTP/1.1 " + std::to_string(status) + " Whatever";
  result.headers = std::move(headers);
  result.wire_body_bytes = body.size();
  result.body = std::move(body);
  result.address = "127.0.0.1";
  result.port = 80;
  result.times = {.connect = 100, .send = 10, .first_byte = 1000, .transfer = 50, .total = 1160};
  return result;
}

inline TransferResult Break(v1::FailureReason::Value reason, std::string message = "it broke") {
  TransferResult result;
  result.reason = reason;
  result.message = std::move(message);
  result.times.total = 500;
  return result;
}

class FakeLoop : public TransferLoop {
 public:
  // Nothing = no answer until Advance passes the request's timeout.
  using Script = std::function<std::optional<TransferResult>(const TransferRequest&)>;

  explicit FakeLoop(Script script) : script_(std::move(script)) {}

  std::vector<TransferRequest> sent;
  int sessions = 0;
  SimulatedClock clock;

  void Post(absl::AnyInvocable<void()> work) override {
    MutexLock lock(&mu_);
    posted_.push_back(std::move(work));
    changed_.Signal();
  }

  std::unique_ptr<TransferSession> NewSession() override {
    ++sessions;
    return std::make_unique<Session>(this);
  }

  TransferId StartTransfer(TransferSession*, TransferRequest request, Done done) override {
    const TransferId id = ++last_id_;
    flying_.emplace(id, Flying{request, std::move(done)});
    sent.push_back(std::move(request));
    return id;
  }
  void CancelTransfer(TransferId id) override { flying_.erase(id); }

  TimerId StartTimer(absl::Duration delay, absl::AnyInvocable<void()> fire) override {
    timers_.emplace(++last_id_, Timer{clock.Monotonic() + delay, std::move(fire)});
    return last_id_;
  }
  void CancelTimer(TimerId id) override { timers_.erase(id); }
  absl::Duration Now() override { return clock.Monotonic(); }
  absl::Duration TakeLoopLag() override { return absl::ZeroDuration(); }

  // Answers what the script has an answer for, until nothing more happens.
  void Run() {
    while (RunPosted() || AnswerOne()) {
    }
  }

  void Advance(absl::Duration by) {
    clock.Advance(by);
    for (auto it = timers_.begin(); it != timers_.end();) {
      if (it->second.at > clock.Monotonic()) {
        ++it;
        continue;
      }
      auto fire = std::move(it->second.fire);
      timers_.erase(it);
      fire();
      it = timers_.begin();
    }
    Run();
  }

  // Waits for work posted from another thread, and does it.
  void WaitForPost() {
    {
      MutexLock lock(&mu_);
      while (posted_.empty()) changed_.Wait(&mu_);
    }
    Run();
  }

  size_t flying() const { return flying_.size(); }
  size_t timers() const { return timers_.size(); }

 private:
  struct Session : TransferSession {
    explicit Session(FakeLoop* loop) : loop(loop) {}
    ~Session() override { --loop->sessions; }
    FakeLoop* loop;
  };
  struct Flying {
    TransferRequest request;
    Done done;
  };
  struct Timer {
    absl::Duration at;
    absl::AnyInvocable<void()> fire;
  };

  bool RunPosted() {
    std::deque<absl::AnyInvocable<void()>> posted;
    {
      MutexLock lock(&mu_);
      posted.swap(posted_);
    }
    for (auto& work : posted) work();
    return !posted.empty();
  }

  bool AnswerOne() {
    for (auto it = flying_.begin(); it != flying_.end(); ++it) {
      std::optional<TransferResult> result = script_(it->second.request);
      if (!result.has_value()) continue;
      Done done = std::move(it->second.done);
      flying_.erase(it);
      done(*std::move(result));
      return true;
    }
    return false;
  }

  Script script_;
  uint64_t last_id_ = 0;
  std::map<TransferId, Flying> flying_;
  std::map<TimerId, Timer> timers_;

  Mutex mu_;
  CondVar changed_;
  std::deque<absl::AnyInvocable<void()>> posted_ ABSL_GUARDED_BY(mu_);
};

}  // namespace picket

#endif  // TESTS_UNIT_ENGINE_FAKE_LOOP_H_
