#include "cli/follow.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/base/backoff.h"
#include "common/policy/limits.h"
#include "common/report/escape.h"
#include "common/report/run_text.h"

namespace picket {
namespace {

// Time left to a run that ends at `deadline_time` by the store's clock; ours may differ,
// so the answer is kept within what a run may take.
absl::Duration Remaining(const v1::Run& run, Clock& clock) {
  if (run.deadline_time().seconds() == 0) return DefaultLimits().deadline_default;
  return std::clamp(ToTime(run.deadline_time()) - clock.TimeNow(), absl::ZeroDuration(),
                    DefaultLimits().deadline_longest);
}

// Worth another try: the coordinator went away, or cannot write now.
bool IsPassing(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kOk:  // the stream ended without a verdict
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kDeadlineExceeded:
    case absl::StatusCode::kAborted:
    case absl::StatusCode::kInternal:
    case absl::StatusCode::kUnknown:
    case absl::StatusCode::kResourceExhausted:
    case absl::StatusCode::kCancelled:
      return true;
    default:
      return false;
  }
}

}  // namespace

absl::StatusOr<v1::WatchRunResponse> FollowRun(Environment& env, RunClient& client,
                                               const std::string& run_id,
                                               const FollowOptions& options, Display& display) {
  const absl::Duration start = env.clock->Monotonic();
  absl::Duration give_up = options.deadline == absl::InfiniteDuration()
                               ? start + options.connect_timeout
                               : start + options.deadline + kDeadlineGrace;
  bool deadline_known = options.deadline != absl::InfiniteDuration();
  bool lost = false;
  Backoff backoff({.longest = absl::Seconds(2)});
  v1::WatchRunResponse last;
  const auto update = [&](const v1::WatchRunResponse& state) {
    if (!deadline_known) {
      deadline_known = true;
      give_up = env.clock->Monotonic() + Remaining(state.run(), *env.clock) + kDeadlineGrace;
    }
    if (lost) display.Note("attached again");
    lost = false;
    backoff.Reset();
    last = state;
    display.Show(state);
    return true;
  };
  while (true) {
    if (env.interrupts->raised()) return absl::CancelledError("interrupted");
    // Unknown deadlines bound only the waiting for a first state, not the stream.
    const absl::Duration left = deadline_known ? give_up - env.clock->Monotonic()
                                               : DefaultLimits().deadline_longest + kDeadlineGrace;
    const absl::Status status = client.WatchRun(run_id, left, update);
    if (last.run().state() == v1::Run::SEALED) return last;
    if (env.interrupts->raised()) return absl::CancelledError("interrupted");
    if (!IsPassing(status)) return status;
    const absl::string_view why =
        status.ok() ? absl::string_view("the stream ended") : status.message();
    if (env.clock->Monotonic() >= give_up) {
      return absl::UnavailableError(deadline_known
                                        ? absl::StrCat("no verdict of run ", run_id,
                                                       " was learnt until its deadline and ",
                                                       "a minute more: ", why)
                                        : std::string(why));
    }
    if (!lost) {
      display.Note(absl::StrCat("lost the run (", EscapeGithubLog(why), "); attaching again"));
      lost = true;
    }
    env.wait(std::min(backoff.Next(*env.random),
                      std::max(give_up - env.clock->Monotonic(), absl::ZeroDuration())));
  }
}

}  // namespace picket
