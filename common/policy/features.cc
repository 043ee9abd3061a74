// What the format allows and this build does not run, by name. `validate` accepts all
// of it; `run` refuses by these names, so that nothing is ignored in silence.

#include <algorithm>

#include "common/policy/validate.h"

namespace picket {
namespace {

bool RetriesAt(const v1::Test& test, v1::Retry::Where where) {
  return test.retry().attempts() > 1 &&
         std::count(test.retry().where().begin(), test.retry().where().end(), where) > 0;
}

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
    {"retry.where: same_location",
     [](const v1::Test& test) { return RetriesAt(test, v1::Retry::SAME_LOCATION); }},
    {"retry.where: anywhere",
     [](const v1::Test& test) { return RetriesAt(test, v1::Retry::ANYWHERE); }},
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
