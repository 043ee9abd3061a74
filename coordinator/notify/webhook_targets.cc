#include "coordinator/notify/webhook_targets.h"

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/files.h"
#include "common/base/status_macros.h"
#include "coordinator/notify/limits.h"
#include "coordinator/notify/post_client.h"

namespace picket {
namespace {

bool IsName(absl::string_view name) {
  if (name.empty() || name.size() > 63 || name[0] == '-' || name[0] == '_') return false;
  return std::all_of(name.begin(), name.end(), [](char c) {
    return absl::ascii_islower(c) || absl::ascii_isdigit(c) || c == '-' || c == '_';
  });
}

// NAME=VALUE by name. `flag` and `what` are for messages.
absl::StatusOr<std::map<std::string, std::string>> ByName(const std::vector<std::string>& values,
                                                          absl::string_view flag,
                                                          absl::string_view what) {
  std::map<std::string, std::string> named;
  for (const std::string& value : values) {
    const std::pair<std::string, std::string> parts =
        absl::StrSplit(value, absl::MaxSplits('=', 1));
    if (!IsName(parts.first) || parts.second.empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat("--", flag, " takes NAME=", what,
                       " with a name of a-z, 0-9, - and _, such as deploys=", what, ", not '",
                       parts.first, "'"));
    }
    if (!named.emplace(parts.first, parts.second).second) {
      return absl::InvalidArgumentError(
          absl::StrCat("--", flag, " names '", parts.first, "' twice"));
    }
  }
  return named;
}

}  // namespace

absl::StatusOr<std::vector<WebhookTarget>> ReadWebhookTargets(
    const std::vector<std::string>& urls, const std::vector<std::string>& secret_files) {
  ABSL_ASSIGN_OR_RETURN(auto named_urls, ByName(urls, "webhook-url", "URL"));
  ABSL_ASSIGN_OR_RETURN(auto named_files, ByName(secret_files, "webhook-secret-file", "FILE"));
  if (named_urls.size() > DefaultNotifyLimits().targets) {
    return absl::InvalidArgumentError(
        absl::StrCat("--webhook-url names more than ", DefaultNotifyLimits().targets, " targets"));
  }
  std::vector<WebhookTarget> targets;
  for (const auto& [name, url] : named_urls) {
    if (absl::Status status = CheckPostUrl(url); !status.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat("--webhook-url of '", name, "': ", status.message()));
    }
    const auto file = named_files.find(name);
    if (file == named_files.end()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "the webhook '", name, "' has no secret to sign with: --webhook-secret-file ", name,
          "=FILE, with a line such as the one that `echo whsec_$(openssl rand -base64 32)` makes"));
    }
    if (auto secrets = ReadWebhookSecrets(file->second); !secrets.ok()) {
      return absl::InvalidArgumentError(absl::StrCat("--webhook-secret-file of '", name,
                                                     "': ", secrets.status().message()));
    }
    targets.push_back({name, url, file->second});
    named_files.erase(file);
  }
  if (!named_files.empty()) {
    return absl::InvalidArgumentError(absl::StrCat("--webhook-secret-file names '",
                                                   named_files.begin()->first,
                                                   "', and no --webhook-url does"));
  }
  return targets;
}

absl::StatusOr<std::vector<WebhookSecret>> ReadWebhookSecrets(const std::string& path) {
  ABSL_ASSIGN_OR_RETURN(const std::string text,
                        ReadFile(path, DefaultNotifyLimits().secret_file_bytes));
  absl::StatusOr<std::vector<WebhookSecret>> secrets = ParseWebhookSecrets(text);
  if (!secrets.ok()) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": ", secrets.status().message()));
  }
  return secrets;
}

}  // namespace picket
