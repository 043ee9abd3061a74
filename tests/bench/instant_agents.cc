// Agents that answer at once: they take leases and send a result for every execution without checking
// anything, so that what is measured is the coordinator, its store and the wire.
//
//   instant_agents --coordinator HOST:PORT --agents N --location NAME [--window N] [--idle] [--churn N]
//
// Runs until its standard input ends. --idle opens sessions with a window of 0 and only keeps them.
// --churn lets N agents a second go, half of them without a word; each comes back as a
// new instance under its old name. No agent has a thread of its own.
// Prints one line, "ready N result BYTES", once every session was welcomed; BYTES is what one result
// takes on the wire. At the end "sessions N", all that were welcomed.

#include <grpcpp/grpcpp.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/base/ids.h"
#include "common/base/random.h"
#include "google/protobuf/arena.h"
#include "picket/v1/agent_service.grpc.pb.h"

namespace picket {
namespace {

using google::protobuf::Arena;

struct Options {
  std::string coordinator = "127.0.0.1:7700";
  std::string location = "default";
  int agents = 4;
  int churn = 0;
  uint32_t window = 20'000;
  bool idle = false;
};

std::atomic<int> g_welcomed{0};
std::atomic<bool> g_ending{false};

// A passing result as a real agent sends it.
v1::ExecutionResult PassingResult() {
  v1::ExecutionResult result;
  result.set_execution(1'000'000);
  result.set_outcome(v1::Outcome::PASSED);
  v1::Attempt* attempt = result.add_attempts();
  attempt->set_number(1);
  attempt->set_outcome(v1::Outcome::PASSED);
  attempt->mutable_start_time()->set_seconds(1'790'000'000);
  attempt->mutable_start_time()->set_nanos(123'456'000);
  attempt->set_duration_us(1234);
  v1::Measurement* measurement = attempt->mutable_measurement();
  const v1::Phase::Name names[] = {v1::Phase::connect, v1::Phase::send, v1::Phase::first_byte,
                                   v1::Phase::transfer, v1::Phase::total};
  for (v1::Phase::Name name : names) {
    v1::Phase* phase = measurement->add_phases();
    phase->set_name(name);
    phase->set_us(300);
  }
  v1::HttpDetail* http = measurement->mutable_http();
  http->set_status(200);
  http->set_http_version("1.1");
  http->set_address("127.0.0.1:8480");
  http->add_addresses_tried("127.0.0.1");
  http->set_bytes_up(120);
  http->set_bytes_down(420);
  http->set_body_bytes(200);
  attempt->set_assertions_passed(3);
  for (const char* subject : {"status", "header content-type", "body"}) {
    v1::Assertion* assertion = attempt->add_assertions();
    assertion->set_subject(subject);
    assertion->set_operator_("is");
    assertion->set_expected("200");
    assertion->set_actual("200");
    assertion->set_passed(true);
  }
  attempt->mutable_quality()->set_in_flight(64);
  return result;
}

const v1::ExecutionResult& Template() {
  static const v1::ExecutionResult result = PassingResult();
  return result;
}

class InstantAgent : public grpc::ClientBidiReactor<v1::AgentMessage, v1::CoordinatorMessage> {
 public:
  InstantAgent(const Options& options, int number, std::shared_ptr<grpc::Channel> channel)
      : stub_(v1::AgentService::NewStub(channel)) {
    Random random = Random::FromSystem();
    auto arena = std::make_unique<Arena>();
    auto* message = Arena::CreateMessage<v1::AgentMessage>(arena.get());
    v1::Hello* hello = message->mutable_hello();
    hello->set_instance(NewUuid(random));
    hello->set_spool(NewUuid(random));
    hello->set_name(absl::StrCat("instant-", getpid(), "-", number));
    hello->set_location(options.location);
    hello->set_protocol_min(1);
    hello->set_protocol_max(1);
    hello->set_version("bench");
    hello->add_check_types("http");
    hello->set_capacity(options.idle ? 1 : options.window);
    hello->set_window(options.idle ? 0 : options.window);
    instance_ = hello->instance();
    window_ = hello->window();
    stub_->async()->Session(&context_, this);
    AddHold();
    StartRead(&incoming_);
    StartCall();
    Write(std::move(arena), message);
  }

  void Heartbeat() {
    auto arena = std::make_unique<Arena>();
    auto* message = Arena::CreateMessage<v1::AgentMessage>(arena.get());
    message->mutable_heartbeat()->set_window(window_);
    Write(std::move(arena), message);
  }

  // Says goodbye, and waits until the coordinator has ended the stream.
  void Leave() {
    auto arena = std::make_unique<Arena>();
    auto* message = Arena::CreateMessage<v1::AgentMessage>(arena.get());
    message->mutable_goodbye()->set_reason("churn");
    Write(std::move(arena), message);
    std::unique_lock<std::mutex> lock(mu_);
    ended_changed_.wait(lock, [&] { return ended_; });
  }

  // Cancels, and waits for the end.
  void Finish() {
    context_.TryCancel();
    std::unique_lock<std::mutex> lock(mu_);
    Release();
    ended_changed_.wait(lock, [&] { return ended_; });
  }

  void OnReadDone(bool ok) override {
    if (!ok) {
      const std::lock_guard<std::mutex> lock(mu_);
      return Release();
    }
    if (incoming_.has_welcome()) g_welcomed.fetch_add(1);
    if (incoming_.has_grant()) Answer(incoming_.grant());
    StartRead(&incoming_);
  }

  void OnWriteDone(bool ok) override {
    const std::lock_guard<std::mutex> lock(mu_);
    queue_.pop_front();
    if (!ok) return Release();
    if (!released_ && !queue_.empty()) StartWrite(queue_.front().message);
  }

  void OnDone(const grpc::Status& status) override {
    if (!status.ok() && status.error_code() != grpc::StatusCode::CANCELLED && !g_ending) {
      std::fprintf(stderr, "session ended: %s\n", status.error_message().c_str());
    }
    const std::lock_guard<std::mutex> lock(mu_);
    ended_ = true;
    ended_changed_.notify_all();
  }

 private:
  struct Queued {
    std::unique_ptr<Arena> arena;
    const v1::AgentMessage* message;
  };

  void Write(std::unique_ptr<Arena> arena, const v1::AgentMessage* message) {
    const std::lock_guard<std::mutex> lock(mu_);
    if (released_) return;
    queue_.push_back({std::move(arena), message});
    if (queue_.size() == 1) StartWrite(message);
  }

  // Under mu_: nothing more is written.
  void Release() {
    if (released_) return;
    released_ = true;
    RemoveHold();
  }

  void Answer(const v1::LeaseGrant& grant) {
    constexpr int kBatch = 256;
    for (int at = 0; at < grant.executions_size(); at += kBatch) {
      auto arena = std::make_unique<Arena>();
      auto* message = Arena::CreateMessage<v1::AgentMessage>(arena.get());
      v1::ResultBatch* batch = message->mutable_results();
      v1::LeaseResults* results = batch->add_results();
      *results->mutable_lease() = grant.lease();
      results->set_instance(instance_);
      for (int i = at; i < grant.executions_size() && i < at + kBatch; ++i) {
        v1::ExecutionResult* result = results->add_results();
        result->CopyFrom(Template());
        result->set_execution(grant.executions(i).execution());
        ++sequence_;
      }
      batch->set_sequence(sequence_);
      Write(std::move(arena), message);
    }
  }

  const std::unique_ptr<v1::AgentService::Stub> stub_;
  grpc::ClientContext context_;
  v1::CoordinatorMessage incoming_;
  std::string instance_;
  uint32_t window_ = 0;
  uint64_t sequence_ = 0;  // of the reading reaction alone

  std::mutex mu_;
  std::condition_variable ended_changed_;
  std::deque<Queued> queue_;  // the front is being written
  bool released_ = false;
  bool ended_ = false;
};

bool ParseOptions(int argc, char** argv, Options& options) {
  for (int i = 1; i < argc; ++i) {
    const std::string flag = argv[i];
    if (flag == "--idle") {
      options.idle = true;
      continue;
    }
    if (i + 1 >= argc) return false;
    const std::string value = argv[++i];
    if (flag == "--coordinator") {
      options.coordinator = value;
    } else if (flag == "--location") {
      options.location = value;
    } else if (flag == "--agents") {
      if (!absl::SimpleAtoi(value, &options.agents)) return false;
    } else if (flag == "--window") {
      if (!absl::SimpleAtoi(value, &options.window)) return false;
    } else if (flag == "--churn") {
      if (!absl::SimpleAtoi(value, &options.churn)) return false;
    } else {
      return false;
    }
  }
  return options.agents > 0;
}

class Crowd {
 public:
  explicit Crowd(const Options& options) : options_(options) {
    // A few connections carry all sessions; each session is a stream of its own.
    for (int i = 0; i < 8; ++i) {
      grpc::ChannelArguments arguments;
      arguments.SetInt("picket.bench.channel", i);
      arguments.SetMaxReceiveMessageSize(64 << 20);
      channels_.push_back(grpc::CreateCustomChannel(
          options.coordinator, grpc::InsecureChannelCredentials(), arguments));
    }
    for (int i = 0; i < options.agents; ++i) agents_.push_back(Join(i));
  }

  ~Crowd() {
    for (auto& agent : agents_) agent->Finish();
  }

  void Heartbeat() {
    for (auto& agent : agents_) agent->Heartbeat();
  }

  void Replace() {
    const int number = static_cast<int>(random_.Below(static_cast<uint64_t>(options_.agents)));
    if (++replaced_ % 2 == 0) {
      agents_[number]->Leave();
    } else {
      agents_[number]->Finish();
    }
    agents_[number] = Join(number);
  }

 private:
  std::unique_ptr<InstantAgent> Join(int number) {
    return std::make_unique<InstantAgent>(options_, number, channels_[number % channels_.size()]);
  }

  const Options options_;
  std::vector<std::shared_ptr<grpc::Channel>> channels_;
  std::vector<std::unique_ptr<InstantAgent>> agents_;
  Random random_ = Random::FromSystem();
  uint64_t replaced_ = 0;
};

int Main(int argc, char** argv) {
  Options options;
  if (!ParseOptions(argc, argv, options)) return 2;
  Crowd crowd(options);
  bool stop = false;
  std::mutex mu;
  std::condition_variable wake;
  std::thread heart([&] {
    using Clock = std::chrono::steady_clock;
    bool told = false;
    Clock::time_point beat = Clock::now(), change = Clock::now();
    const auto between = std::chrono::microseconds(1'000'000 / std::max(1, options.churn));
    std::unique_lock<std::mutex> lock(mu);
    while (!stop) {
      const Clock::time_point now = Clock::now();
      if (!told && g_welcomed >= options.agents) {
        std::printf("ready %d result %zu\n", options.agents, Template().ByteSizeLong());
        std::fflush(stdout);
        told = true;
        beat = change = now;
      }
      if (told && now >= beat) {
        crowd.Heartbeat();
        beat = now + std::chrono::seconds(2);
      }
      if (told && options.churn > 0 && now >= change) {
        crowd.Replace();
        change += between;
      }
      const auto next = told ? (options.churn > 0 ? std::min(beat, change) : beat)
                             : now + std::chrono::milliseconds(20);
      wake.wait_until(lock, next);
    }
  });
  char byte;
  while (read(0, &byte, 1) > 0) {
  }
  g_ending = true;
  {
    const std::lock_guard<std::mutex> lock(mu);
    stop = true;
  }
  wake.notify_all();
  heart.join();
  std::printf("sessions %d\n", g_welcomed.load());
  std::fflush(stdout);
  return 0;
}

}  // namespace
}  // namespace picket

int main(int argc, char** argv) { return picket::Main(argc, argv); }
