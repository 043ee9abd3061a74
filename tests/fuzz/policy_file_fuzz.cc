// A policy file for `picket judge`.

#include <cstdint>

#include "common/base/check.h"
#include "common/policy/judge.h"
#include "common/suite_file/policy_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace picket;
  const ParsedPolicy parsed =
      ParsePolicyFile(absl::string_view(reinterpret_cast<const char*>(data), size), "fuzz.yaml");
  for (const Diagnostic& diagnostic : parsed.diagnostics) {
    PICKET_CHECK(!diagnostic.message.empty());
    PICKET_CHECK(diagnostic.line >= 0 && diagnostic.column >= 0);
  }
  if (!parsed.diagnostics.empty()) return 0;
  // What is accepted leaves a policy that can be judged by.
  v1::Policy policy;
  policy.set_locations(v1::Policy::ALL);
  policy.set_flaky(v1::Policy::FLAKY_PASS);
  policy.set_inconclusive(v1::Policy::INCONCLUSIVE_INCONCLUSIVE);
  parsed.policy.policy.ApplyTo(policy);
  PICKET_CHECK(ValidatePolicy(policy, 1'000).ok());
  for (const TestPolicyChange& test : parsed.policy.tests) {
    v1::Policy own = policy;
    test.policy.ApplyTo(own);
    PICKET_CHECK(ValidatePolicy(own, 1'000).ok());
    PICKET_CHECK(!test.test_id.empty());
  }
  return 0;
}
