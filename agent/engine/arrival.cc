#include "agent/engine/arrival.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <time.h>

#include <cstring>

#include "agent/engine/limits.h"

namespace picket {
namespace {

// No packet is larger but where the kernel joined some.
constexpr size_t kOnePacket = 1400;

// The kernel stamps packets only while some socket asks for it, and switching that on and
// off is dear: this one asks for as long as the process lives.
void KeepStampsOn() {
  static const int fd = [] {
    const int opened = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    const int one = 1;
    if (opened >= 0) setsockopt(opened, SOL_SOCKET, SO_TIMESTAMPNS, &one, sizeof(one));
    return opened;
  }();
  (void)fd;
}

// Bytes that wait, `most` of them, and when the last of these came; 0 = not known.
size_t Look(int fd, char* room, size_t most, int64_t& wall_ns) {
  iovec target{room, most};
  alignas(cmsghdr) char control[128];
  msghdr message{};
  message.msg_iov = &target;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof(control);
  // TCP counts, but does not copy, what is both peeked at and cut.
  const ssize_t got = recvmsg(fd, &message, MSG_PEEK | MSG_TRUNC | MSG_DONTWAIT);
  wall_ns = 0;
  if (got <= 0) return 0;
  for (cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(&message, c)) {
    if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_TIMESTAMPNS) continue;
    timespec stamp;
    std::memcpy(&stamp, CMSG_DATA(c), sizeof(stamp));
    wall_ns = int64_t{stamp.tv_sec} * 1'000'000'000 + stamp.tv_nsec;
  }
  return static_cast<size_t>(got);
}

}  // namespace

void StampArrivals(int fd) {
  KeepStampsOn();
  const int one = 1;
  setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &one, sizeof(one));
}

bool ReadArrival(int fd, Arrival& out) {
  thread_local char room[EngineLimits::arrival_bytes];
  out.bytes = Look(fd, room, sizeof(room), out.last_ns);
  if (out.bytes == 0 || out.last_ns == 0) return false;
  out.first_ns = out.last_ns;
  if (out.bytes > kOnePacket) {
    int64_t first_ns = 0;
    if (Look(fd, room, 1, first_ns) > 0 && first_ns != 0) out.first_ns = first_ns;
  }
  return true;
}

}  // namespace picket
