#include "cli/attest.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "common/base/files.h"
#include "common/expr/json.h"
#include "common/signing/dsse.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/cli/judged_run.h"

namespace picket {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing_support::FakeWorld;
using testing_support::JudgedRun;
using testing_support::PassedRun;

const std::string kSubject = "sha256:" + std::string(64, 'a');
const std::string kOther = "sha256:" + std::string(64, 'b');

class AttestTest : public ::testing::Test {
 protected:
  AttestTest() : directory_(::testing::TempDir() + "/picket-attest-XXXXXX") {
    EXPECT_NE(mkdtemp(directory_.data()), nullptr);
    world_.coordinator() = PassedRun();
    EXPECT_EQ(world_.Run({"keygen", "--out", Path("key")}), 0);
  }
  std::string Path(const std::string& name) const { return directory_ + "/" + name; }
  std::string Read(const std::string& name) {
    auto text = ReadFile(Path(name), 1u << 20);
    EXPECT_OK(text);
    return text.ok() ? *text : "";
  }
  void Write(const std::string& name, const std::string& text) {
    EXPECT_OK(WriteFileAtomically(Path(name), text));
  }
  int Attest(const Arguments& more = {}) {
    Arguments args = {"attest", "abcdefghijklmnop", "--subject", kSubject,
                      "--key",  Path("key"),        "--out",     Path("verdict")};
    args.insert(args.end(), more.begin(), more.end());
    return world_.Run(args);
  }
  int Verify(const Arguments& more = {}, const std::string& key = "key.pub") {
    Arguments args = {"verify", Path("verdict"), "--key", Path(key)};
    args.insert(args.end(), more.begin(), more.end());
    return world_.Run(args);
  }
  Json Statement() {
    const auto envelope = ParseEnvelope(Read("verdict"));
    EXPECT_OK(envelope);
    const auto json = ParseJson(envelope->payload);
    EXPECT_OK(json);
    return *json;
  }

