// File: check.h
//
// PICKET_CHECK(condition) ends the process when one of *our* invariants is broken;
// it is in every build. Never for input: bad input is a Status.

#ifndef COMMON_BASE_CHECK_H_
#define COMMON_BASE_CHECK_H_

namespace picket {
[[noreturn]] void CheckFailed(const char* file, int line, const char* condition);
}  // namespace picket

#define PICKET_CHECK(condition)                                            \
  do {                                                                     \
    if (!(condition)) [[unlikely]]                                         \
      ::picket::CheckFailed(__FILE__, __LINE__, #condition);               \
  } while (false)

#endif  // COMMON_BASE_CHECK_H_
