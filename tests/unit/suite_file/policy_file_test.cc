#include "common/suite_file/policy_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_join.h"

namespace picket {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::vector<std::string> Errors(const std::string& text) {
  std::vector<std::string> errors;
  for (const Diagnostic& d : ParsePolicyFile(text, "p.yaml").diagnostics) {
    errors.push_back(d.ToString());
  }
  return errors;
}

TEST(PolicyFileTest, ReadsAPolicyForAllAndForSome) {
  const ParsedPolicy parsed = ParsePolicyFile(
      "version: 1\n"
      "policy: { locations: majority, flaky: fail, inconclusive: pass }\n"
      "tests:\n"
      "  checkout/buy-a-chair: { blocking: false }\n"
      "  home: { blocking: true, policy: { locations: { at_least: 2 } } }\n",
      "p.yaml");
  ASSERT_THAT(parsed.diagnostics, IsEmpty());
  EXPECT_EQ(parsed.policy.policy.locations, v1::Policy::MAJORITY);
  EXPECT_EQ(parsed.policy.policy.flaky, v1::Policy::FLAKY_FAIL);
  EXPECT_EQ(parsed.policy.policy.inconclusive, v1::Policy::INCONCLUSIVE_PASS);
  ASSERT_EQ(parsed.policy.tests.size(), 2u);
  const TestPolicyChange& buy = parsed.policy.tests[0];
  EXPECT_EQ(buy.suite, "checkout");
  EXPECT_EQ(buy.test_id, "buy-a-chair");
  EXPECT_EQ(buy.blocking, false);
  EXPECT_FALSE(buy.policy.locations.has_value());
  const TestPolicyChange& home = parsed.policy.tests[1];
  EXPECT_EQ(home.suite, "");
  EXPECT_EQ(home.blocking, true);
  EXPECT_EQ(home.policy.locations, v1::Policy::AT_LEAST);
  EXPECT_EQ(home.policy.at_least, 2u);
  EXPECT_EQ(home.line, 5);
  EXPECT_EQ(home.column, 3);
}

TEST(PolicyFileTest, AChangeLeavesWhatItDoesNotName) {
  v1::Policy policy;
  policy.set_locations(v1::Policy::AT_LEAST);
  policy.set_at_least(3);
  policy.set_flaky(v1::Policy::FLAKY_FAIL);
  policy.set_inconclusive(v1::Policy::INCONCLUSIVE_PASS);
  PolicyChange change;
  change.inconclusive = v1::Policy::INCONCLUSIVE_FAIL;
  change.ApplyTo(policy);
  EXPECT_EQ(policy.at_least(), 3u);
  EXPECT_EQ(policy.flaky(), v1::Policy::FLAKY_FAIL);
  EXPECT_EQ(policy.inconclusive(), v1::Policy::INCONCLUSIVE_FAIL);
  change.locations = v1::Policy::ALL;
  change.ApplyTo(policy);
  EXPECT_EQ(policy.locations(), v1::Policy::ALL);
  EXPECT_EQ(policy.at_least(), 0u);
}

TEST(PolicyFileTest, ASuiteMayHaveASlashInItsName) {
  const ParsedPolicy parsed =
      ParsePolicyFile("version: 1\ntests: { eu/shop/home: { blocking: false } }\n", "p.yaml");
  ASSERT_THAT(parsed.diagnostics, IsEmpty());
  EXPECT_EQ(parsed.policy.tests[0].suite, "eu/shop");
  EXPECT_EQ(parsed.policy.tests[0].test_id, "home");
}

TEST(PolicyFileTest, ContradictionsAreErrorsAtTheirPlace) {
  EXPECT_THAT(Errors("version: 1\n"
                     "tests:\n"
                     "  home: { blocking: false, policy: { locations: all } }\n"),
              ElementsAre(HasSubstr("p.yaml:3:36: 'home' contradicts itself")));
  EXPECT_THAT(
      Errors("version: 1\ntests:\n  home: { blocking: true }\n  home: { blocking: false }\n"),
      ElementsAre(HasSubstr("p.yaml:4:3: ")));
}

TEST(PolicyFileTest, AFileThatSaysNothingIsAnError) {
  for (const char* text : {"version: 1\n", "version: 1\npolicy: {}\n", "version: 1\ntests: {}\n",
                           "version: 1\npolicy: {}\ntests: {}\n"}) {
    EXPECT_THAT(Errors(text), ElementsAre(HasSubstr("changes nothing"))) << text;
  }
  EXPECT_THAT(Errors("version: 1\ntests: { home: {} }\n"),
              ElementsAre(HasSubstr("'home' says nothing")));
  EXPECT_THAT(Errors("version: 1\ntests: { home: { policy: {} } }\n"),
              ElementsAre(HasSubstr("'home' says nothing")));
  for (const char* text : {"", "# nothing\n", "[]\n", "policy\n"}) {
    EXPECT_THAT(Errors(text), ElementsAre(HasSubstr("a policy file is a map"))) << text;
  }
}

TEST(PolicyFileTest, AllMistakesAreToldAtOnceAndInOrder) {
  EXPECT_THAT(Errors("policy: { location: all, flaky: maybe, locations: { at_least: 0 } }\n"
                     "tests:\n"
                     "  Home: { blocking: false }\n"
                     "  home: { blocking: no }\n"
                     "  other: false\n"
                     "test: {}\n"),
              ElementsAre(HasSubstr("p.yaml:1:1: a policy file needs the key 'version'"),
                          HasSubstr("p.yaml:1:11: unknown key 'location'"),
                          HasSubstr("p.yaml:1:33: flaky"), HasSubstr("p.yaml:1:63: at_least"),
                          HasSubstr("p.yaml:3:3: tests: a test is named by its id"),
                          HasSubstr("p.yaml:4:21: blocking: expected true or false"),
                          HasSubstr("p.yaml:5:10: tests.other: expected a map"),
                          HasSubstr("p.yaml:6:1: unknown key 'test'")));
}

TEST(PolicyFileTest, BrokenYamlIsADiagnosticToo) {
  EXPECT_THAT(Errors("version: 1\npolicy: { locations\n"), Not(IsEmpty()));
  EXPECT_THAT(Errors("version: 1\npolicy: &a { flaky: pass }\n<<: *a\n"), Not(IsEmpty()));
  EXPECT_THAT(Errors(std::string("version: 1\0", 11)), Not(IsEmpty()));
}

}  // namespace
}  // namespace picket
