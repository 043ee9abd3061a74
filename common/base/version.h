// File: version.h
//
// What this build calls itself: on --version, in picket_build_info and in a Hello.

#ifndef COMMON_BASE_VERSION_H_
#define COMMON_BASE_VERSION_H_

#include "absl/strings/string_view.h"

namespace picket {

// Kept equal to CMakeLists.txt's project version.
inline constexpr absl::string_view kVersion = "0.1.0";

}  // namespace picket

#endif  // COMMON_BASE_VERSION_H_
