#include "agent/engine/transfer_curl.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "agent/engine/limits.h"

namespace picket {
namespace {

// Small: 10,000 transfers in flight hold one each.
constexpr long kReceiveBufferBytes = 8192;

absl::Status InitCurl() {
  static const CURLcode code = curl_global_init(CURL_GLOBAL_DEFAULT);
  return code == CURLE_OK ? absl::OkStatus() : absl::InternalError("libcurl cannot start");
}

}  // namespace

absl::StatusOr<std::unique_ptr<CurlCore>> CurlCore::Create(EventLoop* loop) {
  if (absl::Status status = InitCurl(); !status.ok()) return status;
  auto core = std::unique_ptr<CurlCore>(new CurlCore(loop));
  core->multi_ = curl_multi_init();
  if (core->multi_ == nullptr) return absl::ResourceExhaustedError("libcurl is out of memory");
  curl_multi_setopt(core->multi_, CURLMOPT_SOCKETFUNCTION, SocketWanted);
  curl_multi_setopt(core->multi_, CURLMOPT_SOCKETDATA, core.get());
  curl_multi_setopt(core->multi_, CURLMOPT_TIMERFUNCTION, TimerWanted);
  curl_multi_setopt(core->multi_, CURLMOPT_TIMERDATA, core.get());
  // One request at a time per connection, in HTTP/2 too.
  curl_multi_setopt(core->multi_, CURLMOPT_PIPELINING, CURLPIPE_NOTHING);
  curl_multi_setopt(core->multi_, CURLMOPT_MAXCONNECTS,
                    static_cast<long>(DefaultEngineLimits().open_connections));
  return core;
}

CurlCore::~CurlCore() {
  loop_->CancelTimer(timer_);
  loop_->CancelTimer(linger_timer_);
  for (auto& handle : free_) curl_easy_cleanup(handle->easy);
  curl_multi_cleanup(multi_);
  for (const auto& [fd, until] : lingering_) {
    loop_->Forget(fd);
    close(fd);
  }
}

std::unique_ptr<CurlHandle> CurlCore::Take() {
  if (!free_.empty()) {
    auto handle = std::move(free_.back());
    free_.pop_back();
    return handle;
  }
  auto handle = std::make_unique<CurlHandle>();
  handle->easy = curl_easy_init();
  if (handle->easy == nullptr) return nullptr;
  SetSharedOptions(handle.get());
  return handle;
}

void CurlCore::Give(std::unique_ptr<CurlHandle> handle) {
  handle->user = nullptr;
  if (free_.size() >= DefaultEngineLimits().idle_handles) {
    curl_easy_cleanup(handle->easy);
    return;
  }
  if (handle->spoiled) {
    curl_easy_reset(handle->easy);
    SetSharedOptions(handle.get());
    handle->spoiled = false;
  }
  free_.push_back(std::move(handle));
}

void CurlCore::SetSharedOptions(CurlHandle* handle) {
  CURL* easy = handle->easy;
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy, CURLOPT_PROXY, "");  // the environment never bends a test
  curl_easy_setopt(easy, CURLOPT_NOPROXY, "");
  curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
  curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, kReceiveBufferBytes);
  curl_easy_setopt(easy, CURLOPT_DNS_CACHE_TIMEOUT, 0L);
  curl_easy_setopt(easy, CURLOPT_HTTP_CONTENT_DECODING, 0L);
  curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, handle->error);
  curl_easy_setopt(easy, CURLOPT_PRIVATE, handle);
  curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, HeaderLine);
  curl_easy_setopt(easy, CURLOPT_HEADERDATA, handle);
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, Body);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, handle);
  // Debug output is how libcurl tells when a request was handed to the kernel, and
  // what it found behind a response. What it has to say before the request is not worth
  // the writing.
  curl_easy_setopt(easy, CURLOPT_VERBOSE, 0L);
  curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, BeforeRequest);
  curl_easy_setopt(easy, CURLOPT_PREREQDATA, handle);
  curl_easy_setopt(easy, CURLOPT_DEBUGFUNCTION, Debug);
  curl_easy_setopt(easy, CURLOPT_DEBUGDATA, handle);
  curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, OpenSocketWanted);
  curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, handle);
  curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, CloseSocketWanted);
  curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, this);
  // Verification is ours, in the SSL_CTX: libcurl's would load a CA path each time.
  curl_easy_setopt(easy, CURLOPT_CAINFO, nullptr);
  curl_easy_setopt(easy, CURLOPT_CAPATH, nullptr);
  curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L);
  curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
  curl_easy_setopt(easy, CURLOPT_SSL_SESSIONID_CACHE, 0L);
  curl_easy_setopt(easy, CURLOPT_SSL_CTX_FUNCTION, SslContext);
  curl_easy_setopt(easy, CURLOPT_SSL_CTX_DATA, handle);
}

