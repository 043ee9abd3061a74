// What the format allows and this build does not run, by name. `validate` accepts all
// of it; `run` refuses by these names, so that nothing is ignored in silence.

#include <algorithm>

#include "common/policy/validate.h"

namespace picket {
namespace {

bool UsesSealedSecret(const v1::Test& test) {
  return std::any_of(test.secrets().begin(), test.secrets().end(), [](const v1::SecretRef& ref) {
    return ref.source_case() == v1::SecretRef::kSealed;
  });
}

struct Feature {
  const char* name;
  bool (*used)(const v1::Test& test);
};

constexpr Feature kUnsupported[] = {
    {"sealed secrets", UsesSealedSecret},
};

}  // namespace

std::vector<std::string> UnsupportedFeatures(const v1::Test& test) {
  std::vector<std::string> names;
  for (const Feature& feature : kUnsupported) {
    if (feature.used(test)) names.push_back(feature.name);
  }
  return names;
}

}  // namespace picket
