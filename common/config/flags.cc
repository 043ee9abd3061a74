#include "common/config/flags.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "common/policy/units.h"

namespace picket {
namespace {

std::optional<std::string> FromProcess(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  if (value == nullptr) return std::nullopt;
  return std::string(value);
}

bool IsBool(const FlagTarget& target) { return std::holds_alternative<bool*>(target); }
bool IsList(const FlagTarget& target) {
  return std::holds_alternative<std::vector<std::string>*>(target);
}

std::string DefaultText(const FlagTarget& target) {
  struct Visitor {
    std::string operator()(const std::string* v) const { return *v; }
    std::string operator()(const int64_t* v) const { return absl::StrCat(*v); }
    std::string operator()(const int* v) const { return absl::StrCat(*v); }
    std::string operator()(const bool* v) const { return *v ? "true" : ""; }
    std::string operator()(const absl::Duration* v) const { return DurationText(*v); }
    std::string operator()(const std::vector<std::string>* v) const {
      return absl::StrJoin(*v, ",");
    }
  };
  return std::visit(Visitor(), target);
}

absl::Status Wrong(const std::string& where, absl::string_view value, absl::string_view expected) {
  return absl::InvalidArgumentError(absl::StrCat(where, ": '", value, "' is not ", expected));
}

// Writes values as written to the target, or only tries to (`store` is false).
struct Assign {
  const std::vector<std::string>& values;
  const std::string& where;
  bool store;

  absl::Status operator()(std::string* v) const {
    if (store) *v = values.back();
    return absl::OkStatus();
  }
  absl::Status operator()(int64_t* v) const {
    int64_t number = 0;
    if (!absl::SimpleAtoi(values.back(), &number)) {
      return Wrong(where, values.back(), "a whole number");
    }
    if (store) *v = number;
    return absl::OkStatus();
  }
  absl::Status operator()(int* v) const {
    int number = 0;
    if (!absl::SimpleAtoi(values.back(), &number)) {
      return Wrong(where, values.back(), "a whole number");
    }
    if (store) *v = number;
    return absl::OkStatus();
  }
  absl::Status operator()(bool* v) const {
    bool yes = false;
    if (!absl::SimpleAtob(values.back(), &yes)) {
      return Wrong(where, values.back(), "true or false");
    }
    if (store) *v = yes;
    return absl::OkStatus();
  }
  absl::Status operator()(absl::Duration* v) const {
    ABSL_ASSIGN_OR_RETURN(const absl::Duration d, Read(values.back()));
    if (store) *v = d;
    return absl::OkStatus();
  }
  absl::Status operator()(std::vector<std::string>* v) const {
    if (store) *v = values;
    return absl::OkStatus();
  }

