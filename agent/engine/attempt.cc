#include "agent/engine/attempt.h"

#include <algorithm>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "agent/engine/evidence.h"
#include "agent/engine/limits.h"
#include "agent/engine/quality.h"
#include "agent/engine/redirect.h"
#include "common/policy/limits.h"

namespace picket {
namespace {

// Frees what the body was parsed into, here: for a large one that takes longer than a loop
// may stand still.
void DropDocuments(StepAnswer& answer) {
  StepAnswer rest;
  rest.last = std::move(answer.last);
  rest.times = answer.times;
  rest.redirects = answer.redirects;
  rest.cookies = std::move(answer.cookies);
  rest.now = answer.now;
  answer = std::move(rest);
}

// A stall past the quality limit, and a good part of the time that was waited: a short one
// says nothing against a target that was silent for ten seconds.
bool MayExplainTimeout(const TransferResult& result) {
  const EngineLimits& limits = DefaultEngineLimits();
  return result.loop_stall > limits.poor_loop_stall &&
         result.loop_stall * 1000 >=
             absl::Microseconds(result.times.total) * limits.poor_stall_of_timeout_permille;
}

}  // namespace

Attempt::Attempt(const AttemptServices* services, CheckJob job, v1::Quality quality, Done done)
    : services_(*services),
      job_(std::move(job)),
      done_(std::move(done)),
      random_(job_.seed),
      variables_(*job_.test, &random_),
      result_(*job_.test) {
  result_.quality() = std::move(quality);
}

absl::Time Attempt::Now() const {
  const int64_t offset = services_.clock_offset_us == nullptr
                             ? 0
                             : services_.clock_offset_us->load(std::memory_order_relaxed);
  return services_.clock->TimeNow() + absl::Microseconds(offset);
}

std::string Attempt::Masked(absl::string_view text) const {
  const size_t most = DefaultEngineLimits().message_bytes;
  return CleanText(variables_.masker().Mask(text, most + 1), most);
}

std::string Attempt::PoorNow() const { return PoorReason(result_.quality()); }

bool Attempt::IsAlwaysStepLeft() const {
  for (size_t i = step_ + 1; i < job_.test->steps.size(); ++i) {
    if (job_.test->steps[i].step->always()) return true;
  }
  return false;
}

void Attempt::Start() {
  start_ = services_.clock->Monotonic();
  deadline_ = start_ + job_.test->timeout;
  const absl::Status status = variables_.Start(job_, services_.secrets, Now());
  if (absl::IsFailedPrecondition(status)) {
    result_.EndEarly(v1::Outcome::INCONCLUSIVE, v1::FailureReason::secret_missing,
                     Masked(status.message()));
    return Finish();
  }
  if (!status.ok()) {
    result_.EndEarly(v1::Outcome::FAILED, v1::FailureReason::request_invalid,
                     Masked(status.message()));
    return Finish();
  }
  NextStep();
}

void Attempt::NextStep() {
  while (!finished_ && step_ < job_.test->steps.size()) {
    if (broken_ || aborted_) {
      if (!step().step->always()) {
        SkipStep("an earlier step failed");
        continue;
      }
      if (!aborted_ && !grace_given_) {
        grace_given_ = true;
        deadline_ =
            std::max(deadline_, services_.clock->Monotonic() + DefaultLimits().always_grace);
      }
    }
    if (BeginStep()) return;
  }
  if (!finished_) Finish();
}

bool Attempt::BeginStep() {
  absl::StatusOr<RenderedRequest> request =
      RenderRequest(step(), variables_, Now(), job_.seed + step_);
  if (!request.ok()) {
    const std::string message = Masked(request.status().message());
    if (broken_ || aborted_) {
      // What it names was never extracted: that says nothing new about the target.
      SkipStep(absl::StrCat("its request could not be built: ", message));
    } else {
      EndStep(v1::Outcome::FAILED, v1::FailureReason::request_invalid, message);
    }
    return false;
  }
  request_ = *std::move(request);
  for (const std::string& name : request_->secrets) {
    if (services_.secrets != nullptr &&
        services_.secrets->Lookup(name, request_->url.host).has_value()) {
      continue;
    }
    EndStep(v1::Outcome::INCONCLUSIVE, v1::FailureReason::secret_missing,
            Masked(absl::StrCat("the secret ", name, " is bound to other hosts than ",
                                request_->url.host)));
    return false;
  }
  if (session_ == nullptr) session_ = services_.loop->NewSession();
  return StartHop();
}

bool Attempt::StartHop() {
  const absl::Duration remaining = Remaining();
  if (remaining <= absl::ZeroDuration()) {
    EndStep(v1::Outcome::FAILED, v1::FailureReason::timeout_send,
            Masked(absl::StrCat("the timeout of ", absl::FormatDuration(job_.test->timeout),
                                " was used up before the request to ", HostAndPort(request_->url),
                                " could be sent")));
    return false;
  }
  TransferRequest transfer = MakeTransfer(step(), *request_, jar_, Now());
  transfer.timeout = absl::Ceil(remaining, absl::Milliseconds(1));
  transfer.more_follow = step_ + 1 < job_.test->steps.size();
  transfer_ = services_.loop->StartTransfer(
      session_.get(), std::move(transfer),
      [self = shared_from_this()](TransferResult result) { self->OnTransfer(std::move(result)); });
  return true;
}

void Attempt::OnTransfer(TransferResult result) {
  if (finished_) return;
  transfer_.reset();
  TakeHop(result);
  answer_.last = std::move(result);
  bool under_way = false;
  if (!TransferFailed(answer_.last)) {
    under_way = step().http->follow_redirects() && IsRedirect(answer_.last.status)
                    ? Follow(answer_.last)
                    : JudgeAnswer();
  }
  if (!under_way) NextStep();
}

void Attempt::TakeHop(const TransferResult& result) {
  AddTimes(result.times, answer_.times);
  HopRecord& hop = record_.hops.emplace_back();
  const size_t most = DefaultEngineLimits().url_text_bytes;
  hop.url = CleanText(variables_.masker().Mask(ToText(request_->url), most + 1), most);
  hop.status = result.status;
  hop.times = result.times;
  if (job_.test->steps.size() > 1 || record_.hops.size() > 1 || IsRedirect(result.status) ||
      job_.test->test.has_replay()) {
    hop.http = DetailOf(result);
  }
  result_.SetLast(result);
  for (const std::string& warning : result.warnings) result_.AddWarning(Masked(warning));
  const uint32_t stall = static_cast<uint32_t>(
      std::min<int64_t>(absl::ToInt64Microseconds(result.loop_stall), UINT32_MAX));
  if (stall > result_.quality().loop_stall_us()) result_.quality().set_loop_stall_us(stall);

  const absl::Time now = Now();
  for (const auto& [name, value] : result.headers) {
    if (!absl::EqualsIgnoreCase(name, "set-cookie")) continue;
    std::optional<Cookie> cookie = ParseSetCookie(value, request_->url, now);
    if (!cookie.has_value()) continue;
    std::erase_if(answer_.cookies, [&](const Cookie& c) { return c.name == cookie->name; });
    if (cookie->expires > now) answer_.cookies.push_back(*cookie);
    jar_.Store(*std::move(cookie), now);
  }
}

bool Attempt::TransferFailed(const TransferResult& result) {
  if (result.reason == v1::FailureReason::none && !result.inconclusive) return false;
  const std::string message = Masked(result.message);
  if (result.inconclusive) {
    EndStep(
        v1::Outcome::INCONCLUSIVE,
        result.reason == v1::FailureReason::none ? v1::FailureReason::agent_error : result.reason,
        message);
  } else if (IsTimeout(result.reason) && MayExplainTimeout(result)) {
    EndStep(v1::Outcome::INCONCLUSIVE, v1::FailureReason::measurement_poor,
            absl::StrCat(message, " But the agent's event loop stood still for ",
                         absl::FormatDuration(result.loop_stall), " meanwhile."));
  } else {
    EndStep(v1::Outcome::FAILED, result.reason, message);
  }
  return true;
}

bool Attempt::Follow(TransferResult& result) {
  const v1::HttpCheck& http = *step().http;
  RedirectQuestion question;
  question.status = result.status;
  for (const auto& [name, value] : result.headers) {
    if (!absl::EqualsIgnoreCase(name, "location") || value == question.location) continue;
    (question.location.empty() ? question.location : question.other_location) = value;
  }
  question.from = request_->url;
  question.method = request_->method;
  question.has_body = request_->body.has_value();
  question.body_uses_secret = request_->body_secret;
  question.allow_insecure = http.allow_insecure_redirect();
  question.followed = answer_.redirects;
  question.most = static_cast<int>(http.max_redirects());
  const RedirectAnswer answer = AnswerRedirect(question);
  if (answer.reason != v1::FailureReason::none) {
    EndStep(v1::Outcome::FAILED, answer.reason, Masked(answer.message));
    return false;
  }
  ++answer_.redirects;
  FollowRedirect(answer, *request_);
  return StartHop();
}

bool Attempt::JudgeAnswer() {
  answer_.now = Now();
  EvaluateOptions options;
  options.now = answer_.now;
  options.poor = PoorNow();
  options.gates = &job_.gates;
  if (job_.test->steps.size() > 1) options.step_name = step().step->name();
  const bool large = answer_.last.body.size() > DefaultEngineLimits().inline_body_bytes;
  if (!large || !step().reads_body || services_.workers == nullptr) {
    options.brief = step().reads_body && services_.workers != nullptr;
    options.clock = services_.clock;
    const Random random = random_;
    Variables::Extracted extracted;
    if (!step().extract.empty()) extracted = variables_.extracted();
    StepVerdict verdict = Evaluate(step(), answer_, variables_, options);
    if (!verdict.unfinished) {
      EndStep(std::move(verdict));
      return false;
    }
    // Once more, with what it needs, from where it began.
    random_ = random;
    if (!step().extract.empty()) variables_.RestoreExtracted(std::move(extracted));
    options.brief = false;
  }
  // The worker hands its hold on the attempt back to the loop, where alone it may end.
  const bool taken = services_.workers->Submit(
      [self = shared_from_this(), options = std::move(options)]() mutable {
        StepVerdict verdict = Evaluate(self->step(), self->answer_, self->variables_, options);
        DropDocuments(self->answer_);
        TransferLoop* loop = self->services_.loop;
        loop->Post([self = std::move(self), verdict = std::move(verdict)]() mutable {
          self->OnVerdict(std::move(verdict));
        });
      });
  if (!taken) {
    EndStep(v1::Outcome::INCONCLUSIVE, v1::FailureReason::agent_resources,
            "too many answers wait to be judged on this agent");
    return false;
  }
  judging_ = true;
  overrun_timer_ = services_.loop->StartTimer(std::max(Remaining(), absl::ZeroDuration()),
                                              [self = shared_from_this()] { self->OnOverrun(); });
  return true;
}

void Attempt::OnVerdict(StepVerdict verdict) {
  if (finished_) return;
  judging_ = false;
  if (overrun_timer_.has_value()) services_.loop->CancelTimer(*overrun_timer_);
  overrun_timer_.reset();
  if (overrun_ && verdict.outcome != v1::Outcome::FAILED) {
    EndStep(v1::Outcome::INCONCLUSIVE, v1::FailureReason::cannot_evaluate,
            "judging the answer took longer than the timeout left");
  } else {
    EndStep(std::move(verdict));
  }
  NextStep();
}

void Attempt::OnOverrun() {
  overrun_timer_.reset();
  if (finished_ || !judging_) return;
  overrun_ = true;
  // `always` steps need what the worker holds now; its work is bounded.
  if (IsAlwaysStepLeft()) return;
  result_.EndEarly(v1::Outcome::INCONCLUSIVE, v1::FailureReason::cannot_evaluate,
                   "judging the answer took longer than the timeout left");
  Finish();
}

void Attempt::EndStep(StepVerdict verdict) {
  record_.assertions = std::move(verdict.assertions);
  record_.passed = verdict.passed;
  record_.failed = verdict.failed;
  record_.unjudged = verdict.unjudged;
  record_.learning = verdict.learning;
  record_.gate_times = std::move(verdict.gate_times);
  // An assertion that could not be judged stops nobody; a missing variable does.
  if (verdict.outcome == v1::Outcome::INCONCLUSIVE && !verdict.extracts_failed) {
    const bool was_broken = broken_;
    EndStep(verdict.outcome, verdict.reason, std::move(verdict.message));
    broken_ = was_broken;
    return;
  }
  EndStep(verdict.outcome, verdict.reason, std::move(verdict.message));
}

void Attempt::EndStep(v1::Outcome::Value outcome, v1::FailureReason::Value reason,
                      std::string message) {
  if (outcome != v1::Outcome::PASSED) KeepEvidence(outcome);
  if (job_.test->test.has_replay() && request_.has_value()) record_.evidence = EvidenceNow();
  record_.outcome = outcome;
  record_.reason = reason;
  record_.message = std::move(message);
  record_.times = answer_.times;
  if (outcome != v1::Outcome::PASSED && !step().step->allow_failure()) broken_ = true;
  result_.AddStep(std::move(record_));
  record_ = StepRecord();
  answer_ = StepAnswer();
  request_.reset();
  overrun_ = false;
  ++step_;
}

void Attempt::SkipStep(std::string why) {
  record_ = StepRecord();
  record_.skipped = true;
  record_.message = std::move(why);
  result_.AddStep(std::move(record_));
  record_ = StepRecord();
  request_.reset();
  ++step_;
}

void Attempt::KeepEvidence(v1::Outcome::Value outcome) {
  if (!request_.has_value() || step().step->allow_failure() || !result_.WantsEvidence(outcome)) {
    return;
  }
  result_.SetEvidence(outcome, EvidenceNow());
}

v1::Evidence Attempt::EvidenceNow() {
  TransferRequest transfer = MakeTransfer(step(), *request_, jar_, Now());
  // The jar has taken the answer's cookies since.
  if (const std::string& sent = answer_.last.request_head;
      !sent.empty() && !absl::StrContains(absl::AsciiStrToLower(sent), "\ncookie:")) {
    std::erase_if(transfer.headers,
                  [](const auto& field) { return absl::EqualsIgnoreCase(field.first, "cookie"); });
  }
  return MakeEvidence(step(), *request_, transfer, answer_.last, variables_);
}

void Attempt::Abort(absl::Duration grace) {
  if (finished_ || aborted_) return;
  aborted_ = true;
  result_.SetAborted();
  if (grace <= absl::ZeroDuration()) return HardStop();
  deadline_ = services_.clock->Monotonic() + grace;
  const bool in_always_step = step_ < job_.test->steps.size() && step().step->always();
  if (!in_always_step && !IsAlwaysStepLeft()) return HardStop();
  abort_timer_ =
      services_.loop->StartTimer(grace, [self = shared_from_this()] { self->HardStop(); });
  // A step that is to run whatever happens goes on; so does a worker, whose work is bounded.
  if (in_always_step || judging_ || !transfer_.has_value()) return;
  services_.loop->CancelTransfer(*transfer_);
  transfer_.reset();
  EndStep(v1::Outcome::INCONCLUSIVE, v1::FailureReason::attempt_aborted,
          "stopped because the run ended");
  NextStep();
}

void Attempt::CancelTimers() {
  for (auto* timer : {&overrun_timer_, &abort_timer_}) {
    if (timer->has_value()) services_.loop->CancelTimer(**timer);
    timer->reset();
  }
}

void Attempt::HardStop() {
  abort_timer_.reset();
  if (finished_) return;
  if (transfer_.has_value()) services_.loop->CancelTransfer(*transfer_);
  transfer_.reset();
  Finish();
}

void Attempt::Finish() {
  const std::shared_ptr<Attempt> self = shared_from_this();  // timers may hold the last one
  finished_ = true;
  CancelTimers();
  session_.reset();
  const absl::Duration duration = services_.clock->Monotonic() - start_;
  Done done = std::move(done_);
  done(result_.Build(job_.number, Now() - duration, duration));
}

}  // namespace picket
