#include "common/report/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "cli/report_set.h"
#include "common/expr/json.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/cli/canned_run.h"

namespace picket {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using testing_support::CannedRun;
using testing_support::FakeRunClient;
using testing_support::FakeWorld;

constexpr ReportFormat kAll[] = {ReportFormat::kJunit,    ReportFormat::kJson,
                                 ReportFormat::kCtrf,     ReportFormat::kTap,
                                 ReportFormat::kMarkdown, ReportFormat::kHtml};

// Counts what it is given and keeps none of it.
class CountingSink : public TextSink {
 public:
  void Write(absl::string_view text) override {
    bytes += text.size();
    most = std::max(most, text.size());
    for (const char c : text) elements += c == '<';
  }
  absl::Status Flush() override { return absl::OkStatus(); }
  size_t bytes = 0, most = 0, elements = 0;
};

std::string Written(ReportFormat format, const testing_support::FakeCoordinator& c) {
  StringSink sink;
  const auto report = MakeReport(format, &sink);
  report->Begin({c.run, c.locations});
  for (const v1::Execution& e : c.executions) report->Add(e);
  report->End();
  return sink.text();
}

// A run of `count` executions that all failed, streamed through one report.
CountingSink Large(ReportFormat format, uint32_t count, const std::string& message = "",
                   const std::string& test = "test ") {
  testing_support::FakeCoordinator c = CannedRun();
  c.run.mutable_ledger()->set_planned(count);
  c.run.mutable_ledger()->set_failed(count);
  CountingSink sink;
  const auto report = MakeReport(format, &sink);
  report->Begin({c.run, c.locations});
  v1::Execution e = c.executions[2];
  e.clear_row();
  if (!message.empty()) {
    for (v1::Attempt& attempt : *e.mutable_attempts()) {
      attempt.set_message(message);
      attempt.mutable_evidence()->set_curl(message);
      for (v1::Assertion& a : *attempt.mutable_assertions()) a.set_actual(message);
    }
  }
  for (uint32_t i = 0; i < count; ++i) {
    e.set_execution(i);
    e.set_test(absl::StrCat(test, i));
    e.set_test_id(absl::StrCat("test-", i));
    report->Add(e);
  }
  report->End();
  return sink;
}

TEST(ReportTest, NothingInAnyReportIsAControlCharacterButTheLineBreak) {
  for (const ReportFormat format : kAll) {
    const std::string text = Written(format, CannedRun());
    EXPECT_TRUE(std::none_of(text.begin(), text.end(), [](unsigned char c) {
      return (c < 0x20 && c != '\n') || c == 0x7f;
    })) << ReportFormatName(format);
    EXPECT_TRUE(IsValidUtf8(text)) << ReportFormatName(format);
    // TAP is plain text; every other reader might take a tag for one.
    if (format != ReportFormat::kTap) {
      EXPECT_THAT(text, Not(HasSubstr("<script>"))) << ReportFormatName(format);
    }
    EXPECT_THAT(text, Not(HasSubstr("\u202e"))) << ReportFormatName(format);
  }
}

TEST(ReportTest, NoLineOfAnyReportBeginsWithACommandFromOutside) {
  for (const ReportFormat format : kAll) {
    for (absl::string_view line : absl::StrSplit(Written(format, CannedRun()), '\n')) {
      EXPECT_FALSE(absl::StartsWith(absl::StripLeadingAsciiWhitespace(line), "::")) << line;
    }
  }
}

TEST(ReportTest, ARunWithoutExecutionsMakesAWellFormedReport) {
  testing_support::FakeCoordinator empty;
  for (const ReportFormat format : {ReportFormat::kJson, ReportFormat::kCtrf}) {
    EXPECT_OK(ParseJson(Written(format, empty))) << ReportFormatName(format);
  }
  EXPECT_THAT(Written(ReportFormat::kTap, empty), HasSubstr("1..0"));
}

TEST(ReportTest, AReportThatNamesItsListInALabelIsStillOneObject) {
  testing_support::FakeCoordinator c = CannedRun();
  c.run.set_suite("\"executions\":[");
  (*c.run.mutable_labels())["\"executions\":["] = "\"executions\":[";
  ASSERT_OK_AND_ASSIGN(const Json json, ParseJson(Written(ReportFormat::kJson, c)));
  EXPECT_EQ(json["executions"].size(), 9u);
  EXPECT_EQ(json["suite"], "\"executions\":[");
}

TEST(ReportTest, MarkdownOfAHundredThousandFailuresFitsAStepSummary) {
  EXPECT_LT(Large(ReportFormat::kMarkdown, 100'000).bytes, 1u << 20);
}

TEST(ReportTest, JunitStaysFarBelowGitlabsLimitOfObjects) {
  // GitLab refuses reports of more than 250,000 XML objects. A failed case is four tags.
  EXPECT_LE(Large(ReportFormat::kJunit, 10'000).elements, 10'000u * 4 + 20);
}

TEST(ReportTest, JunitOfAHundredThousandFailuresIsTakenByGitlab) {
  EXPECT_LT(Large(ReportFormat::kJunit, 100'000).bytes, 30'000'000u);
  // Also if each has much to say, in characters that XML writes as six.
  const std::string quotes(5'000, '"');
  EXPECT_LT(Large(ReportFormat::kJunit, 100'000, quotes, std::string(60, 't')).bytes, 30'000'000u);
  EXPECT_LT(Large(ReportFormat::kJunit, 2'000, quotes).bytes, 30'000'000u);
}

TEST(ReportTest, JunitTellsTheFirstFailuresInFullAndTheOthersInALine) {
  testing_support::FakeCoordinator c = CannedRun();
  StringSink sink;
  const auto report = MakeJunitReport(&sink);
  report->Begin({c.run, c.locations});
  v1::Execution e = c.executions[2];
  e.mutable_attempts(0)->set_message(std::string(5'000, 'm'));
  for (uint32_t i = 0; i < 2'001; ++i) {
    e.set_row(i);
    report->Add(e);
  }
  report->End();
  const size_t last = sink.text().rfind("<testcase");
  const size_t before = sink.text().rfind("<testcase", last - 1);
  EXPECT_THAT(sink.text().substr(before, last - before), HasSubstr("expected  200"));
  EXPECT_THAT(sink.text().substr(last), Not(HasSubstr("expected")));
  EXPECT_THAT(sink.text().substr(last), HasSubstr("FAILED: assertion, blame: target, agent eu-1"));
  EXPECT_LT(sink.text().size() - last, 500u);
}

TEST(ReportTest, HtmlOfAHundredThousandFailuresCountsInsteadOfDrawing) {
  const CountingSink sink = Large(ReportFormat::kHtml, 100'000);
  EXPECT_LT(sink.bytes, 20u << 20);
}

TEST(ReportTest, EveryReportStreams) {
  for (const ReportFormat format : kAll) {
    EXPECT_LT(Large(format, 2'000).most, 64u << 10) << ReportFormatName(format);
  }
}

TEST(ReadExecutionsTest, ReadsPageAfterPageThroughLostConnections) {
  FakeWorld world;
  world.coordinator() = CannedRun();
  world.coordinator().page_errors = {absl::OkStatus(), absl::UnavailableError("gone"),
                                     absl::OkStatus()};
  FakeRunClient client(&world.coordinator());
  std::vector<uint32_t> numbers;
  EXPECT_OK(ReadExecutions(world.env(), client, "abcdefghijklmnop", {}, [&](v1::Execution& e) {
    numbers.push_back(e.execution());
    return true;
  }));
  EXPECT_THAT(numbers, testing::ElementsAre(0, 1, 2, 3, 4, 5, 6, 7, 8));
}

TEST(ReadExecutionsTest, AsksForLessWhenAPageIsMoreThanAMessageHolds) {
  FakeWorld world;
  world.coordinator() = CannedRun();
  world.coordinator().page_errors = {absl::ResourceExhaustedError("message too large"),
                                     absl::ResourceExhaustedError("message too large")};
  FakeRunClient client(&world.coordinator());
  int count = 0;
  EXPECT_OK(ReadExecutions(world.env(), client, "abcdefghijklmnop", {},
                           [&](v1::Execution&) { return ++count > 0; }));
  EXPECT_EQ(count, 9);
  EXPECT_THAT(world.coordinator().page_sizes, testing::ElementsAre(1000, 500, 250, 250, 250));
}

TEST(ReadExecutionsTest, FetchesEvidenceOfFailedAttemptsOnly) {
  FakeWorld world;
  world.coordinator() = CannedRun();
  FakeRunClient client(&world.coordinator());
  int with_evidence = 0;
  EXPECT_OK(ReadExecutions(world.env(), client, "abcdefghijklmnop", {.evidence = true},
                           [&](v1::Execution& e) {
                             for (const auto& a : e.attempts()) with_evidence += a.has_evidence();
                             return true;
                           }));
  EXPECT_EQ(with_evidence, 1);
  EXPECT_EQ(world.coordinator().evidence_calls, 4);
}

}  // namespace
}  // namespace picket
