// File: channel.h
//
// How clients and agents reach coordinators: a channel with the keepalive and message
// sizes that the server permits. Plaintext.
//
// Thread rule: safe to call from any thread; a channel is shared.

#ifndef COMMON_RPC_CHANNEL_H_
#define COMMON_RPC_CHANNEL_H_

#include <grpcpp/channel.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace picket {

struct ChannelOptions {
  // The agent's pings, which find a dead link. The server permits one every 10 s.
  absl::Duration keepalive = absl::Seconds(30);
  absl::Duration keepalive_timeout = absl::Seconds(10);
  // Between tries to connect, at most.
  absl::Duration reconnect_longest = absl::Seconds(1);
};

// Lazy: connects at the first call. `address` is "host:port".
std::shared_ptr<grpc::Channel> MakeChannel(const std::string& address,
                                           const ChannelOptions& options = {});

// The addresses of `--coordinator`, a comma list of HOST:PORT. InvalidArgument names
// the entry that is none.
absl::StatusOr<std::vector<std::string>> ParseCoordinators(absl::string_view list);

}  // namespace picket

#endif  // COMMON_RPC_CHANNEL_H_
