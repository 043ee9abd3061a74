// File: scheduling.h
//
// Who goes first on a busy core. A thread that measures time must not be interrupted each
// time that one beside it has something to do: under Linux's SCHED_BATCH (sched(7)) a thread
// that wakes waits until the running one pauses or its slice ends, a few milliseconds at most.
//
// Thread rule: each function is about the calling thread. What somebody has chosen for the
// process, such as a real-time policy, stays.

#ifndef COMMON_BASE_SCHEDULING_H_
#define COMMON_BASE_SCHEDULING_H_

namespace picket {

// This thread, and those that it makes from now on, interrupt nobody by waking.
void GiveWay();

// Takes that back for this thread.
void GoFirst();

}  // namespace picket

#endif  // COMMON_BASE_SCHEDULING_H_
