// File: limits.h
//
// The bounds of the gRPC door; those that both ends of the wire share are in
// common/policy/limits.h and common/rpc/sizes.h.

#ifndef COORDINATOR_RPC_LIMITS_H_
#define COORDINATOR_RPC_LIMITS_H_

#include <cstddef>

namespace picket {

struct RpcLimits {
  // Messages that wait for one agent to read them; more ends its stream.
  size_t session_queue_messages = 100'000;
};

inline const RpcLimits& DefaultRpcLimits() {
  static const RpcLimits limits;
  return limits;
}

}  // namespace picket

#endif  // COORDINATOR_RPC_LIMITS_H_
