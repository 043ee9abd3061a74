#include "common/expr/template_builtins.h"

#include <cstdlib>
#include <optional>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/civil_time.h"
#include "common/base/check.h"
#include "common/base/ids.h"
#include "common/base/status_macros.h"
#include "common/expr/limits.h"
#include "common/expr/template.h"

namespace picket {
namespace {

constexpr absl::string_view kDefaultDateFormat = "%Y-%m-%dT%H:%M:%SZ";
constexpr absl::string_view kDirectives = "YymdejHIMSpLaAbBFTszZ%";
constexpr absl::string_view kDays[] = {"Monday", "Tuesday",  "Wednesday", "Thursday",
                                       "Friday", "Saturday", "Sunday"};
constexpr absl::string_view kMonths[] = {"January",   "February", "March",    "April",
                                         "May",       "June",     "July",     "August",
                                         "September", "October",  "November", "December"};

struct Unit {
  absl::string_view name;
  absl::Duration length;
};

std::optional<absl::Duration> UnitLength(absl::string_view name) {
  static const Unit kUnits[] = {{"us", absl::Microseconds(1)}, {"ms", absl::Milliseconds(1)},
                                {"s", absl::Seconds(1)},       {"m", absl::Minutes(1)},
                                {"h", absl::Hours(1)},         {"d", absl::Hours(24)},
                                {"w", absl::Hours(24 * 7)}};
  for (const Unit& unit : kUnits) {
    if (unit.name == name) return unit.length;
  }
  return std::nullopt;
}

absl::Status CheckOffset(absl::Duration offset) {
  const int64_t days = DefaultExprLimits().template_offset_days;
  if (absl::AbsDuration(offset) <= absl::Hours(24) * days) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("an offset may be at most ", days, " days either way"));
}

// "-1d", "12h", "1h30m", "90" (seconds).
absl::StatusOr<absl::Duration> ParseOffset(absl::string_view text) {
  const absl::Status malformed = absl::InvalidArgumentError(
      absl::StrCat("'", text,
                   "' is no number of seconds and no duration such as -1d, 12h, "
                   "1h30m or 500ms"));
  absl::string_view rest = text;
  bool negative = false;
  if (!rest.empty() && (rest[0] == '-' || rest[0] == '+')) {
    negative = rest[0] == '-';
    rest.remove_prefix(1);
  }
  if (rest.empty()) return malformed;
  absl::Duration sum = absl::ZeroDuration();
  bool first = true;
  while (!rest.empty()) {
    size_t digits = 0;
    while (digits < rest.size() && absl::ascii_isdigit(rest[digits])) ++digits;
    int64_t count = 0;
    if (!absl::SimpleAtoi(rest.substr(0, digits), &count)) return malformed;
    rest.remove_prefix(digits);
    size_t letters = 0;
    while (letters < rest.size() && absl::ascii_isalpha(rest[letters])) ++letters;
    if (letters == 0) {
      if (!first || !rest.empty()) return malformed;
      sum = absl::Seconds(1) * count;
      break;
    }
    const std::optional<absl::Duration> unit = UnitLength(rest.substr(0, letters));
    if (!unit.has_value()) return malformed;
    sum += *unit * count;  // saturates
    rest.remove_prefix(letters);
    first = false;
  }
  ABSL_RETURN_IF_ERROR(CheckOffset(sum));
  return negative ? -sum : sum;
}

absl::Status CheckFormat(absl::string_view format) {
  for (size_t i = 0; i < format.size(); ++i) {
    if (format[i] != '%') continue;
    if (++i == format.size() || !absl::StrContains(kDirectives, format[i])) {
      return absl::InvalidArgumentError(
          absl::StrCat("'%", format.substr(i, 1),
                       "' is no directive of date; there are %Y %y %m %d %e %j %H "
                       "%I %M %S %p %L %a %A %b %B %F %T %s %z %Z and %%"));
    }
  }
  return absl::OkStatus();
}

absl::Status ParseTimestamp(const std::vector<BuiltinArgument>& arguments, BuiltinCall* call,
                            size_t* error_offset) {
  int64_t count = 0;
  if (!arguments.empty() && !absl::SimpleAtoi(arguments[0].text, &count)) {
    *error_offset = arguments[0].offset;
    return absl::InvalidArgumentError(absl::StrCat("'", arguments[0].text, "' is no whole number"));
  }
  absl::Duration unit = absl::Seconds(1);
  if (arguments.size() > 1) {
    const std::optional<absl::Duration> found = UnitLength(arguments[1].text);
    if (!found.has_value() || arguments[1].text == "w") {
      *error_offset = arguments[1].offset;
      return absl::InvalidArgumentError(absl::StrCat(
          "'", arguments[1].text, "' is no unit of timestamp; there are us, ms, s, m, h and d"));
    }
    unit = *found;
  }
  call->offset = unit * count;
  if (unit < absl::Seconds(1)) call->unit = unit;
  if (!arguments.empty()) *error_offset = arguments[0].offset;
  return CheckOffset(call->offset);
}

absl::Status ParseDate(const std::vector<BuiltinArgument>& arguments, BuiltinCall* call,
                       size_t* error_offset) {
  call->format = std::string(kDefaultDateFormat);
  if (!arguments.empty()) {
    *error_offset = arguments[0].offset;
    ABSL_ASSIGN_OR_RETURN(call->offset, ParseOffset(arguments[0].text));
  }
  if (arguments.size() > 1) {
    *error_offset = arguments[1].offset;
    call->format = arguments[1].text;
  }
  return CheckFormat(call->format);
}

absl::Status ParseLength(const std::vector<BuiltinArgument>& arguments, BuiltinCall* call,
                         size_t* error_offset) {
  const int64_t most = DefaultExprLimits().template_random_characters;
  int64_t length = 0;
  *error_offset = arguments[0].offset;
  if (!absl::SimpleAtoi(arguments[0].text, &length) || length < 1 || length > most) {
    return absl::InvalidArgumentError(
        absl::StrCat("'", arguments[0].text, "' is no whole number from 1 to ", most));
  }
  call->length = static_cast<size_t>(length);
  return absl::OkStatus();
}

struct BuiltinRow {
  absl::string_view name;
  BuiltinCall::Kind kind;
  size_t least;
  size_t most;
  absl::string_view usage;
};
constexpr BuiltinRow kBuiltins[] = {
    {"uuid", BuiltinCall::Kind::kUuid, 0, 0, "uuid"},
    {"timestamp", BuiltinCall::Kind::kTimestamp, 0, 2, "timestamp(n, unit)"},
    {"date", BuiltinCall::Kind::kDate, 0, 2, "date(n, format)"},
    {"numeric", BuiltinCall::Kind::kNumeric, 1, 1, "numeric(n)"},
    {"alphabetic", BuiltinCall::Kind::kAlphabetic, 1, 1, "alphabetic(n)"},
    {"alphanumeric", BuiltinCall::Kind::kAlphanumeric, 1, 1, "alphanumeric(n)"},
};

const BuiltinRow* FindBuiltin(absl::string_view name) {
  for (const BuiltinRow& row : kBuiltins) {
    if (row.name == name) return &row;
  }
  return nullptr;
}

std::string RandomText(size_t length, absl::string_view alphabet, Random& random) {
  std::string text(length, '\0');
  for (char& c : text) c = alphabet[random.Below(alphabet.size())];
  return text;
}

void AppendDirective(char directive, absl::Time time, std::string* out) {
  const absl::TimeZone::CivilInfo info = absl::UTCTimeZone().At(time);
  const absl::CivilSecond& c = info.cs;
  const auto day = absl::CivilDay(c);
  const absl::string_view day_name = kDays[static_cast<int>(absl::GetWeekday(day))];
  const absl::string_view month_name = kMonths[c.month() - 1];
  const int hour12 = c.hour() % 12 == 0 ? 12 : c.hour() % 12;
  switch (directive) {
    case 'Y':
      absl::StrAppendFormat(out, "%04d", c.year());
      break;
    case 'y':
      absl::StrAppendFormat(out, "%02d", std::abs(c.year() % 100));
      break;
    case 'm':
      absl::StrAppendFormat(out, "%02d", c.month());
      break;
    case 'd':
      absl::StrAppendFormat(out, "%02d", c.day());
      break;
    case 'e':
      absl::StrAppendFormat(out, "%2d", c.day());
      break;
    case 'j':
      absl::StrAppendFormat(out, "%03d", absl::GetYearDay(day));
      break;
    case 'H':
      absl::StrAppendFormat(out, "%02d", c.hour());
      break;
    case 'I':
      absl::StrAppendFormat(out, "%02d", hour12);
      break;
    case 'M':
      absl::StrAppendFormat(out, "%02d", c.minute());
      break;
    case 'S':
      absl::StrAppendFormat(out, "%02d", c.second());
      break;
    case 'p':
      absl::StrAppend(out, c.hour() < 12 ? "AM" : "PM");
      break;
    case 'L':
      absl::StrAppendFormat(out, "%03d", absl::ToInt64Milliseconds(info.subsecond));
      break;
    case 'a':
      absl::StrAppend(out, day_name.substr(0, 3));
      break;
    case 'A':
      absl::StrAppend(out, day_name);
      break;
    case 'b':
      absl::StrAppend(out, month_name.substr(0, 3));
      break;
    case 'B':
      absl::StrAppend(out, month_name);
      break;
    case 'F':
      absl::StrAppend(out, FormatDate("%Y-%m-%d", time));
      break;
    case 'T':
      absl::StrAppend(out, FormatDate("%H:%M:%S", time));
      break;
    case 's':
      absl::StrAppend(out, absl::ToUnixSeconds(time));
      break;
    case 'z':
      absl::StrAppend(out, "+0000");
      break;
    case 'Z':
      absl::StrAppend(out, "UTC");
      break;
    default:
      *out += directive;
      break;
  }
}

}  // namespace

