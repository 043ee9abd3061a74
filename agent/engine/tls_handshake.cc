#include "agent/engine/tls_handshake.h"

#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"
#include "agent/engine/dns_address.h"
#include "agent/engine/limits.h"
#include "agent/engine/loop.h"
#include "agent/engine/tls_certificate.h"

namespace picket {
namespace {

using Reason = v1::FailureReason;

// The holder is freed with the SSL_CTX, so that callbacks never outlive the handshake.
int HandshakeIndex() {
  static const int index = SSL_CTX_get_ex_new_index(
      0, nullptr, nullptr, nullptr, [](void*, void* holder, CRYPTO_EX_DATA*, int, long, void*) {
        delete static_cast<std::shared_ptr<TlsHandshake>*>(holder);
      });
  return index;
}

int ProtocolOf(const std::string& version) {
  if (version == "1.0") return TLS1_VERSION;
  if (version == "1.1") return TLS1_1_VERSION;
  if (version == "1.3") return TLS1_3_VERSION;
  return TLS1_2_VERSION;
}

std::string DateText(int64_t unix_seconds) {
  return absl::FormatTime("%Y-%m-%d %H:%M:%S UTC", absl::FromUnixSeconds(unix_seconds),
                          absl::UTCTimeZone());
}

}  // namespace

bool TlsHandshake::Configure(SSL_CTX* ctx) {
  auto* holder = new std::shared_ptr<TlsHandshake>(shared_from_this());
  if (SSL_CTX_set_ex_data(ctx, HandshakeIndex(), holder) != 1) {
    delete holder;
    return false;
  }
  SSL_CTX_set1_cert_store(ctx, setup_.store.get());
  SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, nullptr);
  SSL_CTX_set_cert_verify_callback(ctx, OnVerify, this);
  SSL_CTX_set_info_callback(ctx, OnInfo);
  SSL_CTX_set_cert_cb(ctx, OnCertificateRequest, this);
  const int least = ProtocolOf(setup_.min_version);
  if (least < TLS1_2_VERSION) {
    // The old versions sign with SHA-1, which OpenSSL's level 1 forbids.
    SSL_CTX_set_security_level(ctx, 0);
    SSL_CTX_set_cipher_list(ctx, "DEFAULT:@SECLEVEL=0");
  }
  SSL_CTX_set_min_proto_version(ctx, least);
  SSL_CTX_set_max_proto_version(ctx, 0);
  if (setup_.identity != nullptr) {
    if (SSL_CTX_use_certificate(ctx, setup_.identity->certificate.get()) != 1 ||
        SSL_CTX_set1_chain(ctx, setup_.identity->chain.get()) != 1 ||
        SSL_CTX_use_PrivateKey(ctx, setup_.identity->key.get()) != 1) {
      return false;
    }
  }
  return true;
}

int TlsHandshake::OnVerify(X509_STORE_CTX* store, void* self) {
  return static_cast<TlsHandshake*>(self)->Verify(store);
}

int TlsHandshake::Verify(X509_STORE_CTX* store) {
  facts_.certificates.clear();
  const STACK_OF(X509)* sent = X509_STORE_CTX_get0_untrusted(store);
  const int count =
      std::min(sk_X509_num(sent), static_cast<int>(DefaultEngineLimits().certificates));
  for (int i = 0; i < count; ++i) {
    facts_.certificates.push_back(DescribeCertificate(sk_X509_value(sent, i)));
  }
  if (!setup_.verify) {
    X509_STORE_CTX_set_error(store, X509_V_OK);
    return 1;
  }
  X509_VERIFY_PARAM* param = X509_STORE_CTX_get0_param(store);
  if (ParseIp(setup_.verify_name).has_value()) {
    X509_VERIFY_PARAM_set1_ip_asc(param, IpText(*ParseIp(setup_.verify_name)).c_str());
  } else {
    const absl::string_view name = absl::StripSuffix(setup_.verify_name, ".");
    X509_VERIFY_PARAM_set1_host(param, name.data(), name.size());
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  }
  const int verified = X509_verify_cert(store);
  if (verified <= 0) {
    verify_error_ = X509_STORE_CTX_get_error(store);
    verify_depth_ = X509_STORE_CTX_get_error_depth(store);
    if (verify_error_ == X509_V_OK) verify_error_ = X509_V_ERR_UNSPECIFIED;
  }
  return verified > 0 ? 1 : 0;
}

int TlsHandshake::OnCertificateRequest(SSL* ssl, void* self) {
  static_cast<TlsHandshake*>(self)->certificate_requested_ = true;
  return 1;
}

