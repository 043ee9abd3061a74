// File: tsan_protobuf.h
//
// Comes first in every file of a build under the thread sanitizer: protobuf's map fields
// have two more members where __SANITIZE_THREAD__ is defined (map_field.h), which Debian's
// libprotobuf, built without, does not know of.

#ifndef CMAKE_TSAN_PROTOBUF_H_
#define CMAKE_TSAN_PROTOBUF_H_

#ifdef __cplusplus
#include <memory>  // reads the macro itself, and keeps what it chose

#pragma push_macro("__SANITIZE_THREAD__")
#undef __SANITIZE_THREAD__
#include <google/protobuf/map_field.h>
#pragma pop_macro("__SANITIZE_THREAD__")
#endif

#endif  // CMAKE_TSAN_PROTOBUF_H_
