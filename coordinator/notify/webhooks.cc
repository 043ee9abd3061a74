#include "coordinator/notify/webhooks.h"

#include <string>
#include <utility>
#include <vector>

namespace picket {
namespace {

std::vector<std::string> NamesOf(const WebhookOptions& options) {
  std::vector<std::string> names;
  for (const WebhookTarget& target : options.targets) names.push_back(target.name);
  return names;
}

}  // namespace

Webhooks::Webhooks(WebhookOptions options, Store* store, Clock* clock, Metrics* metrics)
    : delivery_(options, store, clock, metrics, client_.get(),
                [](const WebhookTarget& target) { return ReadWebhookSecrets(target.secret_file); },
                Random::FromSystem()) {
  store->KeepOutbox(NamesOf(options));
  thread_ = std::thread([this] { Run(); });
}

Webhooks::~Webhooks() {
  stopping_ = true;
  client_->Wake();
  thread_.join();
  delivery_.Abandon();
}

void Webhooks::Wake() {
  woken_ = true;
  client_->Wake();
}

void Webhooks::Run() {
  while (!stopping_) {
    if (woken_.exchange(false)) delivery_.LookSoon();
    delivery_.Step();
  }
}

}  // namespace picket
