#include "common/rpc/sizes.h"

#include "common/policy/limits.h"

namespace picket {

int MessageBytesMost() { return static_cast<int>(DefaultLimits().create_run_bytes); }

grpc::ChannelArguments ClientArguments() {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(MessageBytesMost());
  arguments.SetMaxSendMessageSize(MessageBytesMost());
  return arguments;
}

}  // namespace picket
