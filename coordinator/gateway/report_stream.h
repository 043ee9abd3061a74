// File: report_stream.h
//
// The report of a sealed run as an HTTP answer, written while its executions are read, in
// bounded memory. A report that cannot be read to its end is cut, not ended.
//
// Thread rule: safe to call from any thread but the coordinator's.

#ifndef COORDINATOR_GATEWAY_REPORT_STREAM_H_
#define COORDINATOR_GATEWAY_REPORT_STREAM_H_

#include "absl/status/statusor.h"
#include "common/report/report.h"
#include "common/telemetry/http_server.h"
#include "coordinator/app/coordinator.h"

namespace picket {

// "application/xml" and so on.
const char* ReportContentType(ReportFormat format);

// What a report begins with. REQUIRES: the run is sealed.
absl::StatusOr<ReportHeader> ReadReportHeader(Coordinator* coordinator,
                                              const std::string& run_id);

void StreamReport(Coordinator* coordinator, ReportFormat format, const ReportHeader& header,
                  HttpStream& stream);

}  // namespace picket

#endif  // COORDINATOR_GATEWAY_REPORT_STREAM_H_
