// File: ci_metadata.h
//
// Which pipeline a run belongs to, out of the variables that CI systems set.
//
// Sources: the "predefined variables" pages of each system's documentation. Only systems
// that say who they are by a variable of their own are told apart; a variable that a
// system leaves empty is not guessed.
//
// Thread rule: pure.

#ifndef CLI_CI_METADATA_H_
#define CLI_CI_METADATA_H_

#include <cstddef>
#include <functional>
#include <map>
#include <optional>
#include <string>

namespace picket {

// A value is cut to this many bytes.
inline constexpr size_t kCiValueBytes = 500;

// Labels, only those that are known; empty outside of a known system:
//   ci.provider      appveyor azure bitbucket buildkite circleci codebuild codepipeline
//                    drone forgejo gitea github gitlab jenkins teamcity travis woodpecker
//   ci.commit        the commit that is built
//   ci.branch        the branch; of a pull request, the one it comes from
//   ci.tag           the tag, when one is built; then there is no branch
//   ci.pull_request  its number
//   ci.repository    owner/name or URL, without credentials
//   ci.pipeline_id   what ties the jobs of one pipeline together
//   ci.job_url       where a person sees the job, without credentials
// Values are one line of UTF-8; what is not is shown as \xNN.
std::map<std::string, std::string> DetectCi(
    const std::function<std::optional<std::string>(const std::string&)>& variable);

}  // namespace picket

#endif  // CLI_CI_METADATA_H_
