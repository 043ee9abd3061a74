// File: segment.h
//
// One file of the disk spool: an append-only list of records.
//
//   file   = "PKSPOOL1" record*
//   record = length:u32 checksum:u32 kind:u8 sequence:u64 payload
//
// Numbers are little-endian. `length` counts the payload; the checksum is CRC-32C over
// kind, sequence and payload. Kind 1 is a result; kind 2, without payload, says that
// everything up to `sequence` has been acknowledged. A file's name is the lowest
// sequence it may hold, 20 digits, ".seg".
//
// A record that does not check is passed over: reading goes on at the next offset where
// a whole record with a valid checksum and a plausible sequence stands. Bytes at the
// end that are no whole record are what a crash leaves, and end the file.
//
// Thread rule: pure but for the files.

#ifndef AGENT_SESSION_SEGMENT_H_
#define AGENT_SESSION_SEGMENT_H_

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace picket {

enum class RecordKind : uint8_t { kResult = 1, kAcknowledged = 2 };

struct SegmentRecord {
  RecordKind kind = RecordKind::kResult;
  uint64_t sequence = 0;
  absl::string_view payload;  // valid during the visit
};

struct SegmentScan {
  uint64_t corrupt = 0;    // places where something unreadable was passed over
  bool truncated = false;  // the file ends within a record
  bool foreign = false;    // it does not begin as a segment does
};

std::string EncodeRecord(const SegmentRecord& record);
absl::string_view SegmentHeader();

// Calls `visit` for each record of `contents` until it returns false.
SegmentScan ScanSegment(absl::string_view contents,
                        const std::function<bool(const SegmentRecord&)>& visit);

// "00000000000000000007.seg" and back; 0 = not a segment's name.
std::string SegmentName(uint64_t first);
uint64_t SegmentFirst(absl::string_view name);

}  // namespace picket

#endif  // AGENT_SESSION_SEGMENT_H_
