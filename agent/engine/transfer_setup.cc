// How a transfer sets out: checks, names, connection, and what libcurl is told.

#include <unistd.h>

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "agent/engine/limits.h"
#include "agent/engine/transfer_one.h"

namespace picket {
namespace {

using Reason = v1::FailureReason;

// libcurl gives a connection up after 300 s by default; the deadline is ours.
constexpr absl::Duration kCurlPatience = absl::Seconds(290);

bool IsToken(absl::string_view text) {
  if (text.empty()) return false;
  for (const char c : text) {
    if (!absl::ascii_isgraph(static_cast<unsigned char>(c)) ||
        absl::StrContains("()<>@,;:\\\"/[]?={}", absl::string_view(&c, 1))) {
      return false;
    }
  }
  return true;
}

bool HasLineBreak(absl::string_view text) {
  return text.find_first_of(absl::string_view("\r\n\0", 3)) != absl::string_view::npos;
}

bool Has(const HeaderList& headers, absl::string_view name) {
  return std::any_of(headers.begin(), headers.end(), [name](const auto& header) {
    return absl::EqualsIgnoreCase(header.first, name);
  });
}

bool IsOfFamily(const IpAddress& address, v1::HttpCheck::IpVersion wanted) {
  return !(wanted == v1::HttpCheck::IPV4 && address.v6) &&
         !(wanted == v1::HttpCheck::IPV6 && !address.v6);
}

std::string NotOfFamily(const IpAddress& address) {
  return absl::StrCat("is not an IPv", address.v6 ? "4" : "6", " address, as ip_version wants.");
}

}  // namespace

Transfer::Transfer(TransferContext* context, uint64_t id, PartitionMap* session,
                   TransferRequest request)
    : context_(context), id_(id), session_(session), request_(std::move(request)) {}

Transfer::~Transfer() {
  context_->loop->CancelTimer(deadline_);
  OpenSocket* socket = fd_ < 0 ? nullptr : context_->curl->Find(fd_);
  const bool cut_short = socket != nullptr && socket->user == this;
  if (cut_short) socket->user = nullptr;
  if (handle_ != nullptr) {
    handle_->user = nullptr;
    if (added_) context_->curl->Remove(handle_.get());
    context_->curl->Give(std::move(handle_));
  }
  if (handed_fd_ >= 0) {
    context_->loop->Forget(handed_fd_);
    close(handed_fd_);
  }
  if (cut_short && context_->curl->Find(fd_) != nullptr) context_->curl->Kill(fd_);
  curl_slist_free_all(headers_);
  curl_slist_free_all(route_);
}

void Transfer::Start() {
  start_ns_ = EventLoop::ReadClockNs();
  deadline_ = context_->loop->StartTimer(absl::ToInt64Nanoseconds(request_.timeout),
                                         [this] { OnDeadline(); });
  if (!Prepare()) return;
  // A connection of this session that is free goes before everything else.
  if (!session_->empty() && Claim(session_->Find(ConnectionKey()))) return Talk();
  Resolve();
}

bool Transfer::Claim(std::shared_ptr<Partition> partition) {
  if (partition == nullptr) return false;
  const int fd = context_->curl->Claim(partition.get(), this);
  if (fd < 0) return false;
  const OpenSocket* socket = context_->curl->Find(fd);
  partition_ = std::move(partition);
  claimed_ = true;
  fd_ = fd;
  route_number_ = socket->route;
  address_ = socket->address;  // and where to, if it turns out to be dead
  tls_ = socket->tls;
  result_.reused = true;
  return true;
}

bool Transfer::Prepare() {
  auto target = ParseUrlTarget(request_.url);
  if (!target.ok()) {
    Fail(Reason::request_invalid,
         absl::StrCat("The URL cannot be used: ", target.status().message(), "."));
    return false;
  }
  target_ = *std::move(target);
  if (!request_.proxy.empty() && request_.proxy != "none") {
    auto proxy = ParseProxy(request_.proxy);
    if (!proxy.ok()) {
      Fail(Reason::request_invalid,
           absl::StrCat("The proxy cannot be used: ", proxy.status().message(), "."));
      return false;
    }
    proxy_ = *std::move(proxy);
    proxied_ = true;
  }
  port_ = proxied_ ? proxy_.port : target_.port;
  return CheckRequest() && (!target_.https || PrepareTls());
}

bool Transfer::CheckRequest() {
  if (!IsToken(request_.method)) {
    Fail(Reason::request_invalid, "The request's method is not a word that HTTP allows.");
    return false;
  }
  for (const auto& [name, value] : request_.headers) {
    if (!IsToken(name) || HasLineBreak(value)) {
      Fail(Reason::request_invalid,
           absl::StrCat("The request header '", absl::CHexEscape(name.substr(0, 80)),
                        "' has a name or value that HTTP does not allow."));
      return false;
    }
  }
  if (request_.method == "HEAD" && request_.body.has_value() && !request_.body->empty()) {
    Fail(Reason::request_invalid, "A HEAD request cannot carry a body.");
    return false;
  }
  return true;
}

bool Transfer::PrepareTls() {
  const TlsOptions& tls = request_.tls;
  auto store = context_->tls->StoreOf(tls.ca);
  if (!store.ok()) {
    Fail(Reason::request_invalid,
         absl::StrCat("TLS cannot be set up: ", store.status().message(), "."));
    return false;
  }
  tls_setup_.store = *std::move(store);
  if (tls.cert != nullptr) {
    auto identity = context_->tls->IdentityOf(tls.cert, tls.key);
    if (!identity.ok()) {
      Fail(Reason::request_invalid,
           absl::StrCat("TLS cannot be set up: ", identity.status().message(), "."));
      return false;
    }
    tls_setup_.identity = *std::move(identity);
  }
  tls_setup_.verify = tls.verify;
  tls_setup_.min_version = tls.min_version;
  tls_setup_.verify_name = tls.server_name.empty() ? target_.host : tls.server_name;
  tls_setup_.server_name = tls.server_name;
  tls_setup_.only_http2 = request_.http_version == v1::HttpCheck::HTTP_2;
  return true;
}

std::string Transfer::ConnectionKey() const {
  const TlsOptions& tls = request_.tls;
  std::string key =
      absl::StrCat(target_.https ? "s" : "p", request_.http_version, ",", request_.ip_version, ",",
                   target_.host, ",", target_.port, ",", request_.proxy);
  const auto mapped = request_.resolve.find(target_.host);
  if (mapped != request_.resolve.end()) absl::StrAppend(&key, ",=", mapped->second);
  if (target_.https) {
    absl::StrAppend(&key, ",", tls.verify, tls.min_version, ",", tls.server_name, ",",
                    context_->tls->NameOf(tls.ca), ",", context_->tls->NameOf(tls.cert), ",",
                    context_->tls->NameOf(tls.key));
  }
  return key;
}

void Transfer::Resolve() {
  const auto mapped = request_.resolve.find(target_.host);
  std::string name = proxied_ ? proxy_.host : target_.host;
  v1::HttpCheck::IpVersion family = proxied_ ? v1::HttpCheck::ANY : request_.ip_version;
  DnsUpdate update;
  update.final = true;
  if (!proxied_ && mapped != request_.resolve.end()) {
    const auto address = ParseIp(mapped->second);
    if (!address) {
      Fail(Reason::request_invalid,
           absl::StrCat("resolve maps ", name, " to something that is not an address."));
      return;
    }
    if (!IsOfFamily(*address, family)) {
      Fail(Reason::dns_no_address, absl::StrCat("resolve maps ", name, " to ", mapped->second,
                                                ", which ", NotOfFamily(*address)));
      return;
    }
    update.addresses.push_back(*address);
    OnAddresses(std::move(update));
    return;
  }
  if (const auto literal = ParseIp(name)) {
    if (!IsOfFamily(*literal, family)) {
      Fail(Reason::dns_no_address, absl::StrCat(name, " ", NotOfFamily(*literal)));
      return;
    }
    update.addresses.push_back(*literal);
    OnAddresses(std::move(update));
    return;
  }
  dns_asked_ = true;
  update.addresses = context_->dns->FindLocally(name, family);
  if (!update.addresses.empty()) {
    OnAddresses(std::move(update));
    return;
  }
  lookup_ = context_->dns->Lookup(name, family,
                                  [this](DnsUpdate found) { OnAddresses(std::move(found)); });
}

void Transfer::OnAddresses(DnsUpdate update) {
  if (stage_ == Stage::kTalking || finished_) return;
  if (dns_end_ns_ == 0 && dns_asked_) dns_end_ns_ = EventLoop::ReadClockNs();
  if (update.addresses.empty() && connector_ == nullptr) {
    if (!update.final) return;
    const bool ours = update.reason == Reason::agent_resources;
    if (proxied_ && !ours) {
      Fail(Reason::proxy_error, absl::StrCat("The proxy cannot be found. ", update.message));
    } else {
      Fail(update.reason, std::move(update.message), ours);
    }
    return;
  }
  if (connector_ == nullptr) {
    if (request_.reuse && TakePooled(update.addresses)) return;
    stage_ = Stage::kConnecting;
    connect_start_ns_ = EventLoop::ReadClockNs();
    acknowledges_late_ = !target_.https && !proxied_;
    connector_ = std::make_unique<Connector>(
        context_->loop, port_, acknowledges_late_,
        [this](ConnectOutcome outcome) { OnConnected(std::move(outcome)); });
  }
  if (!update.addresses.empty()) connector_->Add(Interleave(update.addresses));
  if (update.final) connector_->NoMore();
}

bool Transfer::TakePooled(const std::vector<IpAddress>& addresses) {
  const std::string key = ConnectionKey();
  for (const IpAddress& address : addresses) {
    if (!Claim(context_->pool->Find(absl::StrCat(key, "@", IpText(address))))) continue;
    Talk();
    return true;
  }
  return false;
}

void Transfer::OnConnected(ConnectOutcome outcome) {
  connect_end_ns_ = EventLoop::ReadClockNs();
  for (const IpAddress& silent : connector_->silent()) {
    result_.warnings.push_back(absl::StrCat("address_unreachable ", IpText(silent)));
  }
  if (outcome.fd < 0) {
    connect_end_ns_ = 0;
    if (proxied_ && !outcome.inconclusive) {
      Fail(Reason::proxy_error, absl::StrCat("The proxy cannot be reached. ", outcome.message));
    } else {
      Fail(outcome.reason, std::move(outcome.message), outcome.inconclusive);
    }
    return;
  }
  handed_fd_ = outcome.fd;
  address_ = outcome.address;
  // Digest sends two requests, which may need the same connection.
  const bool keep = request_.reuse || request_.more_follow || request_.digest.has_value();
  if (keep && context_->curl->idle() < DefaultEngineLimits().idle_connections) {
    partition_ = request_.reuse
                     ? context_->pool->Get(absl::StrCat(ConnectionKey(), "@", IpText(address_)))
                     : session_->Get(ConnectionKey());
    route_number_ = context_->curl->NewRoute();
  }
  Talk();
}

void Transfer::Talk() {
  stage_ = Stage::kTalking;
  lookup_.reset();
  handle_ = context_->curl->Take();
  if (handle_ == nullptr) {
    Fail(Reason::agent_resources, "The agent is out of memory.", true);
    return;
  }
  handle_->user = this;
  SetOptions();
  added_ = context_->curl->Add(handle_.get());
  if (!added_) Fail(Reason::agent_resources, "The agent is out of memory.", true);
}

void Transfer::SetOptions() {
  CURL* easy = handle_->easy;
  curl_easy_setopt(easy, CURLOPT_URL, request_.url.c_str());
  const bool https = target_.https;
  long version = CURL_HTTP_VERSION_1_1;
  if (request_.http_version == v1::HttpCheck::HTTP_2) {
    version = https ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE;
  } else if (https && request_.http_version != v1::HttpCheck::HTTP_1_1) {
    version = CURL_HTTP_VERSION_2TLS;
  }
  curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, version);
  if (request_.timeout > kCurlPatience) {
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS,
                     static_cast<long>(absl::ToInt64Milliseconds(request_.timeout)) + 60'000);
    handle_->spoiled = true;
  }
  if (request_.digest.has_value()) {
    curl_easy_setopt(easy, CURLOPT_HTTPAUTH, CURLAUTH_DIGEST);
    curl_easy_setopt(easy, CURLOPT_USERNAME, request_.digest->first.c_str());
    curl_easy_setopt(easy, CURLOPT_PASSWORD, request_.digest->second.c_str());
    handle_->spoiled = true;
  }
  SetMethod();
  SetHeaders();
  SetRoute();
}

