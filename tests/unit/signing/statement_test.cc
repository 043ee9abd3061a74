#include "common/signing/statement.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "common/expr/json.h"
#include "common/signing/base64.h"
#include "common/signing/dsse.h"
#include "tests/support/status_matchers.h"

namespace picket {
namespace {

using ::testing::HasSubstr;
using testing_support::StatusIs;

const std::string kHex(64, 'a');

TestResultStatement Statement(v1::Verdict::Value verdict) {
  TestResultStatement s;
  s.subjects = {{.name = "registry.example/shop", .algorithm = "sha256", .digest = kHex}};
  s.verdict = verdict;
  s.run_id = "abcdefghijklmnop";
  s.suite = "checkout";
  s.explanation = "1 of 2 blocking checks failed";
  s.seal_time = "2026-01-02T03:04:05Z";
  s.ledger.set_planned(2);
  s.ledger.set_passed(1);
  s.ledger.set_failed(1);
  s.configuration = {{.name = "checkout", .uri = "urn:picket:run:abcdefghijklmnop"}};
  s.passed = {"checkout/a"};
  s.failed = {"checkout/b \"quoted\""};
  return s;
}

TEST(DsseTest, ThePreAuthEncodingIsThatOfTheProtocol) {
  EXPECT_EQ(PreAuthEncoding("http://example.com/HelloWorld", "hello world"),
            "DSSEv1 29 http://example.com/HelloWorld 11 hello world");
  EXPECT_EQ(PreAuthEncoding("", ""), "DSSEv1 0  0 ");
}

TEST(DsseTest, AnEnvelopeComesBackAsItWasAndVerifies) {
  const PrivateKey key = PrivateKey::Generate();
  const Envelope signed_one = SignEnvelope("t", std::string("a\0b\xff", 4), key);
  ASSERT_OK_AND_ASSIGN(const Envelope read, ParseEnvelope(EnvelopeToJson(signed_one)));
  EXPECT_EQ(read.payload_type, "t");
  EXPECT_EQ(read.payload, std::string("a\0b\xff", 4));
  ASSERT_EQ(read.signatures.size(), 1u);
  EXPECT_EQ(read.signatures[0].key_id, key.public_key().id());
  EXPECT_TRUE(VerifyEnvelope(read, key.public_key()));
}

TEST(DsseTest, NeitherPayloadNorTypeNorKeyMayDiffer) {
  const PrivateKey key = PrivateKey::Generate();
  const Envelope good = SignEnvelope("t", "payload", key);
  Envelope bent = good;
  bent.payload = "Payload";
  EXPECT_FALSE(VerifyEnvelope(bent, key.public_key()));
  bent = good;
  bent.payload_type = "T";
  EXPECT_FALSE(VerifyEnvelope(bent, key.public_key()));
  bent = good;
  bent.signatures.clear();
  EXPECT_FALSE(VerifyEnvelope(bent, key.public_key()));
  const PrivateKey other = PrivateKey::Generate();
  EXPECT_FALSE(VerifyEnvelope(good, other.public_key()));
  // The key id is a hint: one that lies changes nothing.
  bent = good;
  bent.signatures[0].key_id = other.public_key().id();
  EXPECT_FALSE(VerifyEnvelope(bent, other.public_key()));
  EXPECT_TRUE(VerifyEnvelope(bent, key.public_key()));
}

TEST(DsseTest, OneGoodSignatureOfSeveralIsEnough) {
  const PrivateKey key = PrivateKey::Generate();
  Envelope envelope = SignEnvelope("t", "payload", PrivateKey::Generate());
  envelope.signatures.push_back(SignEnvelope("t", "payload", key).signatures[0]);
  EXPECT_TRUE(VerifyEnvelope(envelope, key.public_key()));
}

TEST(DsseTest, MalformedEnvelopesAreRefused) {
  const std::string good = EnvelopeToJson(SignEnvelope("t", "payload", PrivateKey::Generate()));
  ASSERT_OK(ParseEnvelope(good));
  for (const std::string& bad : std::vector<std::string>{
           "", "{}", "[]", "null", good.substr(0, good.size() - 5),
           absl::StrReplaceAll(good, {{"payloadType", "payloadtype"}}),
           absl::StrReplaceAll(good, {{"cGF5bG9hZA==", "cGF5bG9hZA=!"}}),
           absl::StrReplaceAll(good, {{"\"cGF5bG9hZA==\"", "7"}}),
           absl::StrReplaceAll(good, {{"signatures", "signature"}}),
           R"({"payloadType":"t","payload":"","signatures":[]})",
           R"({"payloadType":"t","payload":"","signatures":[{}]})",
           R"({"payloadType":"t","payload":"","signatures":["x"]})",
           R"({"payloadType":"t","payload":"","signatures":[{"sig":"","keyid":1}]})"}) {
    EXPECT_THAT(ParseEnvelope(bad), StatusIs(absl::StatusCode::kInvalidArgument)) << bad;
  }
}

TEST(StatementTest, IsTheInTotoStatementOfATestResult) {
  ASSERT_OK_AND_ASSIGN(const Json json, ParseJson(StatementToJson(Statement(v1::Verdict::FAILED))));
  EXPECT_EQ(json["_type"], "https://in-toto.io/Statement/v1");
  EXPECT_EQ(json["predicateType"], "https://in-toto.io/attestation/test-result/v0.1");
  EXPECT_EQ(json["subject"][0]["name"], "registry.example/shop");
  EXPECT_EQ(json["subject"][0]["digest"]["sha256"], kHex);
  const Json& predicate = json["predicate"];
  EXPECT_EQ(predicate["result"], "FAILED");
  EXPECT_EQ(predicate["configuration"][0]["name"], "checkout");
  EXPECT_EQ(predicate["passedTests"], Json::array({"checkout/a"}));
  EXPECT_EQ(predicate["warnedTests"], Json::array());
  EXPECT_EQ(predicate["failedTests"], Json::array({"checkout/b \"quoted\""}));
  EXPECT_EQ(predicate["picketVerdict"], "FAILED");
  EXPECT_EQ(predicate["picketRun"]["ledger"]["planned"], 2);
  EXPECT_EQ(predicate["picketRun"]["testsListed"], true);
}

TEST(StatementTest, InconclusiveIsFailedToWhoDoesNotKnowUs) {
  const std::string text = StatementToJson(Statement(v1::Verdict::INCONCLUSIVE));
  ASSERT_OK_AND_ASSIGN(const Json json, ParseJson(text));
  EXPECT_EQ(json["predicate"]["result"], "FAILED");
  EXPECT_EQ(json["predicate"]["picketVerdict"], "INCONCLUSIVE");
  ASSERT_OK_AND_ASSIGN(const TestResultStatement read, ParseStatement(text));
  EXPECT_EQ(read.verdict, v1::Verdict::INCONCLUSIVE);
}

TEST(StatementTest, ComesBackAsItWas) {
  for (const auto verdict : {v1::Verdict::PASSED, v1::Verdict::FAILED, v1::Verdict::INCONCLUSIVE}) {
    const TestResultStatement written = Statement(verdict);
    ASSERT_OK_AND_ASSIGN(const TestResultStatement read, ParseStatement(StatementToJson(written)));
    EXPECT_EQ(read.verdict, verdict);
    EXPECT_EQ(read.subjects, written.subjects);
    EXPECT_EQ(read.run_id, written.run_id);
    EXPECT_EQ(read.suite, written.suite);
    EXPECT_EQ(read.explanation, written.explanation);
    EXPECT_EQ(read.seal_time, written.seal_time);
  }
}

TEST(StatementTest, AResultThatContradictsTheVerdictIsRefused) {
  const std::string good = StatementToJson(Statement(v1::Verdict::INCONCLUSIVE));
  ASSERT_OK(ParseStatement(good));
  for (const auto& [from, to] : std::vector<std::pair<const char*, const char*>>{
           {"\"result\":\"FAILED\"", "\"result\":\"PASSED\""},
           {"\"result\":\"FAILED\"", "\"result\":\"GREEN\""},
           {"\"result\":\"FAILED\"", "\"result\":true"},
           {"\"INCONCLUSIVE\"", "\"PASSED\""},
           {"\"INCONCLUSIVE\"", "\"VERDICT_UNSPECIFIED\""},
           {"\"INCONCLUSIVE\"", "3"},
           {"test-result/v0.1", "test-result/v0.2"},
           {"Statement/v1", "Statement/v0.1"},
           {"\"sha256\":\"", "\"sha256\":null,\"x\":\""}}) {
    const std::string bad = absl::StrReplaceAll(good, {{from, to}});
    ASSERT_NE(bad, good) << from;
    EXPECT_THAT(ParseStatement(bad), StatusIs(absl::StatusCode::kInvalidArgument)) << to;
  }
}

TEST(StatementTest, StatementsOfOthersAreReadByTheirResult) {
  const auto theirs = [](const char* result) {
    return absl::StrCat(R"({"_type":"https://in-toto.io/Statement/v1","subject":[{"digest":)",
                        R"({"gitCommit":")", std::string(40, 'B'), R"("}}],"predicateType":)",
                        R"("https://in-toto.io/attestation/test-result/v0.1","predicate":)",
                        R"({"result":")", result, R"(","configuration":[]}})");
  };
  ASSERT_OK_AND_ASSIGN(const TestResultStatement warned, ParseStatement(theirs("WARNED")));
  EXPECT_EQ(warned.verdict, v1::Verdict::PASSED);
  EXPECT_EQ(warned.subjects[0].digest, std::string(40, 'b'));
  ASSERT_OK_AND_ASSIGN(const TestResultStatement failed, ParseStatement(theirs("FAILED")));
  EXPECT_EQ(failed.verdict, v1::Verdict::FAILED);
}

TEST(SubjectTest, ReadsDigestsWithAndWithoutAName) {
  ASSERT_OK_AND_ASSIGN(const Subject plain, ParseSubject(absl::StrCat("sha256:", kHex)));
  EXPECT_EQ(plain, (Subject{"", "sha256", kHex}));
  const std::string image = absl::StrCat("registry.example:5000/a@b/shop@sha256:", kHex);
  ASSERT_OK_AND_ASSIGN(const Subject named, ParseSubject(image));
  EXPECT_EQ(named.name, "registry.example:5000/a@b/shop");
  EXPECT_EQ(SubjectText(named), image);
  ASSERT_OK_AND_ASSIGN(const Subject commit,
                       ParseSubject(absl::StrCat("gitCommit:", std::string(40, 'F'))));
  EXPECT_EQ(commit.digest, std::string(40, 'f'));
}

TEST(SubjectTest, RefusesWhatIsNoDigest) {
  for (const std::string& bad : std::vector<std::string>{
           "", "sha256", kHex, "sha256:", "sha256:" + kHex.substr(1), "sha256:" + kHex + "0",
           "md5:" + std::string(32, 'a'), "SHA256:" + kHex, "sha256:" + std::string(64, 'g'),
           "@sha256:" + kHex, "shop:latest", "gitCommit:" + std::string(41, 'a')}) {
    EXPECT_THAT(ParseSubject(bad), StatusIs(absl::StatusCode::kInvalidArgument)) << bad;
  }
}

}  // namespace
}  // namespace picket
