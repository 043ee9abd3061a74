// File: evidence.h
//
// What a person needs to see of a failed step: the request as sent, the response, the
// certificates, a curl line. Secrets are masked; at most Limits::evidence_bytes.
//
// Thread rule: pure.

#ifndef AGENT_ENGINE_EVIDENCE_H_
#define AGENT_ENGINE_EVIDENCE_H_

#include "agent/engine/compiled_test.h"
#include "agent/engine/render_request.h"
#include "agent/engine/transfer.h"
#include "agent/engine/variables.h"
#include "picket/v1/result.pb.h"

namespace picket {

// `transfer` is what was given to the loop, `result` what came of it (all of it empty if
// nothing was sent).
v1::Evidence MakeEvidence(const CompiledStep& step, const RenderedRequest& request,
                          const TransferRequest& transfer, const TransferResult& result,
                          Variables& variables);

}  // namespace picket

#endif  // AGENT_ENGINE_EVIDENCE_H_
