// What people and programs read of a run, pinned. PICKET_UPDATE_GOLDEN=1 writes anew.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "cli/run_end.h"
#include "common/base/files.h"
#include "common/expr/json.h"
#include "common/report/report.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/cli/canned_run.h"

namespace picket {
namespace {

using testing_support::CannedRun;
using testing_support::FakeWorld;

void ExpectGolden(const std::string& name, const std::string& text) {
  const std::string path = std::string(PICKET_SOURCE_DIR "/tests/golden/cli/") + std::string(name);
  if (std::getenv("PICKET_UPDATE_GOLDEN") != nullptr) ASSERT_OK(WriteFileAtomically(path, text));
  ASSERT_OK_AND_ASSIGN(const std::string golden, ReadFile(path, 1 << 20));
  EXPECT_EQ(text, golden) << "in " << path;
}

std::string Written(ReportFormat format) {
  testing_support::FakeCoordinator canned = CannedRun();
  for (auto& [key, evidence] : canned.evidence) {
    *canned.executions[key.first]
         .mutable_attempts(static_cast<int>(key.second) - 1)
         ->mutable_evidence() = evidence;
  }
  StringSink sink;
  const std::unique_ptr<Report> report = MakeReport(format, &sink);
  report->Begin({canned.run, canned.locations});
  for (const v1::Execution& e : canned.executions) report->Add(e);
  report->End();
  return sink.text();
}

TEST(CliGoldenTest, Junit) { ExpectGolden("report.junit.xml", Written(ReportFormat::kJunit)); }
TEST(CliGoldenTest, Ctrf) { ExpectGolden("report.ctrf.json", Written(ReportFormat::kCtrf)); }
TEST(CliGoldenTest, Tap) { ExpectGolden("report.tap", Written(ReportFormat::kTap)); }
TEST(CliGoldenTest, Markdown) { ExpectGolden("report.md", Written(ReportFormat::kMarkdown)); }
TEST(CliGoldenTest, Html) { ExpectGolden("report.html", Written(ReportFormat::kHtml)); }

TEST(CliGoldenTest, Json) {
  const std::string text = Written(ReportFormat::kJson);
  ExpectGolden("report.json", text);
  ASSERT_OK_AND_ASSIGN(const Json json, ParseJson(text));
  EXPECT_EQ(json["verdict"], "FAILED");
  EXPECT_EQ(json["ledger"]["planned"], 9);
  EXPECT_EQ(json["executions"].size(), 9u);
  const Json& attempt = json["executions"][2]["attempts"][0];
  EXPECT_EQ(attempt["timings"]["total_us"], 12345);
  EXPECT_FALSE(attempt["timings"].contains("tls_us"));
  EXPECT_EQ(attempt["assertions"][0]["operator"], "is");
}

// The end of `picket run` and `picket watch`, plain and in a GitHub job.
TEST(CliGoldenTest, EndOfRun) {
  for (const bool github : {false, true}) {
    FakeWorld world;
    world.coordinator() = CannedRun();
    if (github) world.variables()["GITHUB_ACTIONS"] = "true";
    EXPECT_EQ(world.Run({"watch", "abcdefghijklmnop"}), 1);
    ExpectGolden(github ? "watch.github.txt" : "watch.txt", world.out());
    EXPECT_EQ(world.err(), "");
  }
}

TEST(CliGoldenTest, Show) {
  FakeWorld world;
  world.coordinator() = CannedRun();
  EXPECT_EQ(world.Run({"show", "abcdefghijklmnop"}), 0);
  ExpectGolden("show.txt", world.out());
}

}  // namespace
}  // namespace picket
