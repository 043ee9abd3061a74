// File: transfer_test_util.h
//
// Runs transfers on a loop and waits for them.
//
// Thread rule: one test thread.

#ifndef TESTS_UNIT_ENGINE_TRANSFER_TEST_UTIL_H_
#define TESTS_UNIT_ENGINE_TRANSFER_TEST_UTIL_H_

#include <sys/resource.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "agent/engine/transfer.h"
#include "common/base/check.h"
#include "common/base/clock.h"
#include "common/base/mutex.h"

namespace picket {

// A flag that one thread raises and another waits for.
class Signal {
 public:
  void Raise() {
    MutexLock lock(&mu_);
    raised_ = true;
    changed_.SignalAll();
  }
  void Wait() {
    MutexLock lock(&mu_);
    while (!raised_) changed_.Wait(&mu_);
  }

 private:
  Mutex mu_;
  CondVar changed_;
  bool raised_ ABSL_GUARDED_BY(mu_) = false;
};

class TransferRunner {
 public:
  explicit TransferRunner(TransferLoop::Options options = {}) {
    auto loop = TransferLoop::Start(std::move(options));
    PICKET_CHECK(loop.ok());
    loop_ = *std::move(loop);
  }
  ~TransferRunner() {
    OnLoop([this] { session_.reset(); });
  }

  TransferLoop* loop() { return loop_.get(); }

  // Runs `work` on the loop and waits for it.
  void OnLoop(absl::AnyInvocable<void()> work) {
    Signal done;
    loop_->Post([&] {
      work();
      done.Raise();
    });
    done.Wait();
  }

  // In a session of its own.
  TransferResult Run(TransferRequest request) {
    OnLoop([this] { session_ = nullptr; });
    return RunAgain(std::move(request));
  }

  // In the session of the last one.
  TransferResult RunAgain(TransferRequest request) {
    Signal done;
    TransferResult result;
    const absl::Duration start = Clock::Real()->Monotonic();
    loop_->Post([&] {
      if (session_ == nullptr) session_ = loop_->NewSession();
      loop_->StartTransfer(session_.get(), std::move(request), [&](TransferResult got) {
        result = std::move(got);
        done.Raise();
      });
    });
    done.Wait();
    took_ = Clock::Real()->Monotonic() - start;
    return result;
  }

  // As Run, again up to four times while the reason or the time is not as expected: a
  // busy machine may hold a server or the loop up, a wrong reason stays wrong.
  TransferResult RunUntil(const TransferRequest& request, v1::FailureReason::Value expected,
                          absl::Duration grace) {
    TransferResult result;
    for (int i = 0; i < 5; ++i) {
      result = Run(request);
      if (result.reason == expected && took_ <= request.timeout + grace) break;
    }
    return result;
  }

  // All at once, each in a session of its own.
  std::vector<TransferResult> RunAll(std::vector<TransferRequest> requests) {
    Signal done;
    std::vector<TransferResult> results(requests.size());
    std::vector<std::unique_ptr<TransferSession>> sessions(requests.size());
    size_t left = requests.size();
    loop_->Post([&] {
      for (size_t i = 0; i < requests.size(); ++i) {
        sessions[i] = loop_->NewSession();
        loop_->StartTransfer(sessions[i].get(), std::move(requests[i]), [&, i](TransferResult got) {
          results[i] = std::move(got);
          sessions[i].reset();
          if (--left == 0) done.Raise();
        });
      }
    });
    done.Wait();
    return results;
  }

  // As Run, in a process that may open no file more.
  TransferResult RunWithoutFiles(TransferRequest request) {
    rlimit before{};
    PICKET_CHECK(getrlimit(RLIMIT_NOFILE, &before) == 0);
    rlimit none = before;
    none.rlim_cur = 3;
    PICKET_CHECK(setrlimit(RLIMIT_NOFILE, &none) == 0);
    TransferResult result = Run(std::move(request));
    PICKET_CHECK(setrlimit(RLIMIT_NOFILE, &before) == 0);
    return result;
  }

  // From posting the last one to its result.
  absl::Duration took() const { return took_; }

 private:
  std::unique_ptr<TransferLoop> loop_;
  std::unique_ptr<TransferSession> session_;
  absl::Duration took_;
};

inline TransferRequest Get(std::string url, absl::Duration timeout = absl::Seconds(10)) {
  TransferRequest request;
  request.url = std::move(url);
  request.timeout = timeout;
  return request;
}

// The name of a reason, for messages of failing tests.
inline std::string Name(v1::FailureReason::Value reason) {
  return v1::FailureReason::Value_Name(reason);
}

}  // namespace picket

#endif  // TESTS_UNIT_ENGINE_TRANSFER_TEST_UTIL_H_
