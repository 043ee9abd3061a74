#include "agent/engine/tls_certificate.h"

#include <openssl/evp.h>
#include <openssl/x509v3.h>
#include <time.h>

#include <cstring>
#include <memory>
#include <string>

#include "absl/strings/escaping.h"
#include "agent/engine/dns_address.h"
#include "agent/engine/limits.h"

namespace picket {
namespace {

std::string NameText(X509_NAME* name) {
  std::unique_ptr<BIO, int (*)(BIO*)> bio(BIO_new(BIO_s_mem()), BIO_free);
  if (bio == nullptr || name == nullptr) return "";
  X509_NAME_print_ex(bio.get(), name, 0,
                     XN_FLAG_RFC2253 & ~static_cast<unsigned long>(ASN1_STRFLGS_ESC_MSB));
  char* data = nullptr;
  const long length = BIO_get_mem_data(bio.get(), &data);
  if (length <= 0) return "";
  // Names are text for people: at most as much as one may want to read.
  return std::string(data, static_cast<size_t>(std::min<long>(length, 1024)));
}

int64_t UnixSeconds(const ASN1_TIME* time) {
  tm parts{};
  if (time == nullptr || ASN1_TIME_to_tm(time, &parts) != 1) return 0;
  return timegm(&parts);
}

std::string Ia5Text(const ASN1_STRING* text) {
  return std::string(reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
                     static_cast<size_t>(ASN1_STRING_length(text)));
}

std::string AlternativeText(const GENERAL_NAME* name) {
  if (name->type == GEN_DNS) return Ia5Text(name->d.dNSName);
  if (name->type == GEN_EMAIL) return Ia5Text(name->d.rfc822Name);
  if (name->type == GEN_URI) return Ia5Text(name->d.uniformResourceIdentifier);
  if (name->type == GEN_IPADD) {
    const ASN1_OCTET_STRING* bytes = name->d.iPAddress;
    IpAddress address;
    address.v6 = bytes->length == 16;
    if (bytes->length != 4 && bytes->length != 16) return "";
    std::memcpy(address.bytes.data(), bytes->data, static_cast<size_t>(bytes->length));
    return IpText(address);
  }
  return "";
}

// proto3 strings must be UTF-8; a certificate may hold anything.
std::string Utf8(std::string text) {
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) == 0x7f) c = '?';
  }
  size_t i = 0;
  while (i < text.size()) {
    const auto lead = static_cast<unsigned char>(text[i]);
    const size_t length = lead < 0x80       ? 1
                          : lead >> 5 == 6  ? 2
                          : lead >> 4 == 14 ? 3
                          : lead >> 3 == 30 ? 4
                                            : 0;
    bool good = length > 0 && i + length <= text.size();
    for (size_t k = 1; good && k < length; ++k) {
      good = (static_cast<unsigned char>(text[i + k]) & 0xc0) == 0x80;
    }
    if (good && length > 1) {
      // Overlong forms, surrogates and what lies beyond U+10FFFF are not UTF-8 either.
      uint32_t point = lead & (0x7fu >> length);
      for (size_t k = 1; k < length; ++k) {
        point = (point << 6) | (static_cast<unsigned char>(text[i + k]) & 0x3f);
      }
      static constexpr uint32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
      good = point >= kLeast[length] && point <= 0x10ffff && (point < 0xd800 || point > 0xdfff);
    }
    if (!good) text[i] = '?';
    i += good ? length : 1;
  }
  return text;
}

}  // namespace

v1::Certificate DescribeCertificate(X509* certificate) {
  v1::Certificate out;
  out.set_subject(Utf8(NameText(X509_get_subject_name(certificate))));
  out.set_issuer(Utf8(NameText(X509_get_issuer_name(certificate))));
  out.mutable_not_before_time()->set_seconds(UnixSeconds(X509_get0_notBefore(certificate)));
  out.mutable_not_after_time()->set_seconds(UnixSeconds(X509_get0_notAfter(certificate)));
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int length = 0;
  if (X509_digest(certificate, EVP_sha256(), digest, &length) == 1) {
    out.set_fingerprint(
        absl::BytesToHexString(absl::string_view(reinterpret_cast<const char*>(digest), length)));
  }
  std::unique_ptr<GENERAL_NAMES, void (*)(GENERAL_NAMES*)> names(
      static_cast<GENERAL_NAMES*>(
          X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)),
      GENERAL_NAMES_free);
  const int count = names == nullptr ? 0 : sk_GENERAL_NAME_num(names.get());
  const int most = static_cast<int>(DefaultEngineLimits().alternative_names);
  for (int i = 0; i < count && i < most; ++i) {
    std::string text = AlternativeText(sk_GENERAL_NAME_value(names.get(), i));
    if (!text.empty()) out.add_subject_alternative_names(Utf8(std::move(text)));
  }
  return out;
}

}  // namespace picket
