// File: scripted_coordinator.h
//
// A coordinator played by a test: it hears everything agents say and says what it is
// told. And an engine whose checks end when the test says so.
//
// Thread rule: safe to call from any thread.

#ifndef TESTS_INTEGRATION_SESSION_SCRIPTED_COORDINATOR_H_
#define TESTS_INTEGRATION_SESSION_SCRIPTED_COORDINATOR_H_

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "agent/engine/engine.h"
#include "common/base/check.h"
#include "common/base/mutex.h"
#include "common/rpc/server.h"
#include "common/rpc/status.h"
#include "picket/v1/agent_service.grpc.pb.h"

namespace picket {

class ScriptedCoordinator : public v1::AgentService::Service {
 public:
  // `listen` as RpcServerOptions has it.
  explicit ScriptedCoordinator(const std::string& listen = "") {
    auto server = RpcServer::Start({.listen = listen}, {this});
    PICKET_CHECK(server.ok());
    server_ = *std::move(server);
  }
  ~ScriptedCoordinator() override { Stop(); }

  std::shared_ptr<grpc::Channel> Channel() { return server_->InProcessChannel(); }
  std::string address() const { return server_->address(); }

  // Every Hello is refused with it; ok = welcomed by hand.
  void Refuse(absl::Status status) {
    MutexLock lock(&mu_);
    refuse_ = std::move(status);
  }

  // The next message of that kind; messages of other kinds before it are passed over.
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
  // Results until `count` executions have been heard of; acknowledges them if told so.
  std::vector<v1::ExecutionResult> Results(size_t count, bool acknowledge = true) {
    std::vector<v1::ExecutionResult> all;
    while (all.size() < count) {
      const v1::AgentMessage message = Next(v1::AgentMessage::kResults);
      for (const auto& lease : message.results().results()) {
        all.insert(all.end(), lease.results().begin(), lease.results().end());
      }
      if (!acknowledge) continue;
      v1::CoordinatorMessage ack;
      ack.mutable_ack()->set_through(message.results().sequence());
      Say(ack);
    }
    return all;
  }

  // To the present stream; waits for one.
  void Say(const v1::CoordinatorMessage& message) {
    MutexLock lock(&mu_);
    while (stream_ == nullptr) changed_.Wait(&mu_);
    stream_->Write(message);
  }
  // Hears a Hello and welcomes.
  v1::Hello Welcome() {
    v1::Hello hello = Next(v1::AgentMessage::kHello).hello();
    v1::CoordinatorMessage message;
    message.mutable_welcome()->mutable_heartbeat_interval()->set_seconds(2);
    Say(message);
    return hello;
  }
  // Defines test `digest` and leases executions of it.
  void Lease(const std::string& run, std::vector<uint32_t> executions,
             const std::string& digest = "t") {
    v1::CoordinatorMessage test;
    test.mutable_test()->set_digest(digest);
    v1::Test& spec = *test.mutable_test()->mutable_test();
    spec.set_id("t");
    spec.mutable_timeout()->set_seconds(5);
    spec.mutable_retry()->set_attempts(1);
    v1::HttpCheck& http = *spec.add_steps()->mutable_http();
    http.set_method("GET");
    http.set_url("http://127.0.0.1:9/");
    Say(test);
    v1::CoordinatorMessage grant;
    grant.mutable_grant()->mutable_lease()->set_run_id(run);
    grant.mutable_grant()->mutable_lease()->set_epoch(1);
    for (const uint32_t number : executions) {
      v1::LeasedExecution& execution = *grant.mutable_grant()->add_executions();
      execution.set_execution(number);
      execution.set_digest(digest);
    }
    Say(grant);
  }

  // Breaks the present stream.
  void Cut() {
    MutexLock lock(&mu_);
    while (context_ == nullptr) changed_.Wait(&mu_);
    context_->TryCancel();
    while (stream_ != nullptr) changed_.Wait(&mu_);
  }
  void Stop() {
    if (server_ != nullptr) server_->Shutdown(absl::ZeroDuration());
  }

  grpc::Status Session(
      grpc::ServerContext* context,
      grpc::ServerReaderWriter<v1::CoordinatorMessage, v1::AgentMessage>* stream) override {
    v1::AgentMessage message;
    while (stream->Read(&message)) {
      MutexLock lock(&mu_);
      if (!refuse_.ok()) return ToGrpc(refuse_);
      stream_ = stream;
      context_ = context;
      heard_.push_back(message);
      changed_.SignalAll();
    }
    MutexLock lock(&mu_);
    if (stream_ == stream) {
      stream_ = nullptr;
      context_ = nullptr;
    }
    changed_.SignalAll();
    return grpc::Status::OK;
  }

 private:
  Mutex mu_;
  CondVar changed_;
  std::deque<v1::AgentMessage> heard_ ABSL_GUARDED_BY(mu_);
  grpc::ServerReaderWriter<v1::CoordinatorMessage, v1::AgentMessage>* stream_ ABSL_GUARDED_BY(mu_) =
      nullptr;
  grpc::ServerContext* context_ ABSL_GUARDED_BY(mu_) = nullptr;
  absl::Status refuse_ ABSL_GUARDED_BY(mu_);
  std::unique_ptr<RpcServer> server_;
};

// Ends checks at once, or when told to.
class ScriptedEngine : public Engine {
 public:
  explicit ScriptedEngine(bool hold = false) : hold_(hold) {}
  ~ScriptedEngine() override { EndAll(v1::Outcome::INCONCLUSIVE); }

  JobId Submit(CheckJob job, Done done) override {
    JobId id;
    {
      MutexLock lock(&mu_);
      id = ++last_;
      jobs_.emplace(id, std::move(done));
      if (hold_) {
        changed_.SignalAll();
        return id;
      }
    }
    End(id, v1::Outcome::PASSED);
    return id;
  }
  void Abort(JobId id, absl::Duration) override {
    End(id, v1::Outcome::INCONCLUSIVE, v1::FailureReason::attempt_aborted);
  }
  Stats TakeStats() override { return {}; }
  void SetClockOffset(absl::Duration) override {}

  void AwaitJobs(uint64_t count) {
    MutexLock lock(&mu_);
    while (last_ < count) changed_.Wait(&mu_);
  }
  void EndAll(v1::Outcome::Value outcome) {
    std::vector<JobId> ids;
    {
      MutexLock lock(&mu_);
      for (const auto& [id, done] : jobs_) ids.push_back(id);
    }
    for (const JobId id : ids) End(id, outcome);
  }

 private:
  void End(JobId id, v1::Outcome::Value outcome,
           v1::FailureReason::Value reason = v1::FailureReason::none) {
    Done done;
    {
      MutexLock lock(&mu_);
      const auto it = jobs_.find(id);
      if (it == jobs_.end()) return;
      done = std::move(it->second);
      jobs_.erase(it);
    }
    v1::Attempt attempt;
    attempt.set_number(1);
    attempt.set_outcome(outcome);
    attempt.set_reason(reason);
    done(std::move(attempt));
  }

  const bool hold_;
  Mutex mu_;
  CondVar changed_;
  JobId last_ ABSL_GUARDED_BY(mu_) = 0;
  std::map<JobId, Done> jobs_ ABSL_GUARDED_BY(mu_);
};

}  // namespace picket

#endif  // TESTS_INTEGRATION_SESSION_SCRIPTED_COORDINATOR_H_
