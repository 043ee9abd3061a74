// File: grpc_session.h
//
// The link: SessionDialer over gRPC, to one coordinator or the first that answers of
// several.
//
// Thread rule: dialers and streams are safe to call from any thread. A
// stream's destructor cancels it and waits for its last call of the sink.

#ifndef AGENT_SESSION_GRPC_SESSION_H_
#define AGENT_SESSION_GRPC_SESSION_H_

#include <grpcpp/channel.h>

#include <memory>
#include <vector>

#include "agent/session/agent.h"

namespace picket {

// Sessions to one coordinator, in-process ones too.
std::unique_ptr<SessionDialer> MakeDialer(std::shared_ptr<grpc::Channel> channel);

// Each Dial takes the channel of the last one that brought a message; after one that
// brought none, the next in turn. Starts at `first` (modulo their number), so that a
// fleet spreads itself.
std::unique_ptr<SessionDialer> MakeDialer(std::vector<std::shared_ptr<grpc::Channel>> channels,
                                          size_t first);

}  // namespace picket

#endif  // AGENT_SESSION_GRPC_SESSION_H_
