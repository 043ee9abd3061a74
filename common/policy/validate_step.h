// File: validate_step.h
//
// The part of validate.h that looks into one step: request, expectations, extracts.
//
// Thread rule: pure functions.

#ifndef COMMON_POLICY_VALIDATE_STEP_H_
#define COMMON_POLICY_VALIDATE_STEP_H_

#include "absl/status/status.h"
#include "picket/v1/suite.pb.h"

namespace picket {

// InvalidArgument naming the field. `test` holds the step, its files and its names.
absl::Status ValidateStep(const v1::Test& test, const v1::Step& step);

}  // namespace picket

#endif  // COMMON_POLICY_VALIDATE_STEP_H_
