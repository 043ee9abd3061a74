// What befalls a fleet: deaths, links, the store, clocks.

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "tests/simulation/fleet_scenario.h"

namespace picket::simulation {

// Nothing passes between the two until then, on streams that are open and on new ones.
void Scenario::Part(size_t agent, size_t coordinator, bool up, bool down, absl::Duration until) {
  partitions_.push_back({agent, coordinator, up, down, until});
  for (const std::weak_ptr<Stream>& weak : streams_) {
    const auto stream = weak.lock();
    if (stream == nullptr || stream->agent_at != agent || stream->coordinator_at != coordinator) {
      continue;
    }
    if (up) stream->HoldUp(true, until);
    if (down) stream->HoldUp(false, until);
  }
}

// At random times, about `mean` apart, until the fleet is healed.
void Scenario::Every(absl::Duration mean, std::function<void()> what) {
  const absl::Duration wait = mean * (0.2 + 1.6 * random().Uniform());
  if (world_.now() + wait > kHealed) return;
  world_.After(wait, [this, mean, what] {
    what();
    Every(mean, what);
  });
}

void Scenario::DrawFaults() {
  if (Draw(0.1)) {
    absl::StrAppend(&report_.summary, ", no faults");
    return;
  }
  checkers_.CalmFrom(kCalm);
  DrawDeaths();
  DrawLinkFaults();
  DrawStoreFaults();
  if (Draw(0.2)) {
    absl::StrAppend(&report_.summary, ", clock jumps");
    Every(absl::Seconds(20), [this] {
      const absl::Duration by = world_.Between(absl::Seconds(-5), absl::Seconds(15));
      world_.Note(absl::StrCat("the store's clock jumps by ", absl::FormatDuration(by)));
      world_.store_clock().JumpWall(by);
    });
  }
  if (Draw(0.2)) {
    absl::StrAppend(&report_.summary, ", drains");
    Every(absl::Seconds(Pick(8, 25)),
          [this] { agents_[random().Below(agents_.size())]->Drain(); });
  }
}

void Scenario::DrawDeaths() {
  if (Draw(0.6)) {
    absl::StrAppend(&report_.summary, ", agents die");
    Every(absl::Seconds(Pick(3, 20)), [this] {
      SimAgent& agent = *agents_[random().Below(agents_.size())];
      if (!agent.running()) return;
      ++report_.kills;
      agent.Kill(Draw(0.8) ? world_.Between(absl::ZeroDuration(), absl::Milliseconds(50))
                           : world_.Between(absl::Seconds(1), absl::Seconds(30)));
    });
  }
  if (Draw(0.5)) {
    absl::StrAppend(&report_.summary, ", coordinators die");
    Every(absl::Seconds(Pick(4, 25)), [this] {
      const size_t index = random().Below(coordinators_.size());
      if (coordinators_[index] == nullptr) return;
      ++report_.kills;
      coordinators_[index] = nullptr;
      world_.After(world_.Between(absl::Milliseconds(100), absl::Seconds(12)), [this, index] {
        if (coordinators_[index] == nullptr) StartCoordinator(index);
      });
    });
  }
  if (Draw(0.3)) {
    absl::StrAppend(&report_.summary, ", agents freeze");
    Every(absl::Seconds(Pick(5, 20)), [this] {
      SimAgent& agent = *agents_[random().Below(agents_.size())];
      if (agent.running()) {
        agent.Freeze(world_.now() + world_.Between(absl::Seconds(1), absl::Seconds(20)));
      }
    });
  }
}

void Scenario::DrawLinkFaults() {
  const auto any_stream = [this] {
    return streams_.empty() ? nullptr : streams_[random().Below(streams_.size())].lock();
  };
  if (Draw(0.5)) {
    absl::StrAppend(&report_.summary, ", streams break");
    Every(absl::Seconds(Pick(1, 10)), [this, any_stream] {
      const auto stream = any_stream();
      if (stream == nullptr) return;
      const auto notice = [this] {
        return Draw(0.5) ? world_.Between(absl::ZeroDuration(), absl::Milliseconds(20))
                         : world_.Between(absl::Milliseconds(20), absl::Seconds(25));
      };
      if (Draw(0.5)) {
        stream->Cut(notice(), notice());
      } else {
        stream->Linger(notice(), notice());
      }
    });
  }
  if (Draw(0.4)) {
    absl::StrAppend(&report_.summary, ", one-way partitions");
    Every(absl::Seconds(Pick(3, 12)), [this, any_stream] {
      const auto stream = any_stream();
      if (stream == nullptr) return;
      const bool up = Draw(0.5);
      Part(stream->agent_at, stream->coordinator_at, up, !up,
           world_.now() + world_.Between(absl::Seconds(1), absl::Seconds(25)));
    });
  }
  if (Draw(0.3)) {
    absl::StrAppend(&report_.summary, ", partitions");
    Every(absl::Seconds(Pick(5, 20)), [this] {
      // One agent, or a whole place, from one coordinator or from all.
      const size_t agent = random().Below(agents_.size());
      const size_t coordinator = random().Below(coordinators_.size());
      const bool place = Draw(0.3), all = Draw(0.5);
      const absl::Duration until =
          world_.now() + world_.Between(absl::Seconds(1), absl::Seconds(25));
      for (size_t a = 0; a < agents_.size(); ++a) {
        if (a != agent && !(place && agents_[a]->location() == agents_[agent]->location())) continue;
        for (size_t c = 0; c < coordinators_.size(); ++c) {
          if (c == coordinator || all) Part(a, c, true, true, until);
        }
      }
    });
  }
  if (Draw(0.2)) {
    absl::StrAppend(&report_.summary, ", doubled messages");
    wire_.twice = 0.1;
    asks_twice_ = 0.5;
    world_.At(kHealed, [this] { wire_.twice = 0; });
  }
}

void Scenario::DrawStoreFaults() {
  if (Draw(0.4)) {
    absl::StrAppend(&report_.summary, ", store errors");
    store_faults_.refuse = 0.05;
    store_faults_.mute = 0.05;
    if (Draw(0.5)) store_faults_.slow = 0.01;
    if (Draw(0.5)) store_faults_.ghost = 0.03;
    if (Draw(0.5)) store_faults_.read = 0.02;
    world_.At(kHealed, [this] {
      store_faults_ = {.commit_least = store_faults_.commit_least,
                       .commit_most = store_faults_.commit_most};
    });
  }
  if (Draw(0.2)) {
    absl::StrAppend(&report_.summary, ", slow commits");
    store_faults_.commit_most = absl::Milliseconds(200);
  }
  if (Draw(0.3)) {
    absl::StrAppend(&report_.summary, ", coordinators cut from the store");
    Every(absl::Seconds(Pick(5, 20)), [this] {
      SimCoordinator* coordinator = AnyCoordinator();
      if (coordinator == nullptr) return;
      coordinator->CutStore(world_.now() + world_.Between(absl::Seconds(1), absl::Seconds(20)));
    });
  }
}

}  // namespace picket::simulation
