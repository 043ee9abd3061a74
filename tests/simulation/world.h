// File: world.h
//
// Simulated time: a queue of things to do, in order of time, then of asking. Everything
// that happens in a simulation happens in here, on one thread, drawn from one seed.
//
// Thread rule: thread-compatible.

#ifndef TESTS_SIMULATION_WORLD_H_
#define TESTS_SIMULATION_WORLD_H_

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "absl/time/time.h"
#include "common/base/clock.h"
#include "common/base/random.h"

namespace picket::simulation {

class World {
 public:
  explicit World(uint64_t seed) : random_(seed) {}

  absl::Duration now() const { return now_; }
  Random& random() { return random_; }
  // The store's clock: follows simulated time, but may be made to jump.
  SimulatedClock& store_clock() { return clock_; }

  void At(absl::Duration when, absl::AnyInvocable<void()> what) {
    queue_.emplace(std::make_pair(std::max(when, now_), next_++), std::move(what));
  }
  void After(absl::Duration delay, absl::AnyInvocable<void()> what) {
    At(now_ + delay, std::move(what));
  }
  // Does the next thing. False when there is none before `until`.
  bool Step(absl::Duration until) {
    if (queue_.empty() || queue_.begin()->first.first > until) return false;
    auto node = queue_.extract(queue_.begin());
    const absl::Duration when = node.key().first;
    clock_.Advance(when - now_);
    now_ = when;
    node.mapped()();
    return true;
  }

  // A duration between the two.
  absl::Duration Between(absl::Duration least, absl::Duration most) {
    return least + (most - least) * random_.Uniform();
  }

  // The tail of events, for a failure's report.
  void Note(std::string line) {
    tail_.push_back(absl::FormatDuration(now_) + " " + std::move(line));
    if (tail_.size() > tail_most()) tail_.pop_front();
  }
  const std::deque<std::string>& tail() const { return tail_; }
  // How many events a report shows.
  static size_t& tail_most() {
    static size_t most = 400;
    return most;
  }

 private:
  Random random_;
  SimulatedClock clock_;
  absl::Duration now_ = absl::ZeroDuration();
  uint64_t next_ = 0;
  std::map<std::pair<absl::Duration, uint64_t>, absl::AnyInvocable<void()>> queue_;
  std::deque<std::string> tail_;
};

}  // namespace picket::simulation

#endif  // TESTS_SIMULATION_WORLD_H_
