#include "agent/engine/loop.h"

#include <pthread.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "agent/engine/limits.h"
#include "common/base/check.h"
#include "common/base/clock.h"
#include "common/base/scheduling.h"

namespace picket {
namespace {

// The wall clock drifts by far less from one turn to the next.
constexpr int64_t kWallJumpNs = 100'000;
// Between two readings of the clocks, unless the thread was interrupted there.
constexpr int64_t kClocksApartNs = 20'000;
constexpr int kClockReadings = 3;

}  // namespace

int64_t EventLoop::ReadClockNs() { return absl::ToInt64Nanoseconds(Clock::Real()->Monotonic()); }

void EventLoop::ReadClocks() {
  // Interrupted between the two, they would seem to have jumped apart: on a crowded machine,
  // where the stamps of the wall clock are needed most.
  int64_t wall_ns = 0;
  for (int i = 0; i < kClockReadings; ++i) {
    now_ns_ = ReadClockNs();
    wall_ns = absl::ToUnixNanos(Clock::Real()->TimeNow());
    if (ReadClockNs() - now_ns_ < kClocksApartNs) break;
  }
  const int64_t offset_ns = wall_ns - now_ns_;
  wall_steady_ = std::abs(offset_ns - wall_offset_ns_) < kWallJumpNs;
  wall_offset_ns_ = offset_ns;
}

absl::StatusOr<std::unique_ptr<EventLoop>> EventLoop::Create() {
  const int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  if (epoll_fd < 0) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "cannot create an event loop: ", strerror(errno), "; raise the limit of open files"));
  }
  const int event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = ~uint64_t{0};
  if (event_fd < 0 || epoll_ctl(epoll_fd, EPOLL_CTL_ADD, event_fd, &event) != 0) {
    const int error = errno;
    if (event_fd >= 0) close(event_fd);
    close(epoll_fd);
    return absl::ResourceExhaustedError(absl::StrCat(
        "cannot create an event loop: ", strerror(error), "; raise the limit of open files"));
  }
  return std::unique_ptr<EventLoop>(new EventLoop(epoll_fd, event_fd));
}

EventLoop::~EventLoop() {
  PICKET_CHECK(!thread_.joinable());
  close(event_fd_);
  close(epoll_fd_);
}

void EventLoop::Start(absl::AnyInvocable<void()> before, absl::AnyInvocable<void()> after_turn,
                      absl::AnyInvocable<bool()> busy) {
  before_ = std::move(before);
  after_turn_ = std::move(after_turn);
  busy_ = std::move(busy);
  thread_ = std::thread([this] {
    GoFirst();
    Run();
  });
  pthread_setname_np(thread_.native_handle(), "picket-loop");
}

void EventLoop::Stop() {
  stopping_.store(true);
  const uint64_t one = 1;
  (void)!write(event_fd_, &one, sizeof(one));
  if (thread_.joinable()) thread_.join();
}

void EventLoop::Post(absl::AnyInvocable<void()> work) {
  bool wake;
  {
    MutexLock lock(&mu_);
    wake = posted_.empty();
    posted_.push_back(std::move(work));
  }
  if (!wake) return;
  const uint64_t one = 1;
  (void)!write(event_fd_, &one, sizeof(one));
}

absl::Status EventLoop::Watch(int fd, uint32_t events, FdHandler* handler) {
  if (static_cast<size_t>(fd) >= watched_.size()) watched_.resize(fd + 64);
  Watched& watched = watched_[fd];
  watched.handler = handler;
  watched.wanted = events;
  if (watched.in_kernel == events) return absl::OkStatus();
  epoll_event event{};
  event.events = events;
  event.data.u64 = (static_cast<uint64_t>(watched.generation) << 32) | static_cast<uint32_t>(fd);
  const int operation = watched.in_kernel != 0 ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
  if (epoll_ctl(epoll_fd_, operation, fd, &event) != 0) {
    watched.handler = nullptr;
    return absl::ResourceExhaustedError(absl::StrCat("cannot watch a socket: ", strerror(errno)));
  }
  watched.in_kernel = events;
  return absl::OkStatus();
}

void EventLoop::Unwatch(int fd) {
  if (static_cast<size_t>(fd) >= watched_.size()) return;
  // The kernel is told only when an unwanted event comes: most sockets are closed, or
  // watched again for the same, before that.
  watched_[fd].handler = nullptr;
  watched_[fd].wanted = 0;
}

void EventLoop::Forget(int fd) {
  if (static_cast<size_t>(fd) >= watched_.size()) return;
  Watched& watched = watched_[fd];
  watched.handler = nullptr;
  watched.wanted = 0;
  watched.in_kernel = 0;
  ++watched.generation;
}

LoopTimers::Id EventLoop::StartTimer(int64_t delay_ns, absl::AnyInvocable<void()> fire) {
  return timers_.Start(ReadClockNs() + std::max<int64_t>(delay_ns, 0), std::move(fire));
}

