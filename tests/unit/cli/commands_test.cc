#include "cli/commands.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>

#include "common/base/files.h"
#include "common/expr/json.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/cli/canned_run.h"

namespace picket {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;
using testing_support::CannedRun;
using testing_support::FakeWorld;

constexpr char kId[] = "abcdefghijklmnop";

class CommandsTest : public ::testing::Test {
 protected:
  CommandsTest() { world_.coordinator() = CannedRun(); }

  // A file that lives as long as the test.
  std::string Write(const std::string& name, const std::string& text) {
    if (directory_.empty()) {
      directory_ = ::testing::TempDir() + "/picket-commands-XXXXXX";
      EXPECT_NE(mkdtemp(directory_.data()), nullptr);
    }
    EXPECT_OK(WriteFileAtomically(directory_ + "/" + name, text));
    return directory_ + "/" + name;
  }

  std::string Suite(const std::string& extra = "") {
    return Write("suite.yaml",
                 "version: 1\nname: checkout\nlocations: [eu-west, us-east]\ntests:\n"
                 "  - name: home page answers\n    tags: [smoke]\n"
                 "    request: { url: \"http://127.0.0.1:1/\" }\n"
                 "    expect: [ { status: 200 } ]\n" +
                     extra);
  }

  void PassedRun() {
    v1::Run& run = world_.coordinator().run;
    world_.coordinator().executions.clear();
    world_.coordinator().locations.clear();
    run.set_verdict(v1::Verdict::PASSED);
    run.mutable_ledger()->Clear();
    run.mutable_ledger()->set_planned(2);
    run.mutable_ledger()->set_passed(2);
  }

