#include "common/expr/json.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "common/base/random.h"
#include "common/expr/limits.h"

namespace picket {
namespace {

int CompareIntegerToDouble(const Json& integer, double d) {
  // 2^64 and -2^63 are exact doubles; between them truncation to an integer is exact.
  if (d >= 0x1p64) return -1;
  if (d < -0x1p63) return 1;
  const double whole = std::trunc(d);
  const double rest = d - whole;
  const bool negative_integer = !integer.is_number_unsigned() && integer.get<int64_t>() < 0;
  int order;
  if (negative_integer) {
    const int64_t i = integer.get<int64_t>();
    if (whole >= 0) {
      order = -1;
    } else {
      const int64_t w = static_cast<int64_t>(whole);
      order = i < w ? -1 : i > w ? 1 : 0;
    }
  } else {
    const uint64_t i = integer.get<uint64_t>();
    if (whole < 0) {
      order = 1;
    } else {
      const uint64_t w = static_cast<uint64_t>(whole);
      order = i < w ? -1 : i > w ? 1 : 0;
    }
  }
  if (order != 0) return order;
  return rest > 0 ? -1 : rest < 0 ? 1 : 0;
}

class Comparer {
 public:
  explicit Comparer(size_t* budget) : budget_(budget) {}

  // Meaningless when exhausted().
  bool Equal(const Json& a, const Json& b) {
    if (!Spend(1)) return false;
    if (a.is_number() && b.is_number()) return CompareNumbers(a, b) == 0;
    if (a.type() != b.type()) return false;
    switch (a.type()) {
      case Json::value_t::array:
        return EqualArrays(*a.get_ptr<const Json::array_t*>(), *b.get_ptr<const Json::array_t*>());
      case Json::value_t::object:
        return EqualObjects(*a.get_ptr<const Json::object_t*>(),
                            *b.get_ptr<const Json::object_t*>());
      case Json::value_t::string: {
        const std::string& text = *a.get_ptr<const std::string*>();
        const std::string& other = *b.get_ptr<const std::string*>();
        if (text.size() != other.size()) return false;
        return Spend(text.size() / DefaultExprLimits().text_bytes_per_node) && text == other;
      }
      case Json::value_t::boolean:
        return a.get<bool>() == b.get<bool>();
      default:
        return true;
    }
  }

  bool exhausted() const { return exhausted_; }

 private:
  bool Spend(size_t nodes) {
    if (budget_ == nullptr) return true;
    if (exhausted_ || *budget_ < nodes) {
      exhausted_ = true;
      return false;
    }
    *budget_ -= nodes;
    return true;
  }

  bool EqualArrays(const Json::array_t& a, const Json::array_t& b) {
    if (a.size() != b.size()) return false;
    for (size_t i = 0; i < a.size(); ++i) {
      if (!Equal(a[i], b[i])) return false;
    }
    return true;
  }

  bool EqualObjects(const Json::object_t& a, const Json::object_t& b) {
    if (a.size() != b.size() || !Spend(a.size())) return false;
    absl::flat_hash_map<absl::string_view, const Json*> members;
    for (const auto& [name, value] : b) members[name] = &value;
    for (const auto& [name, value] : a) {
      auto it = members.find(name);
      if (it == members.end() || !Equal(value, *it->second)) return false;
    }
    return true;
  }

