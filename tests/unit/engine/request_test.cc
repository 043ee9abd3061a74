// What is asked, what stays behind on the way, and what is told of it.

#include "agent/engine/render_request.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "agent/engine/limits.h"
#include "agent/engine/worker_pool.h"
#include "common/policy/limits.h"
#include "tests/unit/engine/test_builder.h"

namespace picket {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

// --- requests -----------------------------------------------------------------------

TEST(RequestTest, TemplatesAreEncodedWhereTheyStand) {
  Bench bench(Always(Respond(200)));
  bench.Run(R"(
    vars { name: "base" json: "\"http://shop.example:81/v1\"" }
    vars { name: "q" json: "\"a b/&\"" }
    vars { name: "list" json: "[1,2]" }
    steps { http {
      method: "POST" url: "{{ base }}/find/{{ q }}?z={{ q | raw }}"
      query { name: "q" value: "{{ q }}" }
      headers { name: "X-Q" value: "v {{ q }}" }
      body { json: "{\"list\":\"{{ list }}\",\"text\":\"<{{ q }}>\"}" }
      cookies { name: "c" value: "{{ q }}" } } })");
  ASSERT_EQ(bench.loop.sent.size(), 1u);
  const TransferRequest& sent = bench.loop.sent[0];
  EXPECT_EQ(sent.method, "POST");
  EXPECT_EQ(sent.url, "http://shop.example:81/v1/find/a%20b%2F%26?z=a%20b/&&q=a%20b%2F%26");
  EXPECT_EQ(HeaderOf(sent, "x-q"), "v a b/&");
  EXPECT_EQ(HeaderOf(sent, "cookie"), "c=a b/&");
  EXPECT_EQ(HeaderOf(sent, "content-type"), "application/json");
  EXPECT_EQ(sent.body, R"({"list":[1,2],"text":"<a b/&>"})");
  EXPECT_EQ(sent.timeout, absl::Seconds(10));
}

TEST(RequestTest, EachKindOfBodyHasItsType) {
  Bench bench(Always(Respond(200)));
  const std::string sha(32, 'h');
  const FileContents files = {{sha, std::make_shared<const std::string>("FILE")}};
  v1::Test test = MakeTest(R"(
    steps { http { body { text: "hi" } } }
    steps { http { body { form { fields { name: "a b" value: "1&2" } } } } }
    steps { http { body { base64: "aGVs bG8=" } } }
    steps { http { body { file: "f.bin" } headers { name: "content-type" value: "image/png" } } }
    steps { http { body { multipart { parts { name: "n" text: "T" } parts { name: "f" file: "f.bin" } } } } }
    files { path: "f.bin" })");
  test.mutable_files(0)->set_sha256(sha);
  bench.Start(test, files);
  bench.loop.Run();
  ASSERT_EQ(bench.loop.sent.size(), 5u);
  const auto& sent = bench.loop.sent;
  EXPECT_EQ(sent[0].body, "hi");
  EXPECT_THAT(HeaderOf(sent[0], "content-type"), StartsWith("text/plain"));
  EXPECT_EQ(sent[1].body, "a%20b=1%262");
  EXPECT_EQ(HeaderOf(sent[1], "content-type"), "application/x-www-form-urlencoded");
  EXPECT_EQ(sent[2].body, "hello");
  EXPECT_EQ(sent[3].body, "FILE");
  EXPECT_EQ(HeaderOf(sent[3], "content-type"), "image/png");
  EXPECT_THAT(HeaderOf(sent[4], "content-type"), StartsWith("multipart/form-data; boundary="));
  EXPECT_THAT(*sent[4].body, HasSubstr("filename=\"f.bin\""));
  EXPECT_TRUE(sent[0].more_follow);
  EXPECT_FALSE(sent[4].more_follow);
}

TEST(RequestTest, CredentialsOfEachKind) {
  Bench bench(Always(Respond(200)));
  bench.Run(R"(
    steps { http { auth { basic { username: "u" password: "p" } } } }
    steps { http { auth { bearer: "tok" } } }
    steps { http { auth { digest { username: "u" password: "p" } } } }
    steps { http { auth { aws_sigv4 { access_key_id: "AK" secret_access_key: "SK" region: "r" service: "s" } } } }
    steps { http { url: "http://me:pw%21@shop.example/" } })");
  const auto& sent = bench.loop.sent;
  ASSERT_EQ(sent.size(), 5u);
  EXPECT_EQ(HeaderOf(sent[0], "authorization"), "Basic dTpw");
  EXPECT_EQ(HeaderOf(sent[1], "authorization"), "Bearer tok");
  EXPECT_EQ(sent[2].digest, (std::pair<std::string, std::string>("u", "p")));
  EXPECT_THAT(HeaderOf(sent[3], "authorization"), StartsWith("AWS4-HMAC-SHA256 Credential=AK/"));
  EXPECT_EQ(HeaderOf(sent[4], "authorization"), "Basic bWU6cHch");
  EXPECT_EQ(sent[4].url, "http://shop.example/");
}

TEST(RequestTest, ALineEndInAHeaderIsRefusedBeforeAnythingIsSent) {
  Bench bench(Always(Respond(200)));
  const v1::Attempt attempt = bench.Run(R"(
    vars { name: "x" json: "\"a\\r\\nHost: evil\"" }
    steps { http { headers { name: "X" value: "{{ x }}" } } })");
  EXPECT_EQ(attempt.outcome(), v1::Outcome::FAILED);
  EXPECT_EQ(attempt.reason(), v1::FailureReason::request_invalid);
  EXPECT_TRUE(bench.loop.sent.empty());
}

TEST(RequestTest, TheRowStandsOverVarsAndExtractsOverBoth) {
  Bench bench([](const TransferRequest& request) { return Respond(200, R"({"who":"extract"})"); });
  bench.columns = {"who", "n"};
  bench.row.emplace();
  bench.row->add_cells("\"row\"");
  bench.row->add_cells("5");
  bench.Run(R"(
    vars { name: "who" json: "\"vars\"" }
    vars { name: "path" json: "\"/{{ who }}/{{ n }}\"" }
    steps { http { url: "http://h{{ path | raw }}" } extract { name: "who" json: "$.who" } }
    steps { http { url: "http://h/{{ who }}" } })");
  ASSERT_EQ(bench.loop.sent.size(), 2u);
  EXPECT_EQ(bench.loop.sent[0].url, "http://h/row/5");
  EXPECT_EQ(bench.loop.sent[1].url, "http://h/extract");
}

TEST(RequestTest, VarsAreEvaluatedOnceAndBuiltInsAtEachUse) {
  Bench bench(Always(Respond(200)));
  bench.Run(R"(
    vars { name: "id" json: "\"{{ uuid }}\"" }
    steps { http { url: "http://h/{{ id }}/{{ id }}/{{ uuid }}" } })");
  const std::vector<std::string> parts = absl::StrSplit(bench.loop.sent[0].url, '/');
  ASSERT_EQ(parts.size(), 6u);
  EXPECT_EQ(parts[3], parts[4]);
  EXPECT_NE(parts[3], parts[5]);
  // The same seed and number give the same values.
  Bench again(Always(Respond(200)));
  again.Run(R"(
    vars { name: "id" json: "\"{{ uuid }}\"" }
    steps { http { url: "http://h/{{ id }}/{{ id }}/{{ uuid }}" } })");
  EXPECT_EQ(again.loop.sent[0].url, bench.loop.sent[0].url);
}

TEST(RequestTest, ThatMightHaveABodySaysThatItHasNone) {
  Bench bench([](const TransferRequest&) { return Respond(200, ""); });
  bench.Run(R"(
    steps { http { method: "POST" url: "http://a/" } }
    steps { http { method: "PUT" url: "http://a/" } }
    steps { http { method: "PATCH" url: "http://a/" headers { name: "transfer-encoding" value: "chunked" } } }
    steps { http { method: "POST" url: "http://a/" headers { name: "content-length" value: "5" } } }
    steps { http { method: "POST" url: "http://a/" body { text: "" } } }
    steps { http { method: "DELETE" url: "http://a/" } }
    steps { http { method: "GET" url: "http://a/" } })");
  const auto& sent = bench.loop.sent;
  ASSERT_EQ(sent.size(), 7u);
  EXPECT_EQ(HeaderOf(sent[0], "content-length"), "0");
  EXPECT_EQ(HeaderOf(sent[1], "content-length"), "0");
  EXPECT_EQ(HeaderOf(sent[2], "content-length"), "(none)");
  EXPECT_EQ(HeaderOf(sent[3], "content-length"), "5");
  for (size_t i = 4; i < 7; ++i) EXPECT_EQ(HeaderOf(sent[i], "content-length"), "(none)") << i;
}

// --- redirects and cookies ----------------------------------------------------------

FakeLoop::Script RedirectTo(const std::string& location, int status = 302) {
  return [location, status](const TransferRequest& request) {
    if (absl::EndsWith(request.url, "/start")) {
      return Respond(status, "", {{"Location", location}, {"Set-Cookie", "hop=1; Path=/"}});
    }
    return Respond(200, "there");
  };
}

TEST(RedirectsTest, AreFollowedHopByHopAndSummed) {
  Bench bench(RedirectTo("/end"));
  const v1::Attempt attempt = bench.Run(
      "steps { http { url: 'http://a/start' } "
      "expect { subject: redirects operations { operator: is operand_json: '1' } } "
      "expect { subject: time argument: 'total' operations { operator: at_least operand_json: "
      "'2320' } } "
      "expect { subject: cookie argument: 'hop' operations { operator: is operand_json: '\"1\"' } "
      "} }");
  EXPECT_EQ(attempt.outcome(), v1::Outcome::PASSED) << attempt.ShortDebugString();
  ASSERT_EQ(bench.loop.sent.size(), 2u);
  EXPECT_EQ(bench.loop.sent[1].url, "http://a/end");
  EXPECT_EQ(HeaderOf(bench.loop.sent[1], "cookie"), "hop=1");
  EXPECT_EQ(attempt.measurement().http().redirects(), 1u);
  ASSERT_EQ(attempt.steps_size(), 1);
  ASSERT_EQ(attempt.steps(0).hops_size(), 2);
  EXPECT_EQ(attempt.steps(0).hops(0).status(), 302u);
  EXPECT_EQ(attempt.steps(0).hops(1).url(), "http://a/end");
}

TEST(RedirectsTest, CredentialsAndSecretsStayWithTheirOrigin) {
  Bench bench(RedirectTo("http://evil.example/x"));
  bench.Secrets({{"TOKEN", "s3cr3t-value"}});
  bench.Run(R"(secrets { name: "TOKEN" agent_provided: true }
    steps { http { url: "http://a/start" auth { bearer: "b" }
      headers { name: "X-Key" value: "k {{ TOKEN }}" }
      headers { name: "X-Plain" value: "p" }
      headers { name: "Cookie" value: "own=1" }
      cookies { name: "c" value: "1" } } })");
  ASSERT_EQ(bench.loop.sent.size(), 2u);
  EXPECT_EQ(HeaderOf(bench.loop.sent[0], "x-key"), "k s3cr3t-value");
  EXPECT_EQ(HeaderOf(bench.loop.sent[0], "cookie"), "own=1; c=1");
  const TransferRequest& elsewhere = bench.loop.sent[1];
  EXPECT_EQ(HeaderOf(elsewhere, "authorization"), "(none)");
  EXPECT_EQ(HeaderOf(elsewhere, "x-key"), "(none)");
  EXPECT_EQ(HeaderOf(elsewhere, "cookie"), "(none)");
  EXPECT_EQ(HeaderOf(elsewhere, "x-plain"), "p");
}

TEST(RedirectsTest, ASecretBodyIsNotReplayedElsewhere) {
  Bench bench(RedirectTo("http://evil.example/x", 307));
  bench.Secrets({{"TOKEN", "s3cr3t-value"}});
  const v1::Attempt attempt = bench.Run(R"(secrets { name: "TOKEN" agent_provided: true }
    steps { http { method: "POST" url: "http://a/start" body { json: "{\"t\":\"{{ TOKEN }}\"}" } } })");
  EXPECT_EQ(attempt.reason(), v1::FailureReason::redirect_would_leak);
  EXPECT_EQ(bench.loop.sent.size(), 1u);
}

TEST(RedirectsTest, ALoopEndsAtTheLimit) {
  Bench bench(RedirectTo("/start"));
  const v1::Attempt attempt =
      bench.Run("steps { http { url: 'http://a/start' max_redirects: 3 } }");
  EXPECT_EQ(attempt.reason(), v1::FailureReason::too_many_redirects);
  EXPECT_EQ(bench.loop.sent.size(), 4u);
}

TEST(RedirectsTest, TwoPlacesAtOnceAreNotFollowed) {
  const auto to = [](const std::string& first, const std::string& second) {
    return [first, second](const TransferRequest& request) {
      if (!absl::EndsWith(request.url, "/start")) return Respond(200, "there");
      return Respond(302, "", {{"Location", first}, {"location", second}});
    };
  };
  Bench bench(to("/one", "/two"));
  const v1::Attempt attempt = bench.Run("steps { http { url: 'http://a/start' } }");
  EXPECT_EQ(attempt.reason(), v1::FailureReason::redirect_invalid);
  EXPECT_EQ(attempt.message(), "a answered 302 with two Locations: /one and /two");
  EXPECT_EQ(bench.loop.sent.size(), 1u);
  Bench same(to("/end", "/end"));
  EXPECT_EQ(same.Run("steps { http { url: 'http://a/start' } }").reason(), v1::FailureReason::none);
}

TEST(RedirectsTest, AreLeftAloneWhenNotWanted) {
  Bench bench(RedirectTo("/end"));
  v1::Test test = MakeTest(
      "steps { http { url: 'http://a/start' } "
      "expect { subject: status operations { operator: is operand_json: '302' } } }");
  test.mutable_steps(0)->mutable_http()->set_follow_redirects(false);
  bench.Start(test);
  bench.loop.Run();
  EXPECT_EQ(bench.ended->outcome(), v1::Outcome::PASSED);
}

// --- secrets ------------------------------------------------------------------------

TEST(SecretUseTest, AnAbsentSecretIsInconclusiveAndNothingIsSent) {
  Bench bench(Always(Respond(200)));
  const v1::Attempt attempt = bench.Run(R"(secrets { name: "TOKEN" agent_provided: true }
    steps { http { auth { bearer: "{{ TOKEN }}" } } })");
  EXPECT_EQ(attempt.outcome(), v1::Outcome::INCONCLUSIVE);
  EXPECT_EQ(attempt.reason(), v1::FailureReason::secret_missing);
  EXPECT_THAT(attempt.message(), HasSubstr("PICKET_SECRET_TOKEN"));
  EXPECT_TRUE(bench.loop.sent.empty());
}

TEST(SecretUseTest, ASecretThatNoTemplateNamesIsNotNeeded) {
  Bench bench(Always(Respond(200)));
  EXPECT_EQ(bench.Run("secrets { name: 'TOKEN' agent_provided: true } steps { }").outcome(),
            v1::Outcome::PASSED);
}

class OneHost : public SecretSource {
 public:
  std::optional<std::string> Lookup(absl::string_view, absl::string_view host) override {
    if (host != "good.example") return std::nullopt;
    return "s3cr3t-value";
  }
  std::optional<std::string> Value(absl::string_view) override { return "s3cr3t-value"; }
};

TEST(SecretUseTest, ABoundSecretIsNotSentElsewhereEvenThroughAVariable) {
  OneHost secrets;
  for (const char* host : {"good.example", "bad.example"}) {
    Bench bench(Always(Respond(200)));
    bench.services.secrets = &secrets;
    const v1::Attempt attempt = bench.Run(absl::StrCat(
        R"(secrets { name: "TOKEN" agent_provided: true }
           vars { name: "auth" json: "\"key {{ TOKEN }}\"" }
           steps { http { url: "http://)",
        host, R"(/" headers { name: "X" value: "{{ auth }}" } } })"));
    EXPECT_EQ(bench.loop.sent.size(), host == std::string("good.example") ? 1u : 0u);
    EXPECT_EQ(attempt.reason(), host == std::string("good.example")
                                    ? v1::FailureReason::none
                                    : v1::FailureReason::secret_missing);
  }
}

TEST(SecretUseTest, NoFormOfASecretLeavesTheEngine) {
  const std::string secret = "S3cr3t \"x\"/+value";
  TransferResult echo =
      Respond(500, absl::StrCat("you sent ", secret, " and ", absl::Base64Escape("user:" + secret)),
              {{"X-Echo", secret}, {"Set-Cookie", "sid=" + secret}});
  echo.request_head = absl::StrCat(
      "POST /p?k=S3cr3t%20%22x%22%2F%2Bvalue HTTP/1.1\r\nAuthorization: "
      "Basic abc\r\nX-Key: key ",
      secret, "\r\nHost: a\r\n\r\n");
  Bench bench(Always(echo));
  bench.Secrets({{"TOKEN", secret}});
  const v1::Attempt attempt =
      bench.Run(absl::StrCat(R"(secrets { name: "TOKEN" agent_provided: true }
    vars { name: "derived" json: "\"<{{ TOKEN }}>\"" }
    steps { http { method: "POST" url: "http://a/p" query { name: "k" value: "{{ TOKEN }}" }
      auth { basic { username: "user" password: "{{ TOKEN }}" } }
      headers { name: "X-Key" value: "key {{ TOKEN }}" }
      body { json: "{\"t\":\"{{ derived }}\"}" } }
      expect { subject: body operations { operator: is operand_json: "\"{{ TOKEN }}\"" } }
      expect { subject: header argument: "x-echo" operations { operator: is operand_json: "\"no\"" } })",
                             kIs200, " }"));
  EXPECT_EQ(attempt.outcome(), v1::Outcome::FAILED);
  const std::string told = attempt.SerializeAsString();
  EXPECT_THAT(told, Not(HasSubstr(secret)));
  EXPECT_THAT(told, Not(HasSubstr("S3cr3t")));
  EXPECT_THAT(told, Not(HasSubstr("UzNjcjN0")));  // base64 of its beginning
  EXPECT_THAT(attempt.evidence().request(), HasSubstr("Authorization: ***"));
  EXPECT_THAT(attempt.evidence().request(), HasSubstr("X-Key: ***"));
  EXPECT_THAT(attempt.evidence().request(), HasSubstr("/p?k=***"));
  EXPECT_THAT(attempt.evidence().response(), HasSubstr("Set-Cookie: ***"));
  EXPECT_THAT(attempt.evidence().curl(), HasSubstr("/p?k=***"));
  EXPECT_THAT(attempt.evidence().body_excerpt(), StartsWith("you sent *** and "));
}

// --- evidence -----------------------------------------------------------------------

TEST(EvidenceTest, ShowsRequestResponseAndALineThatRepeatsIt) {
  TransferResult result = Respond(500, "oops", {{"Server", "x"}});
  result.request_head = "PUT /a HTTP/1.1\r\nHost: shop.example\r\nX: it's\r\n\r\n";
  result.address = "10.1.2.3";
  Bench bench(Always(result));
  const v1::Attempt attempt = bench.Run(absl::StrCat(
      R"(vars { name: "who" json: "\"me\"" }
         steps { http { method: "PUT" url: "https://shop.example/a?w={{ who }}" http_version: HTTP_1_1
         headers { name: "X" value: "it's" } body { text: "b" } } )",
      kIs200, " }"));
  const v1::Evidence& evidence = attempt.evidence();
  EXPECT_EQ(evidence.request(), "PUT /a HTTP/1.1\nHost: shop.example\nX: it's\n");
  EXPECT_EQ(evidence.response(), "HTTP/1.1 500 Whatever\nServer: x\n");
  EXPECT_EQ(evidence.body_excerpt(), "oops");
  EXPECT_FALSE(evidence.body_truncated());
  EXPECT_EQ(evidence.curl(),
            "curl -sS -i -X 'PUT' --http1.1 --resolve 'shop.example:443:10.1.2.3' -H 'X: it'\\''s' "
            "-H 'Content-Type: text/plain; charset=utf-8' -H 'Accept: */*' -H 'User-Agent: "
            "picket/0.1.0' --data-raw 'b' 'https://shop.example/a?w=me'");
  ASSERT_EQ(evidence.variables_size(), 1);
  EXPECT_EQ(evidence.variables(0).name(), "who");
  EXPECT_EQ(evidence.variables(0).value(), "me");
}

// The line printed for one step of protobuf text, which answers 500.
std::string CurlOf(absl::string_view step, TransferResult result = Respond(500, "oops")) {
  Bench bench(Always(std::move(result)));
  return bench.Run(absl::StrCat("steps { http { ", step, " } ", kIs200, " }")).evidence().curl();
}

TEST(CurlLineTest, SendsTheUrlAsItIs) {
  // Brackets would be a range to curl, and dots would be taken out of the path.
  EXPECT_THAT(CurlOf(R"(url: "http://a/p?ids[0]=1")"), HasSubstr(" -g "));
  EXPECT_THAT(CurlOf(R"(url: "http://a/b/../c")"), HasSubstr(" --path-as-is "));
  EXPECT_THAT(CurlOf(R"(url: "http://a/p?q=1")"), Not(HasSubstr(" -g ")));
}

TEST(CurlLineTest, SpeaksHttp2AtOnceWithoutTls) {
  EXPECT_THAT(CurlOf(R"(url: "http://a/" http_version: HTTP_2)"),
              HasSubstr(" --http2-prior-knowledge "));
  EXPECT_THAT(CurlOf(R"(url: "https://a/" http_version: HTTP_2)"), HasSubstr(" --http2 "));
}

TEST(CurlLineTest, KeepsTheFieldsOfASignedRequestThatCurlDoesNotMake) {
  const std::string line = CurlOf(
      R"(url: "https://a/" headers { name: "X-Amz-Target" value: "DynamoDB.ListTables" }
         auth { aws_sigv4 { access_key_id: "AK" secret_access_key: "SK" session_token: "ST"
                            region: "eu" service: "dynamodb" } })");
  EXPECT_THAT(line, HasSubstr("-H 'X-Amz-Target: DynamoDB.ListTables'"));
  EXPECT_THAT(line, HasSubstr("-H 'X-Amz-Security-Token: ***'"));
  EXPECT_THAT(line, Not(HasSubstr("-H 'X-Amz-Date")));
  EXPECT_THAT(line, Not(HasSubstr("-H 'Authorization")));
}

TEST(CurlLineTest, AsksForTheNameThatTheTestAsksFor) {
  TransferResult result = Respond(500, "oops");
  result.address = "10.1.2.3";
  const std::string line =
      CurlOf(R"(url: "https://shop.example:8443/p" tls { server_name: "other.example" })", result);
  EXPECT_THAT(line, HasSubstr(" --resolve 'other.example:8443:10.1.2.3' "));
  EXPECT_THAT(line, HasSubstr(" -H 'Host: shop.example:8443' "));
  EXPECT_THAT(line, testing::EndsWith(" 'https://other.example:8443/p'"));
}

TEST(CurlLineTest, LowersWhatOpenSslAllowsForOldTls) {
  EXPECT_THAT(CurlOf(R"(url: "https://a/" tls { min_version: "1.0" })"),
              HasSubstr(" --tlsv1.0 --ciphers 'DEFAULT:@SECLEVEL=0' "));
}

TEST(CurlLineTest, TellsNoPasswordOfAProxy) {
  const std::string line = CurlOf(R"(url: "http://a/" proxy: "http://user:pa55@10.0.0.1:80")");
  EXPECT_THAT(line, HasSubstr(" -x 'http://***@10.0.0.1:80' "));
}

TEST(CurlLineTest, ControlsBeyondAsciiReachTheServer) {
  EXPECT_THAT(CurlOf("url: \"http://a/\" body { text: \"p\\302\\205q\" }"),
              HasSubstr(R"( --data-raw $'p\xc2\x85q' )"));
}

TEST(EvidenceTest, IsBoundedWhateverTheServerSends) {
  TransferResult result = Respond(500, std::string(1 << 20, '\xff'));
  for (int i = 0; i < 500; ++i) result.headers.emplace_back("X", std::string(4000, 'h'));
  for (int c = 0; c < 10; ++c) {
    v1::Certificate certificate;
    for (int i = 0; i < 1000; ++i) certificate.add_subject_alternative_names(std::string(250, 'n'));
    result.certificates.push_back(certificate);
  }
  Bench bench(Always(result));
  const v1::Attempt attempt = bench.Run(absl::StrCat("steps { ", kIs200, " }"));
  EXPECT_LE(attempt.evidence().ByteSizeLong(), DefaultLimits().evidence_bytes);
  EXPECT_TRUE(attempt.evidence().body_truncated());
  EXPECT_THAT(attempt.evidence().body_excerpt(), StartsWith("\\xff\\xff"));
  EXPECT_LE(attempt.ByteSizeLong(), DefaultLimits().result_bytes);
}

}  // namespace
}  // namespace picket
