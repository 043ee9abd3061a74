// Every subject under every operator that fits it.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>

#include "absl/strings/str_cat.h"
#include "agent/engine/limits.h"
#include "common/expr/json.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/engine/test_builder.h"

namespace picket {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TransferResult Rich() {
  TransferResult result =
      Respond(200,
              R"({"id": 7, "name": "chair", "price": 12.5, "none": null, "ok": true,
          "items": [{"sku": "a"}, {"sku": "b"}], "tags": ["x", "y"], "empty": []})",
              {{"Content-Type", "application/json"},
               {"X-Count", "12"},
               {"Via", "a"},
               {"via", "b"},
               {"Set-Cookie", "sid=abc; Path=/"}});
  result.tls_version = "TLSv1.3";
  result.tls_cipher = "TLS_AES_256_GCM_SHA384";
  result.wire_body_bytes = 40;
  v1::Certificate leaf;
  leaf.set_subject("CN=shop.example");
  leaf.set_issuer("CN=Test CA");
  leaf.add_subject_alternative_names("shop.example");
  leaf.add_subject_alternative_names("www.shop.example");
  leaf.set_fingerprint("00ff");
  // SimulatedClock begins at 1,700,000,000.
  leaf.mutable_not_after_time()->set_seconds(1'700'000'000 + 20 * 86400 + 3600);
  result.certificates.push_back(leaf);
  return result;
}

v1::Attempt JudgeOne(const TransferResult& answer, const std::string& subject,
                   const std::string& argument, const std::string& op, const std::string& operand) {
  Bench bench([&](const TransferRequest&) { return answer; });
  return bench.Run(absl::StrCat(
      "steps { expect { subject: ", subject, " argument: ", ToText(Json(argument)),
      " operations { operator: ", op, " operand_json: ", ToText(Json(operand)), " } } }"));
}

struct Case {
  const char* subject;
  const char* argument;
  const char* op;
  const char* operand;
  bool passes;
};

class AssertionTest : public ::testing::TestWithParam<Case> {};

TEST_P(AssertionTest, IsJudged) {
  const Case& c = GetParam();
  const v1::Attempt attempt = JudgeOne(Rich(), c.subject, c.argument, c.op, c.operand);
  EXPECT_EQ(attempt.outcome(), c.passes ? v1::Outcome::PASSED : v1::Outcome::FAILED)
      << c.subject << " " << c.argument << " " << c.op << " " << c.operand << ": "
      << attempt.ShortDebugString();
  EXPECT_EQ(attempt.reason(), c.passes ? v1::FailureReason::none : v1::FailureReason::assertion);
  EXPECT_EQ(attempt.assertions_passed(), c.passes ? 1u : 0u);
  EXPECT_EQ(attempt.assertions_failed(), c.passes ? 0u : 1u);
}

INSTANTIATE_TEST_SUITE_P(Status, AssertionTest,
                         ::testing::Values(Case{"status", "", "is", "200", true},
                                           Case{"status", "", "is", "201", false},
                                           Case{"status", "", "is", "\"2xx\"", true},
                                           Case{"status", "", "is", "\"4XX\"", false},
                                           Case{"status", "", "is_not", "\"5xx\"", true},
                                           Case{"status", "", "one_of", "[201, \"2xx\"]", true},
                                           Case{"status", "", "one_of", "[201, 404]", false},
                                           Case{"status", "", "is", "\"200\"", true},
                                           Case{"status", "", "at_least", "200", true},
                                           Case{"status", "", "below", "200", false}));

INSTANTIATE_TEST_SUITE_P(
    Header, AssertionTest,
    ::testing::Values(Case{"header", "content-type", "is", "\"application/json\"", true},
                      Case{"header", "CONTENT-TYPE", "contains", "\"json\"", true},
                      Case{"header", "content-type", "not_contains", "\"json\"", false},
                      Case{"header", "content-type", "starts_with", "\"app\"", true},
                      Case{"header", "content-type", "ends_with", "\"app\"", false},
                      Case{"header", "content-type", "matches", "\"^app.*json$\"", true},
                      Case{"header", "content-type", "not_matches", "\"json\"", false},
                      Case{"header", "via", "is", "\"a, b\"", true},
                      Case{"header", "x-count", "above", "11.5", true},
                      Case{"header", "content-type", "above", "1", false},
                      Case{"header", "x-none", "exists", "false", true},
                      Case{"header", "x-none", "exists", "true", false},
                      Case{"header", "via", "exists", "false", false},
                      Case{"header", "x-none", "not_contains", "\"x\"", false},
                      Case{"header", "x-none", "is_not", "\"x\"", false}));