void TlsHandshake::OnInfo(const SSL* ssl, int where, int value) {
  auto* holder = static_cast<std::shared_ptr<TlsHandshake>*>(
      SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), HandshakeIndex()));
  if (holder == nullptr) return;
  TlsHandshake* self = holder->get();
  if ((where & SSL_CB_HANDSHAKE_START) != 0 && self->start_ns_ == 0) {
    self->Begin(const_cast<SSL*>(ssl));
  } else if ((where & SSL_CB_HANDSHAKE_DONE) != 0 && self->done_ns_ == 0) {
    self->Finish(ssl);
  } else if (where == SSL_CB_READ_ALERT && (value & 0xff) == SSL_AD_CLOSE_NOTIFY) {
    self->close_notify_ = true;
  } else if ((where & SSL_CB_ALERT) != 0 && (value >> 8) == SSL3_AL_FATAL) {
    if ((where & SSL_CB_READ) != 0)
      self->alert_ = value & 0xff;
    else
      self->alert_sent_ = true;
  }
}

void TlsHandshake::Begin(SSL* ssl) {
  ssl_ = ssl;
  start_ns_ = EventLoop::ReadClockNs();
  if (!setup_.server_name.empty()) SSL_set_tlsext_host_name(ssl, setup_.server_name.c_str());
  if (setup_.only_http2) {
    static constexpr unsigned char kH2[] = {2, 'h', '2'};
    SSL_set_alpn_protos(ssl, kH2, sizeof(kH2));
  }
}

void TlsHandshake::Finish(const SSL* ssl) {
  done_ns_ = EventLoop::ReadClockNs();
  facts_.version = SSL_get_version(ssl);
  const char* cipher = SSL_get_cipher_name(ssl);
  facts_.cipher = cipher == nullptr ? "" : cipher;
  const unsigned char* alpn = nullptr;
  unsigned int length = 0;
  SSL_get0_alpn_selected(ssl, &alpn, &length);
  if (alpn != nullptr) facts_.alpn.assign(reinterpret_cast<const char*>(alpn), length);
}

v1::FailureReason::Value TlsHandshake::Reason(const std::string& peer, std::string* message) const {
  if (verify_error_ != X509_V_OK && !done()) return VerifyReason(peer, message);
  if (alert_ >= 0) {
    const char* text = SSL_alert_desc_string_long(alert_);
    const bool about_certificate =
        (alert_ >= SSL_AD_BAD_CERTIFICATE && alert_ <= SSL_AD_CERTIFICATE_UNKNOWN) ||
        alert_ == SSL_AD_UNKNOWN_CA || alert_ == SSL_AD_ACCESS_DENIED || alert_ == 116 ||
        ((alert_ == SSL_AD_HANDSHAKE_FAILURE || alert_ == SSL_AD_DECRYPT_ERROR) &&
         certificate_requested_);
    if (about_certificate) {
      *message = absl::StrCat(peer,
                              setup_.identity == nullptr
                                  ? " wants a client certificate and got none: TLS alert '"
                                  : " refused the client certificate: TLS alert '",
                              text, "'.");
      return Reason::tls_client_certificate;
    }
    *message = absl::StrCat(peer, " ended the TLS handshake with the alert '", text, "'.");
    if (!done()) return Reason::tls_protocol;
    *message = absl::StrCat(peer, " ended the TLS connection with the alert '", text, "'.");
    return Reason::protocol_error;
  }
  if (!done() && alert_sent_) {
    *message = absl::StrCat("The TLS handshake with ", peer,
                            " failed: its answer is malformed or offers nothing acceptable.");
    return Reason::tls_protocol;
  }
  return Reason::none;
}

v1::FailureReason::Value TlsHandshake::VerifyReason(const std::string& peer,
                                                    std::string* message) const {
  const v1::Certificate leaf =
      facts_.certificates.empty() ? v1::Certificate() : facts_.certificates[0];
  switch (verify_error_) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
      *message = verify_depth_ == 0
                     ? absl::StrCat("The certificate of ", peer, " expired on ",
                                    DateText(leaf.not_after_time().seconds()), ".")
                     : absl::StrCat("A certificate in the chain of ", peer, " has expired.");
      return Reason::tls_expired;
    case X509_V_ERR_CERT_NOT_YET_VALID:
      *message = absl::StrCat("The certificate of ", peer, " is not valid before ",
                              DateText(leaf.not_before_time().seconds()), ".");
      return Reason::tls_expired;
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH: {
      std::vector<std::string> names(leaf.subject_alternative_names().begin(),
                                     leaf.subject_alternative_names().end());
      if (names.size() > 5) names.resize(5);
      *message = absl::StrCat("The certificate of ", peer, " is not for ", setup_.verify_name,
                              names.empty() ? "" : ", but for ", absl::StrJoin(names, ", "), ".");
      return Reason::tls_wrong_host;
    }
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
      *message = absl::StrCat("The certificate of ", peer, " is self-signed and not trusted.");
      return Reason::tls_untrusted;
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
      *message = absl::StrCat("The chain of ", peer, " ends in a root that is not trusted.");
      return Reason::tls_untrusted;
    default:
      *message =
          absl::StrCat("The certificate of ", peer,
                       " is not trusted: ", X509_verify_cert_error_string(verify_error_), ".");
      return Reason::tls_untrusted;
  }
}

}  // namespace picket
