#include "cli/ci_metadata.h"

#include <algorithm>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/report/escape.h"

namespace picket {
namespace {

// Each field names variables in order of preference, with blanks between them.
struct Provider {
  absl::string_view name;
  // Set (and, after '=', equal to that) only there.
  absl::string_view sign;
  absl::string_view commit;
  // A whole ref (refs/heads/..., refs/tags/..., refs/pull/N/...) will do too.
  absl::string_view branch;
  absl::string_view tag;
  // A number, or something that ends in it after a '/'.
  absl::string_view pull_request;
  absl::string_view repository;
  absl::string_view pipeline_id;
  absl::string_view job_url;
};

constexpr Provider kProviders[] = {
    // Those that imitate the variables of another come before it.
    {.name = "forgejo",
     .sign = "FORGEJO_ACTIONS=true",
     .commit = "GITHUB_SHA",
     .branch = "GITHUB_HEAD_REF GITHUB_REF",
     .repository = "GITHUB_REPOSITORY",
     .pipeline_id = "GITHUB_RUN_ID"},
    {.name = "gitea",
     .sign = "GITEA_ACTIONS=true",
     .commit = "GITHUB_SHA",
     .branch = "GITHUB_HEAD_REF GITHUB_REF",
     .repository = "GITHUB_REPOSITORY",
     .pipeline_id = "GITHUB_RUN_ID"},
    {.name = "github",
     .sign = "GITHUB_ACTIONS=true",
     .commit = "GITHUB_SHA",
     .branch = "GITHUB_HEAD_REF GITHUB_REF",
     .repository = "GITHUB_REPOSITORY",
     .pipeline_id = "GITHUB_RUN_ID"},
    {.name = "gitlab",
     .sign = "GITLAB_CI",
     .commit = "CI_COMMIT_SHA",
     .branch = "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME CI_COMMIT_BRANCH CI_COMMIT_REF_NAME",
     .tag = "CI_COMMIT_TAG",
     .pull_request = "CI_MERGE_REQUEST_IID",
     .repository = "CI_PROJECT_PATH",
     .pipeline_id = "CI_PIPELINE_ID",
     .job_url = "CI_JOB_URL CI_PIPELINE_URL"},
    {.name = "woodpecker",
     .sign = "CI=woodpecker",
     .commit = "CI_COMMIT_SHA",
     .branch = "CI_COMMIT_SOURCE_BRANCH CI_COMMIT_BRANCH",
     .tag = "CI_COMMIT_TAG",
     .pull_request = "CI_COMMIT_PULL_REQUEST",
     .repository = "CI_REPO",
     .pipeline_id = "CI_PIPELINE_NUMBER CI_BUILD_NUMBER",
     .job_url = "CI_STEP_URL CI_PIPELINE_URL CI_BUILD_LINK"},
    {.name = "drone",
     .sign = "DRONE",
     .commit = "DRONE_COMMIT_SHA",
     .branch = "DRONE_SOURCE_BRANCH DRONE_BRANCH",
     .tag = "DRONE_TAG",
     .pull_request = "DRONE_PULL_REQUEST",
     .repository = "DRONE_REPO",
     .pipeline_id = "DRONE_BUILD_NUMBER",
     .job_url = "DRONE_BUILD_LINK"},
    {.name = "buildkite",
     .sign = "BUILDKITE",
     .commit = "BUILDKITE_COMMIT",
     .branch = "BUILDKITE_BRANCH",
     .tag = "BUILDKITE_TAG",
     .pull_request = "BUILDKITE_PULL_REQUEST",
     .repository = "BUILDKITE_REPO",
     .pipeline_id = "BUILDKITE_BUILD_ID BUILDKITE_BUILD_NUMBER",
     .job_url = "BUILDKITE_BUILD_URL"},
    {.name = "circleci",
     .sign = "CIRCLECI",
     .commit = "CIRCLE_SHA1",
     .branch = "CIRCLE_BRANCH",
     .tag = "CIRCLE_TAG",
     .pull_request = "CIRCLE_PULL_REQUEST CIRCLE_PR_NUMBER",
     .repository = "CIRCLE_REPOSITORY_URL",
     .pipeline_id = "CIRCLE_PIPELINE_ID CIRCLE_WORKFLOW_ID",
     .job_url = "CIRCLE_BUILD_URL"},
    {.name = "azure",
     .sign = "TF_BUILD",
     .commit = "SYSTEM_PULLREQUEST_SOURCECOMMITID BUILD_SOURCEVERSION",
     .branch = "SYSTEM_PULLREQUEST_SOURCEBRANCH BUILD_SOURCEBRANCH",
     .pull_request = "SYSTEM_PULLREQUEST_PULLREQUESTNUMBER SYSTEM_PULLREQUEST_PULLREQUESTID",
     .repository = "BUILD_REPOSITORY_NAME",
     .pipeline_id = "BUILD_BUILDID"},
    {.name = "bitbucket",
     .sign = "BITBUCKET_BUILD_NUMBER",
     .commit = "BITBUCKET_COMMIT",
     .branch = "BITBUCKET_BRANCH",
     .tag = "BITBUCKET_TAG",
     .pull_request = "BITBUCKET_PR_ID",
     .repository = "BITBUCKET_REPO_FULL_NAME",
     .pipeline_id = "BITBUCKET_PIPELINE_UUID BITBUCKET_BUILD_NUMBER"},
    {.name = "travis",
     .sign = "TRAVIS",
     .commit = "TRAVIS_PULL_REQUEST_SHA TRAVIS_COMMIT",
     .branch = "TRAVIS_PULL_REQUEST_BRANCH TRAVIS_BRANCH",
     .tag = "TRAVIS_TAG",
     .pull_request = "TRAVIS_PULL_REQUEST",
     .repository = "TRAVIS_REPO_SLUG",
     .pipeline_id = "TRAVIS_BUILD_ID",
     .job_url = "TRAVIS_JOB_WEB_URL TRAVIS_BUILD_WEB_URL"},
    {.name = "appveyor",
     .sign = "APPVEYOR",
     .commit = "APPVEYOR_PULL_REQUEST_HEAD_COMMIT APPVEYOR_REPO_COMMIT",
     .branch = "APPVEYOR_PULL_REQUEST_HEAD_REPO_BRANCH APPVEYOR_REPO_BRANCH",
     .tag = "APPVEYOR_REPO_TAG_NAME",
     .pull_request = "APPVEYOR_PULL_REQUEST_NUMBER",
     .repository = "APPVEYOR_REPO_NAME",
     .pipeline_id = "APPVEYOR_BUILD_ID"},
    {.name = "codebuild",
     .sign = "CODEBUILD_BUILD_ID",
     .commit = "CODEBUILD_RESOLVED_SOURCE_VERSION",
     .branch = "CODEBUILD_WEBHOOK_HEAD_REF",
     .repository = "CODEBUILD_SOURCE_REPO_URL",
     .pipeline_id = "CODEBUILD_BUILD_ID",
     .job_url = "CODEBUILD_BUILD_URL"},
    {.name = "teamcity",
     .sign = "TEAMCITY_VERSION",
     .commit = "BUILD_VCS_NUMBER",
     .pipeline_id = "BUILD_NUMBER",
     .job_url = "BUILD_URL"},
    // Last: plugins of other systems set JENKINS_URL for compatibility.
    {.name = "jenkins",
     .sign = "JENKINS_URL",
     .commit = "GIT_COMMIT",
     .branch = "CHANGE_BRANCH GIT_LOCAL_BRANCH GIT_BRANCH BRANCH_NAME",
     .tag = "TAG_NAME",
     .pull_request = "CHANGE_ID",
     .repository = "GIT_URL",
     .pipeline_id = "BUILD_TAG",
     .job_url = "BUILD_URL"},
};

using Variable = std::function<std::optional<std::string>(const std::string&)>;

std::string First(absl::string_view names, const Variable& variable) {
  for (absl::string_view name : absl::StrSplit(names, ' ', absl::SkipEmpty())) {
    const std::optional<std::string> value = variable(std::string(name));
    if (value.has_value() && !value->empty()) return *value;
  }
  return "";
}

bool IsHere(const Provider& provider, const Variable& variable) {
  const std::vector<std::string> sign = absl::StrSplit(provider.sign, absl::MaxSplits('=', 1));
  const std::optional<std::string> value = variable(sign[0]);
  if (!value.has_value() || value->empty()) return false;
  return sign.size() == 1 || *value == sign[1];
}

// "17" of "17", "pr/17", "refs/pull/17/merge" and ".../pull/17"; "" of "false".
std::string PullRequestOf(absl::string_view text) {
  if (absl::EndsWith(text, "/merge") || absl::EndsWith(text, "/head")) {
    text = text.substr(0, text.rfind('/'));
  }
  text = text.substr(text.rfind('/') + 1);
  const bool number = !text.empty() && std::all_of(text.begin(), text.end(), absl::ascii_isdigit);
  return number ? std::string(text) : "";
}

// "https://user:token@host/x" -> "https://host/x". A clone URL may hold what clones it.
std::string WithoutCredentials(absl::string_view url) {
  const size_t scheme = url.find("://");
  if (scheme == absl::string_view::npos) return std::string(url);
  const size_t host = scheme + 3;
  const size_t end = std::min(url.find_first_of("/?#", host), url.size());
  const size_t at = url.substr(0, end).rfind('@');
  if (at == absl::string_view::npos || at < host) return std::string(url);
  return absl::StrCat(url.substr(0, host), url.substr(at + 1));
}

using Labels = std::map<std::string, std::string>;

// A whole ref says by itself whether it is a branch, a tag or a pull request.
void SetRef(absl::string_view ref, Labels& labels) {
  if (absl::ConsumePrefix(&ref, "refs/tags/")) {
    labels["ci.tag"] = std::string(ref);
  } else if (absl::StartsWith(ref, "refs/pull/") || absl::StartsWith(ref, "refs/merge-requests/")) {
    std::string& pull_request = labels["ci.pull_request"];
    if (pull_request.empty()) pull_request = PullRequestOf(ref);
  } else {
    absl::ConsumePrefix(&ref, "refs/heads/");
    labels["ci.branch"] = std::string(ref);
  }
  if (!labels["ci.tag"].empty()) labels["ci.branch"].clear();
}

// Where several variables make one value.
void Complete(const Variable& variable, Labels& labels) {
  const auto get = [&](const char* name) { return variable(name).value_or(""); };
  const std::string provider = labels["ci.provider"];
  const std::string id = labels["ci.pipeline_id"];
  std::string& url = labels["ci.job_url"];
  if (provider == "github" || provider == "gitea" || provider == "forgejo") {
    const std::string ref = get("GITHUB_REF");
    if (absl::StartsWith(ref, "refs/pull/")) labels["ci.pull_request"] = PullRequestOf(ref);
    // Gitea's pages go by the run's number within the repository, GitHub's by its id.
    const std::string run = provider == "github" ? id : get("GITHUB_RUN_NUMBER");
    if (!run.empty() && !get("GITHUB_SERVER_URL").empty()) {
      url = absl::StrCat(get("GITHUB_SERVER_URL"), "/", get("GITHUB_REPOSITORY"), "/actions/runs/",
                         run);
    }
  } else if (provider == "buildkite" && !url.empty() && !get("BUILDKITE_JOB_ID").empty()) {
    absl::StrAppend(&url, "#", get("BUILDKITE_JOB_ID"));
  } else if (provider == "azure" && !id.empty()) {
    url = absl::StrCat(get("SYSTEM_TEAMFOUNDATIONCOLLECTIONURI"), get("SYSTEM_TEAMPROJECT"),
                       "/_build/results?buildId=", id);
  } else if (provider == "bitbucket" && !get("BITBUCKET_REPO_FULL_NAME").empty()) {
    url = absl::StrCat("https://bitbucket.org/", get("BITBUCKET_REPO_FULL_NAME"),
                       "/pipelines/results/", get("BITBUCKET_BUILD_NUMBER"));
  } else if (provider == "appveyor" && !get("APPVEYOR_URL").empty()) {
    url = absl::StrCat(get("APPVEYOR_URL"), "/project/", get("APPVEYOR_ACCOUNT_NAME"), "/",
                       get("APPVEYOR_PROJECT_SLUG"), "/builds/", id);
  } else if (provider == "codebuild") {
    // pr/17, branch/main or tag/v1.
    const std::string trigger = get("CODEBUILD_WEBHOOK_TRIGGER");
    if (absl::StartsWith(trigger, "pr/")) labels["ci.pull_request"] = PullRequestOf(trigger);
    if (absl::StartsWith(get("CODEBUILD_INITIATOR"), "codepipeline/")) {
      labels["ci.provider"] = "codepipeline";
    }
  } else if (provider == "jenkins") {
    // The name of a remote before the branch is git's, not the branch's.
    absl::string_view branch = labels["ci.branch"];
    if (absl::ConsumePrefix(&branch, "origin/")) labels["ci.branch"] = std::string(branch);
  }
}

}  // namespace

std::map<std::string, std::string> DetectCi(const Variable& variable) {
  Labels labels;
  const auto here = std::find_if(std::begin(kProviders), std::end(kProviders),
                                 [&](const Provider& p) { return IsHere(p, variable); });
  if (here == std::end(kProviders)) return labels;
  labels["ci.provider"] = std::string(here->name);
  labels["ci.commit"] = First(here->commit, variable);
  labels["ci.tag"] = First(here->tag, variable);
  labels["ci.pull_request"] = PullRequestOf(First(here->pull_request, variable));
  labels["ci.repository"] = WithoutCredentials(First(here->repository, variable));
  labels["ci.pipeline_id"] = First(here->pipeline_id, variable);
  labels["ci.job_url"] = First(here->job_url, variable);
  SetRef(First(here->branch, variable), labels);
  Complete(variable, labels);
  labels["ci.job_url"] = WithoutCredentials(labels["ci.job_url"]);
  for (auto it = labels.begin(); it != labels.end();) {
    it->second = CutToBytes(EscapeTerminal(it->second), kCiValueBytes);
    it = it->second.empty() ? labels.erase(it) : std::next(it);
  }
  return labels;
}

}  // namespace picket