INSTANTIATE_TEST_SUITE_P(
    Json, AssertionTest,
    ::testing::Values(
        Case{"json", "$.id", "is", "7", true}, Case{"json", "$.id", "is", "7.0", true},
        Case{"json", "$.id", "is", "\"7\"", false}, Case{"json", "$.id", "is_not", "8", true},
        Case{"json", "$.price", "at_most", "12.5", true},
        Case{"json", "$.price", "above", "12.5", false},
        Case{"json", "$.name", "above", "1", false},
        Case{"json", "$.name", "contains", "\"hai\"", true},
        Case{"json", "$.name", "matches", "\"^c\"", true},
        Case{"json", "$.name", "count", "5", true}, Case{"json", "$.id", "count", "1", false},
        Case{"json", "$.items", "count", "2", true}, Case{"json", "$", "count", "8", true},
        Case{"json", "$.none", "is", "null", true}, Case{"json", "$.none", "exists", "true", true},
        Case{"json", "$.none", "matches", "\"n\"", false},
        Case{"json", "$.missing", "exists", "false", true},
        Case{"json", "$.missing", "count", "0", true},
        Case{"json", "$.missing", "count", "1", false},
        Case{"json", "$.missing", "is_not", "1", false},
        Case{"json", "$.items[*].sku", "contains", "\"b\"", true},
        Case{"json", "$.items[*].sku", "contains", "\"c\"", false},
        Case{"json", "$.items[*].sku", "not_contains", "\"c\"", true},
        Case{"json", "$.items[*].sku", "is", "[\"a\",\"b\"]", true},
        Case{"json", "$.items[*].sku", "count", "2", true},
        Case{"json", "$.items[*].nope", "exists", "true", false},
        Case{"json", "$.items[*].nope", "exists", "false", true},
        Case{"json", "$.items[*].nope", "count", "0", true},
        Case{"json", "$.tags", "contains", "\"x\"", true},
        Case{"json", "$.empty", "exists", "true", true}, Case{"json", "$.ok", "is", "true", true},
        Case{"json", "$.ok", "type", "\"boolean\"", true},
        Case{"json", "$.id", "type", "\"integer\"", true},
        Case{"json", "$.price", "type", "\"integer\"", false},
        Case{"json", "$.price", "type", "\"number\"", true},
        Case{"json", "$.id", "one_of", "[6, 7]", true},
        Case{"json", "$", "schema", R"({"type":"object","required":["id"]})", true},
        Case{"json", "$", "schema", R"({"required":["nope"]})", false},
        Case{"json", "$.items[0]", "is", R"({"sku":"a"})", true}));

INSTANTIATE_TEST_SUITE_P(
    Others, AssertionTest,
    ::testing::Values(
        Case{"body", "", "contains", "\"chair\"", true},
        Case{"body", "", "matches", "\"\\\"id\\\": [0-9]+\"", true},
        Case{"body", "", "is", "\"chair\"", false}, Case{"time", "total", "below", "1161", true},
        Case{"time", "total", "below", "1160", false},
        Case{"time", "first_byte", "at_most", "1000", true},
        Case{"time", "tls", "below", "1000000", false}, Case{"size", "wire", "is", "40", true},
        Case{"size", "decoded", "above", "40", true}, Case{"redirects", "", "is", "0", true},
        Case{"http_version", "", "is", "\"1.1\"", true},
        Case{"http_version", "", "at_least", "2", false},
        Case{"certificate", "days_left", "is", "20", true},
        Case{"certificate", "days_left", "above", "20", false},
        Case{"certificate", "issuer", "contains", "\"Test CA\"", true},
        Case{"certificate", "subject", "is", "\"CN=shop.example\"", true},
        Case{"certificate", "san", "contains", "\"www.shop.example\"", true},
        Case{"certificate", "san", "not_contains", "\"shop.example\"", false},
        Case{"certificate", "san", "count", "2", true},
        Case{"certificate", "fingerprint", "is", "\"00ff\"", true},
        Case{"ip", "", "is", "\"127.0.0.1\"", true}, Case{"cookie", "sid", "is", "\"abc\"", true},
        Case{"cookie", "sid", "is", "\"x\"", false},
        Case{"cookie", "nope", "exists", "false", true},
        Case{"tls", "version", "is", "\"1.3\"", true},
        Case{"tls", "version", "at_least", "1.2", true},
        Case{"tls", "cipher", "contains", "\"GCM\"", true}));

