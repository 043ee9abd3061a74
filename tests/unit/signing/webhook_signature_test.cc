#include "common/signing/webhook_signature.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "tests/support/status_matchers.h"

namespace picket {
namespace {

using ::picket::testing_support::StatusIs;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;

// 24 bytes: 0, 1, ... 23; and the same after 100.
constexpr char kFirst[] = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX";
constexpr char kSecond[] = "whsec_ZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXp7";

// Computed apart, with the hmac module of Python.
constexpr char kFirstSignature[] = "v1,JUGWl3XD2c87cb7/dIcIsHYN2vhevNvu/gMblxiF1RQ=";
constexpr char kSecondSignature[] = "v1,AjWhRt933hMU61SsAGo6cv58MWbjv2zuBM3odJ3Dp5g=";

TEST(WebhookSignatureTest, AgreesWithAnotherImplementation) {
  ASSERT_OK_AND_ASSIGN(const WebhookSecret secret, WebhookSecret::Parse(kFirst));
  EXPECT_EQ(secret.Sign("sealed_abc", 1700000000, "{\"type\":\"run.sealed\"}"), kFirstSignature);
}

TEST(WebhookSignatureTest, EverySecretSignsWhileOneIsRotatedOut) {
  ASSERT_OK_AND_ASSIGN(const auto secrets, ParseWebhookSecrets(absl::StrCat(
                                               "# new\n", kFirst, "\r\n\n  ", kSecond, "  \n")));
  EXPECT_THAT(secrets, SizeIs(2));
  EXPECT_EQ(SignWebhook(secrets, "sealed_abc", 1700000000, "{\"type\":\"run.sealed\"}"),
            absl::StrCat(kFirstSignature, " ", kSecondSignature));
}

TEST(WebhookSignatureTest, ChangingAnythingChangesTheSignature) {
  ASSERT_OK_AND_ASSIGN(const WebhookSecret secret, WebhookSecret::Parse(kFirst));
  const std::string signature = secret.Sign("a", 1, "b");
  EXPECT_NE(secret.Sign("c", 1, "b"), signature);
  EXPECT_NE(secret.Sign("a", 2, "b"), signature);
  EXPECT_NE(secret.Sign("a", 1, "c"), signature);
  EXPECT_NE(secret.Sign("a", 1, ""), signature);
}

TEST(WebhookSignatureTest, WhatIsNoSecretIsRefusedByLineAndNeverRepeated) {
  const auto refused = [](const std::string& text, const std::string& why) {
    EXPECT_THAT(ParseWebhookSecrets(text), StatusIs(absl::StatusCode::kInvalidArgument,
                                                    AllOf(HasSubstr(why), Not(HasSubstr("hunter2")))))
        << text;
  };
  refused("", "there is no secret");
  refused("# only a comment\n\n", "there is no secret");
  refused(absl::StrCat(kFirst, "\nhunter2"), "line 2: a webhook secret is whsec_");
  refused("whsec_hunter2!", "line 1: what follows whsec_ is not base64");
  refused("whsec_aHVudGVyMg==", "24 to 64 bytes, not 7");
  refused(absl::StrCat("whsec_", std::string(88, 'A')), "24 to 64 bytes, not 66");
  std::string six;
  for (int i = 0; i < 6; ++i) absl::StrAppend(&six, kFirst, "\n");
  refused(six, "line 6: more than 5 secrets");
}

}  // namespace
}  // namespace picket
