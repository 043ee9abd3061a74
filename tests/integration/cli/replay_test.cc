// `picket replay` whole: a run is stored, one execution of it is repeated on the fleet and
// in this process, and the run stays as it was.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "agent/session/agent.h"
#include "agent/session/grpc_session.h"
#include "cli/commands.h"
#include "cli/file_sink.h"
#include "common/base/files.h"
#include "coordinator/app/coordinator.h"
#include "coordinator/rpc/rpc_server.h"
#include "coordinator/store/store.h"
#include "tests/support/scripted_server.h"
#include "tests/support/status_matchers.h"

namespace picket {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class ReplayTest : public ::testing::Test {
 protected:
  ReplayTest() : random_(Random::FromSystem()), target_(ScriptedServer::Start()) {
    directory_ = ::testing::TempDir() + "/picket-replay-XXXXXX";
    EXPECT_NE(mkdtemp(directory_.data()), nullptr);
    store_ = MakeMemoryStore(Clock::Real());
    coordinator_ = Coordinator::Start({}, store_.get(), Clock::Real(), nullptr);
    auto rpc = CoordinatorRpc::Start("", coordinator_.get());
    EXPECT_OK(rpc);
    rpc_ = *std::move(rpc);
    secrets_ = MakeSecretSource("", {{"TOKEN", "s3cret"}});
    dialer_ = MakeDialer(rpc_->InProcessChannel());
    AgentOptions options;
    options.name = "a1";
    options.location = "eu-west";
    options.engine.loops = 1;
    options.engine.secrets = secrets_.get();
    auto agent = Agent::Start(std::move(options), dialer_.get());
    EXPECT_OK(agent);
    agent_ = *std::move(agent);

    env_.out = &out_;
    env_.err = &err_;
    env_.clock = Clock::Real();
    env_.random = &random_;
    env_.interrupts = &interrupts_;
    env_.wait = [this](absl::Duration time) { return interrupts_.Wait(time); };
    env_.pause = PauseFor;
    env_.variable = [](const std::string& name) -> std::optional<std::string> {
      if (name == "TOKEN") return "s3cret";
      return std::nullopt;
    };
    env_.connect = [this](const std::vector<std::string>&) {
      return MakeRunClient(rpc_->InProcessChannel(), "the test");
    };
    env_.start_local = StartLocalFleet;
  }

  // Runs the suite; its run's id.
  std::string RunSuite(const std::string& tests) {
    const std::string path = directory_ + "/s.yaml";
    EXPECT_OK(
        WriteFileAtomically(directory_ + "/rows.json", R"([{"sku": "oak"}, {"sku": "ash"}])"));
    EXPECT_OK(WriteFileAtomically(
        path, absl::StrCat("version: 1\nname: shop\nlocations: [eu-west]\nsecrets: [TOKEN]\n",
                           "vars: { base: \"", target_->Url(""), "\" }\ntests:\n", tests)));
    RunCli(env_, {"run", path});
    const std::string text = out_.text();
    const size_t at = text.find("run ");
    EXPECT_NE(at, std::string::npos) << text << err_.text();
    return at == std::string::npos ? "" : text.substr(at + 4, 16);
  }

  // What the last command printed.
  std::string Out() {
    std::string text = out_.text().substr(read_);
    read_ = out_.text().size();
    return text;
  }

  // The value of "X-Id" in each request so far.
  std::vector<std::string> Ids() const {
    std::vector<std::string> ids;
    for (const std::string& head : target_->requests()) {
      const size_t at = head.find("x-id: ");
      if (at != std::string::npos) ids.push_back(head.substr(at + 6, head.find('\r', at) - at - 6));
    }
    return ids;
  }

