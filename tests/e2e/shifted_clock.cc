// A machine whose wall clock is wrong: preloaded (LD_PRELOAD) into a program, it shifts the
// real-time clock by PICKET_TEST_CLOCK_SHIFT seconds and leaves the steady ones alone. Waits
// until a wall time still end when they would on such a machine, and the kernel's stamps on
// what arrives are by the same wrong clock.

#include <dlfcn.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include <cstdarg>
#include <cstdlib>
#include <cstring>
#include <ctime>

namespace {

time_t Shift() {
  static const time_t shift = [] {
    const char* text = std::getenv("PICKET_TEST_CLOCK_SHIFT");
    return text == nullptr ? time_t{0} : static_cast<time_t>(std::atoll(text));
  }();
  return shift;
}

template <typename F>
F* Next(const char* name) {
  return reinterpret_cast<F*>(dlsym(RTLD_NEXT, name));
}

bool IsWall(clockid_t clock) { return clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE; }

timespec Unshifted(const timespec& until) {
  return timespec{.tv_sec = until.tv_sec - Shift(), .tv_nsec = until.tv_nsec};
}

}  // namespace

extern "C" {

int clock_gettime(clockid_t clock, timespec* now) noexcept {
  static auto* const next = Next<int(clockid_t, timespec*)>("clock_gettime");
  const int result = next(clock, now);
  if (result == 0 && IsWall(clock)) now->tv_sec += Shift();
  return result;
}

int gettimeofday(timeval* now, void* zone) noexcept {
  static auto* const next = Next<int(timeval*, void*)>("gettimeofday");
  const int result = next(now, zone);
  if (result == 0) now->tv_sec += Shift();
  return result;
}

time_t time(time_t* out) noexcept {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  if (out != nullptr) *out = now.tv_sec;
  return now.tv_sec;
}

ssize_t recvmsg(int fd, msghdr* message, int flags) {
  static auto* const next = Next<ssize_t(int, msghdr*, int)>("recvmsg");
  const ssize_t got = next(fd, message, flags);
  if (got < 0) return got;
  for (cmsghdr* c = CMSG_FIRSTHDR(message); c != nullptr; c = CMSG_NXTHDR(message, c)) {
    if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_TIMESTAMPNS) continue;
    timespec stamp;
    std::memcpy(&stamp, CMSG_DATA(c), sizeof(stamp));
    stamp.tv_sec += Shift();
    std::memcpy(CMSG_DATA(c), &stamp, sizeof(stamp));
  }
  return got;
}

int pthread_cond_timedwait(pthread_cond_t* cond, pthread_mutex_t* mutex, const timespec* until) {
  static auto* const next =
      Next<int(pthread_cond_t*, pthread_mutex_t*, const timespec*)>("pthread_cond_timedwait");
  const timespec real = Unshifted(*until);
  return next(cond, mutex, &real);
}

int pthread_cond_clockwait(pthread_cond_t* cond, pthread_mutex_t* mutex, clockid_t clock,
                           const timespec* until) {
  static auto* const next = Next<int(pthread_cond_t*, pthread_mutex_t*, clockid_t,
                                     const timespec*)>("pthread_cond_clockwait");
  const timespec real = IsWall(clock) ? Unshifted(*until) : *until;
  return next(cond, mutex, clock, &real);
}

long syscall(long number, ...) noexcept {
  static auto* const next = Next<long(long, ...)>("syscall");
  long a[6];
  va_list list;
  va_start(list, number);
  for (long& argument : a) argument = va_arg(list, long);
  va_end(list);
  timespec real{};
  if (number == SYS_futex && (a[1] & FUTEX_CLOCK_REALTIME) != 0 && a[3] != 0) {
    real = Unshifted(*reinterpret_cast<const timespec*>(a[3]));
    a[3] = reinterpret_cast<long>(&real);
  }
  return next(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

}  // extern "C"