 private:
  absl::StatusOr<absl::Duration> Read(const std::string& text) const {
    auto duration = ParseDuration(text);
    if (!duration.ok()) return Annotate(duration.status(), where);
    return duration;
  }
};

// CLI11's view of the flags: what was written for each, as text.
struct Command {
  explicit Command(const std::string& description) : app(description) {}
  CLI::App app;
  std::vector<std::vector<std::string>> written;
  std::vector<CLI::Option*> options;
  std::vector<std::string> positional;
  std::string config_path;
  CLI::Option* config = nullptr;
};

std::string FlagHelp(const std::string& help, const std::string& default_text,
                     const std::string& environment) {
  std::string text = help;
  if (!default_text.empty()) absl::StrAppend(&text, " [", default_text, "]");
  if (!environment.empty()) absl::StrAppend(&text, " (", environment, ")");
  return text;
}

}  // namespace

std::string EnvironmentName(absl::string_view flag_name) {
  return absl::StrCat("PICKET_",
                      absl::AsciiStrToUpper(absl::StrReplaceAll(flag_name, {{"-", "_"}})));
}

FlagSet::FlagSet(std::string program, std::string description)
    : program_(std::move(program)),
      description_(std::move(description)),
      environment_(FromProcess) {}

FlagSet& FlagSet::Add(const std::string& name, FlagTarget target, const std::string& value_name,
                      const std::string& help, FlagOptions options) {
  PICKET_CHECK(Find(name) == nullptr);
  flags_.push_back(Flag{name, value_name, help, target, std::move(options)});
  return *this;
}

FlagSet& FlagSet::Positional(const std::string& name, std::vector<std::string>* target,
                             const std::string& help, size_t min_count, size_t max_count) {
  positional_name_ = name;
  positional_ = target;
  positional_help_ = help;
  positional_min_ = min_count;
  positional_max_ = max_count;
  return *this;
}

FlagSet& FlagSet::Version(const std::string& text) {
  version_ = text;
  return *this;
}

FlagSet& FlagSet::IgnoreKeys(std::vector<std::string> keys) {
  ignored_keys_ = std::move(keys);
  return *this;
}

FlagSet& FlagSet::Environment(std::function<std::optional<std::string>(const std::string&)> get) {
  environment_ = std::move(get);
  return *this;
}

const FlagSet::Flag* FlagSet::Find(absl::string_view name) const {
  for (const Flag& flag : flags_) {
    if (flag.name == name) return &flag;
  }
  return nullptr;
}

bool FlagSet::Given(absl::string_view name) const {
  const Flag* flag = Find(name);
  return flag != nullptr && flag->given;
}

absl::Status FlagSet::Apply(Flag& flag, const std::vector<std::string>& values,
                            const std::string& where, bool store) {
  if (flag.options.check) {
    for (const std::string& value : values) {
      // A check may rely on the form, so that is tried first.
      const std::vector<std::string> one{value};
      ABSL_RETURN_IF_ERROR(std::visit(Assign{one, where, false}, flag.target));
      ABSL_RETURN_IF_ERROR(Annotate(flag.options.check(value), where));
    }
  }
  ABSL_RETURN_IF_ERROR(std::visit(Assign{values, where, store}, flag.target));
  if (store) flag.given = true;
  return absl::OkStatus();
}

absl::StatusOr<FlagSet::Outcome> FlagSet::Parse(const std::vector<std::string>& args) {
  Command command(description_);
  CLI::App& app = command.app;
  app.name(program_);
  app.set_help_flag("-h,--help", "Print this and exit.");
  if (!version_.empty()) app.set_version_flag("--version", version_, "Print the version and exit.");
  command.written.resize(flags_.size());
  bool any_file = false;
  for (size_t i = 0; i < flags_.size(); ++i) {
    const Flag& flag = flags_[i];
    std::string names = absl::StrCat("--", flag.name);
    if (flag.options.short_name != 0) {
      names = absl::StrCat("-", std::string(1, flag.options.short_name), ",", names);
    }
    const std::string help = FlagHelp(flag.help, DefaultText(flag.target),
                                      flag.options.environment ? EnvironmentName(flag.name) : "");
    CLI::Option* option = nullptr;
    if (IsBool(flag.target)) {
      option = app.add_flag(names, command.written[i], help);
    } else {
      option = app.add_option(names, command.written[i], help)
                   ->expected(1)
                   ->allow_extra_args(false)
                   ->type_name(flag.value_name);
    }
    option->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
    command.options.push_back(option);
    any_file |= flag.options.file;
  }
  if (any_file) {
    command.config = app.add_option("--config", command.config_path,
                                    "Read flags from this YAML file; its keys are the flags' "
                                    "names. (PICKET_CONFIG)")
                         ->type_name("FILE");
  }
  if (positional_ != nullptr) {
    app.add_option(positional_name_, command.positional, positional_help_)
        ->type_name("")
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  }

  try {
    std::vector<std::string> reversed(args.rbegin(), args.rend());
    app.parse(std::move(reversed));
  } catch (const CLI::CallForHelp&) {
    return Outcome{true, app.help()};
  } catch (const CLI::CallForVersion& version) {
    return Outcome{true, absl::StrCat(version.what(), "\n")};
  } catch (const CLI::Error& error) {
    return absl::InvalidArgumentError(
        absl::StrCat(error.what(), " (", program_, " --help lists what there is)"));
  }
  if (positional_ != nullptr && (command.positional.size() < positional_min_ ||
                                 command.positional.size() > positional_max_)) {
    return absl::InvalidArgumentError(absl::StrCat(
        command.positional.size() < positional_min_ ? "too few" : "too many", " arguments: ",
        command.positional.size(), " given; usage: ", program_, " [flags] ", positional_name_));
  }

  std::map<std::string, FileValue> file;
  std::string path = command.config_path;
  if (any_file && path.empty()) path = environment_("PICKET_CONFIG").value_or("");
  if (!path.empty()) ABSL_RETURN_IF_ERROR(ReadConfigFile(path, file));

  // First everything is tried, then everything is stored.
  for (bool store : {false, true}) {
    for (size_t i = 0; i < flags_.size(); ++i) {
      Flag& flag = flags_[i];
      if (command.options[i]->count() > 0) {
        ABSL_RETURN_IF_ERROR(Apply(flag, command.written[i], absl::StrCat("--", flag.name), store));
        continue;
      }
      if (flag.options.environment) {
        const std::string variable = EnvironmentName(flag.name);
        const std::string value = environment_(variable).value_or("");
        if (!value.empty()) {
          std::vector<std::string> values{value};
          if (IsList(flag.target)) values = absl::StrSplit(value, ',', absl::SkipEmpty());
          ABSL_RETURN_IF_ERROR(Apply(flag, values, variable, store));
          continue;
        }
      }
      if (auto found = file.find(flag.name); found != file.end()) {
        if (found->second.is_list && !IsList(flag.target)) {
          return absl::InvalidArgumentError(absl::StrCat(found->second.where, ": '", flag.name,
                                                         "' is a list; it takes one value"));
        }
        ABSL_RETURN_IF_ERROR(Apply(flag, found->second.values, found->second.where, store));
      }
    }
  }
  if (positional_ != nullptr) *positional_ = command.positional;
  return Outcome{};
}

std::string FlagSet::Help() const {
  FlagSet copy = *this;
  auto outcome = copy.Parse({"--help"});
  return outcome.ok() ? outcome->text : std::string(outcome.status().message());
}

std::optional<int> FlagSet::ParseOrExitCode(int argc, char** argv) {
  auto outcome = Parse(std::vector<std::string>(argv + 1, argv + argc));
  if (!outcome.ok()) {
    std::fprintf(stderr, "%s: %s\n", program_.c_str(),
                 std::string(outcome.status().message()).c_str());
    return 2;
  }
  if (!outcome->help) return std::nullopt;
  std::fputs(outcome->text.c_str(), stdout);
  return 0;
}

}  // namespace picket
