// File: transfer_curl.h
//
// libcurl's multi interface on the event loop: its sockets, its one timer, its handles
// (kept for reuse), and every socket it uses, which it gets from us and gives back to
// us.
//
// Thread rule: thread-compatible; the loop's own thread.

#ifndef AGENT_ENGINE_TRANSFER_CURL_H_
#define AGENT_ENGINE_TRANSFER_CURL_H_

#include <curl/curl.h>

#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "agent/engine/loop.h"
#include "agent/engine/transfer_pool.h"

namespace picket {

// Whoever runs a handle. Calls come from within libcurl but for OnDone: they must not
// add, remove or free handles.
class CurlUser {
 public:
  virtual ~CurlUser() = default;
  // A line of a response head, or a trailer. False ends the transfer.
  virtual bool OnHeaderLine(const char* data, size_t size) = 0;
  // Returns how much was taken, or CURL_WRITEFUNC_PAUSE.
  virtual size_t OnBody(const char* data, size_t size) = 0;
  virtual void OnDebug(curl_infotype type, const char* data, size_t size) = 0;
  // Nothing will be heard of its socket: the machine has no room to watch it.
  virtual void OnUnwatchable() = 0;
  // Bytes wait on `fd`, which has no TLS; they are read next.
  virtual void OnReadable(int fd) = 0;
  // A socket for a new connection, CURL_SOCKET_BAD to refuse. Fills in `address`.
  virtual curl_socket_t OnOpenSocket(curl_sockaddr* address) = 0;
  virtual CURLcode OnSslContext(void* ssl_ctx) = 0;
  // A connection without TLS is about to be closed; `surplus`: bytes of the server are
  // left on it unread.
  virtual void OnClosing(int fd, bool surplus) = 0;
  // The transfer ended. The handle may be removed.
  virtual void OnDone(CURLcode code) = 0;
};

// A libcurl handle and who runs it.
struct CurlHandle {
  CURL* easy = nullptr;
  CurlUser* user = nullptr;
  bool spoiled = false;  // has options that only a reset takes away
  char error[CURL_ERROR_SIZE] = {};
};

class CurlCore : private FdHandler {
 public:
  static absl::StatusOr<std::unique_ptr<CurlCore>> Create(EventLoop* loop);
  // REQUIRES: no handle is added any more.
  ~CurlCore() override;

  // A handle with the options that all transfers share; null = out of memory.
  std::unique_ptr<CurlHandle> Take();
  void Give(std::unique_ptr<CurlHandle> handle);

  bool Add(CurlHandle* handle);
  void Remove(CurlHandle* handle);

  // Does what libcurl wants done now, and tells users what ended. Once or more a turn.
  void Turn();
  bool due() const { return due_; }

  // Sockets of libcurl's connections.
  OpenSocket* Find(int fd);
  OpenSocket* Register(int fd, CurlUser* user);
  // For a connection that may be used again. Never 0.
  uint64_t NewRoute() { return ++last_route_; }
  // Gives an idle connection of the partition to `user`, whose transfer must take its
  // route. -1 if there is none that lives and has nothing unread.
  int Claim(Partition* partition, CurlUser* user);
  // No transfer runs on it any more: to be claimed, unless enough are. It is watched
  // meanwhile: one that the server ends, or sends unasked bytes on, is not used again.
  void MarkIdle(int fd, OpenSocket* socket);
  // Ends a connection that libcurl still holds and must not use again: it finds it dead.
  void Kill(int fd);
  size_t idle() const { return idle_; }
  // Ends the idle connections of a partition.
  void ShutIdle(Partition* partition);

 private:
  struct Lingering {
    int fd;
    int64_t until_ns;
  };

  explicit CurlCore(EventLoop* loop) : loop_(loop) {}
  void SetSharedOptions(CurlHandle* handle);
  void OnReady(int fd, uint32_t events) override;
  void ReadMessages();
  void TakeFromIdle(int fd, OpenSocket* socket);
  void OnIdleReady(int fd, OpenSocket* socket);
  void CloseSocket(int fd);
  void Linger(int fd);
  void EndLinger(int fd);
  void SweepLingering();

  static int SocketWanted(CURL* easy, curl_socket_t fd, int what, void* self, void* socket);
  static int TimerWanted(CURLM* multi, long wait_ms, void* self);
  static size_t HeaderLine(char* data, size_t size, size_t count, void* handle);
  static size_t Body(char* data, size_t size, size_t count, void* handle);
  static int BeforeRequest(void* handle, char*, char*, int, int);
  static int Debug(CURL* easy, curl_infotype type, char* data, size_t size, void* handle);
  static curl_socket_t OpenSocketWanted(void* handle, curlsocktype purpose, curl_sockaddr* address);
  static int CloseSocketWanted(void* self, curl_socket_t fd);
  static CURLcode SslContext(CURL* easy, void* ssl_ctx, void* handle);

  EventLoop* const loop_;
  CURLM* multi_ = nullptr;
  bool due_ = false;  // libcurl's timer has come
  LoopTimers::Id timer_ = 0;
  std::vector<std::unique_ptr<CurlHandle>> free_;
  absl::flat_hash_map<int, OpenSocket> sockets_;
  size_t idle_ = 0;
  uint64_t last_route_ = 0;
  absl::flat_hash_map<int, int64_t> lingering_;  // fd -> until
  std::deque<Lingering> linger_order_;
  LoopTimers::Id linger_timer_ = 0;
};

}  // namespace picket

#endif  // AGENT_ENGINE_TRANSFER_CURL_H_
