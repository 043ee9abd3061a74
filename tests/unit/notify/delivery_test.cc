#include "coordinator/notify/delivery.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>

#include "absl/strings/str_cat.h"
#include "tests/support/status_matchers.h"

namespace picket {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::StartsWith;

constexpr char kSecret[] = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX";

// Answers what the test says, when it says so. Waiting moves the clock.
class FakePostClient : public PostClient {
 public:
  explicit FakePostClient(SimulatedClock* clock) : clock_(clock) {}
  uint64_t Start(Request request) override {
    started.push_back(std::move(request));
    return started.size();
  }
  std::vector<Done> Wait(absl::Duration longest) override {
    if (answers.empty()) clock_->Advance(longest);
    return std::exchange(answers, {});
  }
  void Wake() override {}
  void Answer(uint64_t id, int status, std::optional<absl::Duration> retry_after = std::nullopt) {
    answers.push_back({.id = id,
                       .status = status,
                       .error = status == 0 ? "Connection refused" : "",
                       .retry_after = retry_after});
  }

  std::vector<Request> started;
  std::vector<Done> answers;

 private:
  SimulatedClock* clock_;
};

class DeliveryTest : public ::testing::Test {
 protected:
  void SetUp() override { Make({.tries_most = 5}); }

  void Make(WebhookOptions options) {
    options.targets = {{"chat", "http://chat/", ""}, {"deploys", "http://deploys/hook", ""}};
    store_->KeepOutbox({"chat", "deploys"});
    delivery_ = std::make_unique<Delivery>(
        options, store_.get(), &clock_, &metrics_, &client_,
        [this](const WebhookTarget&) { return secrets_; }, Random(1));
  }

  void Seal(const std::string& run_id) {
    AdmitRun admit;
    admit.run.run.set_run_id(run_id);
    admit.run.run.set_project("default");
    admit.run.run.set_suite("shop \"1\"\n");
    admit.run.request_id = run_id;
    ASSERT_OK(store_->Commit({std::move(admit)}));
  }

  // Steps until `count` requests were started, or the clock has moved by `longest`.
  void StepUntilStarted(size_t count, absl::Duration longest = absl::Hours(3)) {
    const absl::Duration end = clock_.Monotonic() + longest;
    while (client_.started.size() < count && clock_.Monotonic() < end) delivery_->Step();
  }
  // Those to the target, by number from 1.
  std::vector<uint64_t> To(const std::string& host) {
    std::vector<uint64_t> ids;
    for (size_t i = 0; i < client_.started.size(); ++i) {
      if (absl::StartsWith(client_.started[i].url, "http://" + host)) ids.push_back(i + 1);
    }
    return ids;
  }
  size_t Pending() {
    size_t rows = 0;
    const auto views = store_->ViewOutbox();
    EXPECT_OK(views);
    for (const auto& view : *views) rows += view.rows;
    return rows;
  }

