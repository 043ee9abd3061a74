// The command line.

#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

#include "cli/commands.h"
#include "cli/display.h"
#include "cli/exit_code.h"
#include "cli/file_sink.h"
#include "common/base/log.h"
#include "common/telemetry/signals.h"

namespace {

winsize TerminalSize() {
  winsize size = {};
  ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
  return size;
}

bool IsTerminal() {
  const char* term = std::getenv("TERM");
  return isatty(STDOUT_FILENO) == 1 && (term == nullptr || std::strcmp(term, "dumb") != 0);
}

absl::StatusOr<std::string> ReadInput(size_t bytes_max) {
  std::string text;
  char buffer[64 << 10];
  while (true) {
    const ssize_t n = read(STDIN_FILENO, buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return absl::ErrnoToStatus(errno, "cannot read standard input");
    if (n == 0) return text;
    text.append(buffer, static_cast<size_t>(n));
    if (text.size() > bytes_max) {
      return absl::OutOfRangeError("standard input holds too much to be read");
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  picket::Interrupts interrupts;
  const bool terminal = IsTerminal();
  picket::SignalWatcher signals([&](int signal, int count) {
    // At once if nothing is under way (a pipe is read, say), or when asked twice.
    if (interrupts.Raise(signal) && count < 2) return;
    if (terminal) {
      const ssize_t written =
          write(STDOUT_FILENO, picket::kShowCursor.data(), picket::kShowCursor.size());
      static_cast<void>(written);
    }
    _exit(picket::ExitCodeOfSignal(signal));
  });
  picket::SetLogLevel(picket::LogLevel::kError);
  if (std::getenv("GRPC_VERBOSITY") == nullptr) setenv("GRPC_VERBOSITY", "NONE", 1);

  picket::DescriptorSink out(STDOUT_FILENO), err(STDERR_FILENO, 1);
  picket::Random random = picket::Random::FromSystem();
  picket::Environment env;
  env.out = &out;
  env.err = &err;
  env.terminal = terminal;
  env.columns = [] { return TerminalSize().ws_col > 0 ? int{TerminalSize().ws_col} : 80; };
  env.lines = [] { return TerminalSize().ws_row > 0 ? int{TerminalSize().ws_row} : 24; };
  env.clock = picket::Clock::Real();
  env.random = &random;
  env.interrupts = &interrupts;
  env.wait = [&](absl::Duration time) { return interrupts.Wait(time); };
  env.pause = picket::PauseFor;
  env.variable = [](const std::string& name) -> std::optional<std::string> {
    const char* value = std::getenv(name.c_str());
    if (value == nullptr) return std::nullopt;
    return std::string(value);
  };
  env.read_input = ReadInput;
  env.connect = picket::ConnectRunClient;
  env.start_local = picket::StartLocalFleet;

  const int code = picket::RunCli(env, {argv + 1, argv + argc});
  // Everything is flushed; unloading a hundred libraries would only cost time.
  _exit(code);
}