TEST(SchemaAssertionTest, TheMessageSaysWhatDoesNotFitInsteadOfTheSchema) {
  const v1::Attempt attempt =
      JudgeOne(Rich(), "json", "$.items", "schema", R"({"type":"array","minItems":99})");
  EXPECT_THAT(attempt.message(), HasSubstr("json $.items does not match its schema: "));
  EXPECT_THAT(attempt.message(), HasSubstr("99"));
  EXPECT_THAT(attempt.message(), Not(HasSubstr("minItems")));
}

TEST(XPathAssertionTest, LooksAtTheFirstNodeAndCountsAll) {
  const TransferResult page = Respond(200, "<html><title>Shop</title><li>3</li><li>4</li>",
                                      {{"Content-Type", "text/html"}});
  const auto outcome = [&](const char* path, const char* op, const char* operand) {
    return JudgeOne(page, "xpath", path, op, operand).outcome();
  };
  EXPECT_EQ(outcome("//title", "is", "\"Shop\""), v1::Outcome::PASSED);
  EXPECT_EQ(outcome("//title", "contains", "\"Market\""), v1::Outcome::FAILED);
  EXPECT_EQ(outcome("//li", "count", "2"), v1::Outcome::PASSED);
  EXPECT_EQ(outcome("//li", "above", "2.5"), v1::Outcome::PASSED);
  EXPECT_EQ(outcome("count(//li)", "is", "\"2\""), v1::Outcome::PASSED);
  EXPECT_EQ(outcome("//table", "exists", "false"), v1::Outcome::PASSED);
  EXPECT_EQ(outcome("//table", "count", "0"), v1::Outcome::PASSED);
  EXPECT_EQ(outcome("//table", "is_not", "\"x\""), v1::Outcome::FAILED);
}

TEST(TextTest, WhatWasCountedIsTold) {
  const TransferResult page =
      Respond(200, "<ul><li>x<li>y</ul>", {{"Content-Type", "text/html"}});
  EXPECT_EQ(JudgeOne(page, "xpath", "//li", "count", "2").assertions(0).actual(), "2");
  EXPECT_EQ(JudgeOne(page, "xpath", "//li", "count", "3").assertions(0).actual(), "2");
  EXPECT_EQ(JudgeOne(Rich(), "json", "$.items[*]", "count", "2").assertions(0).actual(), "2");
}

TEST(XPathAssertionTest, CountsNodesAndNothingElse) {
  const TransferResult page = Respond(200, "<title>Shop</title>", {{"Content-Type", "text/html"}});
  for (const char* path : {"count(//title)", "string(//title)", "boolean(//title)"}) {
    const v1::Attempt attempt = JudgeOne(page, "xpath", path, "count", "1");
    EXPECT_EQ(attempt.outcome(), v1::Outcome::FAILED) << path;
    EXPECT_THAT(attempt.assertions(0).actual(), HasSubstr("not nodes")) << path;
  }
}

TEST(BadBodyTest, WhatIsNoMarkupFailsEvenItsAbsence) {
  const TransferResult answer =
      Respond(200, "{\"error\": \"<h1>\"}", {{"Content-Type", "application/json"}});
  for (const auto& [op, operand] : std::map<std::string, std::string>{
           {"exists", "false"}, {"count", "0"}, {"not_contains", "\"x\""}, {"is_not", "\"x\""}}) {
    const v1::Attempt attempt = JudgeOne(answer, "xpath", "//error", op, operand);
    EXPECT_EQ(attempt.outcome(), v1::Outcome::FAILED) << op;
    EXPECT_EQ(attempt.reason(), v1::FailureReason::assertion) << op;
    EXPECT_THAT(attempt.assertions(0).actual(), HasSubstr("neither XML nor HTML"));
  }
}

