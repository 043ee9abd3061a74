#include "coordinator/app/watches.h"

#include <algorithm>
#include <utility>

namespace picket {
namespace {

// The watch whose callback this thread is in: it may remove itself.
thread_local const void* calling = nullptr;

}  // namespace

Watches::Id Watches::Add(const std::string& run_id, Update update, End end) {
  auto watch = std::make_shared<Watch>();
  watch->run_id = run_id;
  watch->update = std::move(update);
  watch->end = std::move(end);
  MutexLock lock(&mu_);
  const Id id = next_++;
  watches_.emplace(id, std::move(watch));
  return id;
}

std::shared_ptr<Watches::Watch> Watches::Take(Id id) {
  MutexLock lock(&mu_);
  const auto it = watches_.find(id);
  if (it == watches_.end()) return nullptr;
  std::shared_ptr<Watch> watch = std::move(it->second);
  watches_.erase(it);
  return watch;
}

void Watches::Remove(Id id) ABSL_NO_THREAD_SAFETY_ANALYSIS {
  const std::shared_ptr<Watch> watch = Take(id);
  if (watch == nullptr) return;
  if (calling == watch.get()) {
    watch->removed = true;  // its lock is held by this very thread
    return;
  }
  MutexLock lock(&watch->mu);
  watch->removed = true;
}

std::vector<std::pair<Watches::Id, std::shared_ptr<Watches::Watch>>> Watches::Of(
    const std::string& run_id) const {
  MutexLock lock(&mu_);
  std::vector<std::pair<Id, std::shared_ptr<Watch>>> found;
  for (const auto& [id, watch] : watches_) {
    if (watch->run_id == run_id) found.emplace_back(id, watch);
  }
  return found;
}

bool Watches::Watched(const std::string& run_id) const { return !Of(run_id).empty(); }

size_t Watches::size() const {
  MutexLock lock(&mu_);
  return watches_.size();
}

std::vector<std::string> Watches::TakeDue(absl::Duration now, absl::Duration interval) {
  std::vector<std::string> due;
  for (auto it = touched_.begin(); it != touched_.end();) {
    if (!Watched(*it)) {
      told_.erase(*it);
      it = touched_.erase(it);
      continue;
    }
    const auto told = told_.find(*it);
    if (told != told_.end() && now - told->second < interval) {
      ++it;
      continue;
    }
    told_[*it] = now;
    due.push_back(*it);
    it = touched_.erase(it);
  }
  return due;
}

absl::Duration Watches::NextDue(absl::Duration interval) const {
  absl::Duration next = absl::InfiniteDuration();
  for (const std::string& run_id : touched_) {
    const auto told = told_.find(run_id);
    next = std::min(next, told == told_.end() ? absl::ZeroDuration() : told->second + interval);
  }
  return next;
}

void Watches::Tell(Id id, const v1::WatchRunResponse& state) {
  std::shared_ptr<Watch> watch;
  {
    MutexLock lock(&mu_);
    const auto it = watches_.find(id);
    if (it == watches_.end()) return;
    watch = it->second;
  }
  MutexLock lock(&watch->mu);
  if (watch->removed) return;
  calling = watch.get();
  watch->update(state);
  calling = nullptr;
}

void Watches::TellAll(const std::string& run_id, const v1::WatchRunResponse& state) {
  for (const auto& [id, watch] : Of(run_id)) Tell(id, state);
}

void Watches::Finish(Id id, const absl::Status& status) {
  const std::shared_ptr<Watch> watch = Take(id);
  if (watch == nullptr) return;
  MutexLock lock(&watch->mu);
  if (watch->removed) return;
  calling = watch.get();
  watch->end(status);
  calling = nullptr;
  watch->removed = true;
}

void Watches::FinishAll(const std::string& run_id, const absl::Status& status) {
  for (const auto& [id, watch] : Of(run_id)) Finish(id, status);
  touched_.erase(run_id);
  told_.erase(run_id);
}

void Watches::FinishEverything(const absl::Status& status) {
  std::vector<Id> ids;
  {
    MutexLock lock(&mu_);
    for (const auto& [id, watch] : watches_) ids.push_back(id);
  }
  for (Id id : ids) Finish(id, status);
}

}  // namespace picket
