#include "common/policy/syntax.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/escaping.h"
#include "common/base/ids.h"
#include "common/policy/sha256.h"
#include "tests/support/status_matchers.h"

namespace picket {
namespace {

using ::picket::testing_support::StatusIs;

TEST(SyntaxTest, Locations) {
  for (const char* good : {"default", "eu-west", "aws:us-east-1", "private:office", "0a._:-"}) {
    EXPECT_TRUE(IsLocation(good)) << good;
  }
  for (const char* bad : {"", "EU", "-a", "a b", "a/b", "é"}) EXPECT_FALSE(IsLocation(bad)) << bad;
  EXPECT_TRUE(IsLocation(std::string(63, 'a')));
  EXPECT_FALSE(IsLocation(std::string(64, 'a')));
}

TEST(SyntaxTest, SlugOfANameIsAnId) {
  EXPECT_EQ(Slug("Home page answers!"), "home-page-answers");
  EXPECT_EQ(Slug("  -- A  "), "a");
  EXPECT_EQ(Slug("\xe6\xb5\x8b"), "");
  EXPECT_TRUE(IsTestId(Slug(std::string(300, 'x') + " y")));
}

TEST(SyntaxTest, UrlsAndProxies) {
  for (const char* good : {"http://a", "https://a:1/x?y#z", "HTTP://a/", "{{ base }}/x",
                           "https://{{ host }}:{{ port }}/", "http://[::1]:80/"}) {
    EXPECT_OK(CheckUrl(good));
  }
  for (const char* bad : {"", "a", "//a", "http:/a", "http://a b/", "http://a:0/", "http://a:x/"}) {
    EXPECT_THAT(CheckUrl(bad), StatusIs(absl::StatusCode::kInvalidArgument)) << bad;
  }
  for (const char* good : {"none", "env", "http://p:3128", "socks5h://[::1]:1080"}) {
    EXPECT_OK(CheckProxy(good));
  }
  for (const char* bad :
       {"", "p:3128", "https://p:1", "socks5://p:1", "http://u:p@p:1", "http://p:1/x"}) {
    EXPECT_THAT(CheckProxy(bad), StatusIs(absl::StatusCode::kInvalidArgument)) << bad;
  }
}

TEST(Sha256Test, KnownAnswers) {  // FIPS 180-4 examples
  EXPECT_EQ(absl::BytesToHexString(Sha256Digest("")),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(absl::BytesToHexString(Sha256Digest("abc")),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(absl::BytesToHexString(
                Sha256Digest("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq")),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(absl::BytesToHexString(Sha256Digest(std::string(1'000'000, 'a'))),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

}  // namespace
}  // namespace picket
