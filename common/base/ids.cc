#include "common/base/ids.h"

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace picket {
namespace {

// In the order of their bytes, so that ids sort as their numbers do.
constexpr char kAlphabet[] = "234567abcdefghijklmnopqrstuvwxyz";
constexpr int64_t kIdEpochMillis = 1'577'836'800'000;  // 2020-01-01T00:00:00Z
constexpr size_t kSlugMax = 100;

}  // namespace

std::string NewRunId(absl::Time now, Random& random) {
  const int64_t since = absl::ToUnixMillis(now) - kIdEpochMillis;
  const uint64_t millis = since < 0 ? 0 : static_cast<uint64_t>(since) & ((1ULL << 44) - 1);
  const uint64_t chance = random.Next() >> 28;  // 36 bits
  const unsigned __int128 bits = (static_cast<unsigned __int128>(millis) << 36) | chance;
  std::string id(16, '2');
  for (int i = 0; i < 16; ++i) {
    id[i] = kAlphabet[static_cast<unsigned>(bits >> (75 - 5 * i)) & 31];
  }
  return id;
}

bool IsRunId(absl::string_view id) {
  if (id.size() != 16) return false;
  for (char c : id) {
    if (!((c >= 'a' && c <= 'z') || (c >= '2' && c <= '7'))) return false;
  }
  return true;
}

std::string NewUuid(Random& random) {
  const uint64_t high = (random.Next() & ~0xf000ULL) | 0x4000ULL;
  const uint64_t low = (random.Next() & ~(3ULL << 62)) | (2ULL << 62);
  return absl::StrFormat("%08x-%04x-%04x-%04x-%012x", high >> 32, (high >> 16) & 0xffff,
                         high & 0xffff, low >> 48, low & 0xffffffffffffULL);
}

bool IsUuid(absl::string_view text) {
  if (text.size() != 36) return false;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool hyphen = i == 8 || i == 13 || i == 18 || i == 23;
    if (hyphen ? text[i] != '-' : !absl::ascii_isxdigit(text[i])) return false;
  }
  return true;
}

std::string ResultId(absl::string_view run_id, uint32_t execution, uint32_t attempt) {
  return absl::StrCat(run_id, "-", execution, "-", attempt);
}

std::string Slug(absl::string_view name) {
  std::string slug;
  bool gap = false;
  for (char c : name) {
    if (!absl::ascii_isalnum(c)) {
      gap = !slug.empty();
      continue;
    }
    if (gap) slug += '-';
    gap = false;
    slug += absl::ascii_tolower(c);
    if (slug.size() >= kSlugMax) break;
  }
  if (slug.size() > kSlugMax) slug.resize(kSlugMax);
  return slug;
}

bool IsLocation(absl::string_view name) {
  if (name.empty() || name.size() > 63) return false;
  for (size_t i = 0; i < name.size(); ++i) {
    const char c = name[i];
    const bool alnum = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    const bool mark = c == '.' || c == '_' || c == ':' || c == '-';
    if (!(alnum || (i > 0 && mark))) return false;
  }
  return true;
}

}  // namespace picket
