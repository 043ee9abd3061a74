#include "common/policy/validate.h"

#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "common/base/ids.h"
#include "common/policy/limits.h"
#include "common/policy/operators.h"
#include "common/policy/selection.h"
#include "common/policy/sha256.h"
#include "tests/support/status_matchers.h"

namespace picket {
namespace {

using ::picket::testing_support::StatusIs;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
constexpr auto kExhausted = absl::StatusCode::kResourceExhausted;

v1::Test GoodTest(const std::string& id = "home") {
  v1::Test test;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(
      R"pb(
        suite: "shop"
        name: "home page"
        locations: "eu"
        locations: "us"
        blocking: true
        repeatable: true
        timeout { seconds: 30 }
        retry {
          attempts: 1
          backoff: 1
          on: FAILED
          on: INCONCLUSIVE
          where: SAME_AGENT
          delay {}
        }
        policy { locations: ALL flaky: FLAKY_PASS inconclusive: INCONCLUSIVE_INCONCLUSIVE }
        steps {
          http {
            method: "GET"
            url: "https://example.com/"
            follow_redirects: true
            max_redirects: 10
            http_version: AUTO
            ip_version: ANY
            proxy: "none"
            tls { verify: true }
            connection: FRESH
            body_limit_bytes: 1048576
          }
          expect {
            subject: status
            operations { operator: is operand_json: "200" }
          }
          extract { name: "id" json: "$.id" }
        })pb",
      &test));
  test.set_id(id);
  return test;
}

TEST(ValidateTestTest, GoodTestIsAccepted) { EXPECT_OK(ValidateTest(GoodTest())); }

struct BadCase {
  const char* message;
  std::function<void(v1::Test&)> spoil;
};

v1::HttpCheck& Http(v1::Test& test) { return *test.mutable_steps(0)->mutable_http(); }
v1::Expectation& Expect(v1::Test& test) { return *test.mutable_steps(0)->mutable_expect(0); }

