#include "cli/load_suites.h"

#include <map>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "common/base/status_macros.h"
#include "common/policy/limits.h"
#include "common/policy/plan_shape.h"
#include "common/policy/validate.h"
#include "common/suite_file/suite_file.h"

namespace picket {
namespace {

using Pair = std::pair<std::string, std::string>;

FlagCheck HasEquals(absl::string_view shape) {
  return [shape = std::string(shape)](absl::string_view value) {
    const size_t equals = value.find('=');
    if (equals != absl::string_view::npos && equals > 0) return absl::OkStatus();
    return absl::InvalidArgumentError(absl::StrCat("'", value, "' is not of the form ", shape));
  };
}

std::vector<Pair> SplitPairs(const std::vector<std::string>& values) {
  std::vector<Pair> pairs;
  for (const std::string& value : values) {
    pairs.push_back(absl::StrSplit(value, absl::MaxSplits('=', 1)));
  }
  return pairs;
}

void AddBlobs(std::vector<v1::Blob>& blobs, std::set<std::string>& known, v1::RunSpec& spec) {
  for (v1::Blob& blob : blobs) {
    if (known.insert(blob.sha256()).second) *spec.add_blobs() = std::move(blob);
  }
}

// SEMANTICS: one run, one id a test within a suite's name, whichever file it came from.
void CheckSpec(LoadedSuites& loaded) {
  const absl::Status valid = ValidateRunSpec(loaded.spec);
  if (!valid.ok()) loaded.errors.push_back(std::string(valid.message()));
  const size_t bytes = loaded.spec.ByteSizeLong();
  // Labels and what else `run` adds are on top of it.
  constexpr size_t kEnvelopeBytes = 64u << 10;
  const size_t most = DefaultLimits().create_run_bytes - kEnvelopeBytes;
  if (bytes > most) {
    loaded.errors.push_back(absl::StrCat("the run takes ", bytes,
                                         " bytes with its rows and files; at most ", most,
                                         " fit; split it into several runs"));
  }
}

}  // namespace

void SuiteFlags::AddTo(FlagSet& flags) {
  flags.Positional("FILE", &files, "Suite files.", 1);
  flags.Add("var", &vars, "NAME=VALUE", "Sets a variable that the suite declares.",
            {.short_name = 'e', .check = HasEquals("NAME=VALUE"), .environment = false});
  flags.Add("vars-file", &vars_file, "FILE", "A YAML or JSON map of variables.");
  flags.Add("override", &overrides, "PATH=VALUE",
            "Changes defaults, policy, or a test's timeout, locations or blocking.",
            {.check = HasEquals("PATH=VALUE"), .environment = false});
  flags.Add("allow-outside", &allow_outside, "",
            "Suites may name files outside of their own folder.");
}

void SuiteFlags::AddSelectionTo(FlagSet& flags) {
  flags.Add("location", &selection.locations, "NAME",
            "Only at these locations (repeated, or separated by commas).",
            {.short_name = 'l', .environment = false});
  flags.Add("tag", &selection.tags, "TAG[,TAG...]",
            "Only tests with all of these tags; repeated: of any of them.",
            {.short_name = 't', .environment = false});
  flags.Add("grep", &selection.grep, "REGEX", "Only tests whose name matches (RE2).",
            {.short_name = 'g', .environment = false});
  flags.Add("retries", &retries, "N", "Tries again up to N times, where a test may be repeated.",
            {.check = IntBetween(0, static_cast<int64_t>(DefaultLimits().attempts_most) - 1)});
}

LoadedSuites LoadSuites(const SuiteFlags& flags) {
  LoadedSuites loaded;
  ParseOptions options;
  options.vars = SplitPairs(flags.vars);
  options.overrides = SplitPairs(flags.overrides);
  options.retries = flags.retries;
  if (!flags.vars_file.empty()) {
    auto vars = ReadVarsFile(flags.vars_file);
    if (!vars.ok()) {
      loaded.errors.push_back(std::string(vars.status().message()));
      return loaded;
    }
    options.file_vars = *std::move(vars);
  }
  Selection selection = flags.selection;
  selection.locations.clear();
  for (const std::string& value : flags.selection.locations) {
    for (absl::string_view name : absl::StrSplit(value, ','))
      selection.locations.emplace_back(name);
  }
  // A variable of the command line belongs to the run: one suite that declares it will do.
  options.undeclared_vars_are_errors = false;
  std::map<std::string, size_t> undeclared;
  std::set<std::string> known_blobs;
  for (const std::string& file : flags.files) {
    options.file_name = file;
    ParsedSuite parsed = ParseSuiteFile(file, options, flags.allow_outside);
    for (const Diagnostic& d : parsed.diagnostics) loaded.errors.push_back(d.ToString());
    if (!parsed.diagnostics.empty()) continue;
    for (const std::string& name : parsed.undeclared_vars) ++undeclared[name];
    const absl::Status selected = Select(selection, parsed.suite);
    if (!selected.ok()) {
      loaded.errors.push_back(absl::StrCat(file, ": ", std::string(selected.message())));
      continue;
    }
    AddBlobs(parsed.blobs, known_blobs, loaded.spec);
    if (parsed.suite.tests_size() > 0) *loaded.spec.add_suites() = std::move(parsed.suite);
  }
  if (loaded.errors.empty()) {
    for (const auto& [name, count] : undeclared) {
      if (count < flags.files.size()) continue;
      loaded.errors.push_back(
          absl::StrCat("--var ", name, ": no suite declares a variable of that name in its vars"));
    }
  }
  DropUnusedBlobs(loaded.spec);
  if (loaded.errors.empty() && loaded.spec.suites_size() > 0) CheckSpec(loaded);
  return loaded;
}

std::vector<std::string> UnsupportedIn(const v1::RunSpec& spec) {
  std::vector<std::string> lines;
  for (const v1::Suite& suite : spec.suites()) {
    for (const v1::Test& test : suite.tests()) {
      const std::vector<std::string> names = UnsupportedFeatures(test);
      if (names.empty()) continue;
      lines.push_back(absl::StrCat(test.source().empty() ? suite.name() : test.source(), ": test '",
                                   test.name(), "' uses ", absl::StrJoin(names, ", "),
                                   ", which this version does not run"));
    }
  }
  return lines;
}

std::vector<std::string> TestsWithoutRows(const v1::RunSpec& spec) {
  std::vector<std::string> lines;
  for (const v1::Suite& suite : spec.suites()) {
    for (const v1::Test& test : suite.tests()) {
      if (!test.has_for_each() || !test.for_each().rows().empty()) continue;
      lines.push_back(absl::StrCat(test.source().empty() ? suite.name() : test.source(), ": test '",
                                   test.name(), "'"));
    }
  }
  return lines;
}

std::vector<std::pair<std::string, uint32_t>> PlannedLocations(const v1::RunSpec& spec) {
  std::map<std::string, uint32_t> counts;
  for (const v1::Suite& suite : spec.suites()) {
    for (const v1::Test& test : suite.tests()) {
      const TestShape shape = ShapeOf(test);
      for (const std::string& location : shape.locations) counts[location] += shape.rows;
    }
  }
  return {counts.begin(), counts.end()};
}

}  // namespace picket