bool IsBuiltinName(absl::string_view name) { return FindBuiltin(name) != nullptr; }

absl::StatusOr<BuiltinCall> MakeBuiltin(absl::string_view name,
                                        const std::vector<BuiltinArgument>& arguments,
                                        size_t* error_offset) {
  const BuiltinRow* row = FindBuiltin(name);
  PICKET_CHECK(row != nullptr);
  if (arguments.size() < row->least || arguments.size() > row->most) {
    return absl::InvalidArgumentError(absl::StrCat("'", name, "' has ", arguments.size(),
                                                   " argument", arguments.size() == 1 ? "" : "s",
                                                   "; it is used as ", row->usage));
  }
  BuiltinCall call;
  call.kind = row->kind;
  switch (row->kind) {
    case BuiltinCall::Kind::kUuid:
      break;
    case BuiltinCall::Kind::kTimestamp:
      ABSL_RETURN_IF_ERROR(ParseTimestamp(arguments, &call, error_offset));
      break;
    case BuiltinCall::Kind::kDate:
      ABSL_RETURN_IF_ERROR(ParseDate(arguments, &call, error_offset));
      break;
    default:
      ABSL_RETURN_IF_ERROR(ParseLength(arguments, &call, error_offset));
      break;
  }
  return call;
}

Json CallBuiltin(const BuiltinCall& call, absl::Time now, Random& random) {
  static constexpr absl::string_view kAlphabet =
      "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  switch (call.kind) {
    case BuiltinCall::Kind::kUuid:
      return NewUuid(random);
    case BuiltinCall::Kind::kTimestamp: {
      const absl::Duration since = (now + call.offset) - absl::UnixEpoch();
      return absl::ToInt64Microseconds(absl::Floor(since, call.unit)) /
             absl::ToInt64Microseconds(call.unit);
    }
    case BuiltinCall::Kind::kDate:
      return FormatDate(call.format, now + call.offset);
    case BuiltinCall::Kind::kNumeric:
      return RandomText(call.length, kAlphabet.substr(0, 10), random);
    case BuiltinCall::Kind::kAlphabetic:
      return RandomText(call.length, kAlphabet.substr(10), random);
    case BuiltinCall::Kind::kAlphanumeric:
      return RandomText(call.length, kAlphabet, random);
  }
  return nullptr;
}

std::string FormatDate(absl::string_view format, absl::Time time) {
  std::string out;
  for (size_t i = 0; i < format.size(); ++i) {
    if (format[i] == '%' && i + 1 < format.size()) {
      AppendDirective(format[++i], time, &out);
    } else {
      out += format[i];
    }
  }
  return out;
}

}  // namespace picket
