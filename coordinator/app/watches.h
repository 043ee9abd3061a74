// File: watches.h
//
// Who watches which run, and when each is told again: whole at once, then at most
// once per Limits::watch_interval, the sealed state last.
//
// Thread rule: Remove is safe to call from any thread; everything else is called by
// the loop alone. Callbacks run on the loop.

#ifndef COORDINATOR_APP_WATCHES_H_
#define COORDINATOR_APP_WATCHES_H_

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/base/mutex.h"
#include "picket/v1/run_service.pb.h"

namespace picket {

class Watches {
 public:
  using Id = uint64_t;
  using Update = absl::AnyInvocable<void(const v1::WatchRunResponse&)>;
  using End = absl::AnyInvocable<void(absl::Status)>;

  // Registers; nothing is told yet. Safe to call from any thread.
  Id Add(const std::string& run_id, Update update, End end);
  // No callback of it begins after this returns. Safe to call from any thread.
  void Remove(Id id);

  // Something about the run changed.
  void Touch(const std::string& run_id) { touched_.insert(run_id); }
  // Runs that are watched, were touched, and may be told now; they count as told.
  std::vector<std::string> TakeDue(absl::Duration now, absl::Duration interval);
  // When TakeDue may have something; InfiniteDuration = nothing was touched.
  absl::Duration NextDue(absl::Duration interval) const;

  bool Watched(const std::string& run_id) const;
  // Tells one, or all that watch a run.
  void Tell(Id id, const v1::WatchRunResponse& state);
  void TellAll(const std::string& run_id, const v1::WatchRunResponse& state);
  // The last word, and out.
  void Finish(Id id, const absl::Status& status);
  void FinishAll(const std::string& run_id, const absl::Status& status);
  // Everybody's.
  void FinishEverything(const absl::Status& status);
  size_t size() const;

 private:
  struct Watch {
    std::string run_id;
    Mutex mu;
    bool removed ABSL_GUARDED_BY(mu) = false;
    Update update;
    End end;
  };
  std::vector<std::pair<Id, std::shared_ptr<Watch>>> Of(const std::string& run_id) const;
  std::shared_ptr<Watch> Take(Id id);

  mutable Mutex mu_;
  Id next_ ABSL_GUARDED_BY(mu_) = 1;
  std::map<Id, std::shared_ptr<Watch>> watches_ ABSL_GUARDED_BY(mu_);

  // The loop's own.
  std::set<std::string> touched_;
  std::map<std::string, absl::Duration> told_;
};

}  // namespace picket

#endif  // COORDINATOR_APP_WATCHES_H_
