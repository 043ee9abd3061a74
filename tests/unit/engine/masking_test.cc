#include "agent/engine/masking.h"

#include <gtest/gtest.h>

#include <string>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/expr/template.h"

namespace picket {
namespace {

constexpr char kSecret[] = "p@ss \"w/rd\" \xC3\xA9+1";

TEST(MaskerTest, HidesEveryFormOfASecret) {
  Masker masker;
  masker.AddSecret(kSecret);
  EXPECT_EQ(masker.Mask(absl::StrCat("a", kSecret, "b")), "a***b");
  EXPECT_EQ(masker.Mask(PercentEncode(kSecret)), "***");
  EXPECT_EQ(masker.Mask("p%40ss%20%22w%2frd%22%20%c3%a9%2b1"), "***");
  EXPECT_EQ(masker.Mask("p%40ss+%22w%2Frd%22+%C3%A9%2B1"), "***");
  EXPECT_EQ(masker.Mask("{\"k\":\"p@ss \\\"w/rd\\\" \xC3\xA9+1\"}"), "{\"k\":\"***\"}");
  EXPECT_EQ(masker.Mask("p@ss \\\"w\\/rd\\\" \xC3\xA9+1"), "***");
  EXPECT_EQ(masker.Mask("p@ss \\\"w/rd\\\" \\u00e9+1"), "***");
}

// What a server echoes is escaped as its own library sees fit, not as ours would.
TEST(MaskerTest, HidesASecretWhateverItsWriterEscaped) {
  Masker masker;
  masker.AddSecret("Abc/Xyz+Q&<k 9'\"\xC3\xA9");
  const char* const texts[] = {
      "Abc/Xyz+Q\\u0026\\u003ck 9'\\\"\xC3\xA9",  // JSON that is safe within HTML
      "Abc\\u002FXyz\\u002BQ\\u0026\\u003Ck\\u00209\\u0027\\u0022\\u00E9",
      "Abc/Xyz+Q%26%3Ck%209'%22%C3%A9",  // within a path
      "Abc%2FXyz%2bQ%26%3ck+9%27\"\xC3\xA9",
      "Abc/Xyz+Q&amp;&lt;k 9&#39;&quot;\xC3\xA9",
      "Abc&#x2F;Xyz&#x2b;Q&amp;&lt;k 9&#039;&#34;\xC3\xA9",
      "%41bc/Xyz+Q&<k 9'\"\xC3\xA9",
  };
  for (const char* text : texts) {
    EXPECT_EQ(masker.Mask(absl::StrCat("<", text, ">")), "<***>") << text;
  }
  for (const char* other : {"Abc/Xyz+Q&amp;&lt;k 9&#39;", "% %4 \\ \\u \\u00 & &#"}) {
    EXPECT_EQ(masker.Mask(other), other);
  }
}

TEST(MaskerTest, HidesASecretThatLooksEscaped) {
  for (const char* secret : {"a%25b", "\\\\x", "a\\u0026b", "&amp;x", "\\u00e9"}) {
    Masker masker;
    masker.AddSecret(secret);
    EXPECT_EQ(masker.Mask(absl::StrCat("<", secret, ">")), "<***>") << secret;
  }
}

TEST(MaskerTest, HidesASecretWithinBase64AtAnyAlignment) {
  const std::string secret = "correct-horse";
  Masker masker;
  masker.AddSecret(secret);
  for (const char* before : {"", "u", "us", "use", "user:"}) {
    for (const char* after : {"", "!", "!!", "!!!"}) {
      const std::string encoded = absl::Base64Escape(absl::StrCat(before, secret, after));
      const std::string masked = masker.Mask(encoded);
      EXPECT_TRUE(absl::StrContains(masked, kMask)) << encoded;
      // What is left tells no more than the characters around it.
      EXPECT_LE(masked.size(), encoded.size() - 12) << encoded << " " << masked;
    }
  }
}

TEST(MaskerTest, TheLongerOfTwoSecretsIsHiddenWhole) {
  Masker masker;
  masker.AddSecret("abc");
  masker.AddSecret("abcdef");
  EXPECT_EQ(masker.Mask("xabcdefx abcx"), "x***x ***x");
}

TEST(MaskerTest, StopsEarlyButNeverWithinASecret) {
  Masker masker;
  masker.AddSecret("0123456789");
  const std::string text = "ab0123456789cd0123456789";
  EXPECT_EQ(masker.Mask(text, 2), "ab");
  EXPECT_EQ(masker.Mask(text, 4), "ab***");
  for (size_t enough = 0; enough < 30; ++enough) {
    EXPECT_FALSE(absl::StrContains(masker.Mask(text, enough), "01")) << enough;
  }
}

TEST(MaskerTest, WithoutSecretsATextStays) {
  Masker masker;
  masker.AddSecret("");
  EXPECT_TRUE(masker.empty());
  EXPECT_EQ(masker.Mask("anything"), "anything");
}

TEST(CleanTextTest, EscapesControlsAndBytesThatAreNotUtf8) {
  EXPECT_EQ(CleanText("a\x01\x7f\xff\r\n\tb", 100), "a\\x01\\x7f\\xff\\x0d\n\tb");
  EXPECT_EQ(CleanText("\xC3\xA9", 100), "\xC3\xA9");
  EXPECT_EQ(CleanText("\xC2\x9B"
                      "31m",
                      100),
            "\\xc2\\x9b31m");
  EXPECT_EQ(CleanText(absl::string_view("\0x", 2), 100), "\\x00x");
}

TEST(CleanTextTest, CutsBetweenCharactersAndSaysSo) {
  EXPECT_EQ(CleanText("abcdef", 6), "abcdef");
  EXPECT_EQ(CleanText("abcdefg", 6), "abc...");
  EXPECT_EQ(CleanText("ab\xC3\xA9"
                      "defg",
                      6),
            "ab...");
  EXPECT_EQ(CleanText("ab\xC3\xA9"
                      "defg",
                      3, false),
            "ab");
  EXPECT_EQ(CleanText("\xff\xff", 6, false), "\\xff");
}

TEST(SensitiveHeaderTest, CredentialsAndCookiesAreSensitive) {
  for (const char* name : {"Authorization", "COOKIE", "set-cookie", "Proxy-Authorization"}) {
    EXPECT_TRUE(IsSensitiveHeader(name)) << name;
  }
  EXPECT_FALSE(IsSensitiveHeader("content-type"));
}

}  // namespace
}  // namespace picket
