// File: flags.h
//
// The one way flags work, in daemons and in the command line alike. Every flag
// --some-name has an environment name PICKET_SOME_NAME and a key `some-name` in the
// YAML file that --config names; flag > environment > file > default.
//
//   std::string listen = "127.0.0.1:7700";
//   absl::Duration grace = absl::Seconds(60);
//   FlagSet flags("picket-coordinator", "Plans runs and merges what agents find.");
//   flags.Add("listen", &listen, "ADDR", "Where gRPC is served.");
//   flags.Add("agent-grace", &grace, "TIME", "How long to wait for a location's first agent.");
//   if (std::optional<int> code = flags.ParseOrExitCode(argc, argv)) return *code;
//
// The variable's value at Add is the default. Values are only written by a Parse that
// succeeds. An environment variable that is set but empty counts as not set.
//
// Thread rule: thread-compatible. The variables are not owned and must outlive Parse.

#ifndef COMMON_CONFIG_FLAGS_H_
#define COMMON_CONFIG_FLAGS_H_

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace picket {

// Where a value goes: text · a whole number · yes or no · a duration (`10s`) · a list
// (the flag repeated; in the environment separated by commas; in the file a YAML list).
using FlagTarget =
    std::variant<std::string*, int64_t*, int*, bool*, absl::Duration*, std::vector<std::string>*>;

// Says what is wrong with one value as written (each element of a list apart), or ok.
using FlagCheck = std::function<absl::Status(absl::string_view value)>;

struct FlagOptions {
  char short_name = 0;      // -x beside --name
  FlagCheck check;          // run on every value but the default
  bool environment = true;  // may come from PICKET_…
  bool file = true;         // may come from --config
};

class FlagSet {
 public:
  FlagSet(std::string program, std::string description);

  // REQUIRES: `name` is of [a-z0-9-] and new. `value_name` is shown in --help; empty for
  // a bool. A bool is written --name, or --name=false.
  FlagSet& Add(const std::string& name, FlagTarget target, const std::string& value_name,
               const std::string& help, FlagOptions options = {});
  // Arguments that are no flags, in order. At most one such list.
  FlagSet& Positional(const std::string& name, std::vector<std::string>* target,
                      const std::string& help, size_t min_count = 0, size_t max_count = SIZE_MAX);
  // What --version prints; without it there is no --version.
  FlagSet& Version(const std::string& text);
  // Keys that a shared config file may hold though this program does not know them.
  FlagSet& IgnoreKeys(std::vector<std::string> keys);

  // Where the environment is read; getenv(3) unless a test says otherwise.
  FlagSet& Environment(std::function<std::optional<std::string>(const std::string&)> get);

  struct Outcome {
    bool help = false;  // --help or --version: `text` is what to print, nothing was set
    std::string text;
  };
  // `args` without the program's name. InvalidArgument says what was wrong with which
  // flag, variable or `file:line:col`; the file's own status if it cannot be read.
  absl::StatusOr<Outcome> Parse(const std::vector<std::string>& args);

  // Parse for main(): prints help to stdout (0) or the error to stderr (2) and returns the
  // exit code, or nothing when the program should go on.
  std::optional<int> ParseOrExitCode(int argc, char** argv);

  // After Parse: was the value given by flag, environment or file?
  bool Given(absl::string_view name) const;
  // The text of --help.
  std::string Help() const;

 private:
  struct Flag {
    std::string name, value_name, help;
    FlagTarget target;
    FlagOptions options;
    bool given = false;
  };
  struct FileValue {
    std::vector<std::string> values;
    bool is_list = false;
    std::string where;  // file:line:col
  };

  absl::Status ReadConfigFile(const std::string& path, std::map<std::string, FileValue>& values);
  absl::Status Apply(Flag& flag, const std::vector<std::string>& values, const std::string& where,
                     bool store);
  const Flag* Find(absl::string_view name) const;

  std::string program_, description_, version_;
  std::vector<Flag> flags_;
  std::string positional_name_, positional_help_;
  std::vector<std::string>* positional_ = nullptr;
  size_t positional_min_ = 0, positional_max_ = 0;
  std::vector<std::string> ignored_keys_;
  std::function<std::optional<std::string>(const std::string&)> environment_;
  std::string config_path_;
};

// PICKET_SOME_NAME of some-name.
std::string EnvironmentName(absl::string_view flag_name);

// Checks for FlagOptions::check.
FlagCheck IntBetween(int64_t least, int64_t most);
FlagCheck DurationBetween(absl::Duration least, absl::Duration most);
FlagCheck OneOf(std::vector<std::string> words);
// `HOST:PORT`, an IPv6 host in brackets; port 0 is allowed.
FlagCheck HostPort();
FlagCheck NotEmpty();

}  // namespace picket

#endif  // COMMON_CONFIG_FLAGS_H_
