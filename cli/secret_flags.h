// File: secret_flags.h
//
// --secret NAME[=env:VAR|file:PATH] of `picket run --local`.
//
// Thread rule: pure but for the files it reads.

#ifndef CLI_SECRET_FLAGS_H_
#define CLI_SECRET_FLAGS_H_

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace picket {

// NAME -> value. NAME alone reads the variable NAME; of a file, one newline at its end is
// cut. InvalidArgument or NotFound names the secret, never a value. An empty value is an
// error: masking it would mask everything.
absl::StatusOr<std::map<std::string, std::string>> ReadSecrets(
    const std::vector<std::string>& flags,
    const std::function<std::optional<std::string>(const std::string&)>& variable);

}  // namespace picket

#endif  // CLI_SECRET_FLAGS_H_