  size_t* budget_;
  bool exhausted_ = false;
};

uint64_t HashNumber(const Json& value) {
  // Equal numbers of different type must meet: an integral double is hashed as an integer.
  if (value.is_number_float()) {
    const double d = value.get<double>();
    if (d == std::trunc(d) && d >= -0x1p63 && d < 0x1p64) {
      const uint64_t bits =
          d < 0 ? static_cast<uint64_t>(static_cast<int64_t>(d)) : static_cast<uint64_t>(d);
      return Random(bits).Next();
    }
    uint64_t bits;
    static_assert(sizeof bits == sizeof d);
    std::memcpy(&bits, &d, sizeof bits);
    return Random(bits ^ 0x5555).Next();
  }
  return Random(value.get<uint64_t>()).Next();
}

// The length of the well-formed sequence at `i` (RFC 3629), or 0.
size_t Utf8Length(absl::string_view s, size_t i) {
  const auto byte = [&](size_t k) -> unsigned {
    return k < s.size() ? static_cast<unsigned char>(s[k]) : 0;
  };
  const auto tail = [&](size_t k) { return (byte(k) & 0xC0) == 0x80; };
  const unsigned b = byte(i);
  if (b < 0x80) return 1;
  if (b >= 0xC2 && b <= 0xDF) return tail(i + 1) ? 2 : 0;
  if (b >= 0xE0 && b <= 0xEF) {
    const unsigned c = byte(i + 1);
    if ((b == 0xE0 && c < 0xA0) || (b == 0xED && c > 0x9F)) return 0;
    return tail(i + 1) && tail(i + 2) ? 3 : 0;
  }
  if (b >= 0xF0 && b <= 0xF4) {
    const unsigned c = byte(i + 1);
    if ((b == 0xF0 && c < 0x90) || (b == 0xF4 && c > 0x8F)) return 0;
    return tail(i + 1) && tail(i + 2) && tail(i + 3) ? 4 : 0;
  }
  return 0;
}

}  // namespace

std::string ToText(const Json& value) {
  return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string ToPlainText(const Json& value) {
  if (const auto* text = value.get_ptr<const std::string*>()) return *text;
  return ToText(value);
}

bool JsonEquals(const Json& a, const Json& b) { return Comparer(nullptr).Equal(a, b); }

std::optional<bool> JsonEqualsWithin(const Json& a, const Json& b, size_t* budget) {
  Comparer comparer(budget);
  const bool equal = comparer.Equal(a, b);
  if (comparer.exhausted()) {
    *budget = 0;
    return std::nullopt;
  }
  return equal;
}

uint64_t JsonHash(const Json& value) {
  size_t budget = std::numeric_limits<size_t>::max();
  return JsonHashWithin(value, &budget);
}

uint64_t JsonHashWithin(const Json& value, size_t* budget) {
  if (*budget == 0) return 0;
  --*budget;
  switch (value.type()) {
    case Json::value_t::array: {
      uint64_t hash = 11;
      for (const Json& element : value) {
        hash = Random(hash ^ JsonHashWithin(element, budget)).Next();
      }
      return hash;
    }
    case Json::value_t::object: {
      // A sum, because the order of members does not matter.
      uint64_t hash = 13;
      for (const auto& [name, member] : *value.get_ptr<const Json::object_t*>()) {
        hash += Random(StableHash(name) ^ JsonHashWithin(member, budget)).Next();
      }
      return hash;
    }
    case Json::value_t::string: {
      const std::string& text = *value.get_ptr<const std::string*>();
      *budget -= std::min(*budget, text.size() / DefaultExprLimits().text_bytes_per_node);
      return StableHash(text, 17);
    }
    case Json::value_t::boolean:
      return value.get<bool>() ? 19 : 23;
    case Json::value_t::null:
      return 29;
    default:
      return HashNumber(value);
  }
}

int CompareNumbers(const Json& a, const Json& b) {
  if (a.is_number_float()) {
    if (!b.is_number_float()) return -CompareIntegerToDouble(b, a.get<double>());
    const double x = a.get<double>();
    const double y = b.get<double>();
    return x < y ? -1 : x > y ? 1 : 0;
  }
  if (b.is_number_float()) return CompareIntegerToDouble(a, b.get<double>());
  const bool a_negative = !a.is_number_unsigned() && a.get<int64_t>() < 0;
  const bool b_negative = !b.is_number_unsigned() && b.get<int64_t>() < 0;
  if (a_negative != b_negative) return a_negative ? -1 : 1;
  if (a_negative) {
    const int64_t x = a.get<int64_t>();
    const int64_t y = b.get<int64_t>();
    return x < y ? -1 : x > y ? 1 : 0;
  }
  const uint64_t x = a.get<uint64_t>();
  const uint64_t y = b.get<uint64_t>();
  return x < y ? -1 : x > y ? 1 : 0;
}

bool IsIntegral(const Json& value) {
  if (value.is_number_integer()) return true;
  if (!value.is_number_float()) return false;
  const double d = value.get<double>();
  return d == std::trunc(d);
}

const Json* FindMember(const Json& object, absl::string_view name) {
  const auto* members = object.get_ptr<const Json::object_t*>();
  if (members == nullptr) return nullptr;
  for (const auto& [key, value] : *members) {
    if (key == name) return &value;
  }
  return nullptr;
}

size_t CountCodePoints(absl::string_view utf8) {
  size_t count = 0;
  for (unsigned char c : utf8) count += (c & 0xC0) != 0x80;
  return count;
}

bool IsValidUtf8(absl::string_view bytes) {
  for (size_t i = 0; i < bytes.size();) {
    const size_t length = Utf8Length(bytes, i);
    if (length == 0) return false;
    i += length;
  }
  return true;
}

int JsonDepth(const Json& value) {
  if (!value.is_structured()) return 0;
  int deepest = 0;
  for (const Json& child : value) deepest = std::max(deepest, JsonDepth(child));
  return deepest + 1;
}

std::string PointerToken(absl::string_view name) {
  std::string token;
  for (char c : name) {
    if (c == '~') {
      token += "~0";
    } else if (c == '/') {
      token += "~1";
    } else {
      token += c;
    }
  }
  return token;
}

absl::string_view JsonTypeName(const Json& value) {
  switch (value.type()) {
    case Json::value_t::null:
      return "null";
    case Json::value_t::boolean:
      return "boolean";
    case Json::value_t::string:
      return "string";
    case Json::value_t::array:
      return "array";
    case Json::value_t::object:
      return "object";
    default:
      return "number";
  }
}

}  // namespace picket
