#include "common/config/flags.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "common/base/files.h"
#include "tests/support/status_matchers.h"

namespace picket {
namespace {

using ::picket::testing_support::StatusIs;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class FlagsTest : public ::testing::Test {
 protected:
  FlagsTest() {
    flags_.Add("listen", &listen_, "ADDR", "Where to serve.", {.short_name = 'L'})
        .Add("capacity", &capacity_, "N", "Checks at once.", {.check = IntBetween(1, 100)})
        .Add("take-over", &take_over_, "", "Drain the other.")
        .Add("agent-grace", &grace_, "TIME", "How long to wait.")
        .Add("label", &labels_, "K=V", "Labels.")
        .Positional("FILE", &files_, "Suites.")
        .Version("picket 1.2.3")
        .Environment([this](const std::string& name) -> std::optional<std::string> {
          auto found = environment_.find(name);
          if (found == environment_.end()) return std::nullopt;
          return found->second;
        });
  }

  std::string WriteConfig(const std::string& text) {
    const std::string path = ::testing::TempDir() + "/flags_test_" +
                             ::testing::UnitTest::GetInstance()->current_test_info()->name() +
                             ".yaml";
    EXPECT_OK(WriteFileAtomically(path, text));
    return path;
  }

  std::map<std::string, std::string> environment_;
  std::string listen_ = "127.0.0.1:7700";
  int capacity_ = 8;
  bool take_over_ = false;
  absl::Duration grace_ = absl::Seconds(60);
  std::vector<std::string> labels_, files_;
  FlagSet flags_{"prog", "Does things."};
};

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

TEST_F(FlagsTest, DefaultsStandWhenNothingIsGiven) {
  ASSERT_OK(flags_.Parse({}));
  EXPECT_EQ(listen_, "127.0.0.1:7700");
  EXPECT_EQ(capacity_, 8);
  EXPECT_FALSE(flags_.Given("listen"));
}

TEST_F(FlagsTest, FlagsOfEveryKindAreRead) {
  ASSERT_OK(flags_.Parse({"-L", "[::1]:0", "--capacity=5", "a.yaml", "--take-over", "--agent-grace",
                          "1m30s", "--label", "a=1", "--label", "b=-2,3", "b.yaml"}));
  EXPECT_EQ(listen_, "[::1]:0");
  EXPECT_EQ(capacity_, 5);
  EXPECT_TRUE(take_over_);
  EXPECT_EQ(grace_, absl::Seconds(90));
  EXPECT_THAT(labels_, ElementsAre("a=1", "b=-2,3"));
  EXPECT_THAT(files_, ElementsAre("a.yaml", "b.yaml"));
  EXPECT_TRUE(flags_.Given("capacity"));
}

TEST_F(FlagsTest, ValuesMayBeginWithADashOrABracketOrBeEmpty) {
  ASSERT_OK(flags_.Parse({"--label", "-x", "--label", "[a,b]", "--listen", ""}));
  EXPECT_THAT(labels_, ElementsAre("-x", "[a,b]"));
  EXPECT_EQ(listen_, "");
}

TEST_F(FlagsTest, BooleanMayBeTakenBack) {
  environment_["PICKET_TAKE_OVER"] = "true";
  ASSERT_OK(flags_.Parse({"--take-over=false"}));
  EXPECT_FALSE(take_over_);
  ASSERT_OK(flags_.Parse({}));
  EXPECT_TRUE(take_over_);
}

TEST_F(FlagsTest, FlagWinsOverEnvironmentWinsOverFileWinsOverDefault) {
  const std::string path = WriteConfig("listen: file:1\ncapacity: 3\nagent-grace: 5s\n");
  environment_["PICKET_CAPACITY"] = "4";
  environment_["PICKET_LISTEN"] = "env:1";
  ASSERT_OK(flags_.Parse({"--config", path, "--listen", "flag:1"}));
  EXPECT_EQ(listen_, "flag:1");
  EXPECT_EQ(capacity_, 4);
  EXPECT_EQ(grace_, absl::Seconds(5));
  EXPECT_FALSE(take_over_);
}

TEST_F(FlagsTest, ConfigFileMayBeNamedByTheEnvironment) {
  environment_["PICKET_CONFIG"] = WriteConfig("label: [a=1, b=2]\ntake-over: true\n");
  ASSERT_OK(flags_.Parse({}));
  EXPECT_THAT(labels_, ElementsAre("a=1", "b=2"));
  EXPECT_TRUE(take_over_);
}

TEST_F(FlagsTest, ListInTheEnvironmentIsSplitAtCommas) {
  environment_["PICKET_LABEL"] = "a=1,b=2";
  ASSERT_OK(flags_.Parse({}));
  EXPECT_THAT(labels_, ElementsAre("a=1", "b=2"));
}

TEST_F(FlagsTest, EmptyEnvironmentVariableCountsAsNotSet) {
  environment_["PICKET_CAPACITY"] = "";
  ASSERT_OK(flags_.Parse({}));
  EXPECT_EQ(capacity_, 8);
}

TEST_F(FlagsTest, UnknownKeyOfTheFileIsNamedWithItsPlace) {
  const std::string path = WriteConfig("capacity: 3\n\n  \nlissten: x\n");
  EXPECT_THAT(flags_.Parse({"--config", path}),
              StatusIs(kInvalid, AllOf(HasSubstr(path + ":4:1: unknown key 'lissten'"),
                                       HasSubstr("listen"))));
}

TEST_F(FlagsTest, KeysOfOtherProgramsMayBeIgnored) {
  flags_.IgnoreKeys({"store"});
  EXPECT_OK(flags_.Parse({"--config", WriteConfig("store: x\n")}));
}

TEST_F(FlagsTest, BadConfigFilesAreErrors) {
  for (const auto& [text, part] : std::vector<std::pair<std::string, std::string>>{
           {"capacity: [1, 2]\n", ":1:1: 'capacity' is a list"},
           {"capacity: {a: 1}\n", ":1:1: 'capacity' must be a single value"},
           {"capacity: 3\ncapacity: 4\n", ":2:1: 'capacity' is there twice"},
           {"capacity: 101\n", ":1:1: '101' is not a whole number from 1 to 100"},
           {"- a\n", "expected a map"},
           {"a: b: c\n", "not valid YAML"},
           {"capacity: 1\n---\ncapacity: 2\n", "second YAML document"}}) {
    EXPECT_THAT(flags_.Parse({"--config", WriteConfig(text)}), StatusIs(kInvalid, HasSubstr(part)))
        << text;
  }
  EXPECT_THAT(flags_.Parse({"--config", "/nonexistent/x.yaml"}),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("/nonexistent/x.yaml")));
}

TEST_F(FlagsTest, WrongValuesNameWhereTheyWereWritten) {
  EXPECT_THAT(flags_.Parse({"--capacity", "many"}),
              StatusIs(kInvalid, HasSubstr("--capacity: 'many' is not a whole number")));
  EXPECT_THAT(flags_.Parse({"--capacity", "0"}), StatusIs(kInvalid, HasSubstr("from 1 to 100")));
  EXPECT_THAT(flags_.Parse({"--agent-grace", "10"}),
              StatusIs(kInvalid, HasSubstr("--agent-grace: '10' is not a duration")));
  EXPECT_THAT(flags_.Parse({"--take-over=perhaps"}), StatusIs(kInvalid));
  environment_["PICKET_AGENT_GRACE"] = "soon";
  EXPECT_THAT(flags_.Parse({}), StatusIs(kInvalid, HasSubstr("PICKET_AGENT_GRACE: 'soon'")));
}

TEST_F(FlagsTest, UnknownFlagAndMissingValueAreErrors) {
  EXPECT_THAT(flags_.Parse({"--lissten", "x"}), StatusIs(kInvalid, HasSubstr("--lissten")));
  EXPECT_THAT(flags_.Parse({"--listen"}), StatusIs(kInvalid, HasSubstr("--listen")));
}

TEST_F(FlagsTest, FailedParseChangesNothing) {
  EXPECT_THAT(flags_.Parse({"--listen", "x", "--capacity", "many"}), StatusIs(kInvalid));
  EXPECT_EQ(listen_, "127.0.0.1:7700");
}

TEST_F(FlagsTest, SurplusArgumentsAreErrors) {
  FlagSet plain("prog", "");
  plain.Add("x", &listen_, "X", "");
  EXPECT_THAT(plain.Parse({"stray"}), StatusIs(kInvalid, HasSubstr("stray")));
  std::vector<std::string> one;
  plain.Positional("RUN", &one, "A run.", 1, 1);
  EXPECT_OK(plain.Parse({"stray"}));
  EXPECT_THAT(plain.Parse({}), StatusIs(kInvalid, HasSubstr("too few")));
  EXPECT_THAT(plain.Parse({"a", "b"}), StatusIs(kInvalid, HasSubstr("too many")));
}

TEST_F(FlagsTest, HelpNamesEveryFlagDefaultAndVariable) {
  EXPECT_THAT(flags_.Help(), AllOf(HasSubstr("--listen"), HasSubstr("127.0.0.1:7700"),
                                   HasSubstr("PICKET_AGENT_GRACE"), HasSubstr("Does things."),
                                   HasSubstr("--config")));
  ASSERT_OK_AND_ASSIGN(const FlagSet::Outcome outcome, flags_.Parse({"--version"}));
  EXPECT_TRUE(outcome.help);
  EXPECT_THAT(outcome.text, HasSubstr("picket 1.2.3"));
}

TEST(FlagChecksTest, HostPortWantsBoth) {
  EXPECT_OK(HostPort()("localhost:0"));
  EXPECT_OK(HostPort()("[::1]:7700"));
  for (const char* bad : {"localhost", ":1", "::1:7700", "a:99999", "a:x"}) {
    EXPECT_THAT(HostPort()(bad), StatusIs(kInvalid)) << bad;
  }
}

TEST(FlagChecksTest, OneOfAndDurationBetween) {
  EXPECT_OK(OneOf({"text", "json"})("json"));
  EXPECT_THAT(OneOf({"text", "json"})("xml"), StatusIs(kInvalid, HasSubstr("text, json")));
  EXPECT_OK(DurationBetween(absl::Seconds(1), absl::Hours(1))("5m"));
  EXPECT_THAT(DurationBetween(absl::Seconds(1), absl::Hours(1))("2h"),
              StatusIs(kInvalid, HasSubstr("1s to 1h")));
  EXPECT_THAT(NotEmpty()(""), StatusIs(kInvalid));
}

}  // namespace
}  // namespace picket