void EventLoop::Run() {
  now_ns_ = turn_start_ns_ = ReadClockNs();
  if (before_) before_();
  ReadClocks();
  turn_start_ns_ = now_ns_;
  while (!stopping_.load(std::memory_order_relaxed)) {
    RunPosted();
    RunTimers();
    if (after_turn_) after_turn_();
    if (ready_next_ < ready_count_) {
      ReadClocks();
      DispatchSome();
      continue;
    }
    const int64_t end_ns = ReadClockNs();
    NoteStall(end_ns, end_ns - turn_start_ns_);
    const bool again = (busy_ && busy_()) || MorePosted();
    const int64_t next_ns = timers_.Next();
    int64_t wait_ns = -1;
    if (again) {
      wait_ns = 0;
    } else if (next_ns != LoopTimers::kNever) {
      wait_ns = std::max<int64_t>(0, next_ns - end_ns);
    }
    Poll(wait_ns);
  }
}

bool EventLoop::MorePosted() {
  if (!running_.empty()) return true;
  MutexLock lock(&mu_);
  return !posted_.empty();
}

void EventLoop::RunPosted() {
  if (running_.empty()) {
    MutexLock lock(&mu_);
    running_.swap(posted_);
  }
  for (size_t i = 0; i < DefaultEngineLimits().turn_posts && !running_.empty(); ++i) {
    absl::AnyInvocable<void()> work = std::move(running_.front());
    running_.pop_front();
    work();
  }
}

void EventLoop::RunTimers() {
  int64_t deadline_ns = 0;
  // Timers started by these wait for the next turn only if they lie in the future.
  for (size_t i = 0; i < DefaultEngineLimits().turn_timers; ++i) {
    auto fire = timers_.PopDue(now_ns_, &deadline_ns);
    if (!fire) return;
    // Waking late is a stall too: the loop should have turned at the deadline.
    NoteStall(now_ns_, now_ns_ - deadline_ns);
    fire();
  }
}

void EventLoop::Poll(int64_t wait_ns) {
  timespec timeout{};
  timeout.tv_sec = wait_ns / 1'000'000'000;
  timeout.tv_nsec = wait_ns % 1'000'000'000;
  constexpr int kMost = EngineLimits::ready_events;
  const bool crowded = ready_count_ == kMost;  // others may have been ready on the last turn
  const int count = wait_ns == 0
                        ? epoll_wait(epoll_fd_, ready_, kMost, 0)
                        : epoll_pwait2(epoll_fd_, ready_, kMost,
                                       wait_ns < 0 ? nullptr : &timeout, nullptr);
  ready_next_ = 0;
  ready_count_ = static_cast<size_t>(std::max(count, 0));
  ReadClocks();
  if (!crowded) turn_start_ns_ = now_ns_;
  DispatchSome();
}

void EventLoop::DispatchSome() {
  for (size_t i = 0; i < EngineLimits::turn_events && ready_next_ < ready_count_; ++i) {
    const epoll_event event = ready_[ready_next_++];
    if (event.data.u64 == ~uint64_t{0}) {
      uint64_t drained;
      (void)!read(event_fd_, &drained, sizeof(drained));
      continue;
    }
    Dispatch(static_cast<int>(event.data.u64 & 0xffffffffu),
             static_cast<uint32_t>(event.data.u64 >> 32), event.events);
  }
}

void EventLoop::Dispatch(int fd, uint32_t generation, uint32_t events) {
  Watched& watched = watched_[fd];
  if (watched.generation != generation) return;  // closed earlier in this turn
  if (watched.handler == nullptr) {
    epoll_ctl(epoll_fd_, EPOLL_CTL_DEL, fd, nullptr);
    watched.in_kernel = 0;
    return;
  }
  watched.handler->OnReady(fd, events);
}

void EventLoop::NoteStall(int64_t end_ns, int64_t length_ns) {
  if (length_ns <= 0) return;
  lag_ns_ = std::max(lag_ns_, length_ns);
  while (!stalls_.empty() && stalls_.back().length_ns <= length_ns) stalls_.pop_back();
  if (stalls_.size() >= DefaultEngineLimits().loop_stalls_kept) stalls_.pop_back();
  stalls_.push_back({end_ns, length_ns});
  // Nothing in flight is older than the longest timeout.
  const int64_t oldest_ns = end_ns - absl::ToInt64Nanoseconds(DefaultEngineLimits().stall_memory);
  while (stalls_.front().end_ns < oldest_ns) stalls_.pop_front();
}

int64_t EventLoop::LongestStallNs(int64_t since_ns) const {
  int64_t longest = ReadClockNs() - std::max(turn_start_ns_, since_ns);
  const auto first =
      std::lower_bound(stalls_.begin(), stalls_.end(), since_ns,
                       [](const Stall& stall, int64_t since) { return stall.end_ns < since; });
  if (first != stalls_.end()) {
    // Only the part of it that lies after `since_ns` counts.
    longest = std::max(longest, std::min(first->length_ns, first->end_ns - since_ns));
    for (auto next = std::next(first); next != stalls_.end() && next->length_ns > longest; ++next) {
      longest = std::max(longest, std::min(next->length_ns, next->end_ns - since_ns));
    }
  }
  return longest;
}

int64_t EventLoop::TakeLagNs() { return std::exchange(lag_ns_, 0); }

}  // namespace picket