TEST(ValidateTestTest, EveryBadFieldIsNamed) {
  const std::vector<BadCase> cases = {
      {"id 'Home'", [](v1::Test& t) { t.set_id("Home"); }},
      {"its name is empty", [](v1::Test& t) { t.set_name(std::string(501, 'x')); }},
      {"its name is empty", [](v1::Test& t) { t.set_name("a\x1b[2J"); }},
      {"tag 'a,b'", [](v1::Test& t) { t.add_tags("a,b"); }},
      {"no location", [](v1::Test& t) { t.clear_locations(); }},
      {"location 'EU'", [](v1::Test& t) { t.add_locations("EU"); }},
      {"location 'eu' is there twice", [](v1::Test& t) { t.add_locations("eu"); }},
      {"must_fail must hold", [](v1::Test& t) { t.mutable_must_fail(); }},
      {"must_fail.reason",
       [](v1::Test& t) { t.mutable_must_fail()->add_reasons(v1::FailureReason::agent_lost); }},
      {"must_fail.status 6", [](v1::Test& t) { t.mutable_must_fail()->add_statuses(6); }},
      {"timeout is 0s", [](v1::Test& t) { t.clear_timeout(); }},
      {"timeout is 2h", [](v1::Test& t) { t.mutable_timeout()->set_seconds(7200); }},
      {"timeout is negative", [](v1::Test& t) { t.mutable_timeout()->set_seconds(-1); }},
      {"retry.attempts is 0", [](v1::Test& t) { t.mutable_retry()->set_attempts(0); }},
      {"retry.attempts is 101", [](v1::Test& t) { t.mutable_retry()->set_attempts(101); }},
      {"retry.delay", [](v1::Test& t) { t.mutable_retry()->mutable_delay()->set_seconds(3601); }},
      {"retry.backoff", [](v1::Test& t) { t.mutable_retry()->set_backoff(0.5); }},
      {"retry.backoff", [](v1::Test& t) { t.mutable_retry()->set_backoff(10.5); }},
      {"replay names no attempt", [](v1::Test& t) { t.mutable_replay()->set_attempt(1); }},
      {"replay names no attempt",
       [](v1::Test& t) { t.mutable_replay()->set_run_id("abcdefghijklmnop"); }},
      {"retry.backoff", [](v1::Test& t) { t.mutable_retry()->set_backoff(NAN); }},
      {"retry.on", [](v1::Test& t) { t.mutable_retry()->clear_on(); }},
      {"retry.where", [](v1::Test& t) { t.mutable_retry()->add_where(v1::Retry::SAME_AGENT); }},
      {"nothing may follow anywhere",
       [](v1::Test& t) {
         t.mutable_retry()->clear_where();
         t.mutable_retry()->add_where(v1::Retry::ANYWHERE);
         t.mutable_retry()->add_where(v1::Retry::SAME_LOCATION);
       }},
      {"expect is never judged",
       [](v1::Test& t) { t.mutable_must_fail()->add_reasons(v1::FailureReason::tls_expired); }},
      {"priority 101", [](v1::Test& t) { t.set_priority(101); }},
      {"priority -101", [](v1::Test& t) { t.set_priority(-101); }},
      {"at_least 3",
       [](v1::Test& t) {
         t.mutable_policy()->set_locations(v1::Policy::AT_LEAST);
         t.mutable_policy()->set_at_least(3);
       }},
      {"policy.flaky is not set", [](v1::Test& t) { t.mutable_policy()->clear_flaky(); }},
      {"cannot name a variable", [](v1::Test& t) { t.add_vars()->set_name("1a"); }},
      {"has no value", [](v1::Test& t) { t.add_vars()->set_name("a"); }},
      {"shares its name with a variable",
       [](v1::Test& t) {
         t.add_vars()->set_name("a");
         t.mutable_vars(0)->set_json("1");
         t.add_secrets()->set_name("a");
       }},
      {"does not say where it comes from", [](v1::Test& t) { t.add_secrets()->set_name("a"); }},
      {"for_each row 0 has 1 cells for 2 columns",
       [](v1::Test& t) {
         t.mutable_for_each()->add_columns("a");
         t.mutable_for_each()->add_columns("b");
         t.mutable_for_each()->add_rows()->add_cells("1");
       }},
      {"renamed_from names the test's own id", [](v1::Test& t) { t.add_renamed_from("home"); }},
      {"has no SHA-256", [](v1::Test& t) { t.add_files()->set_path("a"); }},
      {"it has no steps", [](v1::Test& t) { t.clear_steps(); }},
      {"step 1 has no name", [](v1::Test& t) { *t.add_steps() = t.steps(0); }},
      {"checks nothing", [](v1::Test& t) { t.mutable_steps(0)->clear_http(); }},
      {"method 'G T'", [](v1::Test& t) { Http(t).set_method("G T"); }},
      {"not an absolute http", [](v1::Test& t) { Http(t).set_url("/home"); }},
      {"not an absolute http", [](v1::Test& t) { Http(t).set_url("ftp://x/"); }},
      {"it has no host", [](v1::Test& t) { Http(t).set_url("http:///x"); }},
      {"is not a port", [](v1::Test& t) { Http(t).set_url("http://a:99999/"); }},
      {"use auth", [](v1::Test& t) { Http(t).set_url("http://u:p@a/"); }},
      {"header name 'a b'", [](v1::Test& t) { Http(t).add_headers()->set_name("a b"); }},
      {"header 'a' holds a line end",
       [](v1::Test& t) {
         Http(t).add_headers()->set_name("a");
         Http(t).mutable_headers(0)->set_value("x\r\ny: z");
       }},
      {"body is empty", [](v1::Test& t) { Http(t).mutable_body(); }},
      {"names the file 'x'", [](v1::Test& t) { Http(t).mutable_body()->set_file("x"); }},
      {"auth is empty", [](v1::Test& t) { Http(t).mutable_auth(); }},
      {"auth.aws_sigv4 needs",
       [](v1::Test& t) { Http(t).mutable_auth()->mutable_aws_sigv4()->set_region("x"); }},
      {"max_redirects is 51", [](v1::Test& t) { Http(t).set_max_redirects(51); }},
      {"http_version", [](v1::Test& t) { Http(t).clear_http_version(); }},
      {"proxy", [](v1::Test& t) { Http(t).set_proxy("ftp://x:1"); }},
      {"it has no port", [](v1::Test& t) { Http(t).set_proxy("http://x"); }},
      {"tls.min_version '2'", [](v1::Test& t) { Http(t).mutable_tls()->set_min_version("2"); }},
      {"tls.key is there without",
       [](v1::Test& t) { Http(t).mutable_tls()->set_key("k"); }},
      {"tls.ca names the file", [](v1::Test& t) { Http(t).mutable_tls()->set_ca("ca.pem"); }},
      {"body_limit is 0", [](v1::Test& t) { Http(t).clear_body_limit_bytes(); }},
      {"unknown subject", [](v1::Test& t) { Expect(t).clear_subject(); }},
      {"status takes no argument", [](v1::Test& t) { Expect(t).set_argument("x"); }},
      {"header does not say which name",
       [](v1::Test& t) { Expect(t).set_subject(v1::Subject::header); }},
      {"unknown argument 'lunch'",
       [](v1::Test& t) {
         Expect(t).set_subject(v1::Subject::time);
         Expect(t).set_argument("lunch");
       }},
      {"status has no operator", [](v1::Test& t) { Expect(t).clear_operations(); }},
      {"operator 'contains' does not fit status; there are: is, is_not, above",
       [](v1::Test& t) { Expect(t).mutable_operations(0)->set_operator_(v1::Operator::contains); }},
      {"is is there twice", [](v1::Test& t) { *Expect(t).add_operations() = Expect(t).operations(0); }},
      {"has no operand", [](v1::Test& t) { Expect(t).mutable_operations(0)->clear_operand_json(); }},
      {"extract 'id' is there twice",
       [](v1::Test& t) { *t.mutable_steps(0)->add_extract() = t.steps(0).extract(0); }},
      {"does not say where the value comes from",
       [](v1::Test& t) { t.mutable_steps(0)->mutable_extract(0)->clear_json(); }},
  };
  for (const BadCase& c : cases) {
    v1::Test test = GoodTest();
    c.spoil(test);
    EXPECT_THAT(ValidateTest(test),
                StatusIs(kInvalid, AllOf(HasSubstr(c.message), HasSubstr("suite 'shop'"))));
  }
}

