#include "coordinator/notify/post_client.h"

#include <curl/curl.h>

#include <map>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "coordinator/notify/limits.h"

namespace picket {
namespace {

// libcurl's own start, once a process, before any handle.
bool InitCurl() {
  static const bool ok = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
  return ok;
}

struct Transfer {
  uint64_t id = 0;
  CURL* easy = nullptr;
  curl_slist* headers = nullptr;
  std::string url, body;
  size_t received = 0;
  char error[CURL_ERROR_SIZE] = "";

  ~Transfer() {
    curl_easy_cleanup(easy);
    curl_slist_free_all(headers);
  }
};

// Head and body are counted and thrown away. Beyond the bound the transfer ends; the status
// has come by then, or never will.
size_t Receive(char*, size_t size, size_t count, void* user) {
  auto* transfer = static_cast<Transfer*>(user);
  const size_t bytes = size * count;
  transfer->received += bytes;
  return transfer->received > DefaultNotifyLimits().answer_bytes ? 0 : bytes;
}

class CurlPostClient final : public PostClient {
 public:
  CurlPostClient() {
    InitCurl();
    multi_ = curl_multi_init();
    curl_multi_setopt(multi_, CURLMOPT_MAXCONNECTS, 16L);
  }
  ~CurlPostClient() override {
    for (auto& [easy, transfer] : transfers_) curl_multi_remove_handle(multi_, easy);
    transfers_.clear();
    curl_multi_cleanup(multi_);
  }

  uint64_t Start(Request request) override {
    auto transfer = std::make_unique<Transfer>();
    transfer->id = ++last_id_;
    transfer->url = std::move(request.url);
    transfer->body = std::move(request.body);
    transfer->easy = curl_easy_init();
    for (const std::string& header : request.headers) {
      transfer->headers = curl_slist_append(transfer->headers, header.c_str());
    }
    // No waiting for "100 Continue" before a body of a few kilobytes.
    transfer->headers = curl_slist_append(transfer->headers, "Expect:");
    SetUp(*transfer, request.timeout);
    CURL* const easy = transfer->easy;
    curl_multi_add_handle(multi_, easy);
    transfers_.emplace(easy, std::move(transfer));
    return last_id_;
  }

  std::vector<Done> Wait(absl::Duration longest) override {
    std::vector<Done> done;
    Collect(done);
    if (!done.empty()) return done;
    curl_multi_poll(multi_, nullptr, 0, static_cast<int>(absl::ToInt64Milliseconds(longest)),
                    nullptr);
    Collect(done);
    return done;
  }

  void Wake() override { curl_multi_wakeup(multi_); }

 private:
  static void SetUp(Transfer& transfer, absl::Duration timeout) {
    CURL* const easy = transfer.easy;
    curl_easy_setopt(easy, CURLOPT_URL, transfer.url.c_str());
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_NETRC, static_cast<long>(CURL_NETRC_IGNORED));
    curl_easy_setopt(easy, CURLOPT_POST, 1L);
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, transfer.body.data());
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE,
                     static_cast<curl_off_t>(transfer.body.size()));
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, transfer.headers);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS,
                     static_cast<long>(absl::ToInt64Milliseconds(timeout)));
    curl_easy_setopt(
        easy, CURLOPT_CONNECTTIMEOUT_MS,
        static_cast<long>(absl::ToInt64Milliseconds(
            std::min(timeout, DefaultNotifyLimits().connect_timeout))));
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);  // never waits for a resolver's thread
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, Receive);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, &transfer);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, Receive);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, &transfer);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer.error);
    curl_easy_setopt(easy, CURLOPT_PRIVATE, &transfer);
  }

  void Collect(std::vector<Done>& done) {
    int running = 0;
    curl_multi_perform(multi_, &running);
    int left = 0;
    while (CURLMsg* message = curl_multi_info_read(multi_, &left)) {
      if (message->msg != CURLMSG_DONE) continue;
      const auto it = transfers_.find(message->easy_handle);
      done.push_back(Result(*it->second, message->data.result));
      curl_multi_remove_handle(multi_, it->first);
      transfers_.erase(it);
    }
  }

  static Done Result(Transfer& transfer, CURLcode code) {
    Done done;
    done.id = transfer.id;
    long status = 0;
    curl_easy_getinfo(transfer.easy, CURLINFO_RESPONSE_CODE, &status);
    curl_off_t retry_after = 0;
    curl_easy_getinfo(transfer.easy, CURLINFO_RETRY_AFTER, &retry_after);
    // The status is the answer, even if its body was cut off or never came.
    if (status >= 200) done.status = static_cast<int>(status);
    if (retry_after > 0) done.retry_after = absl::Seconds(retry_after);
    if (done.status == 0) {
      done.error = transfer.error[0] != '\0' ? transfer.error : curl_easy_strerror(code);
    }
    return done;
  }

  CURLM* multi_ = nullptr;
  uint64_t last_id_ = 0;
  std::map<CURL*, std::unique_ptr<Transfer>> transfers_;
};

}  // namespace

std::unique_ptr<PostClient> MakePostClient() { return std::make_unique<CurlPostClient>(); }

absl::Status CheckPostUrl(absl::string_view text) {
  if (text.size() > DefaultNotifyLimits().url_bytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("the URL holds more than ", DefaultNotifyLimits().url_bytes, " bytes"));
  }
  const absl::Status bad =
      absl::InvalidArgumentError("it must be an absolute http:// or https:// URL");
  for (const char c : text) {
    if (absl::ascii_iscntrl(c) || c == ' ') return bad;
  }
  CURLU* const url = curl_url();
  const absl::Cleanup free = [url] { curl_url_cleanup(url); };
  if (curl_url_set(url, CURLUPART_URL, std::string(text).c_str(), 0) != CURLUE_OK) return bad;
  const auto part = [url](CURLUPart which) -> std::string {
    char* value = nullptr;
    if (curl_url_get(url, which, &value, 0) != CURLUE_OK) return "";
    std::string copy = value;
    curl_free(value);
    return copy;
  };
  const std::string scheme = part(CURLUPART_SCHEME);
  if ((scheme != "http" && scheme != "https") || part(CURLUPART_HOST).empty()) return bad;
  if (!part(CURLUPART_USER).empty() || !part(CURLUPART_PASSWORD).empty()) {
    return absl::InvalidArgumentError(
        "it holds credentials; what authenticates a webhook is its signature");
  }
  if (absl::StrContains(text, "#")) return absl::InvalidArgumentError("it holds a fragment");
  return absl::OkStatus();
}

}  // namespace picket
