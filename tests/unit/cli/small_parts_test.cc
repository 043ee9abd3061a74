#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "cli/exit_code.h"
#include "cli/file_sink.h"
#include "cli/interrupts.h"
#include "cli/secret_flags.h"
#include "cli/table.h"
#include "common/base/files.h"
#include "common/report/report_names.h"
#include "common/report/run_text.h"
#include "common/report/text_sink.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/cli/canned_run.h"

namespace picket {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;
using testing_support::StatusIs;

std::string TemporaryDirectory() {
  std::string name = ::testing::TempDir() + "/picket-cli-XXXXXX";
  return mkdtemp(name.data());
}

using Variables = std::map<std::string, std::string>;
std::function<std::optional<std::string>(const std::string&)> From(const Variables& v) {
  return [v](const std::string& name) -> std::optional<std::string> {
    const auto it = v.find(name);
    if (it == v.end()) return std::nullopt;
    return it->second;
  };
}

TEST(ExitCodeTest, OnlyPassedIsZero) {
  EXPECT_EQ(ExitCodeOf(v1::Verdict::PASSED), 0);
  EXPECT_EQ(ExitCodeOf(v1::Verdict::FAILED), 1);
  EXPECT_EQ(ExitCodeOf(v1::Verdict::INCONCLUSIVE), 3);
  EXPECT_EQ(ExitCodeOf(v1::Verdict::VERDICT_UNSPECIFIED), 4);
  EXPECT_EQ(ExitCodeOfSignal(2), 130);
  EXPECT_EQ(ExitCodeOfSignal(15), 143);
}

TEST(InterruptsTest, TellsALateListenerAndKeepsTheFirstSignal) {
  Interrupts interrupts;
  EXPECT_FALSE(interrupts.Wait(absl::Milliseconds(1)));
  EXPECT_FALSE(interrupts.Raise(15));  // nobody listens
  EXPECT_FALSE(interrupts.Raise(2));
  EXPECT_EQ(interrupts.signal(), 15);
  int calls = 0;
  interrupts.SetListener([&] { ++calls; });
  EXPECT_EQ(calls, 1);
  EXPECT_TRUE(interrupts.Raise(2));
  EXPECT_EQ(calls, 1);
  EXPECT_TRUE(interrupts.Wait(absl::Hours(1)));
}

TEST(AtomicFileSinkTest, WithoutCommitNothingIsLeft) {
  const std::string directory = TemporaryDirectory();
  {
    AtomicFileSink sink;
    ASSERT_OK(sink.Open(directory + "/r"));
    sink.Write("half");
  }
  EXPECT_TRUE(std::filesystem::is_empty(directory));
}

TEST(AtomicFileSinkTest, CommitReplacesTheFileAndKeepsItsMode) {
  const std::string path = TemporaryDirectory() + "/r";
  ASSERT_OK(WriteFileAtomically(path, "old", 0600));
  AtomicFileSink sink;
  ASSERT_OK(sink.Open(path));
  sink.Write("new");
  EXPECT_THAT(ReadFile(path, 10), testing_support::IsOkAndHolds(std::string("old")));
  ASSERT_OK(sink.Commit());
  EXPECT_THAT(ReadFile(path, 10), testing_support::IsOkAndHolds(std::string("new")));
  EXPECT_EQ(std::filesystem::status(path).permissions(),
            std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
}

TEST(AtomicFileSinkTest, SaysWhichPathCannotBeWritten) {
  AtomicFileSink missing, directory;
  EXPECT_THAT(missing.Open("/no/such/folder/r").message(), HasSubstr("/no/such/folder/r"));
  EXPECT_THAT(directory.Open("/"), StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST(AtomicFileSinkTest, WritesIntoADeviceInsteadOfReplacingIt) {
  AtomicFileSink sink;
  ASSERT_OK(sink.Open("/dev/null"));
  sink.Write("x");
  ASSERT_OK(sink.Commit());
  EXPECT_TRUE(std::filesystem::is_character_file("/dev/null"));
}

TEST(AtomicFileSinkTest, ReplacesTheFileThatALinkLeadsTo) {
  const std::string directory = TemporaryDirectory();
  ASSERT_OK(WriteFileAtomically(directory + "/r", "old"));
  std::filesystem::create_symlink("r", directory + "/link");
  AtomicFileSink sink;
  ASSERT_OK(sink.Open(directory + "/link"));
  sink.Write("new");
  ASSERT_OK(sink.Commit());
  EXPECT_TRUE(std::filesystem::is_symlink(directory + "/link"));
  EXPECT_THAT(ReadFile(directory + "/r", 10), testing_support::IsOkAndHolds(std::string("new")));
}

TEST(SecretFlagsTest, ReadsVariablesAndFiles) {
  const std::string path = TemporaryDirectory() + "/s";
  ASSERT_OK(WriteFileAtomically(path, "from file\n"));
  const auto secrets =
      ReadSecrets({"A", "B=env:OTHER", "C=file:" + path}, From({{"A", "1"}, {"OTHER", "2"}}));
  ASSERT_OK(secrets);
  EXPECT_THAT(*secrets,
              UnorderedElementsAre(Pair("A", "1"), Pair("B", "2"), Pair("C", "from file")));
}

TEST(SecretFlagsTest, RefusesValuesOnTheCommandLineAndEmptyOnes) {
  const auto plain = ReadSecrets({"A=hunter2"}, From({}));
  EXPECT_THAT(plain, StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_EQ(plain.status().message().find("hunter2"), absl::string_view::npos);
  EXPECT_THAT(ReadSecrets({"A"}, From({{"A", ""}})), StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(ReadSecrets({"A"}, From({})), StatusIs(absl::StatusCode::kNotFound));
  EXPECT_THAT(ReadSecrets({"A", "A"}, From({{"A", "1"}})),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST(CaseNamesTest, TwoTestsOfOneNameGetDifferentNames) {
  CaseNames names;
  std::vector<std::string> all;
  for (const auto& e : testing_support::CannedRun().executions) all.push_back(names.Of(e));
  std::sort(all.begin(), all.end());
  EXPECT_EQ(std::unique(all.begin(), all.end()), all.end());
  EXPECT_THAT(all, testing::Contains("late (late-2) [us-east]"));
}

TEST(RunTextTest, TheLedgerAddsUpInWords) {
  EXPECT_EQ(VerdictLine(testing_support::CannedRun().run),
            "FAILED  planned 9 = 2 passed + 2 failed + 1 inconclusive + 1 skipped + 1 cancelled + "
            "1 expired + 1 unassigned (1 flaky)");
}

TEST(RunTextTest, TheDecidingAttemptIsTheLastThatIsNotInconclusive) {
  v1::Execution e;
  EXPECT_EQ(DecidingAttempt(e), nullptr);
  const auto add = [&](v1::Outcome::Value outcome, bool probe = false) {
    v1::Attempt& a = *e.add_attempts();
    a.set_outcome(outcome);
    a.set_probe(probe);
    a.set_number(static_cast<uint32_t>(e.attempts_size()));
  };
  add(v1::Outcome::INCONCLUSIVE);
  EXPECT_EQ(DecidingAttempt(e)->number(), 1u);
  add(v1::Outcome::FAILED);
  add(v1::Outcome::INCONCLUSIVE);
  add(v1::Outcome::PASSED, true);
  EXPECT_EQ(DecidingAttempt(e)->number(), 2u);
}

TEST(RunTextTest, TimesAreReadable) {
  EXPECT_EQ(MicrosText(340), "340 us");
  EXPECT_EQ(MicrosText(1'234), "1.2 ms");
  EXPECT_EQ(MicrosText(45'600), "46 ms");
  EXPECT_EQ(MicrosText(12'400'000), "12.40 s");
}

TEST(TableTest, ColumnsAreAsWideAsTheirWidestCell) {
  Table table({"A", "B"});
  table.Add({"椅子", "x"});
  EXPECT_EQ(table.ToString(), "A     B\n椅子  x\n");
}

}  // namespace
}  // namespace picket