TEST(ValidateTestTest, EveryLimitIsHit) {
  const Limits& limits = DefaultLimits();
  const std::vector<BadCase> cases = {
      {"locations",
       [&](v1::Test& t) {
         for (size_t i = 0; i <= limits.locations_per_test; ++i) {
           t.add_locations("l" + std::to_string(i));
         }
       }},
      {"steps",
       [&](v1::Test& t) {
         for (size_t i = 0; i <= limits.steps_per_test; ++i) *t.add_steps() = t.steps(0);
       }},
      {"expectations",
       [&](v1::Test& t) {
         for (size_t i = 0; i <= limits.expectations_per_step; ++i) {
           *t.mutable_steps(0)->add_expect() = t.steps(0).expect(0);
         }
       }},
      {"extracts",
       [&](v1::Test& t) {
         for (size_t i = 0; i <= limits.expectations_per_step; ++i) {
           t.mutable_steps(0)->add_extract()->set_name("n");
         }
       }},
      {"rows",
       [&](v1::Test& t) {
         t.mutable_for_each()->add_columns("a");
         for (size_t i = 0; i <= limits.rows_per_test; ++i) t.mutable_for_each()->add_rows();
       }},
      {"url",
       [&](v1::Test& t) {
         Http(t).set_url("http://a/" + std::string(limits.template_bytes, 'x'));
       }},
      {"variable",
       [&](v1::Test& t) {
         t.add_vars()->set_name("a");
         t.mutable_vars(0)->set_json(std::string(limits.template_bytes + 1, '1'));
       }},
  };
  for (const BadCase& c : cases) {
    v1::Test test = GoodTest();
    c.spoil(test);
    EXPECT_THAT(ValidateTest(test), StatusIs(kExhausted, HasSubstr(c.message)));
  }
}

v1::RunSpec GoodSpec() {
  v1::RunSpec spec;
  v1::Suite& suite = *spec.add_suites();
  suite.set_name("shop");
  *suite.add_tests() = GoodTest("home");
  *suite.add_tests() = GoodTest("cart");
  return spec;
}

TEST(ValidateRunSpecTest, GoodSpecIsAccepted) { EXPECT_OK(ValidateRunSpec(GoodSpec())); }

TEST(ValidateRunSpecTest, TestsOfARunEndSomewhere) {
  v1::RunSpec spec = GoodSpec();
  auto& tests = *spec.mutable_suites(0)->mutable_tests();
  while (static_cast<size_t>(tests.size()) <= DefaultLimits().tests_per_run) tests.Add();
  EXPECT_THAT(ValidateRunSpec(spec),
              StatusIs(kExhausted, HasSubstr("the run has more than 1000000 tests")));
}