bool CurlCore::Add(CurlHandle* handle) {
  handle->error[0] = '\0';
  curl_easy_setopt(handle->easy, CURLOPT_VERBOSE, 0L);
  return curl_multi_add_handle(multi_, handle->easy) == CURLM_OK;
}

void CurlCore::Remove(CurlHandle* handle) { curl_multi_remove_handle(multi_, handle->easy); }

void CurlCore::Turn() {
  if (due_) {
    due_ = false;
    int running = 0;
    curl_multi_socket_action(multi_, CURL_SOCKET_TIMEOUT, 0, &running);
  }
  ReadMessages();
}

void CurlCore::ReadMessages() {
  int left = 0;
  while (CURLMsg* message = curl_multi_info_read(multi_, &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    CurlHandle* handle = nullptr;
    curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &handle);
    const CURLcode code = message->data.result;
    if (handle->user != nullptr) handle->user->OnDone(code);
  }
}

void CurlCore::OnReady(int fd, uint32_t events) {
  if (lingering_.contains(fd)) {
    EndLinger(fd);
    return;
  }
  OpenSocket* socket = Find(fd);
  if (socket != nullptr && socket->idle) {
    OnIdleReady(fd, socket);
    return;
  }
  if (socket != nullptr && socket->user != nullptr && socket->tls == nullptr &&
      (events & EPOLLIN) != 0) {
    socket->user->OnReadable(fd);
  }
  int flags = 0;
  if ((events & (EPOLLIN | EPOLLHUP | EPOLLRDHUP)) != 0) flags |= CURL_CSELECT_IN;
  if ((events & EPOLLOUT) != 0) flags |= CURL_CSELECT_OUT;
  if ((events & EPOLLERR) != 0) flags |= CURL_CSELECT_ERR;
  int running = 0;
  curl_multi_socket_action(multi_, fd, flags, &running);
}

int CurlCore::SocketWanted(CURL*, curl_socket_t fd, int what, void* self, void*) {
  auto* core = static_cast<CurlCore*>(self);
  if (what == CURL_POLL_REMOVE) {
    core->loop_->Unwatch(fd);
    return 0;
  }
  uint32_t events = 0;
  if ((what & CURL_POLL_IN) != 0) events |= EPOLLIN;
  if ((what & CURL_POLL_OUT) != 0) events |= EPOLLOUT;
  if (core->loop_->Watch(fd, events, core).ok()) return 0;
  const OpenSocket* socket = core->Find(fd);
  if (socket != nullptr && socket->user != nullptr) socket->user->OnUnwatchable();
  return 0;
}

int CurlCore::TimerWanted(CURLM*, long wait_ms, void* self) {
  auto* core = static_cast<CurlCore*>(self);
  if (core->timer_ != 0) core->loop_->CancelTimer(core->timer_);
  core->timer_ = 0;
  core->due_ = wait_ms == 0;
  if (wait_ms > 0) {
    core->timer_ = core->loop_->StartTimer(int64_t{wait_ms} * 1'000'000, [core] {
      core->timer_ = 0;
      core->due_ = true;
    });
  }
  return 0;
}

size_t CurlCore::HeaderLine(char* data, size_t size, size_t count, void* handle) {
  CurlUser* user = static_cast<CurlHandle*>(handle)->user;
  const size_t bytes = size * count;
  return user != nullptr && user->OnHeaderLine(data, bytes) ? bytes : 0;
}

size_t CurlCore::Body(char* data, size_t size, size_t count, void* handle) {
  CurlUser* user = static_cast<CurlHandle*>(handle)->user;
  return user == nullptr ? 0 : user->OnBody(data, size * count);
}

int CurlCore::BeforeRequest(void* handle, char*, char*, int, int) {
  curl_easy_setopt(static_cast<CurlHandle*>(handle)->easy, CURLOPT_VERBOSE, 1L);
  return CURL_PREREQFUNC_OK;
}

int CurlCore::Debug(CURL*, curl_infotype type, char* data, size_t size, void* handle) {
  CurlUser* user = static_cast<CurlHandle*>(handle)->user;
  if (user != nullptr) user->OnDebug(type, data, size);
  return 0;
}

curl_socket_t CurlCore::OpenSocketWanted(void* handle, curlsocktype, curl_sockaddr* address) {
  CurlUser* user = static_cast<CurlHandle*>(handle)->user;
  return user == nullptr ? CURL_SOCKET_BAD : user->OnOpenSocket(address);
}

int CurlCore::CloseSocketWanted(void* self, curl_socket_t fd) {
  static_cast<CurlCore*>(self)->CloseSocket(fd);
  return 0;
}

CURLcode CurlCore::SslContext(CURL*, void* ssl_ctx, void* handle) {
  CurlUser* user = static_cast<CurlHandle*>(handle)->user;
  return user == nullptr ? CURLE_ABORTED_BY_CALLBACK : user->OnSslContext(ssl_ctx);
}