  FakeWorld world_;
  std::string directory_;
};

TEST_F(AttestTest, KeygenWritesAPairAndNeverReplacesOne) {
  struct stat info;
  ASSERT_EQ(stat(Path("key").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  const std::string before = Read("key");
  EXPECT_EQ(world_.Run({"keygen", "--out", Path("key")}), 2);
  EXPECT_EQ(Read("key"), before);
  EXPECT_THAT(world_.err(), HasSubstr("exists"));
  EXPECT_EQ(world_.Run({"keygen"}), 2);
  EXPECT_EQ(world_.Run({"keygen", "--out", "/nowhere/key"}), 2);
}

TEST_F(AttestTest, AVerdictIsNotWrittenOverItsKeyOrSuite) {
  const std::string key = Read("key");
  EXPECT_EQ(Attest({"--out", Path("key")}), 2);
  EXPECT_THAT(world_.err(), HasSubstr("is read, too"));
  EXPECT_EQ(Read("key"), key);
  Write("suite", "version: 1\n");
  EXPECT_EQ(Attest({"--suite", Path("suite"), "--out", Path("suite")}), 2);
  EXPECT_EQ(Read("suite"), "version: 1\n");
}

TEST_F(AttestTest, APassedRunIsSignedAndVerifiesOffline) {
  ASSERT_EQ(Attest(), 0);
  const int calls = world_.coordinator().pages;
  world_.coordinator().run.Clear();
  EXPECT_EQ(Verify({"--subject", kSubject, "--require", "PASSED"}), 0);
  EXPECT_EQ(world_.coordinator().pages, calls);
  EXPECT_THAT(world_.out(), HasSubstr("subject  " + kSubject));
  EXPECT_EQ(world_.LastLine(), "verified PASSED");
}

TEST_F(AttestTest, TheStatementTellsTheTestsTheRunAndTheSuiteFiles) {
  Write("suite.yaml", "abc");
  (*world_.coordinator().run.mutable_labels())["ci.job_url"] = "https://ci.example/7";
  ASSERT_EQ(Attest({"--suite", Path("suite.yaml")}), 0);
  const Json predicate = Statement()["predicate"];
  EXPECT_EQ(predicate["result"], "PASSED");
  EXPECT_EQ(predicate["passedTests"], Json::array({"checkout/home", "checkout/buy"}));
  EXPECT_EQ(predicate["warnedTests"], Json::array({"checkout/slow", "checkout/wobbly"}));
  EXPECT_EQ(predicate["failedTests"], Json::array());
  EXPECT_EQ(predicate["url"], "https://ci.example/7");
  EXPECT_EQ(predicate["configuration"][0]["name"], "checkout");
  EXPECT_EQ(predicate["configuration"][1]["name"], "suite.yaml");
  EXPECT_EQ(predicate["configuration"][1]["digest"]["sha256"],
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(predicate["picketRun"]["id"], "abcdefghijklmnop");
  EXPECT_EQ(predicate["picketRun"]["sealTime"], "2023-11-14T22:13:32Z");
}

TEST_F(AttestTest, AFailedRunIsSignedTooAndStopsTheDeployment) {
  world_.coordinator() = JudgedRun();
  ASSERT_EQ(Attest(), 0);
  EXPECT_EQ(Statement()["predicate"]["failedTests"], Json::array({"checkout/home"}));
  EXPECT_EQ(Verify({"--subject", kSubject}), 1);
  EXPECT_THAT(world_.err(), HasSubstr("the verdict is FAILED, not PASSED"));
  EXPECT_EQ(Verify({"--require", "FAILED"}), 0);
  EXPECT_EQ(Verify({"--require", "any"}), 0);
}

TEST_F(AttestTest, InconclusiveIsNeverTakenForPassed) {
  world_.coordinator() = JudgedRun();
  world_.coordinator().run.set_verdict(v1::Verdict::INCONCLUSIVE);
  ASSERT_EQ(Attest(), 0);
  EXPECT_EQ(Statement()["predicate"]["result"], "FAILED");
  EXPECT_EQ(Verify(), 1);
  EXPECT_EQ(Verify({"--require", "FAILED"}), 1);
  EXPECT_EQ(Verify({"--require", "INCONCLUSIVE"}), 0);
}

TEST_F(AttestTest, AnUnsealedRunIsRefused) {
  world_.coordinator().run.set_state(v1::Run::RUNNING);
  EXPECT_EQ(Attest(), 4);
  EXPECT_THAT(world_.err(), HasSubstr("is not sealed"));
  struct stat info;
  EXPECT_NE(stat(Path("verdict").c_str(), &info), 0);
}

TEST_F(AttestTest, TheKeyMayComeFromAVariable) {
  world_.variables()["SIGNING_KEY"] = Read("key");
  EXPECT_EQ(world_.Run({"attest", "abcdefghijklmnop", "--subject", kSubject, "--key",
                        "env:SIGNING_KEY", "--out", Path("verdict")}),
            0);
  EXPECT_EQ(Verify({"--subject", kSubject}), 0);
  EXPECT_EQ(world_.Run({"attest", "abcdefghijklmnop", "--subject", kSubject, "--key", "env:NONE"}),
            2);
}

TEST_F(AttestTest, WithoutOutTheEnvelopeIsPrintedAlone) {
  FakeWorld world;
  world.coordinator() = PassedRun();
  EXPECT_EQ(world.Run({"attest", "abcdefghijklmnop", "--subject", kSubject, "--key", Path("key")}),
            0);
  EXPECT_OK(ParseEnvelope(world.out()));
}

TEST_F(AttestTest, ATamperedEnvelopeIsNotTrusted) {
  world_.coordinator() = JudgedRun();
  ASSERT_EQ(Attest(), 0);
  const std::string good = Read("verdict");
  Envelope envelope = *ParseEnvelope(good);
  envelope.payload = absl::StrReplaceAll(
      envelope.payload, {{"\"result\":\"FAILED\"", "\"result\":\"PASSED\""},
                         {"\"picketVerdict\":\"FAILED\"", "\"picketVerdict\":\"PASSED\""}});
  Write("verdict", EnvelopeToJson(envelope));
  EXPECT_EQ(Verify({"--subject", kSubject}), 4);
  EXPECT_THAT(world_.err(), HasSubstr("changed afterwards"));
  for (const std::string& bad : {std::string(), std::string("{}"), good.substr(0, 100)}) {
    Write("verdict", bad);
    EXPECT_EQ(Verify({"--require", "any"}), 4) << bad;
  }
}

TEST_F(AttestTest, AnotherPayloadTypeOfTheSameKeyIsNotTrusted) {
  const auto key = PrivateKey::FromPem(Read("key"));
  ASSERT_OK(key);
  ASSERT_EQ(Attest(), 0);
  const std::string payload = ParseEnvelope(Read("verdict"))->payload;
  Write("verdict", EnvelopeToJson(SignEnvelope("text/plain", payload, *key)));
  EXPECT_EQ(Verify(), 4);
  Write("verdict", EnvelopeToJson(SignEnvelope(kStatementPayloadType, "{}", *key)));
  EXPECT_EQ(Verify(), 4);
}

TEST_F(AttestTest, AnotherKeyIsNotTrustedUnlessItIsOneOfThoseNamed) {
  ASSERT_EQ(Attest(), 0);
  ASSERT_EQ(world_.Run({"keygen", "--out", Path("other")}), 0);
  EXPECT_EQ(Verify({}, "other.pub"), 4);
  EXPECT_EQ(Verify({"--key", Path("other.pub")}), 0);
  EXPECT_EQ(Verify({}, "key"), 2);  // a private key has no place there
  EXPECT_EQ(world_.Run({"verify", Path("verdict")}), 2);
}

TEST_F(AttestTest, AVerdictOnSomethingElseIsNotTrusted) {
  ASSERT_EQ(Attest({"--subject", "registry.example/shop@" + kOther}), 0);
  EXPECT_EQ(Verify({"--subject", kSubject}), 0);
  EXPECT_EQ(Verify({"--subject", kOther}), 0);
  EXPECT_EQ(Verify({"--subject", kSubject, "--subject", kOther}), 0);
  EXPECT_EQ(Verify({"--subject", "sha256:" + std::string(64, 'c')}), 4);
  EXPECT_EQ(Verify({"--subject", kSubject, "--subject", "gitCommit:" + std::string(40, 'a')}), 4);
  EXPECT_EQ(Verify({"--subject", "latest"}), 2);
}

TEST_F(AttestTest, WrongUsageIsSaidBeforeAnythingIsAsked) {
  const std::string id = "abcdefghijklmnop";
  EXPECT_EQ(world_.Run({"attest", id, "--key", Path("key")}), 2);
  EXPECT_EQ(world_.Run({"attest", id, "--subject", kSubject}), 2);
  EXPECT_EQ(world_.Run({"attest", id, "--subject", kSubject, "--key", Path("key.pub")}), 2);
  EXPECT_EQ(world_.Run({"attest", id, "--subject", kSubject, "--key", Path("none")}), 2);
  EXPECT_EQ(world_.Run({"attest", "run", "--subject", kSubject, "--key", Path("key")}), 2);
  EXPECT_EQ(Attest({"--subject", kSubject}), 2);
  EXPECT_EQ(Attest({"--suite", Path("none.yaml")}), 2);
  EXPECT_EQ(Verify({"--require", "passed"}), 2);
  EXPECT_EQ(world_.coordinator().pages, 0);
}

TEST_F(AttestTest, OpensslAgreesWithTheSignature) {
  ASSERT_EQ(Attest(), 0);
  const auto envelope = ParseEnvelope(Read("verdict"));
  ASSERT_OK(envelope);
  Write("message", PreAuthEncoding(envelope->payload_type, envelope->payload));
  Write("signature", envelope->signatures[0].bytes);
  const std::string command =
      absl::StrCat("openssl pkeyutl -verify -rawin -pubin -inkey ", Path("key.pub"), " -in ",
                   Path("message"), " -sigfile ", Path("signature"), " >", Path("log"), " 2>&1");
  EXPECT_EQ(std::system(command.c_str()), 0) << Read("log");
  Write("message", PreAuthEncoding(envelope->payload_type, envelope->payload + " "));
  EXPECT_NE(std::system(command.c_str()), 0);
}

}  // namespace
}  // namespace picket
