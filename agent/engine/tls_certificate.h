// File: tls_certificate.h
//
// Certificates as messages.
//
// Thread rule: plain functions; safe from any thread.

#ifndef AGENT_ENGINE_TLS_CERTIFICATE_H_
#define AGENT_ENGINE_TLS_CERTIFICATE_H_

#include <openssl/x509.h>

#include "absl/strings/string_view.h"
#include "picket/v1/result.pb.h"

namespace picket {

// Names as RFC 2253 text; alternative names plain ("example.com", "192.0.2.1").
v1::Certificate DescribeCertificate(X509* certificate);

}  // namespace picket

#endif  // AGENT_ENGINE_TLS_CERTIFICATE_H_
