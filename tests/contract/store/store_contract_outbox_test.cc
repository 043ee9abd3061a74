// The third part of the contract: the outbox.

#include <gmock/gmock.h>

#include <utility>

#include "tests/contract/store/store_contract.h"
#include "tests/support/status_matchers.h"

namespace picket {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr absl::Duration kHold = absl::Minutes(1);

// A run whose last undecided byte is decided now.
Proposal LastResult(Store& store, const std::string& run_id) {
  WriteShard write;
  auto shards = store.LoadShards(run_id);
  EXPECT_OK(shards);
  write.shard = shards->at(0);
  write.shard.ends.assign(write.shard.ends.size(), MakeEnd(v1::End::PASSED));
  return write;
}

TEST_P(StoreContract, WithoutTargetsASealLeavesNothing) {
  Admit(RunId(1), 2, {"eu-west"});
  ASSERT_TRUE(Put(EndRun{.run_id = RunId(1), .cause = v1::EndCause::CANCELLED}).committed);
  ASSERT_OK_AND_ASSIGN(auto views, store().ViewOutbox());
  EXPECT_THAT(views, IsEmpty());
  ASSERT_OK_AND_ASSIGN(auto rows, store().ClaimOutbox("deploys", kHold, 10));
  EXPECT_THAT(rows, IsEmpty());
}

TEST_P(StoreContract, EverySealLeavesARowForEachTargetHoweverItCame) {
  store().KeepOutbox({"chat", "deploys"});
  Admit(RunId(1), 2, {"eu-west"});
  Admit(RunId(2), 2, {"eu-west"});
  ASSERT_OK_AND_ASSIGN(auto views, store().ViewOutbox());
  EXPECT_THAT(views, IsEmpty()) << "nothing is sealed yet";
  ASSERT_THAT(Put(LastResult(store(), RunId(1))).sealed, SizeIs(1));
  ASSERT_THAT(Put(EndRun{.run_id = RunId(2), .cause = v1::EndCause::CANCELLED}).sealed, SizeIs(1));
  // A second attempt to end it is refused, and leaves nothing.
  ASSERT_FALSE(Put(EndRun{.run_id = RunId(2), .cause = v1::EndCause::CANCELLED}).committed);
  AdmitRun empty = MakeAdmission(RunId(3), 0, {"eu-west"});
  ASSERT_THAT(Put(std::move(empty)).sealed, SizeIs(1));
  Reopen();
  ASSERT_OK_AND_ASSIGN(views, store().ViewOutbox());
  ASSERT_THAT(views, SizeIs(2));
  EXPECT_EQ(views[0].target, "chat");
  EXPECT_EQ(views[1].target, "deploys");
  for (const auto& view : views) {
    EXPECT_EQ(view.rows, 3u);
    EXPECT_EQ(view.due, 3u);
    EXPECT_GE(view.oldest, absl::ZeroDuration());
    EXPECT_LT(view.oldest, absl::Minutes(5));
  }
  ASSERT_OK_AND_ASSIGN(auto rows, store().ClaimOutbox("deploys", kHold, 10));
  ASSERT_THAT(rows, SizeIs(3));
  EXPECT_EQ(rows[0].target, "deploys");
  EXPECT_EQ(rows[0].run.run_id(), RunId(1));
  EXPECT_EQ(rows[0].run.state(), v1::Run::SEALED);
  EXPECT_EQ(rows[0].run.verdict(), v1::Verdict::PASSED);
  EXPECT_EQ(rows[0].run.ledger().passed(), 2u);
  EXPECT_EQ(rows[1].run.verdict(), v1::Verdict::INCONCLUSIVE);
  EXPECT_EQ(rows[0].tries, 1u);
}

TEST_P(StoreContract, AClaimedRowIsNobodyElsesUntilItIsSettled) {
  store().KeepOutbox({"deploys"});
  for (int i = 1; i <= 3; ++i) {
    Admit(RunId(i), 1, {"eu-west"});
    Put(EndRun{.run_id = RunId(i), .cause = v1::EndCause::CANCELLED});
  }
  ASSERT_OK_AND_ASSIGN(auto first, store().ClaimOutbox("deploys", kHold, 2));
  ASSERT_THAT(first, SizeIs(2));
  ASSERT_OK_AND_ASSIGN(auto second, store().ClaimOutbox("deploys", kHold, 2));
  ASSERT_THAT(second, SizeIs(1));
  EXPECT_EQ(second[0].run.run_id(), RunId(3));
  ASSERT_OK_AND_ASSIGN(auto none, store().ClaimOutbox("deploys", kHold, 2));
  EXPECT_THAT(none, IsEmpty());
  ASSERT_OK_AND_ASSIGN(auto views, store().ViewOutbox());
  EXPECT_EQ(views.at(0).rows, 3u);
  EXPECT_EQ(views.at(0).due, 0u);

  // One was told, one is due again at once, one only later.
  ASSERT_OK(store().SettleOutbox({{.id = first[0].id, .tries = 1, .again = std::nullopt},
                                  {.id = first[1].id, .tries = 1, .again = absl::ZeroDuration()},
                                  {.id = second[0].id, .tries = 1, .again = absl::Hours(2)}}));
  Reopen();
  ASSERT_OK_AND_ASSIGN(auto again, store().ClaimOutbox("deploys", absl::ZeroDuration(), 5));
  ASSERT_THAT(again, SizeIs(1));
  EXPECT_EQ(again[0].id, first[1].id);
  EXPECT_EQ(again[0].tries, 2u);
  // Two hours are more than the longest delay: it is due before that.
  ASSERT_OK_AND_ASSIGN(views, store().ViewOutbox());
  EXPECT_EQ(views.at(0).rows, 2u);
}

TEST_P(StoreContract, WhoLostAClaimSettlesNothing) {
  store().KeepOutbox({"deploys"});
  Admit(RunId(1), 1, {"eu-west"});
  Put(EndRun{.run_id = RunId(1), .cause = v1::EndCause::CANCELLED});
  ASSERT_OK_AND_ASSIGN(auto mine, store().ClaimOutbox("deploys", absl::ZeroDuration(), 1));
  ASSERT_OK_AND_ASSIGN(auto theirs, store().ClaimOutbox("deploys", kHold, 1));
  ASSERT_THAT(theirs, SizeIs(1));
  EXPECT_EQ(theirs[0].tries, 2u);
  ASSERT_OK(store().SettleOutbox({{.id = mine.at(0).id, .tries = 1, .again = std::nullopt}}));
  ASSERT_OK_AND_ASSIGN(auto views, store().ViewOutbox());
  ASSERT_THAT(views, SizeIs(1)) << "the other claim still holds it";
  ASSERT_OK(store().SettleOutbox({{.id = theirs[0].id, .tries = 2, .again = std::nullopt}}));
  ASSERT_OK_AND_ASSIGN(views, store().ViewOutbox());
  EXPECT_THAT(views, IsEmpty());
}

TEST_P(StoreContract, ARowOutlivesItsRun) {
  store().KeepOutbox({"deploys"});
  for (int i = 1; i <= 3; ++i) {
    Admit(RunId(i), 1, {"eu-west"});
    Put(EndRun{.run_id = RunId(i), .cause = v1::EndCause::CANCELLED});
  }
  for (int i = 0; i < 5; ++i) ASSERT_OK(store().Prune(1, absl::InfinitePast(), 1000));
  EXPECT_FALSE(store().GetRun(RunId(1)).ok());
  ASSERT_OK_AND_ASSIGN(auto rows, store().ClaimOutbox("deploys", kHold, 10));
  EXPECT_THAT(rows, SizeIs(3));
}

}  // namespace
}  // namespace picket
