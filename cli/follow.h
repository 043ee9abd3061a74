// File: follow.h
//
// Watching a run to its verdict through everything a network does: a stream that ends
// is opened again, at any coordinator, until the run's deadline and a minute more.
//
// Thread rule: thread-compatible.

#ifndef CLI_FOLLOW_H_
#define CLI_FOLLOW_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "cli/display.h"
#include "cli/environment.h"
#include "picket/v1/run_service.pb.h"

namespace picket {

// How long past its deadline a run's verdict is still waited for.
inline constexpr absl::Duration kDeadlineGrace = absl::Seconds(60);

struct FollowOptions {
  // Without a state for this long since the last one (or the start), while the run's own
  // deadline is not known, it is given up.
  absl::Duration connect_timeout = absl::Seconds(10);
  // The run's deadline from now, if known; InfiniteDuration = learnt from the first state.
  absl::Duration deadline = absl::InfiniteDuration();
};

// The sealed state. Cancelled: a signal came. Unavailable: no verdict was learnt in
// time. Any other status is the coordinator's refusal (NotFound, ...).
absl::StatusOr<v1::WatchRunResponse> FollowRun(Environment& env, RunClient& client,
                                               const std::string& run_id,
                                               const FollowOptions& options, Display& display);

}  // namespace picket

#endif  // CLI_FOLLOW_H_
