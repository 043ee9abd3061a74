// File: blame.h
//
// Who is to blame for an execution that failed, was flaky or could not tell: the
// smallest claim that its attempts, its probes and the same check's ends at other
// locations support. docs/SUITE_FORMAT.md, "Who is to blame", has the same rules.
//
// An attempt answers if it passed or failed. A failure is of the network if its reason
// lies before any whole answer of the target (dns, connect, tls, timeout, proxy). A
// location elsewhere speaks once: by its own end if that is passed or failed, else by
// a probe that answered there. The first rule that holds:
//
//   end                      evidence                                        blame
//   passed, not flaky; skipped, cancelled, expired, unassigned               none
//   inconclusive             every attempt for want of history (learning)    none
//   inconclusive             anything else                                   agent
//   flaky                    all agents are this machine (--local)           flaky
//   flaky                    one agent failed, and never passed, and either  agent
//                            a failure was of the network or it failed twice
//   flaky                    anything else                                   flaky
//   failed                   elsewhere more locations pass than fail, and
//                              all agents are this machine (--local)         flaky
//                              else                                          location
//   failed                   anything else                                   target
//
// So with one agent at one location a failure is the target's, as far as can be known
// from there; and "location" takes in an only agent, which cannot be told from its place.
//
// Thread rule: pure functions.

#ifndef COMMON_POLICY_BLAME_H_
#define COMMON_POLICY_BLAME_H_

#include <string>
#include <vector>

#include "picket/v1/run.pb.h"

namespace picket {

// How the same test x row ended at another location of its run.
struct OtherEnd {
  std::string location;
  v1::End::Value end = v1::End::UNDECIDED;
};

struct BlameEvidence {
  // Those that count and the probes; late ones are not looked at.
  const v1::Execution* execution = nullptr;
  std::vector<OtherEnd> others;
  // v1::Run::local.
  bool local = false;
};

v1::Blame::Value BlameOf(const BlameEvidence& evidence);

// Whether a failure lies before any whole answer of the target.
bool IsNetworkFailure(v1::FailureReason::Value reason);

}  // namespace picket

#endif  // COMMON_POLICY_BLAME_H_
