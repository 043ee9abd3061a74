// File: kernel_stamps.h
//
// Waits until this kernel stamps what arrives. It begins a moment after it is first asked, on
// a work queue of its own, which a crowded machine may hold up.
//
// Thread rule: thread-compatible.

#ifndef TESTS_UNIT_ENGINE_KERNEL_STAMPS_H_
#define TESTS_UNIT_ENGINE_KERNEL_STAMPS_H_

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>

#include "absl/cleanup/cleanup.h"
#include "absl/time/time.h"
#include "agent/engine/arrival.h"
#include "common/base/clock.h"

namespace picket {

// True once a datagram that waited to be read bears the time it came at; false after ten
// seconds in vain. Until then the kernel makes the stamp when it is asked for it.
inline bool KernelStampsArrivals() {
  const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  const absl::Cleanup closer = [fd] { close(fd); };
  sockaddr_in address{};
  socklen_t length = sizeof(address);
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  auto* const any = reinterpret_cast<sockaddr*>(&address);
  if (bind(fd, any, length) != 0 || getsockname(fd, any, &length) != 0 ||
      connect(fd, any, length) != 0) {
    return false;
  }
  StampArrivals(fd);
  Clock* const clock = Clock::Real();
  const absl::Duration end = clock->Monotonic() + absl::Seconds(10);
  while (clock->Monotonic() < end) {
    if (send(fd, "x", 1, 0) != 1) return false;
    const absl::Time sent = clock->TimeNow();
    while (clock->TimeNow() < sent + absl::Milliseconds(5)) {
    }
    char byte;
    iovec target{&byte, 1};
    alignas(cmsghdr) char control[128];
    msghdr message{};
    message.msg_iov = &target;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof(control);
    if (recvmsg(fd, &message, 0) != 1) return false;
    for (cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(&message, c)) {
      if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_TIMESTAMPNS) continue;
      timespec stamp;
      std::memcpy(&stamp, CMSG_DATA(c), sizeof(stamp));
      if (absl::TimeFromTimespec(stamp) <= sent) return true;
    }
  }
  return false;
}

}  // namespace picket

#endif  // TESTS_UNIT_ENGINE_KERNEL_STAMPS_H_
