// File: curl_line.h
//
// One line for a shell that repeats a request with curl, address included.
//
// Thread rule: pure.

#ifndef AGENT_ENGINE_CURL_LINE_H_
#define AGENT_ENGINE_CURL_LINE_H_

#include <string>

#include "absl/strings/string_view.h"
#include "agent/engine/masking.h"
#include "agent/engine/render_request.h"
#include "agent/engine/transfer.h"

namespace picket {

// `text` as one word of a POSIX shell; with control characters or bytes that are not
// UTF-8 in it, in the $'...' form of bash and zsh.
std::string ShellWord(absl::string_view text);

// Credentials and fields that hold a secret are masked. `address` may be empty.
std::string CurlLine(const CompiledStep& step, const RenderedRequest& request,
                     const TransferRequest& transfer, absl::string_view address,
                     const Masker& masker);

// Is this field of `request` to be shown without its value?
bool IsMaskedField(const RenderedRequest& request, absl::string_view name);

}  // namespace picket

#endif  // AGENT_ENGINE_CURL_LINE_H_