  Random random_;
  std::unique_ptr<ScriptedServer> target_;
  std::string directory_;
  std::unique_ptr<Store> store_;
  std::unique_ptr<Coordinator> coordinator_;
  std::unique_ptr<CoordinatorRpc> rpc_;
  std::unique_ptr<SecretSource> secrets_;
  std::unique_ptr<SessionDialer> dialer_;
  std::unique_ptr<Agent> agent_;
  StringSink out_, err_;
  size_t read_ = 0;
  Interrupts interrupts_;
  Environment env_;
};

constexpr char kRandom[] =
    "  - name: echo\n    for_each: { file: rows.json }\n    retry: { attempts: 2 }\n"
    "    request: { url: \"{{ base }}/echo-head?sku={{ sku }}\", headers: { x-id: \"{{ uuid }}\", "
    "x-token: \"{{ TOKEN }}\" } }\n"
    "    expect: [ { status: 200 }, { body: { contains: birch } } ]\n";

TEST_F(ReplayTest, RepeatsRowVariablesAndRandomValuesAndChangesNothing) {
  const std::string run = RunSuite(kRandom);
  const std::vector<std::string> first = Ids();
  ASSERT_EQ(first.size(), 4u) << Out();
  ASSERT_OK_AND_ASSIGN(const RunRow before, store_->GetRun(run));
  Out();

  for (const bool local : {false, true}) {
    Arguments arguments = {"replay", run, "1", "--attempt", "1"};
    if (local) arguments.insert(arguments.end(), {"--local", "--secret", "TOKEN"});
    EXPECT_EQ(RunCli(env_, arguments), 1) << err_.text();
    const std::string out = Out();
    EXPECT_THAT(
        out,
        AllOf(HasSubstr("then  failed, assertion"), HasSubstr("now   failed, assertion"),
              HasSubstr("GET /echo-head?sku=ash HTTP/1.1"), HasSubstr("HTTP/1.1 200 OK"),
              HasSubstr("passed     status is 200"), HasSubstr("first_byte"),
              HasSubstr("FAILED  planned 1"), HasSubstr("x-token: ***"), Not(HasSubstr("s3cret"))));
    EXPECT_THAT(out, HasSubstr(local ? "local: in this process" : "agent a1 at eu-west"));
  }
  const std::vector<std::string> all = Ids();
  ASSERT_EQ(all.size(), 6u);
  // The attempts came in no certain order: the replayed value is one of them, twice the same.
  EXPECT_EQ(all[4], all[5]);
  EXPECT_THAT(first, ::testing::Contains(all[4]));
  EXPECT_EQ(RunCli(env_, {"replay", run, "1"}), 1);
  EXPECT_NE(Ids().back(), all[4]);
  EXPECT_THAT(first, ::testing::Contains(Ids().back()));

  ASSERT_OK_AND_ASSIGN(const RunRow after, store_->GetRun(run));
  EXPECT_EQ(after.run.SerializeAsString(), before.run.SerializeAsString());
}

TEST_F(ReplayTest, APassingExecutionIsToldWholeToo) {
  const std::string run = RunSuite(
      "  - name: fine\n    request: { url: \"{{ base }}/ok\" }\n    expect: [ { status: 200 } ]\n");
  Out();
  EXPECT_EQ(RunCli(env_, {"replay", run, "0"}), 0) << err_.text();
  EXPECT_THAT(Out(),
              AllOf(HasSubstr("then  passed"), HasSubstr("now   passed"),
                    HasSubstr("GET /ok HTTP/1.1"), HasSubstr("hello"), HasSubstr("curl -sS")));
  ASSERT_OK_AND_ASSIGN(const std::vector<HistoryRow> history,
                       store_->LoadHistory("default", {"shop", "fine", "eu-west"}, "", 10));
  EXPECT_EQ(history.size(), 1u);  // the run's alone
}

TEST_F(ReplayTest, AMissingSecretIsNamed) {
  const std::string run = RunSuite(kRandom);
  Out();
  EXPECT_EQ(RunCli(env_, {"replay", run, "0", "--local"}), 3) << err_.text();
  EXPECT_THAT(Out(),
              AllOf(HasSubstr("secret_missing"), HasSubstr("TOKEN"), HasSubstr("--secret NAME")));
}

TEST_F(ReplayTest, UnknownRunsAndExecutionsAreNamed) {
  const std::string run = RunSuite(kRandom);
  EXPECT_EQ(RunCli(env_, {"replay", "aaaaaaaaaaaaaaaa", "0"}), 4);
  EXPECT_THAT(err_.text(), HasSubstr("aaaaaaaaaaaaaaaa"));
  EXPECT_EQ(RunCli(env_, {"replay", run, "2"}), 4);
  EXPECT_THAT(err_.text(), HasSubstr("has 2 executions"));
}

}  // namespace
}  // namespace picket
