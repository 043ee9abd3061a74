#include "common/base/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <atomic>
#include <memory>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace picket {
namespace {

std::atomic<bool> g_json{false};

spdlog::logger& Logger() {
  static auto* const logger = [] {
    auto* l = new spdlog::logger("picket", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    l->set_pattern("%Y-%m-%dT%H:%M:%S.%e%z %l %v");
    l->set_level(spdlog::level::info);
    return l;
  }();
  return *logger;
}

spdlog::level::level_enum ToSpdlog(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug: return spdlog::level::debug;
    case LogLevel::kInfo: return spdlog::level::info;
    case LogLevel::kWarning: return spdlog::level::warn;
    case LogLevel::kError: return spdlog::level::err;
    case LogLevel::kOff: return spdlog::level::off;
  }
  return spdlog::level::info;
}

// Quotes and escapes control characters, so that one event stays one line.
void AppendQuoted(std::string& out, absl::string_view text) {
  out += '"';
  for (unsigned char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += static_cast<char>(c);
    } else if (c == '\n') {
      out += "\\n";
    } else if (c < 0x20 || c == 0x7f) {
      constexpr char kHex[] = "0123456789abcdef";
      absl::StrAppend(&out, "\\u00", absl::string_view(&kHex[c >> 4], 1),
                      absl::string_view(&kHex[c & 15], 1));
    } else {
      out += static_cast<char>(c);
    }
  }
  out += '"';
}

bool IsPlain(absl::string_view text) {
  if (text.empty()) return false;
  for (unsigned char c : text) {
    if (c <= 0x20 || c == '"' || c == '\\' || c == '=' || c == 0x7f) return false;
  }
  return true;
}

}  // namespace

void Log(LogLevel level, absl::string_view message, std::initializer_list<LogField> fields) {
  const auto lvl = ToSpdlog(level);
  if (!Logger().should_log(lvl)) return;
  std::string line;
  if (g_json.load(std::memory_order_relaxed)) {
    line = "{\"message\":";
    AppendQuoted(line, message);
    for (const LogField& field : fields) {
      line += ',';
      AppendQuoted(line, field.first);
      line += ':';
      AppendQuoted(line, field.second);
    }
    line += '}';
  } else {
    line = std::string(message);
    for (const LogField& field : fields) {
      absl::StrAppend(&line, " ", field.first, "=");
      if (IsPlain(field.second)) {
        line += field.second;
      } else {
        AppendQuoted(line, field.second);
      }
    }
  }
  Logger().log(lvl, "{}", line);
}

void SetLogLevel(LogLevel level) { Logger().set_level(ToSpdlog(level)); }

absl::Status SetLogLevelByName(absl::string_view name) {
  if (name == "debug") SetLogLevel(LogLevel::kDebug);
  else if (name == "info") SetLogLevel(LogLevel::kInfo);
  else if (name == "warning") SetLogLevel(LogLevel::kWarning);
  else if (name == "error") SetLogLevel(LogLevel::kError);
  else if (name == "off") SetLogLevel(LogLevel::kOff);
  else
    return absl::InvalidArgumentError(absl::StrCat(
        "log level is debug, info, warning, error or off, not '", absl::CHexEscape(name), "'"));
  return absl::OkStatus();
}

void SetLogJson(bool json) {
  g_json.store(json, std::memory_order_relaxed);
  Logger().set_pattern(json ? "{\"time\":\"%Y-%m-%dT%H:%M:%S.%e%z\",\"level\":\"%l\",\"event\":%v}"
                            : "%Y-%m-%dT%H:%M:%S.%e%z %l %v");
}

}  // namespace picket
