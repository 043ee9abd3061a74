#include <cstdint>
#include <cstdlib>
#include <string>

#include "common/expr/json_schema_node.h"

namespace picket::schema {
namespace {

// A finite number as it is written: mantissa × 10^exponent, sign dropped.
struct Decimal {
  uint64_t mantissa = 0;
  int exponent = 0;
};

Decimal ToDecimal(const Json& number) {
  Decimal decimal;
  bool fraction = false;
  const std::string text = ToText(number);  // the shortest that reads back the same
  size_t i = 0;
  for (; i < text.size() && text[i] != 'e' && text[i] != 'E'; ++i) {
    if (text[i] == '.') {
      fraction = true;
    } else if (text[i] != '-') {
      decimal.mantissa = decimal.mantissa * 10 + static_cast<uint64_t>(text[i] - '0');
      decimal.exponent -= fraction;
    }
  }
  if (i < text.size()) decimal.exponent += std::atoi(text.c_str() + i + 1);
  while (decimal.mantissa != 0 && decimal.mantissa % 10 == 0) {
    decimal.mantissa /= 10;
    ++decimal.exponent;
  }
  return decimal;
}

}  // namespace

bool IsMultipleOf(const Json& value, const Json& divisor) {
  __extension__ using Wide = unsigned __int128;
  const Decimal a = ToDecimal(value);
  const Decimal b = ToDecimal(divisor);
  if (a.mantissa == 0) return true;
  int shift = a.exponent - b.exponent;
  if (shift >= 0) {
    Wide rest = a.mantissa % b.mantissa;
    for (; shift > 0 && rest != 0; --shift) rest = rest * 10 % b.mantissa;
    return rest == 0;
  }
  if (shift < -19) return false;  // the divisor exceeds any 64-bit mantissa
  Wide scaled = b.mantissa;
  for (; shift < 0; ++shift) scaled *= 10;
  return a.mantissa % scaled == 0;
}

}  // namespace picket::schema
