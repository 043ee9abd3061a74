// File: local_fleet.h
//
// `picket run --local`: a coordinator over an in-memory store and one agent for each
// planned location, all inside this process, spoken to over gRPC as a remote one is.
//
// Thread rule: thread-compatible, but for client()->Interrupt().

#ifndef CLI_LOCAL_FLEET_H_
#define CLI_LOCAL_FLEET_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "cli/run_client.h"

namespace picket {

struct LocalFleetOptions {
  // One agent at each. Not empty.
  std::vector<std::string> locations;
  // Checks at once, of each agent.
  uint32_t capacity = 100;
  // Secret values by name; they never leave this process.
  std::map<std::string, std::string> secrets;
};

class LocalFleet {
 public:
  virtual ~LocalFleet() = default;
  // Lives as long as the fleet.
  virtual RunClient* client() = 0;
  // Waits, at most for `most`, until no agent has a check in flight: a run that was ended
  // early leaves `always` steps to do.
  virtual void Settle(absl::Duration most) = 0;
};

absl::StatusOr<std::unique_ptr<LocalFleet>> StartLocalFleet(const LocalFleetOptions& options);

}  // namespace picket

#endif  // CLI_LOCAL_FLEET_H_
