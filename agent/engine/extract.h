// File: extract.h
//
// Takes the value of a variable out of an answer.
//
// Thread rule: as evaluate.h.

#ifndef AGENT_ENGINE_EXTRACT_H_
#define AGENT_ENGINE_EXTRACT_H_

#include "absl/status/statusor.h"
#include "agent/engine/compiled_test.h"
#include "agent/engine/subject.h"
#include "common/expr/json.h"

namespace picket {

// NotFound: there is nothing to take. InvalidArgument: the answer is not of the kind it is
// to be taken from. ResourceExhausted: it could not be looked at within bounds. Messages
// hold no values.
absl::StatusOr<Json> ExtractValue(const CompiledExtract& extract, const ReadySubject& subject,
                                  StepAnswer& answer, const WorkLimits& work);

}  // namespace picket

#endif  // AGENT_ENGINE_EXTRACT_H_
