// File: canned_run.h
//
// A small run in which every kind of end occurs, with hostile text from its target.
//
// Thread rule: pure.

#ifndef TESTS_UNIT_CLI_CANNED_RUN_H_
#define TESTS_UNIT_CLI_CANNED_RUN_H_

#include "tests/unit/cli/fake_cli.h"

namespace picket::testing_support {

// FAILED; nine executions of six tests at two locations.
FakeCoordinator CannedRun();

// What a target might send to harm a log: a colour, a bell, a GitHub command, an end of
// CDATA, a tag, an emoji, a C1 control, a broken UTF-8 sequence, a bidirectional override.
inline constexpr char kHostile[] =
    "\x1b[31m::error::x\a\r\n::set-output name=a::b ]]> <script>alert('\"1\"')</script> & \xf0\x9f"
    "\xaa\x91 \xc2\x9b \xff \xe2\x80\xae|`*_[x](http://x) @all #1 ##[error]x";

}  // namespace picket::testing_support

#endif  // TESTS_UNIT_CLI_CANNED_RUN_H_
