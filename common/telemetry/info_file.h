// File: info_file.h
//
// How a program that serves on `:0` tells others where: a small JSON object in a file
// that appears whole or not at all, written once everything serves.
//
//   {"grpc":"127.0.0.1:41811","http":"127.0.0.1:41812","pid":7}
//
// Thread rule: pure but for the file.

#ifndef COMMON_TELEMETRY_INFO_FILE_H_
#define COMMON_TELEMETRY_INFO_FILE_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"

namespace picket {

// `addresses` in order, e.g. {"grpc", "127.0.0.1:41811"}; the process id is added last.
absl::Status WriteInfoFile(const std::string& path,
                           const std::vector<std::pair<std::string, std::string>>& addresses);

// `text` as a JSON string, quotes included. Bytes that are not UTF-8 become U+FFFD.
std::string JsonString(const std::string& text);

}  // namespace picket

#endif  // COMMON_TELEMETRY_INFO_FILE_H_
