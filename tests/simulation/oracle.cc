#include "tests/simulation/oracle.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/base/random.h"

namespace picket::simulation {

v1::Outcome::Value Oracle::Answer(const v1::Test& test, uint32_t execution,
                                  uint32_t attempt) const {
  const uint64_t draw =
      StableHash(absl::StrCat(test.suite(), "/", test.id(), "/", execution, "/", attempt), seed_) %
      100;
  // One tag says how ill the target is.
  const bool ill = test.tags_size() > 0 && test.tags(0) == "ill";
  if (!ill) return v1::Outcome::PASSED;
  if (draw < 30) return v1::Outcome::FAILED;
  if (draw < 40) return v1::Outcome::INCONCLUSIVE;
  return v1::Outcome::PASSED;
}

// Written apart from the production code, from the semantics: attempts are made until
// one needs no other; the last that is not inconclusive counts.
EndByte Oracle::End(const v1::Test& test, uint32_t execution) const {
  const auto retries = [&](v1::Retry::On on) {
    return std::find(test.retry().on().begin(), test.retry().on().end(), on) !=
           test.retry().on().end();
  };
  bool failed = false;
  v1::Outcome::Value counts = v1::Outcome::INCONCLUSIVE;
  bool failed_before_pass = false;
  for (uint32_t attempt = 1; attempt <= test.retry().attempts(); ++attempt) {
    const v1::Outcome::Value outcome = Answer(test, execution, attempt);
    if (outcome != v1::Outcome::INCONCLUSIVE) {
      counts = outcome;
      failed_before_pass = outcome == v1::Outcome::PASSED && failed;
      failed |= outcome == v1::Outcome::FAILED;
    }
    const bool again = (outcome == v1::Outcome::FAILED && retries(v1::Retry::FAILED)) ||
                       (outcome == v1::Outcome::INCONCLUSIVE && retries(v1::Retry::INCONCLUSIVE));
    if (!again) break;
    // What comes after is a probe, and those do not count.
    const auto& where = test.retry().where();
    if (!where.empty() &&
        where[std::min(static_cast<int>(attempt), where.size()) - 1] == v1::Retry::ANYWHERE) {
      break;
    }
  }
  switch (counts) {
    case v1::Outcome::PASSED:
      if (failed_before_pass && test.policy().flaky() == v1::Policy::FLAKY_FAIL) {
        return MakeEnd(v1::End::FAILED, true);
      }
      return MakeEnd(v1::End::PASSED, failed_before_pass);
    case v1::Outcome::FAILED:
      return MakeEnd(v1::End::FAILED);
    default:
      return MakeEnd(v1::End::INCONCLUSIVE);
  }
}

}  // namespace picket::simulation
