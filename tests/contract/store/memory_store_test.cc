// The contract, held by the fake.

#include "common/base/clock.h"
#include "tests/contract/store/store_contract.h"

namespace picket {
namespace {

class MemoryFixture : public StoreFixture {
 public:
  Store& store() override { return *store_; }
  void Reopen() override {}

 private:
  std::unique_ptr<Store> store_ = MakeMemoryStore(Clock::Real());
};

INSTANTIATE_TEST_SUITE_P(Memory, StoreContract,
                         ::testing::Values(StoreKind{"memory",
                                                     [](std::string&) {
                                                       return std::make_unique<MemoryFixture>();
                                                     }}),
                         [](const auto& info) { return info.param.name; });

TEST(MemoryStoreTest, NobodyElseWritesToIt) {
  EXPECT_TRUE(MakeMemoryStore(Clock::Real())->Exclusive());
}

}  // namespace
}  // namespace picket
