# A room is one folder: one library, every .cc in it, headers that compile alone.
#
#   picket_room(NAME [DEPS target...] [EXCLUDE file.cc...])
#
# makes the library picket_NAME, used as picket::NAME, out of the .cc files of
# the current folder, but for main.cc and those excluded.
function(picket_room name)
  cmake_parse_arguments(ARG "NO_PCH" "" "DEPS;EXCLUDE" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cc)
  file(GLOB headers CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.h)
  foreach(excluded main.cc ${ARG_EXCLUDE})
    list(REMOVE_ITEM sources ${CMAKE_CURRENT_SOURCE_DIR}/${excluded})
  endforeach()
  if(sources)
    add_library(picket_${name} STATIC ${sources})
    target_sources(picket_${name} PUBLIC FILE_SET HEADERS
      BASE_DIRS ${CMAKE_SOURCE_DIR} FILES ${headers})
    target_link_libraries(picket_${name} PUBLIC picket_options ${ARG_DEPS})
    if(TARGET picket_pch AND NOT ARG_NO_PCH)
      target_precompile_headers(picket_${name} REUSE_FROM picket_pch)
    endif()
  else()
    add_library(picket_${name} INTERFACE)
    target_link_libraries(picket_${name} INTERFACE picket_options ${ARG_DEPS})
  endif()
  add_library(picket::${name} ALIAS picket_${name})
endfunction()

# picket_tests(NAME LABEL label [DIR folder] [DEPS target...] [SOURCES file...]
#              [SERIAL] [OPTIMIZE])
#
# One test program out of every *_test.cc of DIR (default: tests/<label>/NAME),
# each TEST registered with ctest under LABEL.
function(picket_tests name)
  cmake_parse_arguments(ARG "SERIAL;OPTIMIZE" "LABEL;DIR;TIMEOUT" "DEPS;SOURCES" ${ARGN})
  if(NOT ARG_DIR)
    set(ARG_DIR ${CMAKE_CURRENT_SOURCE_DIR}/${name})
  endif()
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 120)
  endif()
  file(GLOB sources CONFIGURE_DEPENDS ${ARG_DIR}/*.cc)
  list(APPEND sources ${ARG_SOURCES})
  if(NOT sources)
    return()
  endif()
  set(target ${name}_${ARG_LABEL}_test)
  add_executable(${target} ${sources})
  target_link_libraries(${target} PRIVATE picket_options ${ARG_DEPS} picket::test_support
    GTest::gmock GTest::gtest_main)
  # GoogleTest's macros hide an else: gcc would ask for braces around each `if (x) EXPECT_...`.
  target_compile_options(${target} PRIVATE -Wno-dangling-else)
  if(NOT ARG_OPTIMIZE)
    # Test code is run once and compiled often.
    target_compile_options(${target} PRIVATE $<$<CONFIG:Release>:-O0>)
    if(TARGET picket_test_pch)
      target_precompile_headers(${target} REUSE_FROM picket_test_pch)
    endif()
  endif()
  include(GoogleTest)
  gtest_discover_tests(${target} DISCOVERY_TIMEOUT 60 TEST_PREFIX "${ARG_LABEL}." 
    PROPERTIES LABELS ${ARG_LABEL} TIMEOUT ${ARG_TIMEOUT} RUN_SERIAL "$<BOOL:${ARG_SERIAL}>")
endfunction()
