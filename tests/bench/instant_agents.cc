// Agents that answer at once: they take leases and send a result for every execution without checking
// anything, so that what is measured is the coordinator, its store and the wire.
//
//   instant_agents --coordinator HOST:PORT --agents N --location NAME [--window N] [--idle]
//
// Runs until its standard input ends. --idle opens sessions with a window of 0 and only keeps them.
// Prints one line, "ready N", once every session was welcomed.

#include <grpcpp/grpcpp.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/base/ids.h"
#include "common/base/random.h"
#include "picket/v1/agent_service.grpc.pb.h"

namespace picket {
namespace {

struct Options {
  std::string coordinator = "127.0.0.1:7700";
  std::string location = "default";
  int agents = 4;
  uint32_t window = 20'000;
  bool idle = false;
};

std::atomic<int> g_ready{0};

// A passing result of about 180 bytes, as a real agent sends it.
v1::ExecutionResult PassingResult(uint32_t execution) {
  v1::ExecutionResult result;
  result.set_execution(execution);
  result.set_outcome(v1::Outcome::PASSED);
  v1::Attempt* attempt = result.add_attempts();
  attempt->set_number(1);
  attempt->set_outcome(v1::Outcome::PASSED);
  attempt->mutable_start_time()->set_seconds(1'790'000'000);
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

class InstantAgent {
 public:
  InstantAgent(const Options& options, int number, std::shared_ptr<grpc::Channel> channel)
      : stub_(v1::AgentService::NewStub(channel)), stream_(stub_->Session(&context_)) {
    Random random = Random::FromSystem();
    v1::AgentMessage message;
    v1::Hello* hello = message.mutable_hello();
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
    stream_->Write(message);
  }

  // Reads until the stream ends.
  void Serve() {
    v1::CoordinatorMessage message;
    while (stream_->Read(&message)) {
      if (message.has_welcome()) g_ready.fetch_add(1);
      if (message.has_grant()) Answer(message.grant());
    }
    const grpc::Status status = stream_->Finish();
    if (!status.ok() && status.error_code() != grpc::StatusCode::CANCELLED) {
      std::fprintf(stderr, "session ended: %s\n", status.error_message().c_str());
    }
  }

  void Heartbeat() {
    v1::AgentMessage message;
    message.mutable_heartbeat()->set_window(window_);
    Write(message);
  }

  void Cancel() { context_.TryCancel(); }

 private:
  void Write(const v1::AgentMessage& message) {
    const std::lock_guard<std::mutex> lock(write_mu_);
    stream_->Write(message);
  }

  void Answer(const v1::LeaseGrant& grant) {
    constexpr int kBatch = 256;
    for (int at = 0; at < grant.executions_size(); at += kBatch) {
      v1::AgentMessage message;
      v1::ResultBatch* batch = message.mutable_results();
      v1::LeaseResults* results = batch->add_results();
      *results->mutable_lease() = grant.lease();
      results->set_instance(instance_);
      for (int i = at; i < grant.executions_size() && i < at + kBatch; ++i) {
        *results->add_results() = PassingResult(grant.executions(i).execution());
        ++sequence_;
      }
      batch->set_sequence(sequence_);
      Write(message);
    }
  }

  grpc::ClientContext context_;
  std::unique_ptr<v1::AgentService::Stub> stub_;
  std::unique_ptr<grpc::ClientReaderWriter<v1::AgentMessage, v1::CoordinatorMessage>> stream_;
  std::mutex write_mu_;
  std::string instance_;
  uint32_t window_ = 0;
  uint64_t sequence_ = 0;
};

int Main(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string flag = argv[i];
    if (flag == "--idle") {
      options.idle = true;
      continue;
    }
    if (i + 1 >= argc) return 2;
    const std::string value = argv[++i];
    if (flag == "--coordinator") {
      options.coordinator = value;
    } else if (flag == "--location") {
      options.location = value;
    } else if (flag == "--agents") {
      if (!absl::SimpleAtoi(value, &options.agents)) return 2;
    } else if (flag == "--window") {
      if (!absl::SimpleAtoi(value, &options.window)) return 2;
    } else {
      return 2;
    }
  }
  // A few connections carry all sessions; each session is a stream of its own.
  std::vector<std::shared_ptr<grpc::Channel>> channels;
  for (int i = 0; i < 8; ++i) {
    grpc::ChannelArguments arguments;
    arguments.SetInt("picket.bench.channel", i);
    arguments.SetMaxReceiveMessageSize(64 << 20);
    channels.push_back(grpc::CreateCustomChannel(options.coordinator,
                                                 grpc::InsecureChannelCredentials(), arguments));
  }
  std::vector<std::unique_ptr<InstantAgent>> agents;
  std::vector<std::thread> threads;
  for (int i = 0; i < options.agents; ++i) {
    agents.push_back(std::make_unique<InstantAgent>(options, i, channels[i % channels.size()]));
    threads.emplace_back([agent = agents.back().get()] { agent->Serve(); });
  }
  std::atomic<bool> stop{false};
  std::mutex mu;
  std::condition_variable wake;
  std::thread heart([&] {
    bool told = false;
    std::unique_lock<std::mutex> lock(mu);
    while (!stop) {
      if (!told && g_ready >= options.agents) {
        std::printf("ready %d\n", options.agents);
        std::fflush(stdout);
        told = true;
      }
      wake.wait_for(lock, std::chrono::milliseconds(told ? 2000 : 50));
      if (told) {
        for (auto& agent : agents) agent->Heartbeat();
      }
    }
  });
  char byte;
  while (read(0, &byte, 1) > 0) {
  }
  stop = true;
  wake.notify_all();
  heart.join();
  for (auto& agent : agents) agent->Cancel();
  for (std::thread& thread : threads) thread.join();
  return 0;
}

}  // namespace
}  // namespace picket

int main(int argc, char** argv) { return picket::Main(argc, argv); }
