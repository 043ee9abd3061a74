// `picket run --local` whole: parser, coordinator, agents, engine, in this process.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/commands.h"
#include "common/base/files.h"
#include "common/expr/json.h"
#include "tests/support/status_matchers.h"

namespace picket {
namespace {

using ::testing::HasSubstr;

// Port 1 of loopback: nothing listens there, so the target refuses at once.
constexpr char kSuite[] =
    "version: 1\nname: local\nlocations: [eu-west, us-east]\ntests:\n"
    "  - name: nobody answers\n    request: { url: \"http://127.0.0.1:1/\" }\n"
    "    expect: [ { status: 200 } ]\n"
    "  - name: refusal is right\n    must_fail: { reason: [connect_refused] }\n"
    "    request: { url: \"http://127.0.0.1:1/\" }\n";

class LocalRunTest : public ::testing::Test {
 protected:
  LocalRunTest() : random_(Random::FromSystem()) {
    std::string directory = ::testing::TempDir() + "/picket-local-XXXXXX";
    EXPECT_NE(mkdtemp(directory.data()), nullptr);
    directory_ = directory;
    env_.out = &out_;
    env_.err = &err_;
    env_.clock = Clock::Real();
    env_.random = &random_;
    env_.interrupts = &interrupts_;
    env_.wait = [this](absl::Duration time) { return interrupts_.Wait(time); };
    env_.pause = PauseFor;
    env_.variable = [](const std::string&) { return std::nullopt; };
    env_.start_local = StartLocalFleet;
  }

  std::string Write(const std::string& name, const std::string& text) {
    EXPECT_OK(WriteFileAtomically(directory_ + "/" + name, text));
    return directory_ + "/" + name;
  }

  std::string directory_;
  StringSink out_, err_;
  Random random_;
  Interrupts interrupts_;
  Environment env_;
};

TEST_F(LocalRunTest, EndsWithOneVerdictForAllLocations) {
  const std::string report = directory_ + "/r.json";
  EXPECT_EQ(RunCli(env_, {"run", "--local", Write("s.yaml", kSuite), "--report-json", report}), 1)
      << out_.text() << err_.text();
  EXPECT_THAT(out_.text(), HasSubstr("FAILED  planned 4 = 2 passed + 2 failed + 0 inconclusive"));
  EXPECT_THAT(out_.text(), HasSubstr("connect_refused"));
  ASSERT_OK_AND_ASSIGN(const std::string text, ReadFile(report, 1 << 20));
  ASSERT_OK_AND_ASSIGN(const Json json, ParseJson(text));
  EXPECT_EQ(json["local"], true);
  ASSERT_EQ(json["executions"].size(), 4u);
  EXPECT_EQ(json["executions"][0]["outcome"], "FAILED");
  EXPECT_EQ(json["executions"][0]["reason"], "connect_refused");
  EXPECT_EQ(json["executions"][1]["location"], "us-east");
  EXPECT_EQ(json["executions"][2]["outcome"], "PASSED");
}

TEST_F(LocalRunTest, OneLocationOfSeveralCanBeChosen) {
  EXPECT_EQ(
      RunCli(env_, {"run", "--local", Write("s.yaml", kSuite), "-l", "us-east", "-g", "refusal"}),
      0)
      << out_.text() << err_.text();
  EXPECT_THAT(out_.text(), HasSubstr("PASSED  planned 1 = 1 passed"));
}

}  // namespace
}  // namespace picket
