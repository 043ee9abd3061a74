// File: key_types.h
//
// What may stand at a key, but for objects: the vocabulary of the table in keys.cc, which
// takes their addresses only.
//
// Thread rule: constants.

#ifndef COMMON_SUITE_FILE_KEY_TYPES_H_
#define COMMON_SUITE_FILE_KEY_TYPES_H_

#include "common/suite_file/keys.h"

namespace picket::key_types {

// Two shapes of one value.
constexpr Type Either(const Type* one, const Type* other, absl::string_view expected,
                      absl::string_view brief) {
  return Type{.kind = Type::Kind::kEither,
              .expected = expected,
              .brief = brief,
              .element = one,
              .other = other};
}
// A list, not empty unless said.
constexpr Type ListOf(const Type* element, absl::string_view expected, absl::string_view brief,
                      bool may_be_empty = false) {
  return Type{.kind = Type::Kind::kList,
              .expected = expected,
              .brief = brief,
              .element = element,
              .may_be_empty = may_be_empty};
}

extern const Type kBool;
extern const Type kTrue;
extern const Type kVersion;
extern const Type kText;
extern const Type kFilled;
extern const Type kTitle;
extern const Type kLocation;
extern const Type kId;
extern const Type kTag;
extern const Type kName;
extern const Type kUrl;
extern const Type kMethod;
extern const Type kToken;
extern const Type kCookieName;
extern const Type kRegex;
extern const Type kPlainLine;
extern const Type kJsonPath;
extern const Type kXPath;
extern const Type kBase64;
extern const Type kPath;
extern const Type kProxy;
extern const Type kAddress;
extern const Type kLine;
extern const Type kServerName;
extern const Type kWire;
extern const Type kWireLine;
extern const Type kLabel;
extern const Type kJson;
extern const Type kPercent;
extern const Type kTimeout;
extern const Type kDelay;
extern const Type kBodyLimit;
extern const Type kAttempts;
extern const Type kBackoff;
extern const Type kPriority;
extern const Type kCount;
extern const Type kAtLeast;
extern const Type kRedirects;
extern const Type kGroup;
extern const Type kOver;
extern const Type kHttpVersion;
extern const Type kIpVersion;
extern const Type kConnection;
extern const Type kMinVersion;
extern const Type kOnWord;
extern const Type kWhereWord;
extern const Type kFlaky;
extern const Type kInconclusive;
extern const Type kQuorumWord;
extern const Type kReasonWord;
extern const Type kLocations;
extern const Type kTags;
extern const Type kIds;
extern const Type kNames;
extern const Type kOnList;
extern const Type kOn;
extern const Type kWhereList;
extern const Type kWhere;
extern const Type kReasons;
extern const Type kReason;
extern const Type kCode;
extern const Type kClass;
extern const Type kStatus;
extern const Type kPlainClass;
extern const Type kPlainStatus;
extern const Type kPlainStatuses;
extern const Type kFailStatus;
extern const Type kWires;
extern const Type kWireOrList;
extern const Type kWireLines;
extern const Type kLineOrList;
extern const Type kFields;
extern const Type kHeaders;
extern const Type kCookies;
extern const Type kResolve;
extern const Type kVars;
extern const Type kLabels;
extern const Type kRow;
extern const Type kRows;
extern const Type kSkip;

}  // namespace picket::key_types

#endif  // COMMON_SUITE_FILE_KEY_TYPES_H_
