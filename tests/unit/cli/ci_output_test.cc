#include "cli/ci_output.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/files.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/cli/canned_run.h"

namespace picket {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;
using testing_support::CannedRun;
using testing_support::FakeWorld;

class CiOutputTest : public ::testing::Test {
 protected:
  CiOutputTest() : directory_(::testing::TempDir() + "/picket-ci-XXXXXX") {
    EXPECT_NE(mkdtemp(directory_.data()), nullptr);
    world_.coordinator() = CannedRun();
  }
  std::string Path(const std::string& name) const { return directory_ + "/" + name; }
  std::string Read(const std::string& name) {
    const auto text = ReadFile(Path(name), 4u << 20);
    return text.ok() ? *text : "";
  }
  int Watch() { return world_.Run({"watch", "abcdefghijklmnop"}); }
  void OnGithub() {
    world_.variables() = {{"GITHUB_ACTIONS", "true"},
                          {"GITHUB_STEP_SUMMARY", Path("summary")},
                          {"GITHUB_OUTPUT", Path("output")}};
  }

  FakeWorld world_;
  std::string directory_;
};

TEST_F(CiOutputTest, TheStepSummaryIsAppendedTo) {
  OnGithub();
  EXPECT_OK(WriteFileAtomically(Path("summary"), "# before\n"));
  EXPECT_EQ(Watch(), 1);
  EXPECT_THAT(Read("summary"), StartsWith("# before\n## FAILED: checkout\n"));
  EXPECT_THAT(Read("summary"), HasSubstr("buy a chair"));
  EXPECT_THAT(Read("summary"), HasSubstr("### Flaky"));
}

TEST_F(CiOutputTest, TheOutputsAreOneLineEach) {
  OnGithub();
  EXPECT_OK(WriteFileAtomically(Path("output"), "other=1\n"));
  EXPECT_EQ(Watch(), 1);
  EXPECT_EQ(Read("output"),
            "other=1\nrun_id=abcdefghijklmnop\nverdict=FAILED\nplanned=9\npassed=2\nfailed=2\n"
            "inconclusive=1\n");
}

TEST_F(CiOutputTest, OutsideOfGithubNoFileIsTouched) {
  OnGithub();
  world_.variables()["GITHUB_ACTIONS"] = "false";
  EXPECT_EQ(Watch(), 1);
  EXPECT_EQ(Read("summary"), "");
  EXPECT_EQ(Read("output"), "");
  EXPECT_THAT(world_.out(), Not(HasSubstr("::error title")));
}

TEST_F(CiOutputTest, ASummaryThatWouldPassTheLimitIsLeftOutAndToldOf) {
  OnGithub();
  EXPECT_OK(WriteFileAtomically(Path("summary"), std::string(kStepSummaryBytes - 10, 'x')));
  EXPECT_EQ(Watch(), 1);
  EXPECT_EQ(Read("summary").size(), kStepSummaryBytes - 10);
  EXPECT_THAT(world_.err(), HasSubstr("the step summary: "));
}

TEST_F(CiOutputTest, AnUnwritableSummaryDoesNotChangeTheVerdict) {
  OnGithub();
  world_.variables()["GITHUB_STEP_SUMMARY"] = "/nowhere/summary";
  EXPECT_EQ(Watch(), 1);
  EXPECT_THAT(world_.err(), HasSubstr("/nowhere/summary"));
  EXPECT_THAT(world_.LastLine(), StartsWith("FAILED  planned 9"));
}

TEST_F(CiOutputTest, AnnotationsAreTenAtMostAndOneHarmlessLineEach) {
  OnGithub();
  world_.coordinator().executions.clear();
  for (uint32_t i = 0; i < 30; ++i) {
    v1::Execution e = CannedRun().executions[4];
    e.set_execution(i);
    world_.coordinator().executions.push_back(e);
  }
  world_.coordinator().run.mutable_ledger()->set_failed(30);
  EXPECT_EQ(Watch(), 1);
  const std::vector<std::string> lines = absl::StrSplit(world_.out(), '\n');
  EXPECT_EQ(std::count_if(lines.begin(), lines.end(),
                          [](const std::string& l) { return absl::StartsWith(l, "::error "); }),
            10);
  for (const std::string& line : lines) {
    // A command is ours: what came from the target begins no line.
    if (absl::StartsWith(line, "::")) {
      EXPECT_THAT(line, StartsWith("::error title="));
    } else {
      EXPECT_THAT(line, Not(HasSubstr("##[")));
    }
  }
}

TEST_F(CiOutputTest, GitlabGetsASectionAroundWhatDidNotPass) {
  world_.variables() = {{"GITLAB_CI", "true"}};
  EXPECT_EQ(Watch(), 1);
  EXPECT_THAT(world_.out(),
              ContainsRegex("\x1b\\[0Ksection_start:[0-9]+:picket_failures\r\x1b\\[0KWhat did not "
                            "pass\n"));
  EXPECT_THAT(world_.out(),
              ContainsRegex("\x1b\\[0Ksection_end:[0-9]+:picket_failures\r\x1b\\[0K\n"));
  EXPECT_LT(world_.out().find("section_start"), world_.out().find("status is 500, not 200\n        "));
  // The verdict is never folded away.
  EXPECT_LT(world_.out().find("section_end"), world_.out().rfind("FAILED  planned 9"));
}

TEST_F(CiOutputTest, ElsewhereThereAreNoSections) {
  EXPECT_EQ(Watch(), 1);
  EXPECT_THAT(world_.out(), Not(HasSubstr("section_")));
}

}  // namespace
}  // namespace picket
