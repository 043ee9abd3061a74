# Headers that nearly every file reads, parsed once for the rooms and once for the tests. Used by
# the release preset and the sanitizers' to halve the time of a build from scratch; off elsewhere,
# so that the other presets show a missing include.
set(picket_pch_headers
  <algorithm> <cstdint> <functional> <map> <memory> <optional> <set> <span> <string> <unordered_map>
  <utility> <variant> <vector>
  <absl/container/flat_hash_map.h> <absl/functional/any_invocable.h> <absl/status/status.h>
  <absl/status/statusor.h> <absl/strings/str_cat.h> <absl/strings/str_format.h>
  <absl/strings/str_join.h> <absl/strings/str_split.h> <absl/time/time.h>
  <nlohmann/json.hpp>
  <picket/v1/agent_service.pb.h> <picket/v1/result.pb.h> <picket/v1/run.pb.h>
  <picket/v1/run_service.pb.h> <picket/v1/suite.pb.h>)

if(PICKET_SANITIZE MATCHES "thread")
  list(PREPEND picket_pch_headers ${CMAKE_CURRENT_LIST_DIR}/tsan_protobuf.h)
endif()

if(PICKET_PCH)
  file(WRITE ${CMAKE_BINARY_DIR}/pch.cc "\n")
  # One for libraries (-fPIC) and one for test programs (-fPIE, -O0).
  add_library(picket_pch STATIC ${CMAKE_BINARY_DIR}/pch.cc)
  target_link_libraries(picket_pch PUBLIC picket_options picket::base picket::proto nlohmann_json::nlohmann_json)
  target_precompile_headers(picket_pch PRIVATE ${picket_pch_headers})
  if(PICKET_DEVELOPER)
    file(WRITE ${CMAKE_BINARY_DIR}/test_pch.cc "int main() { return 0; }\n")
    add_executable(picket_test_pch ${CMAKE_BINARY_DIR}/test_pch.cc)
    target_link_libraries(picket_test_pch PRIVATE picket_options picket::base picket::proto
      nlohmann_json::nlohmann_json GTest::gmock GTest::gtest)
    target_compile_options(picket_test_pch PRIVATE $<$<CONFIG:Release>:-O0>)  # as picket_tests
    target_precompile_headers(picket_test_pch PRIVATE ${picket_pch_headers} <gmock/gmock.h> <gtest/gtest.h>)
  endif()
endif()
