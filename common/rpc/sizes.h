// File: sizes.h
//
// The message sizes both ends of the wire set, from common/policy/limits.h: the largest
// request is CreateRun, the largest answer a page of executions or a grant.
//
// Thread rule: pure.

#ifndef COMMON_RPC_SIZES_H_
#define COMMON_RPC_SIZES_H_

#include <grpcpp/support/channel_arguments.h>

namespace picket {

// Bytes of the largest message, in either direction.
int MessageBytesMost();

// Arguments for a client channel, in-process ones too.
grpc::ChannelArguments ClientArguments();

}  // namespace picket

#endif  // COMMON_RPC_SIZES_H_
