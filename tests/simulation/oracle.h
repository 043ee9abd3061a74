// File: oracle.h
//
// What the simulated target answers, as a function of the question alone: so that
// every attempt of one number has one outcome, wherever and whenever it is made, and
// the end of an execution is known before it has run.

#ifndef TESTS_SIMULATION_ORACLE_H_
#define TESTS_SIMULATION_ORACLE_H_

#include <cstdint>
#include <optional>
#include <string>

#include "common/policy/ends.h"
#include "picket/v1/result.pb.h"
#include "picket/v1/suite.pb.h"

namespace picket::simulation {

class Oracle {
 public:
  explicit Oracle(uint64_t seed) : seed_(seed) {}

  // The outcome of an attempt.
  v1::Outcome::Value Answer(const v1::Test& test, uint32_t execution, uint32_t attempt) const;
  // How the execution ends if it is run to its end.
  EndByte End(const v1::Test& test, uint32_t execution) const;

 private:
  const uint64_t seed_;
};

}  // namespace picket::simulation

#endif  // TESTS_SIMULATION_ORACLE_H_
