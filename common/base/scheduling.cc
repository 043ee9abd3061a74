#include "common/base/scheduling.h"

#include <sched.h>

namespace picket {
namespace {

// A kernel that refuses leaves things as they were, which works too.
void Change(int from, int to) {
  if (sched_getscheduler(0) != from) return;
  const sched_param none{};
  (void)sched_setscheduler(0, to, &none);
}

}  // namespace

void GiveWay() { Change(SCHED_OTHER, SCHED_BATCH); }

void GoFirst() { Change(SCHED_BATCH, SCHED_OTHER); }

}  // namespace picket
