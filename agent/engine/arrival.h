// File: arrival.h
//
// When the kernel received what waits on a TCP socket: what a busy loop would otherwise
// see late, and call the target's slowness.
//
// Thread rule: thread-compatible.

#ifndef AGENT_ENGINE_ARRIVAL_H_
#define AGENT_ENGINE_ARRIVAL_H_

#include <cstddef>
#include <cstdint>

namespace picket {

// Of the bytes that wait unread. Where the kernel joined packets it keeps the time of the
// later one.
struct Arrival {
  size_t bytes = 0;  // at most Limits' arrival_bytes are looked at
  // Wall clock, nanoseconds since 1970.
  int64_t first_ns = 0, last_ns = 0;
};

// Asks for the times of what arrives from now on. Where the system gives none,
// ReadArrival finds none.
void StampArrivals(int fd);

// Looks without taking anything. False if nothing waits or its time is not known.
bool ReadArrival(int fd, Arrival& out);

}  // namespace picket

#endif  // AGENT_ENGINE_ARRIVAL_H_
