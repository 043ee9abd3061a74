#include "cli/ci_metadata.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "common/base/files.h"
#include "tests/unit/cli/canned_run.h"
#include "tests/unit/cli/fake_cli.h"

namespace picket {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;
using Variables = std::map<std::string, std::string>;

Variables Detect(const Variables& variables) {
  return DetectCi([&](const std::string& name) -> std::optional<std::string> {
    const auto it = variables.find(name);
    if (it == variables.end()) return std::nullopt;
    return it->second;
  });
}

TEST(CiMetadataTest, NothingOutsideOfCi) {
  EXPECT_THAT(Detect({}), IsEmpty());
  EXPECT_THAT(Detect({{"CI", "true"}, {"GIT_COMMIT", "abc"}, {"GITHUB_ACTIONS", ""}}), IsEmpty());
}

struct ProviderCase {
  const char* name;
  Variables variables;
  Variables labels;
};

std::vector<ProviderCase> Providers() {
  const Variables github = {{"GITHUB_ACTIONS", "true"},
                            {"GITHUB_SHA", "abc"},
                            {"GITHUB_REF", "refs/heads/feature/x"},
                            {"GITHUB_SERVER_URL", "https://git.example"},
                            {"GITHUB_REPOSITORY", "a/b"},
                            {"GITHUB_RUN_ID", "900"},
                            {"GITHUB_RUN_NUMBER", "9"}};
  const auto with = [](Variables v, Variables more) {
    v.merge(more);
    return v;
  };
  return {
      {"github",
       github,
       {{"ci.commit", "abc"},
        {"ci.branch", "feature/x"},
        {"ci.repository", "a/b"},
        {"ci.pipeline_id", "900"},
        {"ci.job_url", "https://git.example/a/b/actions/runs/900"}}},
      {"gitea",
       with(github, {{"GITEA_ACTIONS", "true"}}),
       {{"ci.commit", "abc"},
        {"ci.branch", "feature/x"},
        {"ci.repository", "a/b"},
        {"ci.pipeline_id", "900"},
        {"ci.job_url", "https://git.example/a/b/actions/runs/9"}}},
      {"forgejo",
       with(github, {{"GITEA_ACTIONS", "true"}, {"FORGEJO_ACTIONS", "true"}}),
       {{"ci.commit", "abc"},
        {"ci.branch", "feature/x"},
        {"ci.repository", "a/b"},
        {"ci.pipeline_id", "900"},
        {"ci.job_url", "https://git.example/a/b/actions/runs/9"}}},
      {"gitlab",
       {{"GITLAB_CI", "true"},
        {"CI_COMMIT_SHA", "abc"},
        {"CI_COMMIT_REF_NAME", "topic"},
        {"CI_MERGE_REQUEST_SOURCE_BRANCH_NAME", "topic"},
        {"CI_MERGE_REQUEST_IID", "17"},
        {"CI_PROJECT_PATH", "g/p"},
        {"CI_PIPELINE_ID", "5"},
        {"CI_JOB_URL", "https://gitlab.example/g/p/-/jobs/7"}},
       {{"ci.commit", "abc"},
        {"ci.branch", "topic"},
        {"ci.pull_request", "17"},
        {"ci.repository", "g/p"},
        {"ci.pipeline_id", "5"},
        {"ci.job_url", "https://gitlab.example/g/p/-/jobs/7"}}},
      {"jenkins",
       {{"JENKINS_URL", "https://j.example/"},
        {"GIT_COMMIT", "abc"},
        {"GIT_BRANCH", "origin/topic"},
        {"BRANCH_NAME", "PR-17"},
        {"CHANGE_ID", "17"},
        {"GIT_URL", "https://bot:hunter2@git.example/p.git"},
        {"BUILD_TAG", "jenkins-p-4"},
        {"BUILD_URL", "https://j.example/job/p/4/"}},
       {{"ci.commit", "abc"},
        {"ci.branch", "topic"},
        {"ci.pull_request", "17"},
        {"ci.repository", "https://git.example/p.git"},
        {"ci.pipeline_id", "jenkins-p-4"},
        {"ci.job_url", "https://j.example/job/p/4/"}}},
      {"buildkite",
       {{"BUILDKITE", "true"},
        {"BUILDKITE_COMMIT", "abc"},
        {"BUILDKITE_BRANCH", "main"},
        {"BUILDKITE_PULL_REQUEST", "false"},
        {"BUILDKITE_REPO", "git@git.example:a/b.git"},
        {"BUILDKITE_BUILD_ID", "u-1"},
        {"BUILDKITE_BUILD_URL", "https://bk.example/o/p/builds/1"},
        {"BUILDKITE_JOB_ID", "j-2"}},
       {{"ci.commit", "abc"},
        {"ci.branch", "main"},
        {"ci.repository", "git@git.example:a/b.git"},
        {"ci.pipeline_id", "u-1"},
        {"ci.job_url", "https://bk.example/o/p/builds/1#j-2"}}},
      {"circleci",
       {{"CIRCLECI", "true"},
        {"CIRCLE_SHA1", "abc"},
        {"CIRCLE_BRANCH", "pull/17"},
        {"CIRCLE_PULL_REQUEST", "https://git.example/a/b/pull/17"},
        {"CIRCLE_WORKFLOW_ID", "w-1"},
        {"CIRCLE_BUILD_URL", "https://c.example/3"}},
       {{"ci.commit", "abc"},
        {"ci.branch", "pull/17"},
        {"ci.pull_request", "17"},
        {"ci.pipeline_id", "w-1"},
        {"ci.job_url", "https://c.example/3"}}},
      {"azure",
       {{"TF_BUILD", "True"},
        {"BUILD_SOURCEVERSION", "abc"},
        {"BUILD_SOURCEBRANCH", "refs/heads/release/2.1"},
        {"BUILD_REPOSITORY_NAME", "a/b"},
        {"BUILD_BUILDID", "33"},
        {"SYSTEM_TEAMFOUNDATIONCOLLECTIONURI", "https://dev.example/org/"},
        {"SYSTEM_TEAMPROJECT", "proj"}},
       {{"ci.commit", "abc"},
        {"ci.branch", "release/2.1"},
        {"ci.repository", "a/b"},
        {"ci.pipeline_id", "33"},
        {"ci.job_url", "https://dev.example/org/proj/_build/results?buildId=33"}}},
      {"bitbucket",
       {{"BITBUCKET_BUILD_NUMBER", "8"},
        {"BITBUCKET_COMMIT", "abc"},
        {"BITBUCKET_BRANCH", "topic"},
        {"BITBUCKET_PR_ID", "17"},
        {"BITBUCKET_REPO_FULL_NAME", "a/b"}},
       {{"ci.commit", "abc"},
        {"ci.branch", "topic"},
        {"ci.pull_request", "17"},
        {"ci.repository", "a/b"},
        {"ci.pipeline_id", "8"},
        {"ci.job_url", "https://bitbucket.org/a/b/pipelines/results/8"}}},
      {"teamcity",
       {{"TEAMCITY_VERSION", "2025.1"},
        {"BUILD_VCS_NUMBER", "abc"},
        {"BUILD_NUMBER", "12"},
        {"BUILD_URL", "https://tc.example/build/12"}},
       {{"ci.commit", "abc"},
        {"ci.pipeline_id", "12"},
        {"ci.job_url", "https://tc.example/build/12"}}},
      {"travis",
       {{"TRAVIS", "true"},
        {"TRAVIS_COMMIT", "merge"},
        {"TRAVIS_PULL_REQUEST_SHA", "abc"},
        {"TRAVIS_BRANCH", "main"},
        {"TRAVIS_PULL_REQUEST_BRANCH", "topic"},
        {"TRAVIS_PULL_REQUEST", "17"},
        {"TRAVIS_REPO_SLUG", "a/b"},
        {"TRAVIS_BUILD_ID", "6"},
        {"TRAVIS_JOB_WEB_URL", "https://t.example/jobs/6"}},
       {{"ci.commit", "abc"},
        {"ci.branch", "topic"},
        {"ci.pull_request", "17"},
        {"ci.repository", "a/b"},
        {"ci.pipeline_id", "6"},
        {"ci.job_url", "https://t.example/jobs/6"}}},
      {"appveyor",
       {{"APPVEYOR", "True"},
        {"APPVEYOR_REPO_COMMIT", "abc"},
        {"APPVEYOR_REPO_BRANCH", "main"},
        {"APPVEYOR_REPO_NAME", "a/b"},
        {"APPVEYOR_URL", "https://av.example"},
        {"APPVEYOR_ACCOUNT_NAME", "a"},
        {"APPVEYOR_PROJECT_SLUG", "b"},
        {"APPVEYOR_BUILD_ID", "44"}},
       {{"ci.commit", "abc"},
        {"ci.branch", "main"},
        {"ci.repository", "a/b"},
        {"ci.pipeline_id", "44"},
        {"ci.job_url", "https://av.example/project/a/b/builds/44"}}},
      {"codebuild",
       {{"CODEBUILD_BUILD_ID", "p:1"},
        {"CODEBUILD_RESOLVED_SOURCE_VERSION", "abc"},
        {"CODEBUILD_WEBHOOK_HEAD_REF", "refs/heads/topic"},
        {"CODEBUILD_WEBHOOK_TRIGGER", "pr/17"},
        {"CODEBUILD_BUILD_URL", "https://aws.example/p:1"}},
       {{"ci.commit", "abc"},
        {"ci.branch", "topic"},
        {"ci.pull_request", "17"},
        {"ci.pipeline_id", "p:1"},
        {"ci.job_url", "https://aws.example/p:1"}}},
      {"codepipeline",
       {{"CODEBUILD_BUILD_ID", "p:2"},
        {"CODEBUILD_INITIATOR", "codepipeline/shop"},
        {"CODEBUILD_RESOLVED_SOURCE_VERSION", "abc"}},
       {{"ci.commit", "abc"}, {"ci.pipeline_id", "p:2"}}},
      {"drone",
       {{"DRONE", "true"},
        {"DRONE_COMMIT_SHA", "abc"},
        {"DRONE_BRANCH", "main"},
        {"DRONE_SOURCE_BRANCH", "topic"},
        {"DRONE_PULL_REQUEST", "17"},
        {"DRONE_REPO", "a/b"},
        {"DRONE_BUILD_NUMBER", "2"},
        {"DRONE_BUILD_LINK", "https://d.example/a/b/2"}},
       {{"ci.commit", "abc"},
        {"ci.branch", "topic"},
        {"ci.pull_request", "17"},
        {"ci.repository", "a/b"},
        {"ci.pipeline_id", "2"},
        {"ci.job_url", "https://d.example/a/b/2"}}},
      {"woodpecker",
       {{"CI", "woodpecker"},
        {"CI_COMMIT_SHA", "abc"},
        {"CI_COMMIT_BRANCH", "main"},
        {"CI_REPO", "a/b"},
        {"CI_PIPELINE_NUMBER", "3"},
        {"CI_PIPELINE_URL", "https://w.example/repos/1/pipeline/3"}},
       {{"ci.commit", "abc"},
        {"ci.branch", "main"},
        {"ci.repository", "a/b"},
        {"ci.pipeline_id", "3"},
        {"ci.job_url", "https://w.example/repos/1/pipeline/3"}}},
  };
}

TEST(CiMetadataTest, KnowsEveryProviderByItsOwnVariables) {
  for (const ProviderCase& c : Providers()) {
    SCOPED_TRACE(c.name);
    Variables expected = c.labels;
    expected["ci.provider"] = c.name;
    EXPECT_EQ(Detect(c.variables), expected);
  }
}

TEST(CiMetadataTest, APullRequestOnGithubIsItsBranchAndItsNumber) {
  const Variables labels = Detect({{"GITHUB_ACTIONS", "true"},
                                   {"GITHUB_REF", "refs/pull/17/merge"},
                                   {"GITHUB_HEAD_REF", "topic"}});
  EXPECT_THAT(labels, ElementsAre(Pair("ci.branch", "topic"), Pair("ci.provider", "github"),
                                  Pair("ci.pull_request", "17")));
}

TEST(CiMetadataTest, ATagIsNoBranch) {
  EXPECT_THAT(Detect({{"GITHUB_ACTIONS", "true"}, {"GITHUB_REF", "refs/tags/v1.2"}}),
              ElementsAre(Pair("ci.provider", "github"), Pair("ci.tag", "v1.2")));
  EXPECT_THAT(
      Detect({{"GITLAB_CI", "true"}, {"CI_COMMIT_TAG", "v1.2"}, {"CI_COMMIT_REF_NAME", "v1.2"}}),
      ElementsAre(Pair("ci.provider", "gitlab"), Pair("ci.tag", "v1.2")));
}

TEST(CiMetadataTest, CredentialsOfUrlsAreLeftOut) {
  for (const auto& [url, shown] : std::vector<std::pair<std::string, std::string>>{
           {"https://user:token@git.example/a.git", "https://git.example/a.git"},
           {"https://token@git.example", "https://git.example"},
           {"https://a@b:c@git.example/x@y", "https://git.example/x@y"},
           {"https://git.example/x@y", "https://git.example/x@y"}}) {
    EXPECT_EQ(Detect({{"BUILDKITE", "true"}, {"BUILDKITE_REPO", url}})["ci.repository"], shown);
  }
}

TEST(CiMetadataTest, ValuesAreBoundedAndOfOneHarmlessLine) {
  const Variables labels = Detect({{"GITLAB_CI", "true"},
                                   {"CI_COMMIT_SHA", std::string(10'000, 'a')},
                                   {"CI_COMMIT_REF_NAME", "x\n::error::y\xff"}});
  EXPECT_EQ(labels.at("ci.commit").size(), kCiValueBytes);
  EXPECT_EQ(labels.at("ci.branch"), "x\\x0a::error::y\\xff");
}

TEST(CiMetadataTest, ARunCarriesThemAndTheUsersLabelsWin) {
  testing_support::FakeWorld world;
  world.coordinator() = testing_support::CannedRun();
  world.variables() = {{"GITLAB_CI", "true"}, {"CI_COMMIT_SHA", "abc"}, {"CI_PIPELINE_ID", "5"}};
  const std::string suite = ::testing::TempDir() + "/ci_labels.yaml";
  ASSERT_TRUE(WriteFileAtomically(suite,
                                  "version: 1\nname: s\nlabels: {ci.commit: from-suite}\n"
                                  "tests: [{name: t, request: {url: 'http://127.0.0.1/'}}]\n")
                  .ok());
  world.Run({"run", suite, "--label", "ci.pipeline_id=mine"});
  ASSERT_EQ(world.coordinator().created.size(), 1u);
  const auto& labels = world.coordinator().created[0].spec().labels();
  EXPECT_EQ(labels.at("ci.provider"), "gitlab");
  EXPECT_EQ(labels.at("ci.commit"), "from-suite");
  EXPECT_EQ(labels.at("ci.pipeline_id"), "mine");
}

}  // namespace
}  // namespace picket
