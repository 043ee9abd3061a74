// Files of a suite: relative to it, and inside its folder.

#include <climits>
#include <cstdlib>
#include <optional>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/files.h"
#include "common/policy/limits.h"
#include "common/suite_file/suite_file.h"

namespace picket {
namespace {

// The path with symbolic links and dots resolved; nothing if there is no such file.
std::optional<std::string> Resolve(const std::string& path) {
  char* resolved = ::realpath(path.c_str(), nullptr);
  if (resolved == nullptr) return std::nullopt;
  std::string text(resolved);
  std::free(resolved);
  return text;
}

}  // namespace

SuiteFolder::SuiteFolder(const std::string& suite_path, bool allow_outside)
    : allow_outside_(allow_outside) {
  const std::string real = Resolve(suite_path).value_or(suite_path);
  const size_t slash = real.rfind('/');
  folder_ = slash == std::string::npos ? "." : real.substr(0, slash + 1);
}

absl::StatusOr<std::string> SuiteFolder::Read(const std::string& path) {
  if (path.empty() || path.find('\0') != std::string::npos) {
    return absl::InvalidArgumentError("a path must not be empty");
  }
  if (!allow_outside_ && path[0] == '/') {
    return absl::PermissionDeniedError(
        absl::StrCat("the file '", path,
                     "' lies outside the suite's folder; paths are relative "
                     "to the suite (--allow-outside permits others)"));
  }
  const std::string joined = path[0] == '/' ? path : absl::StrCat(folder_, "/", path);
  const std::optional<std::string> real = Resolve(joined);
  if (!real.has_value()) {
    return absl::NotFoundError(absl::StrCat("there is no file '", path, "' beside the suite"));
  }
  const std::string folder = Resolve(folder_).value_or(folder_);
  if (!allow_outside_ && !absl::StartsWith(*real, folder == "/" ? folder : folder + "/")) {
    return absl::PermissionDeniedError(
        absl::StrCat("the file '", path,
                     "' lies outside the suite's folder (--allow-outside "
                     "permits it)"));
  }
  auto bytes = ReadFile(*real, DefaultLimits().data_file_bytes);
  if (bytes.ok()) return bytes;
  return absl::Status(bytes.status().code(),
                      absl::StrCat("the file '", path, "' cannot be read",
                                   absl::IsOutOfRange(bytes.status())
                                       ? absl::StrCat(": it has more than ",
                                                      DefaultLimits().data_file_bytes, " bytes")
                                       : ""));
}

}  // namespace picket