OpenSocket* CurlCore::Find(int fd) {
  const auto found = sockets_.find(fd);
  return found == sockets_.end() ? nullptr : &found->second;
}

OpenSocket* CurlCore::Register(int fd, CurlUser* user) {
  OpenSocket& socket = sockets_[fd];
  socket = OpenSocket();
  socket.user = user;
  return &socket;
}

int CurlCore::Claim(Partition* partition, CurlUser* user) {
  while (!partition->idle.empty()) {
    const int fd = partition->idle.back();
    OpenSocket* socket = Find(fd);
    TakeFromIdle(fd, socket);
    // What has happened to it since the last turn. In TLS bytes may be session tickets.
    char byte;
    const ssize_t got = recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    if (got < 0 ? errno == EAGAIN || errno == EINTR : got > 0 && socket->tls != nullptr) {
      socket->user = user;
      return fd;
    }
    Kill(fd);
  }
  return -1;
}

void CurlCore::MarkIdle(int fd, OpenSocket* socket) {
  socket->user = nullptr;
  if (socket->partition == nullptr || socket->idle) return;
  if (idle_ >= DefaultEngineLimits().idle_connections) return Kill(fd);
  socket->idle = true;
  socket->partition->idle.push_back(fd);
  ++idle_;
  (void)loop_->Watch(fd, EPOLLIN, this);  // the kernel does already, as a rule
}

void CurlCore::OnIdleReady(int fd, OpenSocket* socket) {
  char byte;
  const ssize_t got = recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  // In TLS what comes late may be session tickets: no harm.
  if (got > 0 && socket->tls != nullptr) return loop_->Unwatch(fd);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  TakeFromIdle(fd, socket);
  Kill(fd);
}

void CurlCore::Kill(int fd) {
  loop_->Unwatch(fd);
  // libcurl 7.88 takes a connection with unread bytes for a live one: leave it none.
  char bytes[4096];
  for (int i = 0; i < 16 && recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT) > 0; ++i) {
  }
  shutdown(fd, SHUT_RDWR);
}

void CurlCore::TakeFromIdle(int fd, OpenSocket* socket) {
  socket->idle = false;
  --idle_;
  std::vector<int>& idle = socket->partition->idle;
  if (idle.back() == fd) return idle.pop_back();
  idle.erase(std::remove(idle.begin(), idle.end(), fd), idle.end());
}

void CurlCore::ShutIdle(Partition* partition) {
  for (const int fd : partition->idle) Kill(fd);
}

void CurlCore::CloseSocket(int fd) {
  const auto found = sockets_.find(fd);
  if (found == sockets_.end()) {
    loop_->Forget(fd);
    close(fd);
    return;
  }
  if (found->second.idle) TakeFromIdle(fd, &found->second);
  CurlUser* user = found->second.user;
  const bool tls = found->second.tls != nullptr;
  sockets_.erase(found);
  if (user != nullptr && !tls) {
    // One look tells three things: bytes behind the response, the server's FIN, or
    // neither yet. Who closes first keeps the port in TIME_WAIT: let it be the server,
    // as our `Connection: close` asks it to.
    char byte;
    const ssize_t got = recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    user->OnClosing(fd, got > 0);
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
      Linger(fd);
      return;
    }
  }
  loop_->Forget(fd);
  close(fd);
}

void CurlCore::Linger(int fd) {
  const EngineLimits& limits = DefaultEngineLimits();
  if (lingering_.size() >= limits.lingering_sockets || !loop_->Watch(fd, EPOLLIN, this).ok()) {
    loop_->Forget(fd);
    close(fd);
    return;
  }
  const int64_t until_ns = loop_->NowNs() + absl::ToInt64Nanoseconds(limits.linger);
  lingering_[fd] = until_ns;
  linger_order_.push_back({fd, until_ns});
  if (linger_timer_ == 0) {
    linger_timer_ =
        loop_->StartTimer(absl::ToInt64Nanoseconds(limits.linger), [this] { SweepLingering(); });
  }
}

void CurlCore::EndLinger(int fd) {
  lingering_.erase(fd);
  loop_->Forget(fd);
  close(fd);
}

void CurlCore::SweepLingering() {
  linger_timer_ = 0;
  while (!linger_order_.empty() && linger_order_.front().until_ns <= loop_->NowNs()) {
    const Lingering oldest = linger_order_.front();
    linger_order_.pop_front();
    const auto found = lingering_.find(oldest.fd);
    if (found != lingering_.end() && found->second == oldest.until_ns) EndLinger(oldest.fd);
  }
  if (linger_order_.empty()) return;
  linger_timer_ = loop_->StartTimer(linger_order_.front().until_ns - loop_->NowNs(),
                                    [this] { SweepLingering(); });
}

}  // namespace picket
