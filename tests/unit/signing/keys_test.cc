#include "common/signing/keys.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "common/base/files.h"
#include "common/signing/base64.h"
#include "tests/support/status_matchers.h"

namespace picket {
namespace {

using ::testing::HasSubstr;
using testing_support::StatusIs;

std::array<unsigned char, 32> SeedOf(absl::string_view hex) {
  const std::string bytes = absl::HexStringToBytes(hex);
  std::array<unsigned char, 32> seed;
  std::copy(bytes.begin(), bytes.end(), seed.begin());
  return seed;
}

PrivateKey Key() {
  return PrivateKey::FromSeed(
      SeedOf("c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7"));
}

TEST(KeysTest, SignsAsRfc8032Section7Says) {
  const std::string message = absl::HexStringToBytes("af82");
  const std::string signature = Key().Sign(message);
  EXPECT_EQ(absl::BytesToHexString(signature),
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
            "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a");
  EXPECT_TRUE(Key().public_key().Verify(message, signature));
}

TEST(KeysTest, AnythingElseDoesNotVerify) {
  const std::string signature = Key().Sign("message");
  const PublicKey key = Key().public_key();
  EXPECT_TRUE(key.Verify("message", signature));
  EXPECT_FALSE(key.Verify("massage", signature));
  EXPECT_FALSE(key.Verify("message", signature.substr(1)));
  EXPECT_FALSE(key.Verify("message", ""));
  EXPECT_FALSE(PrivateKey::Generate().public_key().Verify("message", signature));
  for (size_t i = 0; i < signature.size(); ++i) {
    std::string bent = signature;
    bent[i] = static_cast<char>(bent[i] ^ 1);
    EXPECT_FALSE(key.Verify("message", bent)) << "byte " << i;
  }
}

TEST(KeysTest, GeneratedKeysDiffer) {
  EXPECT_NE(PrivateKey::Generate().ToPem(), PrivateKey::Generate().ToPem());
}

TEST(KeysTest, PemIsThatOfRfc8410) {
  // RFC 8410, section 10.3 and 10.1.
  const char kPrivate[] =
      "-----BEGIN PRIVATE KEY-----\n"
      "MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n"
      "-----END PRIVATE KEY-----\n";
  const char kPublic[] =
      "-----BEGIN PUBLIC KEY-----\n"
      "MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n"
      "-----END PUBLIC KEY-----\n";
  ASSERT_OK_AND_ASSIGN(const PrivateKey key, PrivateKey::FromPem(kPrivate));
  EXPECT_EQ(key.ToPem(), kPrivate);
  EXPECT_EQ(key.public_key().ToPem(), kPublic);
  ASSERT_OK_AND_ASSIGN(const PublicKey read, PublicKey::FromPem(kPublic));
  EXPECT_TRUE(read == key.public_key());
  EXPECT_EQ(read.id().size(), 64u);
}

TEST(KeysTest, PemMayHaveTextAroundItAndOtherLineEnds) {
  const std::string pem = absl::StrCat(
      "key of the release team\r\n", absl::StrReplaceAll(Key().ToPem(), {{"\n", "\r\n"}}), "end\n");
  ASSERT_OK_AND_ASSIGN(const PrivateKey key, PrivateKey::FromPem(pem));
  EXPECT_EQ(key.ToPem(), Key().ToPem());
}

TEST(KeysTest, WhatIsNoKeyIsRefusedByName) {
  const auto no_private = [](const std::string& pem, const char* why) {
    const auto key = PrivateKey::FromPem(pem);
    EXPECT_THAT(key, StatusIs(absl::StatusCode::kInvalidArgument));
    EXPECT_THAT(std::string(key.status().message()), HasSubstr(why));
  };
  no_private("", "no PEM block");
  no_private("hunter2", "no PEM block");
  no_private(Key().public_key().ToPem(), "'PUBLIC KEY'");
  no_private(absl::StrReplaceAll(Key().ToPem(), {{"PRIVATE", "ENCRYPTED PRIVATE"}}),
             "'ENCRYPTED PRIVATE KEY'");
  no_private(Key().ToPem().substr(0, 60), "without its end");
  no_private(absl::StrReplaceAll(Key().ToPem(), {{"MC4C", "M!4C"}}), "not Base64");
  no_private(absl::StrReplaceAll(Key().ToPem(), {{"MC4C", "MC5C"}}), "no Ed25519 key");
  EXPECT_THAT(PublicKey::FromPem(Key().ToPem()), StatusIs(absl::StatusCode::kInvalidArgument));
}

TEST(KeysTest, ErrorsDoNotRepeatThePrivateKey) {
  std::string pem = Key().ToPem();
  const std::string secret = pem.substr(pem.find("MC4C") + 22, 30);
  pem = absl::StrReplaceAll(pem, {{"MC4C", "MC5C"}});
  EXPECT_EQ(PrivateKey::FromPem(pem).status().message().find(secret), std::string::npos);
}

TEST(KeysTest, OpensslReadsTheKeysAndVerifiesTheSignature) {
  std::string directory = ::testing::TempDir() + "/picket-keys-XXXXXX";
  ASSERT_NE(mkdtemp(directory.data()), nullptr);
  const std::string private_path = directory + "/key", public_path = directory + "/key.pub";
  const std::string message_path = directory + "/message", signature_path = directory + "/sig";
  ASSERT_OK(WriteFileAtomically(private_path, Key().ToPem(), 0600));
  ASSERT_OK(WriteFileAtomically(public_path, Key().public_key().ToPem()));
  ASSERT_OK(WriteFileAtomically(message_path, "what is signed\n"));
  ASSERT_OK(WriteFileAtomically(signature_path, Key().Sign("what is signed\n")));
  const auto openssl = [&](const std::string& arguments) {
    return std::system(absl::StrCat("openssl ", arguments, " >", directory, "/out 2>&1").c_str());
  };
  const std::string verify = absl::StrCat("pkeyutl -verify -rawin -pubin -inkey ", public_path,
                                          " -in ", message_path, " -sigfile ", signature_path);
  EXPECT_EQ(openssl(verify), 0);
  ASSERT_OK(WriteFileAtomically(message_path, "what is bent\n"));
  EXPECT_NE(openssl(verify), 0);

  // The other way round: its keys and its signature are ours.
  const std::string theirs = directory + "/theirs", signature = directory + "/theirs.sig";
  ASSERT_EQ(openssl(absl::StrCat("genpkey -algorithm ed25519 -out ", theirs)), 0);
  ASSERT_EQ(openssl(absl::StrCat("pkeyutl -sign -rawin -inkey ", theirs, " -in ", message_path,
                                 " -out ", signature)),
            0);
  ASSERT_OK_AND_ASSIGN(const std::string pem, ReadFile(theirs, kKeyFileBytes));
  ASSERT_OK_AND_ASSIGN(const std::string bytes, ReadFile(signature, kKeyFileBytes));
  ASSERT_OK_AND_ASSIGN(const PrivateKey key, PrivateKey::FromPem(pem));
  EXPECT_EQ(key.ToPem(), pem);
  EXPECT_TRUE(key.public_key().Verify("what is bent\n", bytes));
}

TEST(Base64Test, ReadsBothAlphabetsAndRefusesTheRest) {
  EXPECT_EQ(EncodeBase64("\xfb\xff\xfe!"), "+//+IQ==");
  for (const char* text : {"+//+IQ==", "-__-IQ==", "+//+IQ", "-__-IQ"}) {
    EXPECT_EQ(DecodeBase64(text), "\xfb\xff\xfe!") << text;
  }
  EXPECT_EQ(DecodeBase64(""), "");
  for (const char* text : {"+__+IQ==", "A", "AA=", "AAA\n", "A A=", "=", "AA==AA=="}) {
    EXPECT_EQ(DecodeBase64(text), std::nullopt) << text;
  }
}

}  // namespace
}  // namespace picket
