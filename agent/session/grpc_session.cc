#include "agent/session/grpc_session.h"
