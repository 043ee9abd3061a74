// File: grpc_session.h
//
// The link: SessionDialer over gRPC.

#ifndef AGENT_SESSION_GRPC_SESSION_H_
#define AGENT_SESSION_GRPC_SESSION_H_

#include <memory>

#include "agent/session/agent.h"

#endif  // AGENT_SESSION_GRPC_SESSION_H_
