#include "cli/secret_flags.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/files.h"
#include "common/base/status_macros.h"
#include "common/policy/limits.h"

namespace picket {
namespace {

absl::StatusOr<std::string> ReadOne(
    const std::string& name, const std::string& source,
    const std::function<std::optional<std::string>(const std::string&)>& variable) {
  if (absl::StartsWith(source, "file:")) {
    ABSL_ASSIGN_OR_RETURN(std::string value,
                          ReadFile(source.substr(5), DefaultLimits().evidence_bytes));
    if (!value.empty() && value.back() == '\n') value.pop_back();
    if (!value.empty() && value.back() == '\r') value.pop_back();
    return value;
  }
  if (!absl::StartsWith(source, "env:")) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--secret is NAME, NAME=env:VAR or NAME=file:PATH; a value itself must not stand on a "
        "command line (secret '",
        name, "')"));
  }
  const std::optional<std::string> value = variable(source.substr(4));
  if (!value.has_value()) {
    return absl::NotFoundError(
        absl::StrCat("--secret ", name, ": the variable ", source.substr(4), " is not set"));
  }
  return *value;
}

}  // namespace

absl::StatusOr<std::map<std::string, std::string>> ReadSecrets(
    const std::vector<std::string>& flags,
    const std::function<std::optional<std::string>(const std::string&)>& variable) {
  std::map<std::string, std::string> secrets;
  for (const std::string& flag : flags) {
    const size_t equals = flag.find('=');
    const std::string name = flag.substr(0, equals);
    const std::string source =
        equals == std::string::npos ? absl::StrCat("env:", name) : flag.substr(equals + 1);
    if (name.empty()) return absl::InvalidArgumentError("--secret needs a name");
    ABSL_ASSIGN_OR_RETURN(std::string value, ReadOne(name, source, variable));
    if (value.empty()) {
      return absl::InvalidArgumentError(absl::StrCat("--secret ", name, ": its value is empty"));
    }
    if (!secrets.emplace(name, std::move(value)).second) {
      return absl::InvalidArgumentError(absl::StrCat("--secret ", name, " is given twice"));
    }
  }
  return secrets;
}

}  // namespace picket
