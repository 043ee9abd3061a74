#include "tests/support/test_pki.h"

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <memory>

#include "absl/strings/str_cat.h"
#include "common/base/check.h"

namespace picket {
namespace {

using BioPtr = std::unique_ptr<BIO, int (*)(BIO*)>;
using KeyPtr = std::unique_ptr<EVP_PKEY, void (*)(EVP_PKEY*)>;
using CertificatePtr = std::unique_ptr<X509, void (*)(X509*)>;

std::string Text(BIO* bio) {
  char* data = nullptr;
  const long length = BIO_get_mem_data(bio, &data);
  return std::string(data, static_cast<size_t>(length));
}

void AddExtension(X509* certificate, int id, const std::string& value) {
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, nullptr, id, value.c_str());
  PICKET_CHECK(extension != nullptr);
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
}

std::string AlternativeNames(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) {
    const bool address = name.find(':') != std::string::npos ||
                         name.find_first_not_of("0123456789.") == std::string::npos;
    absl::StrAppend(&text, text.empty() ? "" : ",", address ? "IP:" : "DNS:", name);
  }
  return text;
}

}  // namespace

TestIdentity MakeTestCertificate(const TestCertificateOptions& options,
                                 const TestIdentity* issuer) {
  KeyPtr key(EVP_EC_gen("P-256"), EVP_PKEY_free);
  CertificatePtr certificate(X509_new(), X509_free);
  PICKET_CHECK(key != nullptr && certificate != nullptr);
  X509_set_version(certificate.get(), 2);
  uint64_t serial = 0;
  RAND_bytes(reinterpret_cast<unsigned char*>(&serial), sizeof(serial));
  ASN1_INTEGER_set_uint64(X509_get_serialNumber(certificate.get()), serial >> 1);
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()), absl::ToInt64Seconds(options.valid_from));
  X509_gmtime_adj(X509_getm_notAfter(certificate.get()),
                  absl::ToInt64Seconds(options.valid_from + options.valid_for));
  X509_set_pubkey(certificate.get(), key.get());
  X509_NAME* name = X509_get_subject_name(certificate.get());
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>(options.common_name.c_str()),
                             -1, -1, 0);
  if (options.is_ca) {
    AddExtension(certificate.get(), NID_basic_constraints, "critical,CA:TRUE");
    AddExtension(certificate.get(), NID_key_usage, "critical,keyCertSign,cRLSign");
  } else if (!options.names.empty()) {
    AddExtension(certificate.get(), NID_subject_alt_name, AlternativeNames(options.names));
  }
  KeyPtr issuer_key(nullptr, EVP_PKEY_free);
  if (issuer == nullptr) {
    X509_set_issuer_name(certificate.get(), name);
    X509_sign(certificate.get(), key.get(), EVP_sha256());
  } else {
    BioPtr cert_bio(BIO_new_mem_buf(issuer->certificate.data(), -1), BIO_free);
    BioPtr key_bio(BIO_new_mem_buf(issuer->key.data(), -1), BIO_free);
    CertificatePtr from(PEM_read_bio_X509(cert_bio.get(), nullptr, nullptr, nullptr), X509_free);
    issuer_key.reset(PEM_read_bio_PrivateKey(key_bio.get(), nullptr, nullptr, nullptr));
    PICKET_CHECK(from != nullptr && issuer_key != nullptr);
    X509_set_issuer_name(certificate.get(), X509_get_subject_name(from.get()));
    X509_sign(certificate.get(), issuer_key.get(), EVP_sha256());
  }
  TestIdentity identity;
  BioPtr out(BIO_new(BIO_s_mem()), BIO_free);
  PEM_write_bio_X509(out.get(), certificate.get());
  identity.certificate = Text(out.get());
  BioPtr key_out(BIO_new(BIO_s_mem()), BIO_free);
  PEM_write_bio_PrivateKey(key_out.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr);
  identity.key = Text(key_out.get());
  return identity;
}

}  // namespace picket
