#include "common/policy/units.h"

#include <cmath>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace picket {
namespace {

struct Unit {
  absl::string_view name;
  double factor;
};

// Longest names first where one begins with another.
constexpr Unit kTimes[] = {{"us", 1}, {"ms", 1e3}, {"s", 1e6}, {"m", 60e6}, {"h", 3600e6}};
constexpr Unit kSizes[] = {
    {"", 1},
    {"B", 1},
    {"kB", 1e3},
    {"KB", 1e3},
    {"MB", 1e6},
    {"GB", 1e9},
    {"KiB", 1024.0},
    {"MiB", 1024.0 * 1024},
    {"GiB", 1024.0 * 1024 * 1024},
};

// Takes a decimal number without sign or exponent off the front of `text`.
bool TakeNumber(absl::string_view& text, double& number) {
  size_t n = 0;
  int dots = 0;
  while (n < text.size() && (absl::ascii_isdigit(text[n]) || text[n] == '.')) {
    dots += text[n] == '.';
    ++n;
  }
  if (n == 0 || n > 18 || dots > 1 || text[0] == '.' || text[n - 1] == '.') return false;
  if (!absl::SimpleAtod(text.substr(0, n), &number)) return false;
  text.remove_prefix(n);
  return true;
}

absl::string_view TakeLetters(absl::string_view& text) {
  size_t n = 0;
  while (n < text.size() && absl::ascii_isalpha(text[n])) ++n;
  const absl::string_view letters = text.substr(0, n);
  text.remove_prefix(n);
  return letters;
}

template <size_t N>
const Unit* FindUnit(const Unit (&units)[N], absl::string_view name) {
  for (const Unit& unit : units) {
    if (unit.name == name) return &unit;
  }
  return nullptr;
}

}  // namespace

absl::StatusOr<absl::Duration> ParseDuration(absl::string_view text) {
  const auto bad = [whole = text] {
    return absl::InvalidArgumentError(
        absl::StrCat("'", whole,
                     "' is not a duration; write a number with its unit, such as "
                     "500ms, 10s, 5m or 1h"));
  };
  if (text.empty()) return bad();
  double total_us = 0;
  double last_factor = 1e18;
  while (!text.empty()) {
    double number = 0;
    if (!TakeNumber(text, number)) return bad();
    const Unit* unit = FindUnit(kTimes, TakeLetters(text));
    if (unit == nullptr || unit->factor >= last_factor) return bad();
    last_factor = unit->factor;
    total_us += number * unit->factor;
  }
  if (total_us > 1e16) return bad();
  return absl::Microseconds(static_cast<int64_t>(std::llround(total_us)));
}

std::string DurationText(absl::Duration duration) {
  int64_t us = absl::ToInt64Microseconds(duration);
  if (us == 0) return "0s";
  std::string text;
  for (auto [name, factor] : {std::pair<const char*, int64_t>{"h", 3'600'000'000},
                              {"m", 60'000'000},
                              {"s", 1'000'000},
                              {"ms", 1'000},
                              {"us", 1}}) {
    if (us >= factor) absl::StrAppend(&text, us / factor, name);
    us %= factor;
  }
  return text;
}

absl::StatusOr<uint64_t> ParseSize(absl::string_view text) {
  const absl::string_view whole = text;
  double number = 0;
  const Unit* unit = nullptr;
  if (TakeNumber(text, number)) unit = FindUnit(kSizes, TakeLetters(text));
  if (unit == nullptr || !text.empty() || number * unit->factor > 9e15) {
    return absl::InvalidArgumentError(
        absl::StrCat("'", whole, "' is not a size; write bytes such as 512, 10kB, 64KiB or 1MB"));
  }
  const double bytes = number * unit->factor;
  if (bytes != std::floor(bytes)) {
    return absl::InvalidArgumentError(absl::StrCat("'", whole, "' is not a whole number of bytes"));
  }
  return static_cast<uint64_t>(bytes);
}

}  // namespace picket
