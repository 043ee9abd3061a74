// File: keys.h
//
// The one table of the suite format: every key, what may stand there, its default and
// its meaning. The checker, the JSON Schema and the reference in docs/SUITE_FORMAT.md
// all read it, so that they cannot differ.
//
// Thread rule: constants.

#ifndef COMMON_SUITE_FILE_KEYS_H_
#define COMMON_SUITE_FILE_KEYS_H_

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace picket {

struct ObjectSpec;

// What may stand somewhere.
struct Type {
  enum class Kind : uint8_t {
    kText,  // a text (a number must be in quotes)
    kWire,  // any scalar, taken as it is written: header values and the like
    kBool,
    kTrue,         // only `true`
    kInteger,      // least .. most
    kNumber,       // least .. most
    kDuration,     // least .. most seconds
    kSize,         // least .. most bytes
    kWord,         // one of `words`
    kJson,         // anything that JSON has
    kList,         // of `element`
    kMap,          // of names to `element`
    kObject,       // `object`
    kEither,       // `element` or `other`, told apart by shape
    kExpectation,  // a subject and its operators: common/policy/operators.h
  };

  Kind kind;
  // For "expected ...": what may stand there, in words.
  absl::string_view expected;
  // The same in a word or two, for the reference.
  absl::string_view brief;
  double least = 0;
  double most = 0;
  absl::string_view words;  // separated by blanks
  // What else a text, or a name of a map, must satisfy; not asked of templates.
  absl::Status (*check)(absl::string_view text) = nullptr;
  bool templated = false;  // may hold placeholders
  const Type* element = nullptr;
  const Type* other = nullptr;
  const ObjectSpec* object = nullptr;
  bool may_be_empty = true;  // a list or map
};

struct Key {
  absl::string_view name;
  const Type* type;
  absl::string_view meaning;
  absl::string_view fallback = "";  // the default, for people
  bool required = false;
};

struct ObjectSpec {
  absl::string_view name;     // "request": also the name of its section in the reference
  absl::string_view article;  // "a request", for messages
  std::span<const Key> keys;
  // Exactly one of these keys must be there (separated by blanks).
  absl::string_view exactly_one = "";
};

// The whole file.
const ObjectSpec& SuiteSpec();
// Every object of the format, outermost first.
const std::vector<const ObjectSpec*>& AllSpecs();
// Objects that are read on their own.
const Type& RegressionType();
const Type& StatusType();

const Key* FindKey(const ObjectSpec& spec, absl::string_view name);
std::vector<absl::string_view> Words(absl::string_view words);
// The word nearest to `word` if it is near enough to be a slip of the pen; else empty.
absl::string_view Nearest(absl::string_view word, const std::vector<absl::string_view>& words);

}  // namespace picket

#endif  // COMMON_SUITE_FILE_KEYS_H_
