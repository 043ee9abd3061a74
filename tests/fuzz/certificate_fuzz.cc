// A certificate in DER, as a server may send it.

#include <openssl/x509.h>

#include <cstdint>

#include "agent/engine/tls_certificate.h"
#include "common/base/check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const unsigned char* at = data;
  X509* certificate = d2i_X509(nullptr, &at, static_cast<long>(size));
  if (certificate == nullptr) return 0;
  const picket::v1::Certificate told = picket::DescribeCertificate(certificate);
  PICKET_CHECK(told.fingerprint().size() == 64);
  X509_free(certificate);
  return 0;
}
