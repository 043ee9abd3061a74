// File: report_message.h
//
// From what the coordinator keeps to the messages of the JSON report.
//
// Thread rule: pure.

#ifndef COMMON_REPORT_REPORT_MESSAGE_H_
#define COMMON_REPORT_REPORT_MESSAGE_H_

#include "picket/v1/run.pb.h"

namespace picket {

v1::Report ReportWithoutExecutions(const v1::Run& run);

// Fills `out`, which is empty. Late attempts are left out; `late` says there were some.
void FillReportExecution(const v1::Execution& execution, v1::ReportExecution& out);

}  // namespace picket

#endif  // COMMON_REPORT_REPORT_MESSAGE_H_