TEST(ValidateRunSpecTest, IdentityOfATestIsItsOwn) {
  v1::RunSpec spec = GoodSpec();
  spec.mutable_suites(0)->mutable_tests(1)->set_id("home");
  EXPECT_THAT(ValidateRunSpec(spec), StatusIs(kInvalid, HasSubstr("two tests with the id 'home'")));

  // Two files that give one suite name and one id are no better.
  spec = GoodSpec();
  *spec.add_suites() = spec.suites(0);
  EXPECT_THAT(ValidateRunSpec(spec), StatusIs(kInvalid, HasSubstr("two tests with the id")));
}

TEST(ValidateRunSpecTest, BoundsOfTheRunAreChecked) {
  v1::RunSpec spec;
  EXPECT_THAT(ValidateRunSpec(spec), StatusIs(kInvalid, HasSubstr("no tests")));
  spec = GoodSpec();
  spec.mutable_deadline()->set_seconds(86'401);
  EXPECT_THAT(ValidateRunSpec(spec), StatusIs(kInvalid, HasSubstr("deadline is 24h1s")));
  spec = GoodSpec();
  spec.mutable_deadline();
  EXPECT_THAT(ValidateRunSpec(spec), StatusIs(kInvalid, HasSubstr("deadline is 0s")));
  spec = GoodSpec();
  spec.set_priority(-2'000'000'000);
  EXPECT_THAT(ValidateRunSpec(spec), StatusIs(kInvalid, HasSubstr("priority")));
  spec = GoodSpec();
  for (int i = 0; i < 65; ++i) (*spec.mutable_labels())["l" + std::to_string(i)] = "x";
  EXPECT_THAT(ValidateRunSpec(spec), StatusIs(kExhausted, HasSubstr("65 labels")));
  spec = GoodSpec();
  spec.mutable_suites(0)->mutable_tests(0)->set_suite("other");
  EXPECT_THAT(ValidateRunSpec(spec), StatusIs(kInvalid, HasSubstr("of suite 'other'")));
}

TEST(ValidateRunSpecTest, FilesTravelWithTheirContents) {
  v1::RunSpec spec = GoodSpec();
  v1::FileRef& file = *spec.mutable_suites(0)->mutable_tests(0)->add_files();
  file.set_path("body.bin");
  file.set_sha256(Sha256Digest("hello"));
  EXPECT_THAT(ValidateRunSpec(spec), StatusIs(kInvalid, HasSubstr("'body.bin' are missing")));
  v1::Blob& blob = *spec.add_blobs();
  blob.set_sha256(Sha256Digest("hello"));
  blob.set_data("hello");
  EXPECT_OK(ValidateRunSpec(spec));
  *spec.add_blobs() = blob;
  EXPECT_THAT(ValidateRunSpec(spec), StatusIs(kInvalid, HasSubstr("a blob is there twice")));
}

TEST(ValidateTestTest, ExpectationsStandBesideWhatMustFailIfTheyAreJudged) {
  v1::Test test = GoodTest();
  test.mutable_must_fail()->add_statuses(403);
  EXPECT_OK(ValidateTest(test));
  test.mutable_must_fail()->clear_statuses();
  test.mutable_must_fail()->add_reasons(v1::FailureReason::connect_refused);
  test.mutable_must_fail()->add_reasons(v1::FailureReason::assertion);
  EXPECT_OK(ValidateTest(test));
}

TEST(ValidateTestTest, AnywhereMayBeTheLastRung) {
  v1::Test test = GoodTest();
  test.mutable_retry()->set_attempts(3);
  test.mutable_retry()->add_where(v1::Retry::SAME_LOCATION);
  test.mutable_retry()->add_where(v1::Retry::ANYWHERE);
  EXPECT_OK(ValidateTest(test));
}

TEST(FeaturesTest, PlainTestsAreSupported) {
  EXPECT_THAT(UnsupportedFeatures(GoodTest()), IsEmpty());
}

TEST(FeaturesTest, EachUnsupportedFeatureIsNamed) {
  v1::Test test = GoodTest();
  test.add_secrets()->set_sealed("a box");
  EXPECT_THAT(UnsupportedFeatures(test), ElementsAre("sealed secrets"));
}

TEST(OperatorsTest, EverySubjectHasFormAndRows) {
  for (v1::Subject::Value subject : AllSubjects()) {
    EXPECT_EQ(FormOf(subject).subject, subject);
    EXPECT_NE(OperatorsOf(subject), 0u) << v1::Subject::Value_Name(subject);
  }
  OperatorSet used = 0;
  for (const SubjectRow& row : SubjectRows()) used |= row.operators;
  for (v1::Operator::Value op : AllOperators()) {
    EXPECT_NE(used & Bit(op), 0u) << v1::Operator::Value_Name(op);
  }
}

TEST(OperatorsTest, ArgumentPicksTheRow) {
  EXPECT_TRUE(Allows(*FindSubjectRow(v1::Subject::certificate, "days_left"), v1::Operator::above));
  EXPECT_FALSE(Allows(*FindSubjectRow(v1::Subject::certificate, "issuer"), v1::Operator::above));
  EXPECT_EQ(FindSubjectRow(v1::Subject::certificate, "colour"), nullptr);
  EXPECT_EQ(FindSubjectRow(v1::Subject::SUBJECT_UNSPECIFIED, ""), nullptr);
  EXPECT_NE(FindSubjectRow(v1::Subject::header, "anything"), nullptr);
}

v1::Suite Selectable() {
  v1::Suite suite;
  suite.set_name("shop");
  for (const auto& [id, tags] : std::vector<std::pair<std::string, std::vector<std::string>>>{
           {"one", {"smoke", "api"}}, {"two", {"smoke"}}, {"three", {"api"}}, {"four", {}}}) {
    v1::Test test = GoodTest(id);
    test.set_name(id);
    for (const std::string& tag : tags) test.add_tags(tag);
    *suite.add_tests() = test;
  }
  suite.mutable_tests(3)->clear_locations();
  suite.mutable_tests(3)->add_locations("default");
  return suite;
}

std::vector<std::string> Selected(const Selection& selection) {
  v1::Suite suite = Selectable();
  EXPECT_OK(Select(selection, suite));
  std::vector<std::string> ids;
  for (const v1::Test& test : suite.tests()) {
    std::string id = test.id();
    for (const std::string& location : test.locations()) id += " " + location;
    ids.push_back(id);
  }
  return ids;
}

TEST(SelectionTest, RepeatedTagsAreOrAndCommasAreAnd) {
  EXPECT_EQ(Selected({}).size(), 4u);
  EXPECT_THAT(Selected({.tags = {"smoke,api"}}), ElementsAre("one eu us"));
  EXPECT_THAT(Selected({.tags = {"smoke", "api"}}),
              ElementsAre("one eu us", "two eu us", "three eu us"));
  EXPECT_THAT(Selected({.tags = {"nosuch"}}), IsEmpty());
}

TEST(SelectionTest, GrepIsARegularExpressionOnTheName) {
  EXPECT_THAT(Selected({.grep = "^t"}), ElementsAre("two eu us", "three eu us"));
  EXPECT_THAT(Selected({.tags = {"smoke"}, .grep = "^t"}), ElementsAre("two eu us"));
  v1::Suite suite = Selectable();
  EXPECT_THAT(Select({.grep = "("}, suite), StatusIs(kInvalid, HasSubstr("--grep")));
}

TEST(SelectionTest, LocationFiltersAndReplacesOnlyDefault) {
  EXPECT_THAT(Selected({.locations = {"us", "asia"}}),
              ElementsAre("one us", "two us", "three us", "four us asia"));
  EXPECT_THAT(Selected({.locations = {"asia"}}), ElementsAre("four asia"));
  v1::Suite suite = Selectable();
  EXPECT_THAT(Select({.locations = {"EU"}}, suite), StatusIs(kInvalid, HasSubstr("'EU'")));
}

TEST(SelectionTest, PolicyMustStillHoldWithTheLocationsLeft) {
  v1::Suite suite = Selectable();
  suite.mutable_tests(0)->mutable_policy()->set_locations(v1::Policy::AT_LEAST);
  suite.mutable_tests(0)->mutable_policy()->set_at_least(2);
  EXPECT_THAT(Select({.locations = {"us"}}, suite),
              StatusIs(kInvalid, AllOf(HasSubstr("at_least 2"), HasSubstr("'one'"))));
}

TEST(SelectionTest, FilesNobodyNamesAreDropped) {
  v1::RunSpec spec = GoodSpec();
  spec.add_blobs()->set_sha256(Sha256Digest("a"));
  spec.add_blobs()->set_sha256(Sha256Digest("b"));
  spec.mutable_suites(0)->mutable_tests(0)->add_files()->set_sha256(Sha256Digest("b"));
  DropUnusedBlobs(spec);
  ASSERT_EQ(spec.blobs_size(), 1);
  EXPECT_EQ(spec.blobs(0).sha256(), Sha256Digest("b"));
}

}  // namespace
}  // namespace picket
