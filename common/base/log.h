// File: log.h
//
// Structured logs on standard error: one event a line, the message a constant,
// the variables as key=value pairs.
//
//   Log(LogLevel::kInfo, "lease granted", {{"run", run}, {"shard", absl::StrCat(shard)}});
//
// Thread rule: safe to call from any thread. The pure rooms (coordinator/core,
// agent/session's state machine) log nothing.

#ifndef COMMON_BASE_LOG_H_
#define COMMON_BASE_LOG_H_

#include <initializer_list>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace picket {

enum class LogLevel { kDebug, kInfo, kWarning, kError, kOff };

using LogField = std::pair<absl::string_view, std::string>;

void Log(LogLevel level, absl::string_view message, std::initializer_list<LogField> fields = {});

// Lines below `level` are dropped. Default: kInfo.
void SetLogLevel(LogLevel level);
// `name` is one of debug, info, warning, error, off.
absl::Status SetLogLevelByName(absl::string_view name);
// Plain `key=value` lines (default) or one JSON object a line.
void SetLogJson(bool json);

}  // namespace picket

#endif  // COMMON_BASE_LOG_H_
