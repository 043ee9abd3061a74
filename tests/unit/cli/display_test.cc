#include "cli/display.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_split.h"
#include "common/report/escape.h"
#include "tests/unit/cli/canned_run.h"

namespace picket {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using testing_support::CannedRun;

v1::WatchRunResponse Running() {
  const auto canned = CannedRun();
  v1::WatchRunResponse state;
  *state.mutable_run() = canned.run;
  state.mutable_run()->set_state(v1::Run::RUNNING);
  for (const auto& l : canned.locations) *state.add_locations() = l;
  for (const auto& e : canned.executions) {
    if (e.end() == v1::End::FAILED) *state.add_failures() = e;
  }
  return state;
}

TEST(LineDisplayTest, TellsEachFailureOnce) {
  StringSink sink;
  Printer printer(&sink, {});
  SimulatedClock clock;
  auto display = MakeLineDisplay(&printer, &clock, {});
  display->Show(Running());
  display->Show(Running());
  const std::vector<std::string> lines = absl::StrSplit(sink.text(), '\n');
  EXPECT_EQ(lines.size(), 3u) << sink.text();
  EXPECT_THAT(lines[0], HasSubstr("FAILED  buy a chair [eu-west] row 0"));
}

TEST(LineDisplayTest, ThrottlesProgress) {
  StringSink sink;
  Printer printer(&sink, {});
  SimulatedClock clock;
  auto display = MakeLineDisplay(&printer, &clock, {.failures = false});
  for (int i = 0; i < 100; ++i) {
    clock.Advance(absl::Milliseconds(100));
    display->Show(Running());
  }
  const std::vector<std::string> lines = absl::StrSplit(sink.text(), '\n', absl::SkipEmpty());
  EXPECT_EQ(lines.size(), 2u);
  EXPECT_THAT(lines[0], HasSubstr("running  9/9"));
}

TEST(LineDisplayTest, HostileTextStaysOneLine) {
  StringSink sink;
  Printer printer(&sink, {.github = true});
  SimulatedClock clock;
  auto display = MakeLineDisplay(&printer, &clock, {});
  display->Show(Running());
  for (absl::string_view line : absl::StrSplit(sink.text(), '\n', absl::SkipEmpty())) {
    EXPECT_TRUE(absl::StartsWith(line, "FAILED  ")) << line;
    EXPECT_THAT(std::string(line), Not(HasSubstr("##[")));
  }
  EXPECT_EQ(sink.text().find('\x1b'), std::string::npos);
}

TEST(TerminalDisplayTest, RedrawsOneLineALocationWithinTheWidthAndGivesTheCursorBack) {
  StringSink sink;
  Printer printer(&sink, {});
  auto display = MakeTerminalDisplay(
      &printer, {.failures = false, .columns = [] { return 60; }, .lines = [] { return 24; }});
  display->Show(Running());
  display->Show(Running());
  display->Close();
  const std::string& text = sink.text();
  EXPECT_TRUE(absl::StartsWith(text, "\x1b[?25l"));
  EXPECT_TRUE(absl::EndsWith(text, kShowCursor));
  EXPECT_THAT(text, HasSubstr("\x1b[2A\r\x1b[J"));
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    const size_t start = line.rfind('\x1b');
    if (start == absl::string_view::npos) EXPECT_LT(CountColumns(line), 60u) << line;
  }
  EXPECT_THAT(text, HasSubstr("eu-west  ["));
  EXPECT_THAT(text, HasSubstr("2 failed"));
}

TEST(TerminalDisplayTest, ShowsAsManyLocationsAsTheScreenHolds) {
  v1::WatchRunResponse state;
  for (int i = 0; i < 50; ++i) state.add_locations()->set_location(absl::StrCat("place-", i));
  StringSink sink;
  Printer printer(&sink, {});
  auto display = MakeTerminalDisplay(&printer, {.lines = [] { return 10; }});
  display->Show(state);
  EXPECT_THAT(sink.text(), HasSubstr("place-5"));
  EXPECT_THAT(sink.text(), Not(HasSubstr("place-6")));
  EXPECT_THAT(sink.text(), HasSubstr("and 44 more locations"));
}

TEST(TerminalDisplayTest, AFailureStaysAboveTheProgress) {
  StringSink sink;
  Printer printer(&sink, {.colour = true});
  auto display = MakeTerminalDisplay(&printer, {});
  display->Show(Running());
  const size_t failure = sink.text().find("buy a chair");
  const size_t progress = sink.text().find("eu-west  ");
  ASSERT_NE(failure, std::string::npos);
  EXPECT_LT(failure, progress);
}

}  // namespace
}  // namespace picket
