// File: attest.h
//
// What a run says about an artefact, out of what is stored of it.
//
// Thread rule: pure.

#ifndef CLI_ATTEST_H_
#define CLI_ATTEST_H_

#include "cli/stored_run.h"
#include "common/signing/statement.h"

namespace picket {

// Verdict, ledger, run, and its tests by name ("suite/id"): failed, a blocking test of
// which a row FAILED; warned, one that did not pass cleanly (inconclusive, flaky, failed at
// a location that its policy could spare, not blocking and not passed); else passed.
// Skipped tests are in no list; beyond kStatementTests tests there is none. The suites go
// into `configuration`. Subjects and url are the caller's.
// REQUIRES: the run is sealed.
TestResultStatement StatementOf(const StoredRun& stored);

}  // namespace picket

#endif  // CLI_ATTEST_H_
