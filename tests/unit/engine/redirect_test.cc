#include "agent/engine/redirect.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace picket {
namespace {

using ::testing::HasSubstr;

RedirectQuestion Ask(int status, const char* from, const char* location, const char* method) {
  RedirectQuestion question;
  question.status = status;
  question.location = location;
  question.from = *ParseUrl(from);
  question.method = method;
  question.most = 10;
  return question;
}

TEST(RedirectTest, MethodsChangeAsRfc9110Says) {
  struct Case {
    int status;
    const char* method;
    const char* then;
    bool body_stays;
  };
  for (const Case& c : {Case{301, "POST", "GET", false}, Case{302, "POST", "GET", false},
                        Case{303, "POST", "GET", false}, Case{303, "PUT", "GET", false},
                        Case{301, "PUT", "PUT", true}, Case{307, "POST", "POST", true},
                        Case{308, "POST", "POST", true}}) {
    RedirectQuestion question = Ask(c.status, "http://a/", "/b", c.method);
    question.has_body = true;
    const RedirectAnswer answer = AnswerRedirect(question);
    EXPECT_EQ(answer.reason, v1::FailureReason::none);
    EXPECT_EQ(answer.method, c.then) << c.status << " " << c.method;
    EXPECT_EQ(answer.keep_body, c.body_stays) << c.status << " " << c.method;
  }
  EXPECT_EQ(AnswerRedirect(Ask(303, "http://a/", "/b", "HEAD")).method, "HEAD");
}

TEST(RedirectTest, AnotherSchemeHostOrPortIsAnotherOrigin) {
  EXPECT_FALSE(AnswerRedirect(Ask(302, "http://a/x", "/y", "GET")).new_origin);
  EXPECT_TRUE(AnswerRedirect(Ask(302, "http://a/x", "https://a/x", "GET")).new_origin);
  EXPECT_TRUE(AnswerRedirect(Ask(302, "http://a/x", "http://a:81/x", "GET")).new_origin);
  EXPECT_TRUE(AnswerRedirect(Ask(302, "http://a/x", "http://b/x", "GET")).new_origin);
}

TEST(RedirectTest, ABodyWithASecretIsNeverReplayedElsewhere) {
  RedirectQuestion question = Ask(307, "http://a/", "http://b/", "POST");
  question.has_body = true;
  question.body_uses_secret = true;
  const RedirectAnswer answer = AnswerRedirect(question);
  EXPECT_EQ(answer.reason, v1::FailureReason::redirect_would_leak);
  EXPECT_THAT(answer.message, HasSubstr("http://b"));
  question.location = "/same";
  EXPECT_EQ(AnswerRedirect(question).reason, v1::FailureReason::none);
  question.location = "http://b/";
  question.status = 302;  // becomes a GET without a body
  EXPECT_EQ(AnswerRedirect(question).reason, v1::FailureReason::none);
}

TEST(RedirectTest, RefusesWhatCannotBeFollowed) {
  EXPECT_EQ(AnswerRedirect(Ask(302, "http://a/", "", "GET")).reason,
            v1::FailureReason::redirect_invalid);
  EXPECT_EQ(AnswerRedirect(Ask(302, "http://a/", "file:///etc/passwd", "GET")).reason,
            v1::FailureReason::redirect_invalid);
  RedirectQuestion down = Ask(302, "https://a/", "http://a/", "GET");
  EXPECT_EQ(AnswerRedirect(down).reason, v1::FailureReason::redirect_invalid);
  down.allow_insecure = true;
  EXPECT_EQ(AnswerRedirect(down).reason, v1::FailureReason::none);
}

TEST(RedirectTest, StopsAtTheLimit) {
  RedirectQuestion question = Ask(302, "http://a/", "/b", "GET");
  question.most = 2;
  question.followed = 1;
  EXPECT_EQ(AnswerRedirect(question).reason, v1::FailureReason::none);
  question.followed = 2;
  EXPECT_EQ(AnswerRedirect(question).reason, v1::FailureReason::too_many_redirects);
}

}  // namespace
}  // namespace picket
