// File: ci_metadata.h
//
// Which pipeline a run belongs to, out of the variables that CI systems set.
//
// Sources: the "predefined variables" pages of each system's documentation.
//
// Thread rule: pure.

#ifndef CLI_CI_METADATA_H_
#define CLI_CI_METADATA_H_

#include <functional>
#include <map>
#include <optional>
#include <string>

namespace picket {

// Labels ci.system, ci.commit, ci.branch, ci.pull_request, ci.job_url, ci.repository; only
// those that are known. Empty outside of a known system. Values are cut to 500 bytes.
std::map<std::string, std::string> DetectCi(
    const std::function<std::optional<std::string>(const std::string&)>& variable);

}  // namespace picket

#endif  // CLI_CI_METADATA_H_
