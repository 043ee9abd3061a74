// File: store_contract.h
//
// What every store does alike. Each implementation brings a fixture; the suite is
// instantiated once for each, so that the fake cannot lie.

#ifndef TESTS_CONTRACT_STORE_STORE_CONTRACT_H_
#define TESTS_CONTRACT_STORE_STORE_CONTRACT_H_

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "coordinator/store/store.h"

namespace picket {

// One store under test.
class StoreFixture {
 public:
  virtual ~StoreFixture() = default;
  virtual Store& store() = 0;
  // As after a crash and a restart. Stores without a disk keep what they have.
  virtual void Reopen() = 0;
};

struct StoreKind {
  std::string name;
  // Null with a reason when this machine lacks what the store needs.
  std::function<std::unique_ptr<StoreFixture>(std::string& reason)> make;
};

class StoreContract : public ::testing::TestWithParam<StoreKind> {
 protected:
  void SetUp() override;
  Store& store() { return fixture_->store(); }
  void Reopen() { fixture_->Reopen(); }

  // Commits one proposal. Fails the test on an error.
  Outcome Put(Proposal proposal);
  // Admits a run of `tests` blocking tests at `locations`, one shard a location.
  RunRow Admit(const std::string& run_id, uint32_t tests, std::vector<std::string> locations);
  // The shard as it is.
  ShardRow Shard(const std::string& run_id, uint32_t shard);
  RunRow Run(const std::string& run_id);

 private:
  std::unique_ptr<StoreFixture> fixture_;
};

// A run that the contract admits, not yet committed.
AdmitRun MakeAdmission(const std::string& run_id, uint32_t tests,
                       const std::vector<std::string>& locations);
// `run-....` of 16 characters; a higher number is a newer run.
std::string RunId(int number);
ResultRow MakeResult(const std::string& run_id, uint32_t shard, uint32_t execution,
                     v1::Outcome::Value outcome);
AgentRow MakeAgent(const std::string& instance, const std::string& name,
                   const std::string& location, const std::string& coordinator);

}  // namespace picket

#endif  // TESTS_CONTRACT_STORE_STORE_CONTRACT_H_
