#include "agent/engine/cookies.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "agent/engine/limits.h"

namespace picket {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

const absl::Time kNow = absl::FromUnixSeconds(1'700'000'000);

Url At(const char* text) { return *ParseUrl(text); }

TEST(CookieTest, ReadsNameValueAndAttributes) {
  auto cookie = ParseSetCookie("sid = a=b ; Path=/shop; Max-Age=60; Secure; HttpOnly",
                               At("https://shop.example/shop/cart"), kNow);
  ASSERT_TRUE(cookie.has_value());
  EXPECT_EQ(cookie->name, "sid");
  EXPECT_EQ(cookie->value, "a=b");
  EXPECT_EQ(cookie->path, "/shop");
  EXPECT_EQ(cookie->domain, "shop.example");
  EXPECT_TRUE(cookie->host_only);
  EXPECT_TRUE(cookie->secure);
  EXPECT_EQ(cookie->expires, kNow + absl::Seconds(60));
}

TEST(CookieTest, ThePathIsTheDirectoryOfTheRequestByDefault) {
  EXPECT_EQ(ParseSetCookie("a=1", At("http://h/x/y/z"), kNow)->path, "/x/y");
  EXPECT_EQ(ParseSetCookie("a=1", At("http://h/x"), kNow)->path, "/");
  EXPECT_EQ(ParseSetCookie("a=1; path=relative", At("http://h/x/y"), kNow)->path, "/x");
}

TEST(CookieTest, ControlCharactersAreNotTaken) {
  for (const char c : {'\0', '\r', '\n', '\x01', '\x7f'}) {
    EXPECT_FALSE(ParseSetCookie(absl::StrCat("a=1", std::string(1, c)), At("http://h/"), kNow));
    EXPECT_FALSE(ParseSetCookie(absl::StrCat("a", std::string(1, c), "b=1"), At("http://h/"), kNow));
  }
  EXPECT_TRUE(ParseSetCookie("a=1\t2", At("http://h/"), kNow).has_value());
}

TEST(CookieTest, MaxAgeStandsOverExpires) {
  auto cookie = ParseSetCookie("a=1; Max-Age=5; Expires=Thu, 01 Jan 1970 00:00:00 GMT",
                               At("http://h/"), kNow);
  EXPECT_EQ(cookie->expires, kNow + absl::Seconds(5));
}

TEST(CookieTest, IgnoresWhatIsNoCookieOrNotTheHosts) {
  EXPECT_FALSE(ParseSetCookie("novalue", At("http://h/"), kNow).has_value());
  EXPECT_FALSE(ParseSetCookie("=x", At("http://h/"), kNow).has_value());
  EXPECT_FALSE(ParseSetCookie("a=1; Domain=other.example", At("http://h.example/"), kNow));
  EXPECT_FALSE(ParseSetCookie("a=1; Domain=example", At("http://h.example/"), kNow));
  EXPECT_FALSE(ParseSetCookie("a=1; Domain=0.0.1", At("http://127.0.0.1/"), kNow));
  EXPECT_FALSE(ParseSetCookie("a=1; Secure", At("http://h/"), kNow).has_value());
  const std::string large =
      absl::StrCat("a=", std::string(DefaultEngineLimits().cookie_bytes, 'x'));
  EXPECT_FALSE(ParseSetCookie(large, At("http://h/"), kNow).has_value());
}

TEST(CookieDateTest, ReadsTheFormsThatServersSend) {
  const absl::Time expected =
      absl::FromCivil(absl::CivilSecond(1994, 11, 6, 8, 49, 37), absl::UTCTimeZone());
  for (const char* text : {"Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT",
                           "Sun Nov  6 08:49:37 1994", "6 nov 1994 8:49:37"}) {
    EXPECT_EQ(ParseCookieDate(text), expected) << text;
  }
  for (const char* text : {"", "06 Nov 1994", "32 Nov 1994 08:49:37", "31 Feb 1994 08:49:37",
                           "06 Nov 1500 08:49:37", "06 Nov 1994 25:49:37"}) {
    EXPECT_FALSE(ParseCookieDate(text).has_value()) << text;
  }
}

TEST(CookieMatchTest, DomainsMatchAtDots) {
  EXPECT_TRUE(DomainMatches("a.b.c", "b.c"));
  EXPECT_TRUE(DomainMatches("b.c", "b.c"));
  EXPECT_FALSE(DomainMatches("ab.c", "b.c"));
  EXPECT_FALSE(DomainMatches("127.0.0.1", "0.0.1"));
  EXPECT_TRUE(PathMatches("/a/b", "/a"));
  EXPECT_TRUE(PathMatches("/a/b", "/a/"));
  EXPECT_FALSE(PathMatches("/ab", "/a"));
}

TEST(CookieJarTest, SendsOnlyWhereACookieBelongs) {
  CookieJar jar;
  const Url from = At("https://www.shop.example/a/b");
  for (const char* field : {"host=1; Path=/", "wide=2; Domain=shop.example; Path=/",
                            "deep=3; Path=/a", "safe=4; Secure; Path=/"}) {
    jar.Store(*ParseSetCookie(field, from, kNow), kNow);
  }
  EXPECT_THAT(
      jar.For(At("https://www.shop.example/a/x"), kNow),
      ElementsAre(Pair("deep", "3"), Pair("host", "1"), Pair("wide", "2"), Pair("safe", "4")));
  EXPECT_THAT(jar.For(At("http://www.shop.example/"), kNow),
              ElementsAre(Pair("host", "1"), Pair("wide", "2")));
  EXPECT_THAT(jar.For(At("https://other.shop.example/"), kNow), ElementsAre(Pair("wide", "2")));
  EXPECT_THAT(jar.For(At("https://example/"), kNow), IsEmpty());
}

TEST(CookieJarTest, ReplacesAndExpires) {
  CookieJar jar;
  const Url url = At("http://h/");
  jar.Store(*ParseSetCookie("a=1; Max-Age=10", url, kNow), kNow);
  jar.Store(*ParseSetCookie("a=2; Max-Age=10", url, kNow), kNow);
  EXPECT_THAT(jar.For(url, kNow), ElementsAre(Pair("a", "2")));
  EXPECT_THAT(jar.For(url, kNow + absl::Seconds(11)), IsEmpty());
  jar.Store(*ParseSetCookie("a=; Max-Age=0", url, kNow), kNow);
  EXPECT_THAT(jar.For(url, kNow), IsEmpty());
}

TEST(CookieJarTest, TheOldestGoesWhenTheJarIsFull) {
  CookieJar jar;
  const Url url = At("http://h/");
  for (size_t i = 0; i <= DefaultEngineLimits().cookies_per_jar; ++i) {
    jar.Store(*ParseSetCookie(absl::StrCat("c", i, "=x"), url, kNow), kNow);
  }
  EXPECT_EQ(jar.size(), DefaultEngineLimits().cookies_per_jar);
  EXPECT_EQ(jar.For(url, kNow).front().first, "c1");
}

}  // namespace
}  // namespace picket
