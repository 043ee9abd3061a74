// What a scripted server can do to a client over HTTP/1, by path.

#include <zlib.h>

#include <map>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "tests/support/scripted_server.h"

namespace picket {
namespace {

using Connection = ScriptedConnection;

std::string Gzip(const std::string& plain) {
  z_stream stream{};
  PICKET_CHECK(deflateInit2(&stream, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK);
  std::string out(plain.size() + 1024, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(plain.data()));
  stream.avail_in = static_cast<uInt>(plain.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  PICKET_CHECK(deflate(&stream, Z_FINISH) == Z_STREAM_END);
  out.resize(stream.total_out);
  deflateEnd(&stream);
  return out;
}

std::string Answer(absl::string_view fields, absl::string_view body) {
  return absl::StrCat("HTTP/1.1 200 OK\r\n", fields, "Content-Length: ", body.size(), "\r\n\r\n",
                      body);
}

// Sends `bytes` and closes.
ScriptedBehaviour Send(std::string bytes) {
  return [bytes = std::move(bytes)](Connection& c, const std::string&) { c.Write(bytes); };
}

// Sends `bytes` and resets the connection when the client has them.
ScriptedBehaviour SendThenReset(std::string bytes) {
  return [bytes = std::move(bytes)](Connection& c, const std::string&) {
    c.Write(bytes);
    // RST discards what the client has not read yet: let it read.
    if (!bytes.empty()) c.Pause(absl::Milliseconds(50));
    c.Reset();
  };
}

// Sends `bytes`, then nothing.
ScriptedBehaviour SendThenWait(std::string bytes) {
  return [bytes = std::move(bytes)](Connection& c, const std::string&) {
    c.Write(bytes);
    c.WaitForClient();
  };
}

ScriptedBehaviour SendForever(std::string first, std::string again) {
  return [first = std::move(first), again = std::move(again)](Connection& c, const std::string&) {
    c.Write(first);
    c.WriteRepeatedly(again, 10'000'000);
  };
}

size_t LengthOf(const std::string& head) {
  const size_t at = head.find("Content-Length: ");
  size_t length = 0;
  if (at != std::string::npos) {
    (void)absl::SimpleAtoi(head.substr(at + 16, head.find('\r', at) - at - 16), &length);
  }
  return length;
}

void AddWellBehaved(std::map<std::string, ScriptedBehaviour>* all) {
  (*all)["/ok"] = Send(Answer("Connection: close\r\n", "hello"));
  (*all)["/keep"] = (*all)["/keep-other"] = Send(Answer("", "hello"));
  (*all)["/empty"] = Send("HTTP/1.1 204 No Content\r\n\r\n");
  (*all)["/until-close"] = Send("HTTP/1.1 200 OK\r\n\r\nall until the end");
  (*all)["/chunked"] = Send(
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1;x=y\r\n!\r\n0\r\nT: "
      "t\r\n\r\n");
  (*all)["/gzip"] = Send(Answer("Content-Encoding: gzip\r\n", Gzip("hello, gzip")));
  (*all)["/gzip-two-members"] =
      Send(Answer("Content-Encoding: gzip\r\n", Gzip("hello, ") + Gzip("gzip")));
  (*all)["/interim"] =
      Send("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n" +
           Answer("", "hello"));
  (*all)["/equal-lengths"] = Send(Answer("Content-Length: 5\r\n", "hello"));
  (*all)["/echo"] = [](Connection& c, const std::string& head) {
    c.Write(Answer("X-Method: " + head.substr(0, head.find(' ')) + "\r\n",
                   c.ReadBytes(LengthOf(head))));
  };
  (*all)["/keep-echo-head"] = (*all)["/echo-head"] = [](Connection& c, const std::string& head) {
    c.Write(Answer("", head));
  };
  (*all)["/head"] = Send("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
  (*all)["/redirect-loop"] =
      Send("HTTP/1.1 302 Found\r\nLocation: /redirect-loop\r\nContent-Length: 0\r\n\r\n");
  (*all)["/redirect-ftp"] =
      Send("HTTP/1.1 302 Found\r\nLocation: ftp://127.0.0.1/\r\nContent-Length: 0\r\n\r\n");
  (*all)["/redirect-none"] = Send("HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n");
  (*all)["/early-refusal"] = [](Connection& c, const std::string& head) {
    c.Write("HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    c.ReadBytes(LengthOf(head));
  };
}

void AddSlow(std::map<std::string, ScriptedBehaviour>* all) {
  (*all)["/silence"] = SendThenWait("");
  (*all)["/drip-header"] = [](Connection& c, const std::string&) {
    c.Drip("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", absl::Seconds(1));
  };
  (*all)["/drip-body"] = [](Connection& c, const std::string&) {
    c.Write("HTTP/1.1 200 OK\r\nContent-Length: 60\r\n\r\n");
    c.Drip(std::string(60, 'x'), absl::Seconds(1));
  };
  (*all)["/stuck-in-header"] = SendThenWait("HTTP/1.1 200 OK\r\nContent-Le");
  (*all)["/stuck-in-body"] = SendThenWait("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhel");
  (*all)["/stuck-in-chunk"] =
      SendThenWait("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe");
  (*all)["/until-never"] = SendThenWait("HTTP/1.1 200 OK\r\n\r\nno end");
  (*all)["/never-reads"] = [](Connection& c, const std::string&) { c.Pause(absl::Seconds(60)); };
  (*all)["/delay-50"] = [](Connection& c, const std::string&) {
    c.Pause(absl::Milliseconds(50));
    c.Write(Answer("", "late"));
  };
  (*all)["/delay-body-50"] = [](Connection& c, const std::string&) {
    c.Write("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n");
    c.Pause(absl::Milliseconds(50));
    c.Write("late");
  };
}

void AddFloods(std::map<std::string, ScriptedBehaviour>* all) {
  (*all)["/endless-body"] = SendForever("HTTP/1.1 200 OK\r\n\r\n", std::string(65536, 'x'));
  (*all)["/endless-chunks"] = SendForever("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
                                          "10000\r\n" + std::string(65536, 'x') + "\r\n");
  (*all)["/endless-headers"] =
      SendForever("HTTP/1.1 200 OK\r\n", "X-A: " + std::string(4000, 'a') + "\r\n");
  (*all)["/header-flood"] = SendForever("HTTP/1.1 200 OK\r\n", "A: b\r\n");
  (*all)["/endless-header-line"] = SendForever("HTTP/1.1 200 OK\r\nX: ", std::string(4096, 'a'));
  (*all)["/interim-flood"] = SendForever("", "HTTP/1.1 103 Early Hints\r\n\r\n");
  (*all)["/trailer-flood"] =
      SendForever("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", "T: t\r\n");
  (*all)["/endless-chunk-extension"] = SendForever(
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;", std::string(4096, 'e'));
  (*all)["/gzip-bomb"] = [](Connection& c, const std::string&) {
    static const std::string* const bomb = new std::string(Gzip(std::string(8u << 20, '\0')));
    c.Write(Answer("Content-Encoding: gzip\r\n", *bomb));
  };
  (*all)["/gzip-gzip-bomb"] = [](Connection& c, const std::string&) {
    static const std::string* const bomb = new std::string(Gzip(Gzip(std::string(8u << 20, '\0'))));
    c.Write(Answer("Content-Encoding: gzip, gzip\r\n", *bomb));
  };
}

void AddBrokenOff(std::map<std::string, ScriptedBehaviour>* all) {
  (*all)["/rst-after-request"] = SendThenReset("");
  (*all)["/rst-in-header"] = SendThenReset("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n");
  (*all)["/rst-in-body"] = SendThenReset("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhel");
  (*all)["/close-after-request"] = Send("");
  (*all)["/close-in-status-line"] = Send("HTTP/1.1 20");
  (*all)["/close-after-status-line"] = Send("HTTP/1.1 200 OK\r\n");
  (*all)["/close-in-header"] = Send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-");
  (*all)["/close-before-blank-line"] = Send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n");
  (*all)["/half-close"] = [](Connection& c, const std::string&) {
    c.HalfClose();
    c.WaitForClient();
  };
  (*all)["/length-too-long"] = Send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
  (*all)["/chunk-cut"] = Send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe");
  (*all)["/chunk-no-last"] =
      Send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
  (*all)["/chunk-no-end"] =
      Send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n");
  const std::string zipped = Gzip("hello, gzip, and much more of it than one would think");
  (*all)["/gzip-cut"] =
      Send(Answer("Content-Encoding: gzip\r\n", zipped.substr(0, zipped.size() / 2)));
  (*all)["/gzip-no-trailer"] =
      Send(Answer("Content-Encoding: gzip\r\n", zipped.substr(0, zipped.size() - 8)));
}

void AddContradictory(std::map<std::string, ScriptedBehaviour>* all) {
  const std::string ok = "HTTP/1.1 200 OK\r\n";
  (*all)["/length-too-short"] = Send(ok + "Content-Length: 3\r\n\r\nhello");
  (*all)["/length-too-short-later"] = [](Connection& c, const std::string&) {
    c.Write("HTTP/1.1 200 OK\r\nContent-Length: 30000\r\n\r\n" + std::string(31000, 'x'));
  };
  (*all)["/body-after-204"] = Send("HTTP/1.1 204 No Content\r\n\r\nhello");
  (*all)["/two-answers"] = Send(Answer("", "one") + Answer("", "two"));
  (*all)["/two-lengths"] = Send(ok + "Content-Length: 3\r\nContent-Length: 5\r\n\r\nhello");
  (*all)["/length-list"] = Send(ok + "Content-Length: 3, 5\r\n\r\nhello");
  (*all)["/negative-length"] = Send(ok + "Content-Length: -5\r\n\r\nhello");
  (*all)["/huge-length"] = Send(ok + "Content-Length: 99999999999999999999\r\n\r\nhello");
  (*all)["/words-for-length"] = Send(ok + "Content-Length: five\r\n\r\nhello");
  (*all)["/length-and-chunked"] =
      Send(ok + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n");
  (*all)["/chunked-twice"] =
      Send(ok + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
  (*all)["/unknown-transfer-coding"] = Send(ok + "Transfer-Encoding: zork\r\n\r\nhello");
  (*all)["/chunked-1.0"] = Send("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
  (*all)["/bad-chunk-size"] =
      Send(ok + "Transfer-Encoding: chunked\r\n\r\nxyz\r\nhello\r\n0\r\n\r\n");
  (*all)["/huge-chunk-size"] =
      Send(ok + "Transfer-Encoding: chunked\r\n\r\nffffffffffffffffffff\r\nhello\r\n0\r\n\r\n");
  (*all)["/chunk-longer-than-said"] =
      Send(ok + "Transfer-Encoding: chunked\r\n\r\n3\r\nhello\r\n0\r\n\r\n");
  (*all)["/bytes-after-chunks"] =
      Send(ok + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\nmore");
  (*all)["/gzip-corrupt"] = Send(Answer("Content-Encoding: gzip\r\n", "this is not gzip at all"));
  (*all)["/gzip-and-rubbish"] =
      Send(Answer("Content-Encoding: gzip\r\n", Gzip("hello") + "rubbish"));
  (*all)["/unknown-coding"] = Send(Answer("Content-Encoding: zork\r\n", "hello"));
  (*all)["/coded-five-times"] =
      Send(Answer("Content-Encoding: gzip, gzip, gzip, gzip, gzip\r\n", "hello"));
}

void AddNotHttp(std::map<std::string, ScriptedBehaviour>* all) {
  (*all)["/garbage"] = Send("\x01\x02\x03 this is no HTTP \r\n\r\n");
  (*all)["/garbage-before"] = Send("garbage\r\n" + Answer("", "hello"));
  (*all)["/http-0.9"] = Send("<html>hello</html>");
  (*all)["/http-7.3"] = Send("HTTP/7.3 200 OK\r\nContent-Length: 5\r\n\r\nhello");
  (*all)["/status-of-words"] = Send("HTTP/1.1 two OK\r\nContent-Length: 5\r\n\r\nhello");
  (*all)["/status-of-two-digits"] = Send("HTTP/1.1 20 OK\r\nContent-Length: 5\r\n\r\nhello");
  (*all)["/status-of-five-digits"] = Send("HTTP/1.1 20000 OK\r\nContent-Length: 5\r\n\r\nhello");
  (*all)["/header-without-colon"] =
      Send("HTTP/1.1 200 OK\r\nhello world\r\nContent-Length: 5\r\n\r\nhello");
  (*all)["/header-space-colon"] = Send("HTTP/1.1 200 OK\r\nContent-Length : 5\r\n\r\nhello");
  (*all)["/header-without-name"] = Send("HTTP/1.1 200 OK\r\n: x\r\nContent-Length: 5\r\n\r\nhello");
  (*all)["/nul-in-header"] =
      Send(absl::StrCat("HTTP/1.1 200 OK\r\nX: a", std::string(1, '\0'),
                        "b\r\nContent-Length: 5\r\n\r\nhello"));
  (*all)["/switching-protocols"] =
      Send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: zork\r\nConnection: upgrade\r\n\r\n");
}

}  // namespace

std::map<std::string, ScriptedBehaviour> HostileBehaviours() {
  static const auto* const all = [] {
    auto* made = new std::map<std::string, ScriptedBehaviour>;
    AddWellBehaved(made);
    AddSlow(made);
    AddFloods(made);
    AddBrokenOff(made);
    AddContradictory(made);
    AddNotHttp(made);
    return made;
  }();
  return *all;
}

}  // namespace picket
