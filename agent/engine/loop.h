// File: loop.h
//
// An epoll loop on one thread: sockets, deadlines, work posted from elsewhere, and
// the truth about itself, namely how long it did not turn. A turn does a bounded part of
// what there is of each, so that a crowd of one kind does not hold up the others.
//
// Thread rule: Start, Stop and Post are safe from any thread; everything else belongs
// to the loop's thread. Times are monotonic nanoseconds.

#ifndef AGENT_ENGINE_LOOP_H_
#define AGENT_ENGINE_LOOP_H_

#include <sys/epoll.h>

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "agent/engine/limits.h"
#include "agent/engine/loop_timers.h"
#include "common/base/mutex.h"

namespace picket {

// Someone who waits for a socket. Not owned by the loop.
class FdHandler {
 public:
  virtual ~FdHandler() = default;
  // `events` is an epoll mask. May watch, unwatch and close any socket.
  virtual void OnReady(int fd, uint32_t events) = 0;
};

class EventLoop {
 public:
  static absl::StatusOr<std::unique_ptr<EventLoop>> Create();
  // REQUIRES: not running (Stop was called, or Start never).
  ~EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  // Starts the thread. `before` runs on it before the first turn, `after_turn` at the
  // end of each, `busy` says that the loop must turn again without waiting.
  void Start(absl::AnyInvocable<void()> before, absl::AnyInvocable<void()> after_turn,
             absl::AnyInvocable<bool()> busy);
  // Ends the thread after its present turn and joins it. Work not yet run is dropped.
  // REQUIRES: not called on the loop's thread.
  void Stop();

  // Runs `work` on the loop's thread, on a later turn, in the order of posting.
  void Post(absl::AnyInvocable<void()> work);

  // Watches `fd` for `events` (level-triggered), or changes what is watched. Sockets
  // need no Unwatch before Forget. A watch costs no system call if the kernel already
  // watches for the same.
  absl::Status Watch(int fd, uint32_t events, FdHandler* handler);
  // `fd` stays open; its events are no longer wanted.
  void Unwatch(int fd);
  // `fd` is about to be closed by the caller.
  void Forget(int fd);

  LoopTimers::Id StartTimer(int64_t delay_ns, absl::AnyInvocable<void()> fire);
  void CancelTimer(LoopTimers::Id id) { timers_.Cancel(id); }

  // Read once per turn.
  int64_t NowNs() const { return now_ns_; }
  // Read now: for phases.
  static int64_t ReadClockNs();
  // A moment of the wall clock, since about the last turn, on the loop's clock; 0 if the
  // wall clock jumped meanwhile.
  int64_t FromWallNs(int64_t wall_ns) const { return wall_steady_ ? wall_ns - wall_offset_ns_ : 0; }

  // Longest time the loop did not turn (a long turn, or a deadline seen late) between
  // `since_ns` and now.
  int64_t LongestStallNs(int64_t since_ns) const;
  // The same since the last call.
  int64_t TakeLagNs();

 private:
  struct Watched {
    FdHandler* handler = nullptr;
    uint32_t wanted = 0;
    uint32_t in_kernel = 0;  // what epoll watches for; 0 = not in the set
    uint32_t generation = 0;
  };
  struct Stall {
    int64_t end_ns;
    int64_t length_ns;
  };

  EventLoop(int epoll_fd, int event_fd) : epoll_fd_(epoll_fd), event_fd_(event_fd) {}
  void Run();
  void RunPosted();
  void RunTimers();
  bool MorePosted();
  void Poll(int64_t wait_ns);
  void DispatchSome();
  void Dispatch(int fd, uint32_t generation, uint32_t events);
  void NoteStall(int64_t end_ns, int64_t length_ns);
  void ReadClocks();

  const int epoll_fd_;
  const int event_fd_;
  std::thread thread_;
  std::atomic<bool> stopping_{false};

  // The loop's thread only.
  absl::AnyInvocable<void()> before_, after_turn_;
  absl::AnyInvocable<bool()> busy_;
  std::vector<Watched> watched_;  // by fd
  LoopTimers timers_;
  int64_t now_ns_ = 0;
  int64_t turn_start_ns_ = 0;  // when the sockets that are being served were ready
  int64_t wall_offset_ns_ = 0;  // of the wall clock, this turn
  bool wall_steady_ = false;    // it was the same on the last turn
  int64_t lag_ns_ = 0;
  std::deque<Stall> stalls_;  // later ones are shorter: the front of any window is its longest
  std::deque<absl::AnyInvocable<void()>> running_;
  epoll_event ready_[EngineLimits::ready_events];
  size_t ready_count_ = 0, ready_next_ = 0;

  Mutex mu_;
  std::deque<absl::AnyInvocable<void()>> posted_ ABSL_GUARDED_BY(mu_);
};

}  // namespace picket

#endif  // AGENT_ENGINE_LOOP_H_
