// File: openapi.h
//
// The HTTP API as an OpenAPI 3.1 document: paths are written here beside their routes,
// schemas are derived from the messages, so that they cannot drift.
//
// Thread rule: pure.

#ifndef COORDINATOR_GATEWAY_OPENAPI_H_
#define COORDINATOR_GATEWAY_OPENAPI_H_

#include <string>

namespace picket {

// JSON.
std::string OpenApiDocument();

}  // namespace picket

#endif  // COORDINATOR_GATEWAY_OPENAPI_H_
