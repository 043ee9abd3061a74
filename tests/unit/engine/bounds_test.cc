// Each bound of what one attempt may use and of what is told of it, reached. Bounds of transfers,
// bodies, DNS and TLS are reached where those are tested; docs/TESTING.md has the table.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "agent/engine/limits.h"
#include "agent/engine/xpath.h"
#include "common/base/files.h"
#include "common/policy/limits.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/engine/test_builder.h"

namespace picket {
namespace {

using ::picket::testing_support::StatusIs;
using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;

const EngineLimits& kLimits = DefaultEngineLimits();
constexpr char kFails[] =
    "expect { subject: status operations { operator: is operand_json: '1' } }";

std::string X(size_t size) { return std::string(size, 'x'); }

v1::Attempt Attempted(const std::string& text, TransferResult answer = Respond(200)) {
  Bench bench(Always(std::move(answer)));
  return bench.Run(text);
}

void ExpectRefused(const v1::Attempt& attempt, absl::string_view what) {
  EXPECT_EQ(attempt.outcome(), v1::Outcome::FAILED);
  EXPECT_EQ(attempt.reason(), v1::FailureReason::request_invalid);
  EXPECT_THAT(attempt.message(), HasSubstr(std::string(what)));
}

TEST(RequestBoundsTest, AUrlAHeaderAndABodyEndSomewhere) {
  const std::string url = absl::StrCat("http://h/", X(kLimits.url_bytes - 9));
  EXPECT_EQ(Attempted(absl::StrCat("steps { http { url: '", url, "' } }")).outcome(),
            v1::Outcome::PASSED);
  ExpectRefused(Attempted(absl::StrCat("steps { http { url: '", url, "x' } }")),
                "url is longer than");

  const std::string value = X(kLimits.header_value_bytes);
  const auto header = [](const std::string& v) {
    return absl::StrCat("steps { http { headers { name: 'a' value: '", v, "' } } }");
  };
  EXPECT_EQ(Attempted(header(value)).outcome(), v1::Outcome::PASSED);
  ExpectRefused(Attempted(header(value + "x")), "longer than");
}

TEST(RequestBoundsTest, ABodyOfManyFilesIsRefused) {
  const size_t size = kLimits.request_body_bytes / 4;
  FileContents files{{std::string(32, 'd'), std::make_shared<const std::string>(X(size))}};
  std::string parts;
  for (int i = 0; i < 4; ++i) absl::StrAppend(&parts, "parts { name: 'f' file: 'f' } ");
  Bench bench(Always(Respond(200)));
  ExpectRefused(bench.Run(absl::StrCat("files { path: 'f' sha256: '", std::string(32, 'd'),
                                       "' } steps { http { method: 'POST' body { multipart { ",
                                       parts, " } } } }"),
                          files),
                "body is larger than");
}

TEST(XPathBoundsTest, ExpressionsAndNodeSetsEndSomewhere) {
  EXPECT_OK(XPath::Compile("/" + X(kLimits.xpath_bytes - 1)));
  EXPECT_THAT(XPath::Compile("/" + X(kLimits.xpath_bytes)),
              StatusIs(absl::StatusCode::kInvalidArgument));
  std::string page = "<ul>";
  for (size_t i = 0; i <= kLimits.xpath_nodes; ++i) page += "<li>";
  ASSERT_OK_AND_ASSIGN(const auto document, XPathDocument::Parse(page, "text/html"));
  ASSERT_OK_AND_ASSIGN(const auto xpath, XPath::Compile("//li"));
  EXPECT_THAT(xpath->Evaluate(*document), StatusIs(absl::StatusCode::kResourceExhausted));
}

TEST(ToldBoundsTest, MessagesWarningsAndUrls) {
  const v1::Attempt broken = Attempted(
      "steps { }", Break(v1::FailureReason::connect_refused, X(2 * kLimits.message_bytes)));
  EXPECT_EQ(broken.message().size(), kLimits.message_bytes);
  EXPECT_THAT(broken.message(), EndsWith("..."));

  TransferResult answer = Respond(200);
  for (size_t i = 0; i < 2 * kLimits.warnings; ++i) {
    answer.warnings.push_back(absl::StrCat("address_unreachable ", i));
  }
  const v1::Attempt warned =
      Attempted(absl::StrCat("steps { http { url: 'http://h/", X(2 * kLimits.url_text_bytes),
                             "' } ", kFails, " }"),
                answer);
  EXPECT_EQ(static_cast<size_t>(warned.warnings_size()), kLimits.warnings);
  EXPECT_EQ(warned.steps(0).hops(0).url().size(), kLimits.url_text_bytes);
}

TEST(ToldBoundsTest, EvidenceIsCutPartByPart) {
  TransferResult answer = Respond(200, X(2 * kLimits.body_excerpt_bytes));
  for (int i = 0; i < 100; ++i) answer.headers.emplace_back(absl::StrCat("h", i), X(200));
  answer.request_head =
      absl::StrCat("GET / HTTP/1.1\r\na: ", X(2 * kLimits.request_text_bytes), "\r\n\r\n");
  answer.certificates.resize(2 * kLimits.evidence_certificates);
  std::string vars, url = "http://h/";
  for (size_t i = 0; i < 2 * kLimits.evidence_variables; ++i) {
    absl::StrAppend(&vars, "vars { name: 'v", i, "' json: '\"",
                    i == 0 ? X(2 * kLimits.variable_text_bytes) : "v", "\"' } ");
    absl::StrAppend(&url, "{{ v", i, " }}");
  }
  const v1::Evidence evidence =
      Attempted(
          absl::StrCat(vars, "steps { http { url: '", url, "' headers { name: 'long' value: '",
                       X(2 * kLimits.curl_line_bytes), "' } } ", kFails, " }"),
          answer)
          .evidence();
  EXPECT_EQ(evidence.body_excerpt().size(), kLimits.body_excerpt_bytes);
  EXPECT_TRUE(evidence.body_truncated());
  EXPECT_LE(evidence.request().size(), kLimits.request_text_bytes);
  EXPECT_GT(evidence.request().size(), kLimits.request_text_bytes - 10);
  EXPECT_LE(evidence.response().size(), kLimits.response_text_bytes);
  EXPECT_GT(evidence.response().size(), kLimits.response_text_bytes - 10);
  EXPECT_EQ(static_cast<size_t>(evidence.certificates_size()), kLimits.evidence_certificates);
  ASSERT_EQ(static_cast<size_t>(evidence.variables_size()), kLimits.evidence_variables);
  EXPECT_EQ(evidence.variables(0).value().size(), kLimits.variable_text_bytes);
  EXPECT_LE(evidence.curl().size(), kLimits.curl_line_bytes);
  EXPECT_THAT(evidence.curl(), EndsWith("..."));
}

TEST(ToldBoundsTest, ALargeBodyIsLeftOutOfTheCurlLine) {
  const auto line = [](size_t size) {
    return Attempted(absl::StrCat("steps { http { method: 'POST' body { text: '", X(size), "' } } ",
                                  kFails, " }"))
        .evidence()
        .curl();
  };
  EXPECT_THAT(line(kLimits.curl_body_bytes), HasSubstr("--data-raw"));
  EXPECT_THAT(line(kLimits.curl_body_bytes + 1),
              AllOf(HasSubstr("@BODY"), Not(HasSubstr("--data-raw"))));
}

TEST(ToldBoundsTest, StepsHopsAndAssertionsOfAFailureEndSomewhere) {
  std::string steps, expect;
  for (size_t i = 0; i <= kLimits.steps_told; ++i) {
    absl::StrAppend(&steps, "steps { name: 's", i, "' http { url: 'http://h/",
                    X(kLimits.url_text_bytes), "' } } ");
  }
  const v1::Attempt attempt = Attempted(absl::StrCat(steps, "steps { name: 'last' ", kFails, " }"));
  EXPECT_EQ(static_cast<size_t>(attempt.steps_size()), kLimits.steps_told);
  size_t hops = 0, bytes = 0;
  for (const v1::StepResult& step : attempt.steps()) {
    for (const v1::Hop& hop : step.hops()) bytes += hop.ByteSizeLong();
    hops += static_cast<size_t>(step.hops_size());
  }
  EXPECT_LT(hops, kLimits.steps_told);
  EXPECT_LE(bytes, kLimits.hops_bytes + 1000);

  for (int i = 0; i < 1000; ++i) {
    absl::StrAppend(&expect, "expect { subject: body operations { operator: is operand_json: '\"",
                    X(200), "\"' } } ");
  }
  const v1::Attempt asserted = Attempted(absl::StrCat("steps { ", expect, " }"));
  EXPECT_EQ(asserted.assertions_failed(), 1000u);
  bytes = 0;
  for (const v1::Assertion& assertion : asserted.assertions()) bytes += assertion.ByteSizeLong();
  EXPECT_GT(bytes, kLimits.assertions_bytes / 2);
  EXPECT_LE(bytes, kLimits.assertions_bytes);
  EXPECT_LE(asserted.ByteSizeLong(), DefaultLimits().result_bytes);
}

TEST(SecretBoundsTest, ASecretFileThatIsTooLargeHoldsNone) {
  std::string directory = ::testing::TempDir() + "/picket-bounds-XXXXXX";
  ASSERT_NE(mkdtemp(directory.data()), nullptr);
  ASSERT_OK(WriteFileAtomically(directory + "/FITS", X(kLimits.secret_bytes)));
  ASSERT_OK(WriteFileAtomically(directory + "/LARGE", X(kLimits.secret_bytes + 1)));
  const auto secrets = MakeSecretSource(directory, {});
  EXPECT_TRUE(secrets->Value("FITS").has_value());
  EXPECT_FALSE(secrets->Value("LARGE").has_value());
}

TEST(BodyBoundsTest, ABodyLimitPastTheMostIsRefused) {
  const uint64_t most = DefaultLimits().body_limit_most;
  const auto compile = [](uint64_t limit) {
    return CompileTest(MakeTest(absl::StrCat("steps { http { body_limit_bytes: ", limit, " } }")),
                       {})
        .status();
  };
  EXPECT_OK(compile(most));
  EXPECT_THAT(compile(most + 1), StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST(TimeBoundsTest, ATimeoutPastTheLongestIsRefused) {
  const auto compile = [](absl::Duration timeout) {
    return CompileTest(MakeTest(absl::StrCat("timeout { seconds: ", absl::ToInt64Seconds(timeout),
                                             " } steps { }")),
                       {})
        .status();
  };
  EXPECT_OK(compile(DefaultLimits().timeout_longest));
  EXPECT_THAT(compile(DefaultLimits().timeout_longest + absl::Seconds(1)),
              StatusIs(absl::StatusCode::kInvalidArgument));
}

}  // namespace
}  // namespace picket
