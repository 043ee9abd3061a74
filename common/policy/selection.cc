#include "common/policy/selection.h"

#include <algorithm>
#include <memory>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/ids.h"
#include "common/base/status_macros.h"
#include "common/policy/judge.h"
#include "common/policy/regex.h"
#include "common/policy/syntax.h"

namespace picket {
namespace {

template <typename Texts>
bool Holds(const Texts& texts, absl::string_view text) {
  return std::find(texts.begin(), texts.end(), text) != texts.end();
}

bool TagsMatch(const std::vector<std::string>& wanted, const v1::Test& test) {
  if (wanted.empty()) return true;
  return std::any_of(wanted.begin(), wanted.end(), [&](const std::string& all_of) {
    const std::vector<std::string> tags = absl::StrSplit(all_of, ',', absl::SkipWhitespace());
    return !tags.empty() && std::all_of(tags.begin(), tags.end(), [&](const std::string& tag) {
      return Holds(test.tags(), tag);
    });
  });
}

void Narrow(const std::vector<std::string>& wanted, v1::Test& test) {
  if (wanted.empty()) return;
  std::vector<std::string> kept;
  if (test.locations_size() == 1 && test.locations(0) == "default") {
    kept = wanted;
  } else {
    for (const std::string& location : test.locations()) {
      if (Holds(wanted, location)) kept.push_back(location);
    }
  }
  test.clear_locations();
  for (const std::string& location : kept) test.add_locations(location);
}

}  // namespace

absl::Status Select(const Selection& selection, v1::Suite& suite) {
  std::shared_ptr<const Regex> grep;
  if (!selection.grep.empty()) {
    auto compiled = Regex::Compile(selection.grep);
    if (!compiled.ok()) return Annotate(compiled.status(), "--grep");
    grep = *std::move(compiled);
  }
  std::vector<std::string> locations;
  for (const std::string& location : selection.locations) {
    if (!IsLocation(location)) {
      return absl::InvalidArgumentError(
          absl::StrCat("--location: '", location, "' is not of [a-z0-9][a-z0-9._:-]{0,62}"));
    }
    if (!Holds(locations, location)) locations.push_back(location);
  }

  google::protobuf::RepeatedPtrField<v1::Test> kept;
  for (v1::Test& test : *suite.mutable_tests()) {
    if (!TagsMatch(selection.tags, test)) continue;
    if (grep != nullptr && !grep->Search(test.name())) continue;
    Narrow(locations, test);
    if (test.locations().empty()) continue;
    ABSL_RETURN_IF_ERROR(Annotate(
        ValidatePolicy(test.policy(), static_cast<uint32_t>(test.locations_size())),
        absl::StrCat("suite '", suite.name(), "', test '", test.name(), "' after --location")));
    kept.Add(std::move(test));
  }
  suite.mutable_tests()->Swap(&kept);
  return absl::OkStatus();
}

void DropUnusedBlobs(v1::RunSpec& spec) {
  absl::flat_hash_set<std::string> used;
  for (const v1::Suite& suite : spec.suites()) {
    for (const v1::Test& test : suite.tests()) {
      for (const v1::FileRef& file : test.files()) used.insert(file.sha256());
    }
  }
  auto& blobs = *spec.mutable_blobs();
  blobs.erase(std::remove_if(blobs.begin(), blobs.end(),
                             [&](const v1::Blob& blob) { return !used.contains(blob.sha256()); }),
              blobs.end());
}

}  // namespace picket