  SimulatedClock clock_;
  std::unique_ptr<Store> store_ = MakeMemoryStore(&clock_);
  Metrics metrics_{"test", absl::UnixEpoch()};
  FakePostClient client_{&clock_};
  absl::StatusOr<std::vector<WebhookSecret>> secrets_ = ParseWebhookSecrets(kSecret);
  std::unique_ptr<Delivery> delivery_;
};

TEST_F(DeliveryTest, EachTargetIsToldOnceAndTheRowGoes) {
  Seal("run1");
  StepUntilStarted(2);
  ASSERT_THAT(client_.started, SizeIs(2));
  const PostClient::Request& request = client_.started[1];
  EXPECT_EQ(request.url, "http://deploys/hook");
  EXPECT_THAT(request.headers,
              AllOf(Contains("content-type: application/json"), Contains("webhook-id: sealed_run1"),
                    Contains(absl::StrCat("webhook-timestamp: ", 1'700'000'000)),
                    Contains(StartsWith("webhook-signature: v1,"))));
  EXPECT_THAT(request.body,
              AllOf(StartsWith("{\"type\":\"run.sealed\",\"timestamp\":\""),
                    HasSubstr("\"run_id\":\"run1\""), HasSubstr("\"suite\":\"shop \\\"1\\\"\\n\"")));
  EXPECT_EQ(request.timeout, absl::Seconds(10));
  client_.Answer(1, 200);
  client_.Answer(2, 204);
  delivery_->Step();
  delivery_->Step();
  EXPECT_EQ(Pending(), 0u);
  StepUntilStarted(3, absl::Minutes(10));
  EXPECT_THAT(client_.started, SizeIs(2));
  EXPECT_THAT(metrics_.Text(),
              HasSubstr("picket_webhooks_total{outcome=\"delivered\",target=\"deploys\"} 1"));
}

TEST_F(DeliveryTest, AnythingElseIsTriedAgainLaterAndLaterWithOneIdAndANewTimestamp) {
  Seal("run1");
  std::vector<absl::Duration> gaps;
  absl::Duration last = clock_.Monotonic();
  const int answers[] = {500, 302, 0, 404};
  size_t told = 0;
  for (const int answer : answers) {
    StepUntilStarted(client_.started.size() + 1);
    while (To("deploys").size() <= told) delivery_->Step();
    for (const uint64_t id : To("chat")) client_.Answer(id, 200);
    gaps.push_back(clock_.Monotonic() - last);
    last = clock_.Monotonic();
    client_.Answer(To("deploys")[told++], answer);
    delivery_->Step();
  }
  EXPECT_LE(gaps[0], absl::Seconds(1));
  EXPECT_GE(gaps[1], absl::Milliseconds(500));
  EXPECT_LE(gaps[1], absl::Seconds(3));
  EXPECT_GE(gaps[3], absl::Milliseconds(4500));
  EXPECT_LE(gaps[3], absl::Seconds(12));
  const auto ids = To("deploys");
  ASSERT_GE(ids.size(), 4u);
  EXPECT_EQ(client_.started[ids[0] - 1].body, client_.started[ids[3] - 1].body);
  EXPECT_THAT(client_.started[ids[3] - 1].headers, Contains("webhook-id: sealed_run1"));
  EXPECT_NE(client_.started[ids[0] - 1].headers, client_.started[ids[3] - 1].headers);
}

TEST_F(DeliveryTest, ItIsGivenUpAfterTheLastTryAndAtOnceWhenGone) {
  Seal("run1");
  StepUntilStarted(2);
  client_.Answer(To("chat")[0], 410);
  for (size_t i = 0; i < 5; ++i) {
    while (To("deploys").size() <= i) delivery_->Step();
    client_.Answer(To("deploys")[i], 503);
    delivery_->Step();
  }
  delivery_->Step();
  EXPECT_EQ(Pending(), 0u);
  EXPECT_THAT(To("chat"), SizeIs(1));
  EXPECT_THAT(To("deploys"), SizeIs(5));
  EXPECT_THAT(metrics_.Text(),
              AllOf(HasSubstr("picket_webhooks_total{outcome=\"gave_up\",target=\"chat\"} 1"),
                    HasSubstr("picket_webhooks_total{outcome=\"gave_up\",target=\"deploys\"} 1"),
                    HasSubstr("picket_webhooks_total{outcome=\"retried\",target=\"deploys\"} 4")));
}

TEST_F(DeliveryTest, ATargetMayAskForMoreTime) {
  Seal("run1");
  StepUntilStarted(2);
  client_.Answer(To("chat")[0], 200);
  client_.Answer(To("deploys")[0], 503, absl::Minutes(10));
  delivery_->Step();
  const absl::Duration asked = clock_.Monotonic();
  while (To("deploys").size() < 2) delivery_->Step();
  EXPECT_GE(clock_.Monotonic() - asked, absl::Minutes(10));
  EXPECT_LE(clock_.Monotonic() - asked, absl::Minutes(10) + absl::Seconds(3));
}

TEST_F(DeliveryTest, ATargetThatNeverAnswersTakesItsOwnPlacesOnly) {
  for (int i = 0; i < 20; ++i) Seal(absl::StrCat("run", 100 + i));
  size_t answered = 0;
  for (int i = 0; i < 200 && To("chat").size() < 20; ++i) {
    for (; answered < To("chat").size(); ++answered) client_.Answer(To("chat")[answered], 200);
    delivery_->Step();
  }
  EXPECT_THAT(To("chat"), SizeIs(20));
  EXPECT_THAT(To("deploys"), SizeIs(DefaultNotifyLimits().in_flight));
  EXPECT_THAT(metrics_.Text(), HasSubstr("picket_outbox_pending{target=\"deploys\"} 20"));
}

TEST_F(DeliveryTest, WhatWasUnderWayIsDueAtOnceForWhoComesNext) {
  Seal("run1");
  StepUntilStarted(2);
  delivery_->Abandon();
  Make({});
  delivery_->Step();
  ASSERT_THAT(client_.started, SizeIs(4));
  EXPECT_THAT(client_.started[3].headers, Contains("webhook-id: sealed_run1"));
}

TEST_F(DeliveryTest, AfterADeathTheClaimEndsByItself) {
  Seal("run1");
  StepUntilStarted(2);
  Make({});  // and nothing was abandoned
  delivery_->Step();
  EXPECT_THAT(client_.started, SizeIs(2));
  StepUntilStarted(4, absl::Seconds(40));
  EXPECT_THAT(client_.started, SizeIs(4));
}

TEST_F(DeliveryTest, SecretsThatCannotBeReadAreReplacedByTheLastOnesAndNothingGoesUnsigned) {
  secrets_ = absl::NotFoundError("the file is gone");
  Seal("run1");
  for (int i = 0; i < 5; ++i) delivery_->Step();
  EXPECT_THAT(client_.started, IsEmpty());
  secrets_ = ParseWebhookSecrets(kSecret);
  StepUntilStarted(2);
  ASSERT_THAT(client_.started, SizeIs(2));
  secrets_ = absl::NotFoundError("the file is gone");
  client_.Answer(1, 200);
  client_.Answer(2, 500);
  StepUntilStarted(3);
  EXPECT_THAT(client_.started.back().headers, Contains(StartsWith("webhook-signature: v1,")));
}

TEST_F(DeliveryTest, AClockSetBackDelaysNothingForLong) {
  Seal("run1");
  StepUntilStarted(2);
  client_.Answer(1, 200);
  client_.Answer(2, 500);
  delivery_->Step();
  delivery_->Step();
  clock_.JumpWall(-absl::Hours(24 * 30));
  StepUntilStarted(3, absl::Seconds(10));
  EXPECT_THAT(client_.started, SizeIs(3));
}

}  // namespace
}  // namespace picket