TEST(JsonAssertionTest, ATextIsNoNumberEvenIfItSpellsOne) {
  const TransferResult answer = Respond(200, R"({"price": "12.5", "prices": [1, 2]})");
  for (const char* op : {"above", "below", "at_least", "at_most"}) {
    const v1::Attempt attempt = JudgeOne(answer, "json", "$.price", op, "12.5");
    EXPECT_EQ(attempt.outcome(), v1::Outcome::FAILED) << op;
    EXPECT_THAT(attempt.assertions(0).actual(), HasSubstr("a string, not a number")) << op;
  }
  EXPECT_THAT(JudgeOne(answer, "json", "$.prices", "above", "1").assertions(0).actual(),
              HasSubstr("an array, not a number"));
}

TEST(BadBodyTest, WhatIsNotJsonFailsEvenItsAbsence) {
  const TransferResult page = Respond(200, "<html>");
  for (const char* op : {"exists", "is_not"}) {
    const v1::Attempt attempt = JudgeOne(page, "json", "$.x", op, "false");
    EXPECT_EQ(attempt.outcome(), v1::Outcome::FAILED);
    EXPECT_THAT(attempt.assertions(0).actual(), HasSubstr("not valid JSON"));
  }
}

TEST(BoundTest, WhatCannotBeEvaluatedIsInconclusiveNeverPassed) {
  const std::string deep = std::string(100, '[') + std::string(100, ']');
  const v1::Attempt attempt = JudgeOne(Respond(200, deep), "json", "$", "exists", "true");
  EXPECT_EQ(attempt.outcome(), v1::Outcome::INCONCLUSIVE);
  EXPECT_EQ(attempt.reason(), v1::FailureReason::cannot_evaluate);
  EXPECT_EQ(attempt.assertions_unjudged(), 1u);
  EXPECT_THAT(attempt.assertions(0).unjudged(), HasSubstr("nests deeper"));
  EXPECT_FALSE(attempt.assertions(0).passed());
}

TEST(BoundTest, AssertionTextIsBoundedAndUtf8) {
  std::string body(100'000, 'x');
  body[10] = '\xff';
  const v1::Attempt attempt = JudgeOne(Respond(200, body), "body", "", "is", "\"y\"");
  const std::string& actual = attempt.assertions(0).actual();
  EXPECT_LE(actual.size(), DefaultEngineLimits().assertion_text_bytes);
  EXPECT_THAT(actual, HasSubstr("\\xff"));
  EXPECT_TRUE(IsValidUtf8(actual));
}

TEST(TextTest, AnAssertionSaysWhatWasExpectedAndWhatWas) {
  v1::Assertion told = JudgeOne(Rich(), "json", "$.id", "is", "8").assertions(0);
  EXPECT_EQ(told.subject(), "json $.id");
  EXPECT_EQ(told.operator_(), "is");
  EXPECT_EQ(told.expected(), "8");
  EXPECT_EQ(told.actual(), "7");
  told = JudgeOne(Rich(), "time", "total", "below", "500").assertions(0);
  EXPECT_EQ(told.subject(), "time total");
  EXPECT_EQ(told.expected(), "500us");
  EXPECT_EQ(told.actual(), "1.16ms");
  told = JudgeOne(Rich(), "header", "x-none", "is", "\"1\"").assertions(0);
  EXPECT_EQ(told.actual(), "absent");
  told = JudgeOne(Rich(), "cookie", "sid", "is", "\"x\"").assertions(0);
  EXPECT_EQ(told.actual(), "***");
}

TEST(OperatorsTest, AllOperatorsOfAnExpectationMustHold) {
  Bench bench([](const TransferRequest&) { return Respond(204); });
  const v1::Attempt attempt = bench.Run(
      "steps { expect { subject: status operations { operator: at_least operand_json: '200' }"
      " operations { operator: below operand_json: '204' } } }");
  EXPECT_EQ(attempt.outcome(), v1::Outcome::FAILED);
  EXPECT_EQ(attempt.assertions_passed(), 1u);
  EXPECT_EQ(attempt.assertions_failed(), 1u);
}

}  // namespace
}  // namespace picket