  FakeWorld world_;
  std::string directory_;
};

TEST_F(CommandsTest, UnknownCommandsAreUsageErrors) {
  EXPECT_EQ(world_.Run({"rum"}), 2);
  EXPECT_THAT(world_.err(), HasSubstr("'rum'"));
  EXPECT_EQ(world_.Run({}), 2);
}

TEST_F(CommandsTest, HelpListsCommandsAndExitCodes) {
  EXPECT_EQ(world_.Run({"--help"}), 0);
  EXPECT_THAT(world_.out(), HasSubstr("run FILE..."));
  EXPECT_THAT(world_.out(), HasSubstr("3         INCONCLUSIVE"));
}

TEST_F(CommandsTest, HelpOfEveryCommandIsGiven) {
  for (const char* name : {"run", "validate", "schema", "watch", "wait", "cancel", "runs", "show",
                           "report", "agents", "drain", "query", "version"}) {
    EXPECT_EQ(world_.Run({name, "--help"}), 0) << name;
    EXPECT_THAT(world_.out(), HasSubstr(absl::StrCat("picket ", name)));
  }
}

TEST_F(CommandsTest, QueryPrintsNodesAsAnArray) {
  world_.input() = R"({"a":[{"b":1},{"b":2},{"b":3}]})";
  EXPECT_EQ(world_.Run({"query", "$.a[?@.b > 1].b"}), 0);
  EXPECT_EQ(world_.out(), "[2,3]\n");
}

TEST_F(CommandsTest, QueryReadsAFileAndSelectsNothingAsAnEmptyArray) {
  EXPECT_EQ(world_.Run({"query", "$.none", Write("d.json", "{}")}), 0);
  EXPECT_EQ(world_.out(), "[]\n");
}

TEST_F(CommandsTest, QueryRefusesBadPathsAndBadJson) {
  world_.input() = "{}";
  EXPECT_EQ(world_.Run({"query", "$.["}), 2);
  EXPECT_EQ(world_.Run({"query"}), 2);
  EXPECT_EQ(world_.Run({"query", "$", "/no/such/file"}), 2);
  world_.input() = "{";
  EXPECT_EQ(world_.Run({"query", "$"}), 2);
  EXPECT_THAT(world_.err(), HasSubstr("standard input"));
}

TEST_F(CommandsTest, ValidateSaysWhatIsInTheFile) {
  EXPECT_EQ(world_.Run({"validate", Suite()}), 0);
  EXPECT_THAT(world_.out(), HasSubstr("1 test, 2 executions at 2 locations"));
}

TEST_F(CommandsTest, ValidatePointsAtErrorsOfAllFiles) {
  const std::string bad = Write("bad.yaml", "version: 1\nname: bad\ntests: [ { nme: x } ]\n");
  EXPECT_EQ(world_.Run({"validate", Suite(), bad, "no-such.yaml"}), 2);
  EXPECT_THAT(world_.err(), HasSubstr("bad.yaml:3:"));
  EXPECT_THAT(world_.err(), HasSubstr("no-such.yaml"));
}

TEST_F(CommandsTest, SchemaIsJson) {
  EXPECT_EQ(world_.Run({"schema"}), 0);
  EXPECT_OK(ParseJson(world_.out()));
}

TEST_F(CommandsTest, RunExitsWithTheVerdictAndPrintsItLast) {
  EXPECT_EQ(world_.Run({"run", Suite()}), 1);
  EXPECT_THAT(world_.LastLine(), StartsWith("FAILED  planned 9 = "));
  EXPECT_THAT(world_.out(), HasSubstr("asserted  status is"));
  EXPECT_THAT(world_.out(), HasSubstr("expected  200"));
  EXPECT_THAT(world_.out(), HasSubstr("actual    500"));
  EXPECT_THAT(world_.out(), HasSubstr("curl      curl -sS"));
  ASSERT_EQ(world_.coordinator().created.size(), 1u);
  EXPECT_EQ(world_.coordinator().created[0].spec().trigger(), v1::Trigger::CLI);
}

TEST_F(CommandsTest, RunOfAPassedRunExitsZero) {
  PassedRun();
  EXPECT_EQ(world_.Run({"run", Suite()}), 0);
  EXPECT_THAT(world_.LastLine(), StartsWith("PASSED  planned 2 = 2 passed + "));
}

TEST_F(CommandsTest, QuietPrintsTheVerdictAlone) {
  EXPECT_EQ(world_.Run({"run", Suite(), "--quiet"}), 1);
  EXPECT_EQ(world_.out(), world_.LastLine() + "\n");
}

TEST_F(CommandsTest, InvalidSuiteOrUsageCreatesNothing) {
  const std::string bad = Write("bad.yaml", "version: 1\nname: bad\ntests: [ { nme: x } ]\n");
  EXPECT_EQ(world_.Run({"run", Suite(), bad}), 2);
  EXPECT_EQ(world_.Run({"run"}), 2);
  EXPECT_EQ(world_.Run({"run", Suite(), "--no-such-flag"}), 2);
  EXPECT_EQ(world_.Run({"run", Suite(), "--deadline", "25h"}), 2);
  EXPECT_EQ(world_.Run({"run", Suite(), "-e", "novalue"}), 2);
  EXPECT_EQ(world_.Run({"run", Suite(), "-e", "nope=1"}), 2);
  EXPECT_EQ(world_.Run({"run", Suite(), "-g", "("}), 2);
  EXPECT_EQ(world_.Run({"run", Suite(), "--coordinator", "nonsense"}), 2);
  EXPECT_TRUE(world_.coordinator().created.empty());
}

TEST_F(CommandsTest, ARunThatNoMessageHoldsIsRefusedBeforeItIsSent) {
  std::string suite = "version: 1\nname: upload\ntests:\n";
  for (int i = 0; i < 5; ++i) {
    const std::string file = absl::StrCat("body-", i, ".bin");
    Write(file, std::string(14u << 20, static_cast<char>('a' + i)));
    absl::StrAppend(&suite, "  - name: t", i, "\n    request: { method: PUT, url: \"http://127.0.0.1:1/\", ",
                    "body: { file: ", file, " } }\n    expect: [ { status: 200 } ]\n");
  }
  EXPECT_EQ(world_.Run({"run", Write("upload.yaml", suite)}), 2);
  EXPECT_THAT(world_.err(), HasSubstr("bytes with its rows and files; at most 67043328 fit"));
  EXPECT_TRUE(world_.coordinator().created.empty());
}

TEST_F(CommandsTest, NamesReservedForLaterAreRefused) {
  for (const char* flag : {"--token", "--tls-ca", "--tls-cert", "--tls-key", "--project"}) {
    EXPECT_EQ(world_.Run({"run", Suite(), flag, "x"}), 2) << flag;
    EXPECT_THAT(world_.err(), HasSubstr(flag));
  }
  EXPECT_TRUE(world_.coordinator().created.empty());
}

TEST_F(CommandsTest, SecretsAreRefusedWithoutLocal) {
  world_.variables()["TOKEN"] = "hunter2";
  EXPECT_EQ(world_.Run({"run", Suite(), "--secret", "TOKEN"}), 2);
  EXPECT_EQ(world_.Run({"run", Suite(), "--local", "--secret", "TOKEN"}), 1);
  EXPECT_EQ(world_.local().secrets.at("TOKEN"), "hunter2");
  EXPECT_THAT(world_.out() + world_.err(), Not(HasSubstr("hunter2")));
}

TEST_F(CommandsTest, LocalStartsAnAgentAtEachPlannedLocationAndSaysSo) {
  EXPECT_EQ(world_.Run({"run", "--local", Suite(), "-l", "eu-west"}), 1);
  EXPECT_THAT(world_.local().locations, ElementsAre("eu-west"));
  EXPECT_THAT(world_.out(), HasSubstr("this one machine"));
  EXPECT_TRUE(world_.coordinator().created[0].spec().local());
}

TEST_F(CommandsTest, NothingSelectedIsInconclusive) {
  EXPECT_EQ(world_.Run({"run", Suite(), "-t", "none"}), 3);
  EXPECT_EQ(world_.Run({"run", Suite(), "-l", "nowhere"}), 3);
  EXPECT_TRUE(world_.coordinator().created.empty());
}

TEST_F(CommandsTest, ListAndDryRunCreateNothing) {
  EXPECT_EQ(world_.Run({"run", Suite(), "--list"}), 0);
  EXPECT_THAT(world_.out(),
              HasSubstr("checkout: home page answers  [eu-west us-east]  tags smoke"));
  EXPECT_EQ(world_.Run({"run", Suite(), "--dry-run"}), 0);
  EXPECT_THAT(world_.out(), HasSubstr("plan: 2 executions of 1 test at eu-west (1), us-east (1)"));
  EXPECT_TRUE(world_.coordinator().created.empty());
}

TEST_F(CommandsTest, TheEstimateComesWithThePlan) {
  v1::PlanEstimate& estimate = world_.coordinator().estimate;
  estimate.set_agents(6);
  estimate.set_expected_ms(250'700);
  estimate.set_agents_needed(9);
  EXPECT_EQ(world_.Run({"run", Suite(), "--deadline", "3m", "--expect-agents", "6"}), 1);
  EXPECT_THAT(world_.out(), HasSubstr("\n6 agents, about 4m10s; the 3m deadline needs 9\n"));
  // No precision that it does not have.
  world_.coordinator().estimate.set_expected_ms(1);
  EXPECT_EQ(world_.Run({"run", Suite(), "--dry-run", "--deadline", "3m"}), 0);
  EXPECT_THAT(world_.out(),
              HasSubstr("\n6 agents, less than 100ms of checks; the 3m deadline needs 9\n"));
  world_.coordinator().estimate.set_expected_ms(250'000);
  EXPECT_EQ(world_.coordinator().created.at(0).spec().expect_agents(), 6u);
  EXPECT_EQ(world_.Run({"run", Suite(), "--deadline", "3m", "--dry-run"}), 0);
  EXPECT_THAT(world_.out(), HasSubstr("\n6 agents, about 4m10s; the 3m deadline needs 9\n"));
  EXPECT_EQ(world_.coordinator().estimated.size(), 2u);
  EXPECT_EQ(world_.coordinator().created.size(), 1u);
}

TEST_F(CommandsTest, APlanIsPrintedThoughNobodyCanEstimateIt) {
  world_.coordinator().estimate_error = absl::UnavailableError("cannot reach the coordinator");
  EXPECT_EQ(world_.Run({"run", Suite(), "--dry-run"}), 0);
  EXPECT_THAT(world_.out(), HasSubstr("plan: 2 executions"));
  EXPECT_THAT(world_.out(), HasSubstr("no estimate: cannot reach the coordinator"));
}

TEST_F(CommandsTest, DetachPrintsTheIdAlone) {
  EXPECT_EQ(world_.Run({"run", Suite(), "--detach"}), 0);
  EXPECT_EQ(world_.out(), absl::StrCat(kId, "\n"));
  EXPECT_EQ(world_.coordinator().watches, 0);
  EXPECT_EQ(world_.Run({"run", Suite(), "--detach", "--local"}), 2);
}

TEST_F(CommandsTest, CreateIsTriedAgainWithTheSameRequestId) {
  world_.coordinator().create_errors = {absl::UnavailableError("cannot reach the coordinator"),
                                        absl::UnavailableError("busy"), absl::OkStatus()};
  EXPECT_EQ(world_.Run({"run", Suite()}), 1);
  const auto& created = world_.coordinator().created;
  ASSERT_EQ(created.size(), 3u);
  EXPECT_EQ(created[0].request_id(), created[2].request_id());
  EXPECT_EQ(created[0].request_id().size(), 36u);
}

TEST_F(CommandsTest, UnreachableCoordinatorExitsFour) {
  for (int i = 0; i < 1000; ++i) {
    world_.coordinator().create_errors.push_back(
        absl::UnavailableError("cannot reach the coordinator at h:1: refused"));
  }
  EXPECT_EQ(world_.Run({"run", Suite(), "--coordinator", "h:1,i:2"}), 4);
  EXPECT_THAT(world_.err(), HasSubstr("cannot reach the coordinator at h:1"));
  EXPECT_THAT(world_.coordinator().targets, ElementsAre("h:1", "i:2"));
}

TEST_F(CommandsTest, ARefusalExitsFourAtOnce) {
  world_.coordinator().create_errors = {absl::ResourceExhaustedError("too many runs")};
  EXPECT_EQ(world_.Run({"run", Suite()}), 4);
  EXPECT_EQ(world_.coordinator().created.size(), 1u);
  EXPECT_THAT(world_.err(), HasSubstr("too many runs"));
}

TEST_F(CommandsTest, CoordinatorsComeFromTheEnvironment) {
  world_.variables()["PICKET_COORDINATOR"] = "a:1,b:2";
  EXPECT_EQ(world_.Run({"run", Suite()}), 1);
  EXPECT_THAT(world_.coordinator().targets, ElementsAre("a:1", "b:2"));
}

TEST_F(CommandsTest, AnInterruptCancelsTheRun) {
  world_.coordinator().on_watch = [&] { world_.interrupts().Raise(SIGINT); };
  EXPECT_EQ(world_.Run({"run", Suite()}), 130);
  EXPECT_THAT(world_.coordinator().cancelled, ElementsAre(kId));
}

TEST_F(CommandsTest, AnInterruptBeforeTheAnswerFindsTheRunByItsRequestAndCancelsIt) {
  world_.coordinator().on_create = [&] { world_.interrupts().Raise(SIGTERM); };
  EXPECT_EQ(world_.Run({"run", Suite()}), 143);
  EXPECT_THAT(world_.coordinator().cancelled, ElementsAre(kId));
  ASSERT_EQ(world_.coordinator().created.size(), 2u);
  EXPECT_EQ(world_.coordinator().created[0].request_id(),
            world_.coordinator().created[1].request_id());
}

TEST_F(CommandsTest, CancellingIsTriedForFiveSeconds) {
  world_.coordinator().on_watch = [&] { world_.interrupts().Raise(SIGINT); };
  for (int i = 0; i < 1000; ++i) {
    world_.coordinator().cancel_errors.push_back(absl::UnavailableError("gone"));
  }
  const absl::Duration start = world_.clock().Monotonic();
  EXPECT_EQ(world_.Run({"run", Suite()}), 130);
  EXPECT_GE(world_.clock().Monotonic() - start, absl::Seconds(5));
  EXPECT_LE(world_.clock().Monotonic() - start, absl::Seconds(6));
  EXPECT_THAT(world_.err(), HasSubstr("could not be cancelled"));
}

TEST_F(CommandsTest, AnUnwritableReportKeepsTheVerdictsExitCode) {
  const std::string good = Write("r.xml", "");
  EXPECT_EQ(world_.Run({"run", Suite(), "--report-json", "/no/such/folder/r.json", "--report-junit",
                        good}),
            1);
  EXPECT_THAT(world_.err(), HasSubstr("/no/such/folder/r.json"));
  EXPECT_THAT(ReadFile(good, 1 << 20)->substr(0, 5), "<?xml");
}

TEST_F(CommandsTest, TwoReportsToOneFileAreRefused) {
  const std::string path = Write("r", "");
  EXPECT_EQ(
      world_.Run({"run", Suite(), "--report-json", path, "--report-junit", directory_ + "/./r"}),
      2);
  EXPECT_THAT(world_.err(), HasSubstr("--report-json"));
  EXPECT_TRUE(world_.coordinator().created.empty());
}

TEST_F(CommandsTest, ReportsThatCannotBeReadAreNotWritten) {
  for (int i = 0; i < 1000; ++i) {
    world_.coordinator().page_errors.push_back(absl::UnavailableError("gone"));
  }
  const std::string path = Write("r.json", "old");
  EXPECT_EQ(world_.Run({"run", Suite(), "--quiet", "--report-json", path}), 1);
  EXPECT_THAT(world_.err(), HasSubstr("could not be read"));
  EXPECT_EQ(*ReadFile(path, 1 << 20), "old");
}

TEST_F(CommandsTest, WaitPrintsOneLineAndExitsWithTheVerdict) {
  EXPECT_EQ(world_.Run({"wait", kId}), 1);
  EXPECT_THAT(world_.out(), StartsWith("FAILED  planned 9"));
  EXPECT_EQ(world_.Run({"wait", "aaaaaaaaaaaaaaaa"}), 4);
  EXPECT_EQ(world_.Run({"wait", "not-an-id"}), 2);
}

TEST_F(CommandsTest, InterruptedWaitLeavesTheRunAlone) {
  world_.coordinator().on_watch = [&] { world_.interrupts().Raise(SIGINT); };
  EXPECT_EQ(world_.Run({"wait", kId}), 130);
  EXPECT_TRUE(world_.coordinator().cancelled.empty());
}

TEST_F(CommandsTest, ShowTellsLedgerLocationsAndFailures) {
  EXPECT_EQ(world_.Run({"show", kId}), 0);
  EXPECT_THAT(world_.out(), HasSubstr(kId));
  EXPECT_THAT(world_.out(), HasSubstr("us-east   5"));
  EXPECT_THAT(world_.out(), HasSubstr("at us-east: 1 cancelled, 1 expired, 1 unassigned"));
  EXPECT_THAT(world_.LastLine(), StartsWith("FAILED  planned 9"));
}

TEST_F(CommandsTest, ShowAsJsonIsTheReport) {
  EXPECT_EQ(world_.Run({"show", kId, "--json"}), 0);
  ASSERT_OK_AND_ASSIGN(const Json json, ParseJson(world_.out()));
  EXPECT_EQ(json["run_id"], kId);
  EXPECT_EQ(json["executions"].size(), 9u);
}

TEST_F(CommandsTest, RunsAndAgentsAsTablesAndAsJson) {
  v1::Agent& agent = world_.coordinator().agents.emplace_back();
  agent.set_name("eu-1\x1b[2J");
  agent.set_location("eu-west");
  agent.set_state(v1::Agent::LIVE);
  EXPECT_EQ(world_.Run({"runs"}), 0);
  EXPECT_THAT(world_.out(), HasSubstr("abcdefghijklmnop  checkout  SEALED  FAILED"));
  EXPECT_EQ(world_.Run({"agents"}), 0);
  EXPECT_THAT(world_.out(), HasSubstr("eu-1\\x1b[2J  eu-west   LIVE"));
  FakeWorld json;
  json.coordinator() = world_.coordinator();
  EXPECT_EQ(json.Run({"agents", "--json"}), 0);
  ASSERT_OK_AND_ASSIGN(const Json list, ParseJson(json.out()));
  EXPECT_EQ(list[0]["state"], "LIVE");
}

TEST_F(CommandsTest, DrainAndCancelNameWhatTheyDid) {
  EXPECT_EQ(world_.Run({"drain", "eu-1"}), 0);
  EXPECT_THAT(world_.coordinator().drained, ElementsAre("eu-1"));
  EXPECT_THAT(world_.out(), HasSubstr("eu-west/eu-1 is DRAINING"));
  EXPECT_EQ(world_.Run({"cancel", kId}), 0);
  EXPECT_THAT(world_.coordinator().cancelled, ElementsAre(kId));
}

TEST_F(CommandsTest, ReportsCanBeWrittenLater) {
  const std::string path = Write("later.xml", "");
  EXPECT_EQ(world_.Run({"report", kId, "--junit", path}), 0);
  EXPECT_THAT(*ReadFile(path, 1 << 20), HasSubstr("</testsuites>"));
  EXPECT_EQ(world_.Run({"report", kId}), 2);
  EXPECT_EQ(world_.Run({"report", kId, "--junit", "/no/such/folder/x"}), 4);
  EXPECT_EQ(world_.Run({"report", kId, "--junit", "x", "--tap", "./x"}), 2);
  EXPECT_THAT(world_.err(), HasSubstr("--junit and --tap both name ./x"));
}

TEST_F(CommandsTest, ReportRefusesARunThatIsNotSealed) {
  world_.coordinator().run.set_state(v1::Run::RUNNING);
  const std::string path = Write("r.xml", "before");
  EXPECT_EQ(world_.Run({"report", kId, "--junit", path}), 4);
  EXPECT_THAT(world_.err(), HasSubstr("is not sealed"));
  EXPECT_THAT(ReadFile(path, 100), testing_support::IsOkAndHolds(std::string("before")));
}

TEST_F(CommandsTest, AReportIsNotWrittenOverASuite) {
  // A name that was forgotten: --report-json takes the first suite for it.
  const std::string suite = Suite();
  std::filesystem::create_symlink(suite, directory_ + "/link");
  EXPECT_EQ(world_.Run({"run", "--report-json", directory_ + "/link", suite}), 2);
  EXPECT_THAT(world_.err(), HasSubstr("the json report would be written over " + suite));
  EXPECT_TRUE(world_.coordinator().created.empty());
}

TEST_F(CommandsTest, OutputThatIsLostChangesNoVerdictAndIsTold) {
  struct FullDisk : TextSink {
    void Write(absl::string_view) override {}
    absl::Status Flush() override { return absl::ResourceExhaustedError("cannot write"); }
  } full;
  TextSink* const before = world_.env().out;
  world_.env().out = &full;
  EXPECT_EQ(world_.Run({"schema"}), 2);
  EXPECT_EQ(world_.Run({"wait", kId}), 1);
  world_.env().out = before;
  EXPECT_THAT(world_.err(), HasSubstr("standard output: cannot write"));
}

}  // namespace
}  // namespace picket
