#include "cli/ci_metadata.h"

#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "cli/escape.h"

namespace picket {
namespace {

constexpr size_t kValueBytes = 500;

// Variables in order of preference, separated by blanks.
struct System {
  absl::string_view name;
  // Set (and, after '=', equal to that) only there.
  absl::string_view sign;
  absl::string_view commit, branch, pull_request, job_url, repository;
};

constexpr System kSystems[] = {
    // Gitea, Forgejo and Woodpecker come before those whose variables they imitate.
    {"gitea", "GITEA_ACTIONS=true", "GITHUB_SHA", "GITHUB_HEAD_REF GITHUB_REF_NAME", "", "",
     "GITHUB_REPOSITORY"},
    {"github", "GITHUB_ACTIONS=true", "GITHUB_SHA", "GITHUB_HEAD_REF GITHUB_REF_NAME", "", "",
     "GITHUB_REPOSITORY"},
    {"gitlab", "GITLAB_CI", "CI_COMMIT_SHA",
     "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME CI_COMMIT_REF_NAME", "CI_MERGE_REQUEST_IID", "CI_JOB_URL",
     "CI_PROJECT_PATH"},
    {"woodpecker", "CI=woodpecker", "CI_COMMIT_SHA", "CI_COMMIT_SOURCE_BRANCH CI_COMMIT_BRANCH",
     "CI_COMMIT_PULL_REQUEST", "CI_PIPELINE_URL CI_BUILD_LINK", "CI_REPO"},
    {"drone", "DRONE", "DRONE_COMMIT_SHA", "DRONE_SOURCE_BRANCH DRONE_BRANCH", "DRONE_PULL_REQUEST",
     "DRONE_BUILD_LINK", "DRONE_REPO"},
    {"buildkite", "BUILDKITE", "BUILDKITE_COMMIT", "BUILDKITE_BRANCH", "BUILDKITE_PULL_REQUEST",
     "BUILDKITE_BUILD_URL", "BUILDKITE_REPO"},
    {"circleci", "CIRCLECI", "CIRCLE_SHA1", "CIRCLE_BRANCH", "CIRCLE_PULL_REQUEST CIRCLE_PR_NUMBER",
     "CIRCLE_BUILD_URL", "CIRCLE_REPOSITORY_URL"},
    {"azure", "TF_BUILD", "BUILD_SOURCEVERSION",
     "SYSTEM_PULLREQUEST_SOURCEBRANCH BUILD_SOURCEBRANCHNAME", "SYSTEM_PULLREQUEST_PULLREQUESTID",
     "", "BUILD_REPOSITORY_NAME"},
    {"bitbucket", "BITBUCKET_BUILD_NUMBER", "BITBUCKET_COMMIT", "BITBUCKET_BRANCH",
     "BITBUCKET_PR_ID", "", "BITBUCKET_REPO_FULL_NAME"},
    {"travis", "TRAVIS", "TRAVIS_COMMIT", "TRAVIS_PULL_REQUEST_BRANCH TRAVIS_BRANCH",
     "TRAVIS_PULL_REQUEST", "TRAVIS_JOB_WEB_URL", "TRAVIS_REPO_SLUG"},
    {"appveyor", "APPVEYOR", "APPVEYOR_REPO_COMMIT",
     "APPVEYOR_PULL_REQUEST_HEAD_REPO_BRANCH APPVEYOR_REPO_BRANCH", "APPVEYOR_PULL_REQUEST_NUMBER",
     "", "APPVEYOR_REPO_NAME"},
    {"codepipeline", "CODEBUILD_BUILD_ID", "CODEBUILD_RESOLVED_SOURCE_VERSION",
     "CODEBUILD_WEBHOOK_HEAD_REF", "", "CODEBUILD_BUILD_URL", "CODEBUILD_SOURCE_REPO_URL"},
    {"teamcity", "TEAMCITY_VERSION", "BUILD_VCS_NUMBER", "", "", "BUILD_URL", ""},
    // Last: other systems set JENKINS_URL for compatibility.
    {"jenkins", "JENKINS_URL", "GIT_COMMIT", "CHANGE_BRANCH BRANCH_NAME GIT_BRANCH", "CHANGE_ID",
     "BUILD_URL", "GIT_URL"},
};

using Variable = std::function<std::optional<std::string>(const std::string&)>;

std::string First(absl::string_view names, const Variable& variable) {
  for (absl::string_view name : absl::StrSplit(names, ' ', absl::SkipEmpty())) {
    const std::optional<std::string> value = variable(std::string(name));
    if (value.has_value() && !value->empty() && *value != "false") return *value;
  }
  return "";
}

bool IsHere(const System& system, const Variable& variable) {
  const std::vector<std::string> sign = absl::StrSplit(system.sign, absl::MaxSplits('=', 1));
  const std::optional<std::string> value = variable(sign[0]);
  if (!value.has_value() || value->empty()) return false;
  return sign.size() == 1 || *value == sign[1];
}

// Links and numbers that no single variable holds.
void Complete(const Variable& variable, std::map<std::string, std::string>& labels) {
  const std::string& system = labels["ci.system"];
  const auto get = [&](const char* name) { return variable(name).value_or(""); };
  if (system == "github" || system == "gitea") {
    const std::string run = get("GITHUB_RUN_ID");
    if (!run.empty()) {
      labels["ci.job_url"] = absl::StrCat(get("GITHUB_SERVER_URL"), "/", get("GITHUB_REPOSITORY"),
                                          "/actions/runs/", run);
    }
    const std::string text = get("GITHUB_REF");
    absl::string_view ref = text;
    if (absl::ConsumePrefix(&ref, "refs/pull/")) {
      labels["ci.pull_request"] = std::string(ref.substr(0, ref.find('/')));
    }
  } else if (system == "azure" && !get("BUILD_BUILDID").empty()) {
    labels["ci.job_url"] =
        absl::StrCat(get("SYSTEM_TEAMFOUNDATIONCOLLECTIONURI"), get("SYSTEM_TEAMPROJECT"),
                     "/_build/results?buildId=", get("BUILD_BUILDID"));
  } else if (system == "bitbucket") {
    labels["ci.job_url"] = absl::StrCat("https://bitbucket.org/", get("BITBUCKET_REPO_FULL_NAME"),
                                        "/pipelines/results/", get("BITBUCKET_BUILD_NUMBER"));
  } else if (system == "appveyor") {
    labels["ci.job_url"] =
        absl::StrCat(get("APPVEYOR_URL"), "/project/", get("APPVEYOR_ACCOUNT_NAME"), "/",
                     get("APPVEYOR_PROJECT_SLUG"), "/builds/", get("APPVEYOR_BUILD_ID"));
  }
}

}  // namespace

std::map<std::string, std::string> DetectCi(const Variable& variable) {
  std::map<std::string, std::string> labels;
  for (const System& system : kSystems) {
    if (!IsHere(system, variable)) continue;
    labels["ci.system"] = std::string(system.name);
    labels["ci.commit"] = First(system.commit, variable);
    labels["ci.branch"] = First(system.branch, variable);
    labels["ci.pull_request"] = First(system.pull_request, variable);
    labels["ci.job_url"] = First(system.job_url, variable);
    labels["ci.repository"] = First(system.repository, variable);
    Complete(variable, labels);
    break;
  }
  for (auto it = labels.begin(); it != labels.end();) {
    it->second = CutToBytes(it->second, kValueBytes);
    it = it->second.empty() ? labels.erase(it) : std::next(it);
  }
  return labels;
}

}  // namespace picket
