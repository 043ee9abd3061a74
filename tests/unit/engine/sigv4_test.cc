// Known answers: the examples that AWS publishes for Signature Version 4, rebuilt here.

#include "agent/engine/sigv4.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/strings/match.h"

namespace picket {
namespace {

using ::testing::HasSubstr;

const SigV4Credentials kExample = {"AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "",
                                   "us-east-1", "service"};
const absl::Time kDay =
    absl::FromCivil(absl::CivilSecond(2015, 8, 30, 12, 36, 0), absl::UTCTimeZone());

Url Example(std::string path, std::optional<std::string> query = std::nullopt) {
  return Url{"https", std::nullopt,    "example.amazonaws.com",
             443,     std::move(path), std::move(query)};
}

std::string Field(const HeaderList& fields, absl::string_view name) {
  for (const auto& [field, value] : fields) {
    if (absl::EqualsIgnoreCase(field, name)) return value;
  }
  return "";
}

std::string Signature(const HeaderList& fields) {
  const std::string authorization = Field(fields, "authorization");
  return authorization.substr(authorization.rfind('=') + 1);
}

TEST(SigV4Test, SignsThePlainestRequest) {
  const HeaderList fields = SignSigV4(kExample, "GET", Example("/"), {}, "", kDay);
  EXPECT_EQ(Field(fields, "x-amz-date"), "20150830T123600Z");
  EXPECT_EQ(Field(fields, "authorization"),
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
            "SignedHeaders=host;x-amz-date, "
            "Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31");
}

TEST(SigV4Test, SignsAPost) {
  EXPECT_EQ(Signature(SignSigV4(kExample, "POST", Example("/"), {}, "", kDay)),
            "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b");
}

TEST(SigV4Test, SignsAForm) {
  EXPECT_EQ(Signature(SignSigV4(kExample, "POST", Example("/"),
                                {{"Content-Type", "application/x-www-form-urlencoded"}},
                                "Param1=value1", kDay)),
            "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a");
}

TEST(SigV4Test, SortsTheQuery) {
  EXPECT_EQ(Signature(SignSigV4(kExample, "GET", Example("/", "Param2=value2&Param1=value1"), {},
                                "", kDay)),
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500");
}

TEST(SigV4Test, EncodesAndNormalisesThePath) {
  EXPECT_EQ(Signature(SignSigV4(kExample, "GET", Example("/\xE1\x88\xB4"), {}, "", kDay)),
            "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85");
  EXPECT_EQ(Signature(SignSigV4(kExample, "GET", Example("/example space/"), {}, "", kDay)),
            "652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741");
  const std::string plain = Signature(SignSigV4(kExample, "GET", Example("/"), {}, "", kDay));
  for (const char* path : {"/.", "//", "/example/..", "/example1/example2/../.."}) {
    EXPECT_EQ(Signature(SignSigV4(kExample, "GET", Example(path), {}, "", kDay)), plain) << path;
  }
}

TEST(SigV4Test, TrimsHeaderValues) {
  EXPECT_EQ(
      Signature(SignSigV4(kExample, "GET", Example("/"),
                          {{"My-Header1", " value1"}, {"My-Header2", " \"a   b   c\""}}, "", kDay)),
      "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736");
}

TEST(SigV4Test, SignsTheIamExample) {
  SigV4Credentials iam = kExample;
  iam.service = "iam";
  const Url url = *ParseUrl("https://iam.amazonaws.com/?Action=ListUsers&Version=2010-05-08");
  EXPECT_EQ(Signature(SignSigV4(
                iam, "GET", url,
                {{"Content-Type", "application/x-www-form-urlencoded; charset=utf-8"}}, "", kDay)),
            "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7");
}

TEST(SigV4Test, SignsTheS3Example) {
  const SigV4Credentials s3 = {"AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
                               "", "us-east-1", "s3"};
  const absl::Time day = absl::FromCivil(absl::CivilSecond(2013, 5, 24), absl::UTCTimeZone());
  const HeaderList fields =
      SignSigV4(s3, "GET", *ParseUrl("https://examplebucket.s3.amazonaws.com/test.txt"),
                {{"Range", "bytes=0-9"}}, "", day);
  EXPECT_EQ(Signature(fields), "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
  EXPECT_EQ(Field(fields, "x-amz-content-sha256"), Sha256Hex(""));
}

TEST(SigV4Test, ASessionTokenIsSentAndSigned) {
  SigV4Credentials credentials = kExample;
  credentials.session_token = "TOKEN";
  const HeaderList fields = SignSigV4(credentials, "GET", Example("/"), {}, "", kDay);
  EXPECT_EQ(Field(fields, "x-amz-security-token"), "TOKEN");
  EXPECT_THAT(Field(fields, "authorization"),
              HasSubstr("SignedHeaders=host;x-amz-date;x-amz-security-token,"));
}

TEST(SigV4Test, WhatTheTransportChangesIsNotSigned) {
  EXPECT_THAT(
      Field(SignSigV4(kExample, "GET", Example("/"),
                      {{"User-Agent", "x"}, {"Connection", "close"}, {"Accept", "*/*"}}, "", kDay),
            "authorization"),
      HasSubstr("SignedHeaders=accept;host;x-amz-date,"));
}

}  // namespace
}  // namespace picket