void Transfer::SetMethod() {
  CURL* easy = handle_->easy;
  if (request_.method == "HEAD") {
    curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    handle_->spoiled = true;
    return;
  }
  curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
  if (request_.body.has_value()) {
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE,
                     static_cast<curl_off_t>(request_.body->size()));
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request_.body->data());
    handle_->spoiled = true;
  }
  if (request_.method != "GET" || request_.body.has_value()) {
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request_.method.c_str());
    handle_->spoiled = true;
  }
}

void Transfer::SetHeaders() {
  const HeaderList& given = request_.headers;
  std::string line;
  const auto add = [this, &line](absl::string_view name, absl::string_view value) {
    line.clear();
    // libcurl sends an empty value only if asked with a semicolon.
    absl::StrAppend(&line, name, value.empty() ? ";" : ": ", value);
    headers_ = curl_slist_append(headers_, line.c_str());
  };
  for (const auto& [name, value] : given) add(name, absl::StripAsciiWhitespace(value));
  // What libcurl would add of its own accord and nobody asked for.
  if (!Has(given, "accept")) headers_ = curl_slist_append(headers_, "Accept:");
  if (request_.body.has_value()) {
    if (!Has(given, "expect")) headers_ = curl_slist_append(headers_, "Expect:");
    if (!Has(given, "content-type")) headers_ = curl_slist_append(headers_, "Content-Type:");
  }
  if (proxied_ && !proxy_.socks && !Has(given, "proxy-connection")) {
    headers_ = curl_slist_append(headers_, "Proxy-Connection:");
  }
  if (request_.compressed && !Has(given, "accept-encoding")) {
    headers_ = curl_slist_append(headers_, "Accept-Encoding: gzip, deflate, br");
  }
  if (partition_ == nullptr && !Has(given, "connection") &&
      request_.http_version != v1::HttpCheck::HTTP_2) {
    headers_ = curl_slist_append(headers_, "Connection: close");
  }
  curl_easy_setopt(handle_->easy, CURLOPT_HTTPHEADER, headers_);
}

void Transfer::SetRoute() {
  CURL* easy = handle_->easy;
  const std::string address = RouteAddress(route_number_);
  // Without a free connection of ours libcurl shall not look for one either.
  curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, claimed_ ? 0L : 1L);
  curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, partition_ == nullptr ? 1L : 0L);
  if (!proxied_) {
    route_ = curl_slist_append(nullptr, absl::StrCat("::[", address, "]:", port_).c_str());
    curl_easy_setopt(easy, CURLOPT_CONNECT_TO, route_);
    return;
  }
  handle_->spoiled = true;
  curl_easy_setopt(easy, CURLOPT_CONNECT_TO, nullptr);
  curl_easy_setopt(
      easy, CURLOPT_PROXY,
      absl::StrCat(proxy_.socks ? "socks5h://[" : "http://[", address, "]:", port_).c_str());
  if (!proxy_.user.empty() || !proxy_.password.empty()) {
    curl_easy_setopt(easy, CURLOPT_PROXYUSERNAME, proxy_.user.c_str());
    curl_easy_setopt(easy, CURLOPT_PROXYPASSWORD, proxy_.password.c_str());
  }
}

}  // namespace picket
