#include "coordinator/notify/webhook_targets.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "common/base/files.h"
#include "coordinator/notify/post_client.h"
#include "tests/support/status_matchers.h"

namespace picket {
namespace {

using ::picket::testing_support::StatusIs;
using ::testing::HasSubstr;
using ::testing::SizeIs;

class WebhookTargetsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = ::testing::TempDir() + "/webhook-XXXXXX";
    close(mkstemp(name.data()));
    file_ = name;
    ASSERT_OK(WriteFileAtomically(file_, "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX\n", 0600));
  }
  void TearDown() override { unlink(file_.c_str()); }

  void Refused(std::vector<std::string> urls, std::vector<std::string> files,
               const std::string& why) {
    EXPECT_THAT(ReadWebhookTargets(urls, files),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr(why)));
  }

  std::string file_;
};

TEST_F(WebhookTargetsTest, NamesBringUrlAndSecretsTogether) {
  ASSERT_OK_AND_ASSIGN(
      const auto targets,
      ReadWebhookTargets({"deploys=https://ci.example.com/hook?a=b", "chat=http://10.0.0.1:9/"},
                         {absl::StrCat("chat=", file_), absl::StrCat("deploys=", file_)}));
  ASSERT_THAT(targets, SizeIs(2));
  EXPECT_EQ(targets[1].name, "deploys");
  EXPECT_EQ(targets[1].url, "https://ci.example.com/hook?a=b");
  EXPECT_EQ(targets[1].secret_file, file_);
  ASSERT_OK_AND_ASSIGN(const auto none, ReadWebhookTargets({}, {}));
  EXPECT_THAT(none, SizeIs(0));
}

TEST_F(WebhookTargetsTest, WhatDoesNotGoTogetherIsRefusedByName) {
  const std::string secret = absl::StrCat("a=", file_);
  Refused({"http://x/"}, {}, "--webhook-url takes NAME=URL");
  Refused({"Deploys=http://x/"}, {}, "not 'Deploys'");
  Refused({"a="}, {}, "--webhook-url takes NAME=URL");
  Refused({"a=http://x/", "a=http://y/"}, {secret}, "names 'a' twice");
  Refused({"a=http://x/"}, {}, "the webhook 'a' has no secret to sign with");
  Refused({"a=http://x/"}, {secret, absl::StrCat("b=", file_)}, "--webhook-secret-file names 'b'");
  Refused({"a=http://x/"}, {"a=/nowhere/secret"}, "/nowhere/secret");
  ASSERT_OK(WriteFileAtomically(file_, "password\n", 0600));
  Refused({"a=http://x/"}, {secret}, "line 1: a webhook secret is whsec_");
  std::vector<std::string> many;
  for (int i = 0; i < 17; ++i) many.push_back(absl::StrCat("t", i, "=http://x/"));
  Refused(many, {}, "more than 16 targets");
}

TEST_F(WebhookTargetsTest, UrlsAreHttpWithoutCredentials) {
  for (const char* good : {"http://127.0.0.1:8080/a", "https://[::1]/", "https://example.com"}) {
    EXPECT_OK(CheckPostUrl(good)) << good;
  }
  for (const char* bad : {"", "/hook", "example.com/hook", "ftp://x/", "file:///etc/passwd",
                          "http://", "http://u:p@x/", "http://u@x/", "http://x/#a", "http://x/a b",
                          "http://x/\r\nX: y", "gopher://x/"}) {
    EXPECT_FALSE(CheckPostUrl(bad).ok()) << bad;
  }
  EXPECT_FALSE(CheckPostUrl(absl::StrCat("http://x/", std::string(3'000, 'a'))).ok());
}

}  // namespace
}  // namespace picket
