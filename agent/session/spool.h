// File: spool.h
//
// Where results wait until a coordinator has stored them. Every result gets the
// spool's next sequence number; an acknowledgement names the highest number that is
// stored and frees everything up to it.
//
// Thread rule: thread-compatible; one owner, the agent's loop.

#ifndef AGENT_SESSION_SPOOL_H_
#define AGENT_SESSION_SPOOL_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "picket/v1/agent_service.pb.h"

namespace picket {

struct SpoolRecord {
  uint64_t sequence = 0;
  std::string payload;  // a serialised v1::LeaseResults with one result
};

class Spool {
 public:
  virtual ~Spool() = default;

  // UUID; made with the spool and kept with it.
  virtual const std::string& id() const = 0;
  // Takes a result in; never fails (Full says when to stop making more). Returns its number.
  virtual uint64_t Append(const v1::LeaseResults& result) = 0;
  // The next records after `after`, in order, up to both bounds; at least one if there
  // is any. Empty: there is none.
  virtual std::vector<SpoolRecord> Read(uint64_t after, uint32_t count_most, size_t bytes_most) = 0;
  // Everything up to `through` is stored elsewhere. Numbers never seen are ignored.
  virtual void Acknowledge(uint64_t through) = 0;
  // Hands what was appended to the operating system. Before anything is told.
  virtual void Flush() = 0;

  virtual uint64_t last() const = 0;  // highest number given; 0 = none ever
  virtual uint64_t acknowledged() const = 0;
  // What waits here, bytes of payload.
  virtual uint64_t bytes() const = 0;
  // No room but for what is in flight already: start nothing new.
  virtual bool Full() const = 0;
  // Records that could not be read back, since it was opened.
  virtual uint64_t corrupt() const = 0;
  // Why the disk cannot be written at the moment; ok if it can, or there is none.
  virtual absl::Status disk() const = 0;
};

// In memory alone, up to `bytes_most`.
std::unique_ptr<Spool> MakeMemorySpool(std::string id, size_t bytes_most);

struct SpoolOptions {
  std::string directory;            // made if it is not there, mode 0700; files are 0600
  std::string new_id;               // the id, should the spool be new
  size_t memory_bytes = 64u << 20;  // kept in memory too, so that it need not be read back
  size_t disk_bytes = 1u << 30;
  size_t segment_bytes = 8u << 20;
};

// Written through to append-only segments with a checksum per record; survives the end
// of the process, however it comes (not of the machine: nothing is synced, since what
// is lost with the machine is leased again). FailedPrecondition: another process holds
// the directory. A truncated tail is dropped; a corrupt record is skipped and counted.
absl::StatusOr<std::unique_ptr<Spool>> OpenDiskSpool(const SpoolOptions& options);

}  // namespace picket

#endif  // AGENT_SESSION_SPOOL_H_
