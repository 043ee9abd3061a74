// File: test_pki.h
//
// Certificates made to measure, for servers and clients in tests.
//
// Thread rule: plain functions and values.

#ifndef TESTS_SUPPORT_TEST_PKI_H_
#define TESTS_SUPPORT_TEST_PKI_H_

#include <string>
#include <vector>

#include "absl/time/time.h"

namespace picket {

// A certificate and its key, both as PEM.
struct TestIdentity {
  std::string certificate;
  std::string key;
};

struct TestCertificateOptions {
  std::string common_name = "picket test";
  // DNS names and IP addresses it is for.
  std::vector<std::string> names = {"localhost", "127.0.0.1"};
  // Relative to now.
  absl::Duration valid_from = -absl::Hours(1);
  absl::Duration valid_for = absl::Hours(24);
  bool is_ca = false;
};

// Signed by `issuer`, or by itself if null. P-256 keys.
TestIdentity MakeTestCertificate(const TestCertificateOptions& options,
                                 const TestIdentity* issuer = nullptr);

}  // namespace picket

#endif  // TESTS_SUPPORT_TEST_PKI_H_
