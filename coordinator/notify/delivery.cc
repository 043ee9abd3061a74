#include "coordinator/notify/delivery.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/log.h"
#include "common/base/status_macros.h"
#include "coordinator/notify/webhook_message.h"
#include "coordinator/store/limits.h"

namespace picket {

Delivery::Delivery(WebhookOptions options, Store* store, Clock* clock, Metrics* metrics,
                   PostClient* client, Secrets secrets, Random random)
    : options_(std::move(options)),
      store_(store),
      clock_(clock),
      client_(client),
      secrets_(std::move(secrets)),
      random_(std::move(random)) {
  for (const WebhookTarget& config : options_.targets) {
    Target& target = targets_[config.name];
    target.config = config;
    if (metrics == nullptr) continue;
    auto& sent = metrics->Counters("picket_webhooks_total", "Webhooks posted, by what came of it.");
    target.delivered = &sent.Add({{"target", config.name}, {"outcome", "delivered"}});
    target.retried = &sent.Add({{"target", config.name}, {"outcome", "retried"}});
    target.gave_up = &sent.Add({{"target", config.name}, {"outcome", "gave_up"}});
    target.pending = &metrics->Gauges("picket_outbox_pending", "Webhooks not delivered yet.")
                          .Add({{"target", config.name}});
    target.oldest =
        &metrics
             ->Gauges("picket_outbox_oldest_age_seconds",
                      "Since the first run was sealed whose webhook is not delivered yet.")
             .Add({{"target", config.name}});
  }
}

void Delivery::Step() {
  if (clock_->Monotonic() >= look_at_) Look();
  const absl::Duration wait =
      std::max(absl::ZeroDuration(), look_at_ - clock_->Monotonic());
  const std::vector<PostClient::Done> done = client_->Wait(wait);
  for (const PostClient::Done& one : done) End(one);
  // There is a free place, and perhaps more that is due.
  if (!done.empty()) LookSoon();
}

void Delivery::Look() {
  const absl::Status status = TryLook();
  if (status.ok()) {
    store_backoff_.Reset();
    look_at_ = clock_->Monotonic() + limits_.poll_interval;
    return;
  }
  const absl::Duration wait = std::max(limits_.poll_interval, store_backoff_.Next(random_));
  look_at_ = clock_->Monotonic() + wait;
  Log(LogLevel::kWarning, "the outbox cannot be read or written; webhooks wait",
      {{"status", status.ToString()}, {"retry_in", absl::FormatDuration(wait)}});
}

absl::Status Delivery::TryLook() {
  ABSL_RETURN_IF_ERROR(SettleEnds());
  ABSL_ASSIGN_OR_RETURN(const std::vector<Store::OutboxView> views, store_->ViewOutbox());
  for (auto& [name, target] : targets_) {
    Store::OutboxView view;
    for (const Store::OutboxView& one : views) {
      if (one.target == name) view = one;
    }
    if (target.pending != nullptr) {
      target.pending->Set(static_cast<double>(view.rows));
      target.oldest->Set(absl::ToDoubleSeconds(view.oldest));
    }
    const size_t room = limits_.in_flight - std::min(limits_.in_flight, target.in_flight);
    if (view.due == 0 || room == 0) continue;
    ABSL_ASSIGN_OR_RETURN(
        std::vector<OutboxRow> rows,
        store_->ClaimOutbox(name, options_.timeout + limits_.claim_margin, room));
    for (OutboxRow& row : rows) Post(target, std::move(row));
  }
  return absl::OkStatus();
}

absl::Status Delivery::SettleEnds() {
  if (ends_.empty()) return absl::OkStatus();
  ABSL_RETURN_IF_ERROR(store_->SettleOutbox(ends_));
  ends_.clear();
  return absl::OkStatus();
}

void Delivery::Post(Target& target, OutboxRow row) {
  absl::StatusOr<std::vector<WebhookSecret>> secrets = secrets_(target.config);
  if (secrets.ok()) {
    target.secrets = *std::move(secrets);
    target.secrets_told = false;
  } else if (!std::exchange(target.secrets_told, true)) {
    Log(LogLevel::kError, "the secrets of a webhook cannot be read; the last ones are used",
        {{"target", target.config.name}, {"status", secrets.status().ToString()}});
  }
  if (target.secrets.empty()) {  // never unsigned
    ends_.push_back({.id = row.id, .tries = row.tries, .again = DelayAfter(row.tries)});
    return;
  }
  const WebhookMessage message = MakeWebhookMessage(row.run);
  const uint64_t id = client_->Start(
      {.url = target.config.url,
       .headers = WebhookHeaders(message, target.secrets, absl::ToUnixSeconds(clock_->TimeNow())),
       .body = message.body,
       .timeout = options_.timeout});
  ++target.in_flight;
  in_flight_.emplace(id, InFlight{&target, std::move(row)});
}

void Delivery::End(const PostClient::Done& done) {
  const auto it = in_flight_.find(done.id);
  if (it == in_flight_.end()) return;
  Target& target = *it->second.target;
  const OutboxRow row = std::move(it->second.row);
  in_flight_.erase(it);
  --target.in_flight;
  Store::OutboxEnd end{.id = row.id, .tries = row.tries, .again = std::nullopt};
  const std::string answer = done.status != 0 ? absl::StrCat(done.status) : done.error;
  const bool delivered = done.status >= 200 && done.status <= 299;
  const bool gave_up = !delivered && (done.status == 410 || row.tries >= options_.tries_most);
  if (!delivered && !gave_up) {
    end.again = DelayAfter(row.tries);
    if (done.retry_after.has_value() && (done.status == 429 || done.status == 503)) {
      end.again = std::max(*end.again, *done.retry_after);
    }
  }
  ends_.push_back(end);
  prometheus::Counter* const counter =
      delivered ? target.delivered : gave_up ? target.gave_up : target.retried;
  if (counter != nullptr) counter->Increment();
  const LogLevel level =
      delivered ? LogLevel::kDebug : gave_up ? LogLevel::kError : LogLevel::kWarning;
  Log(level,
      delivered ? "webhook delivered"
      : gave_up ? "webhook given up"
                : "webhook not delivered; it will be tried again",
      {{"target", target.config.name},
       {"run", row.run.run_id()},
       {"try", absl::StrCat(row.tries)},
       {"answer", answer}});
}

absl::Duration Delivery::DelayAfter(uint32_t tries) {
  const absl::Duration longest = DefaultStoreLimits().outbox_delay_longest;
  absl::Duration delay = limits_.first_delay;
  for (uint32_t i = 1; i < tries && delay < longest; ++i) delay *= limits_.delay_factor;
  return std::min(delay, longest) * (0.5 + random_.Uniform() / 2);
}

void Delivery::Abandon() {
  for (const auto& [id, one] : in_flight_) {
    ends_.push_back(
        {.id = one.row.id, .tries = one.row.tries, .again = absl::ZeroDuration()});
  }
  in_flight_.clear();
  if (const absl::Status status = SettleEnds(); !status.ok()) {
    Log(LogLevel::kWarning, "webhooks under way wait until their claims end",
        {{"status", status.ToString()}});
  }
}

}  // namespace picket
