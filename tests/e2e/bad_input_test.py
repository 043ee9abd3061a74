"""Bad input: each gives a clear message that names where and what, and the right exit code."""

import os
import re
import signal
import socket
import sqlite3
import stat
import subprocess
import threading
import time
import unittest

from fleet import BIN, FleetCase, free_port, main, wait_until

HEAD = "version: 1\nname: s\ntests:\n"
TEST = '  - name: t\n    request: { url: "http://127.0.0.1:1/" }\n    expect: [ { status: 200 } ]\n'


class SuiteTest(FleetCase):
    """Suites that are wrong: exit 2, file:line:col."""

    def check(self, text, *patterns, timeout=20):
        path = self.fleet.write("bad.yaml", text)
        result = self.fleet.picket("validate", path, timeout=timeout, expect=2)
        for pattern in patterns:
            self.assertRegex(result.err + result.out, pattern)
        return result

    def test_good_one_is_valid(self):
        self.fleet.picket("validate", self.fleet.write("good.yaml", HEAD + TEST), expect=0)

    def test_empty(self):
        self.check("", r"bad\.yaml")

    def test_binary(self):
        self.check(b"\x00\x01\x02\xff\xfe" * 100, r"bad\.yaml")

    def test_not_utf8(self):
        self.check(b"version: 1\nname: \xc3\x28\n", r"bad\.yaml:2")

    def test_fifty_megabytes(self):
        self.check("# " + "x" * 50_000_000 + "\n", r"bad\.yaml.*16")

    def test_deeply_nested(self):
        self.check(HEAD + "  - name: " + "[" * 100_000 + "]" * 100_000 + "\n", r"bad\.yaml:\d+:\d+: .*deep|nest")

    def test_alias_bomb(self):
        bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n"
        for i in range(1, 12):
            bomb += f"a{i}: &a{i} [" + ",".join([f"*a{i-1}"] * 10) + "]\n"
        self.check(bomb, r"bad\.yaml:\d+:\d+: .*alias")

    def test_duplicate_key(self):
        self.check("version: 1\nversion: 1\nname: s\ntests: []\n", r"bad\.yaml:2:1: .*version.*(twice|duplicate|already)")

    def test_unknown_key(self):
        self.check(HEAD + TEST.replace("expect", "expct"), r"bad\.yaml:6:5: .*expct")

    def test_wrong_type(self):
        self.check(HEAD + TEST.replace("status: 200", "status: [1]"), r"bad\.yaml:6:\d+: ")

    def test_unknown_operator_and_variable(self):
        self.check(HEAD + TEST.replace("status: 200", "status: { isnt: 200 }").replace("127.0.0.1:1/", "127.0.0.1:1/{{ nope }}"),
                   r"bad\.yaml:5:\d+: .*nope", r"bad\.yaml:6:\d+: .*isnt")

    def test_all_errors_at_once(self):
        result = self.check("version: 2\nname: 7\ntsts: []\ntests: [ { name: t } ]\n")
        self.assertGreaterEqual(len(re.findall(r"bad\.yaml:\d+:\d+: ", result.err + result.out)), 3)

    def test_file_outside_the_folder(self):
        self.check(HEAD + TEST.replace("    expect", "    for_each: { file: ../../etc/hostname }\n    expect"), r"outside|\.\./")

    def test_missing_file(self):
        result = self.fleet.picket("validate", "no-such.yaml", expect=2)
        self.assertIn("no-such.yaml", result.err + result.out)

    def test_undeclared_variable_on_the_command_line(self):
        path = self.fleet.write("good.yaml", HEAD + TEST)
        result = self.fleet.picket("run", "--local", path, "-e", "nope=1", expect=2)
        self.assertIn("nope", result.err)

    def test_secret_towards_a_coordinator_is_refused(self):
        path = self.fleet.write("good.yaml", HEAD + TEST)
        result = self.fleet.picket("run", path, "--coordinator", "127.0.0.1:1", "--secret", "A=env:B", expect=2)
        self.assertIn("--secret", result.err)

    def test_flags_that_do_not_work_yet_are_refused_by_name(self):
        path = self.fleet.write("good.yaml", HEAD + TEST)
        for flag in ("--token", "--tls-ca", "--tls-cert", "--tls-key", "--project"):
            result = self.fleet.picket("run", path, flag, "x", expect=2)
            self.assertIn(flag, result.err)

    def test_wrong_usage(self):
        for args in ((), ("nonsense",), ("run",), ("run", "--nonsense"), ("wait",), ("wait", "not a run id")):
            with self.subTest(args):
                self.assertEqual(self.fleet.picket(*args, timeout=20).code, 2)

    def test_two_reports_to_one_file(self):
        path = self.fleet.write("good.yaml", HEAD + TEST)
        self.fleet.picket("run", "--local", path, "--report-json", "r", "--report-junit", "r", expect=2)

    def test_a_report_into_a_pipe_that_nobody_reads(self):
        path = self.fleet.write("good.yaml", HEAD + TEST)
        os.mkfifo(self.fleet.directory / "pipe")
        result = self.fleet.picket("run", "--local", path, "--report-tap", "pipe", timeout=30, expect=1)
        self.assertIn("nobody reads", result.err)


class QueryTest(FleetCase):
    def test_matches_come_as_an_array(self):
        result = self.fleet.picket("query", "$.a[?@.b > 1].b", stdin='{"a":[{"b":1},{"b":2},{"b":3}]}', expect=0)
        self.assertEqual(result.out.strip().replace(" ", "").replace("\n", ""), "[2,3]")
        path = self.fleet.write("x.json", '{"a": "b"}')
        self.assertEqual(self.fleet.picket("query", "$.none", path, expect=0).out.strip(), "[]")

    def test_invalid_path_exits_2(self):
        for path in ("", "$.", "$[", "a", "$..", "$[?@.a = 1]", "$[01]"):
            self.fleet.picket("query", path, stdin="{}", expect=2)

    def test_invalid_json_exits_2(self):
        self.fleet.picket("query", "$", stdin="{", expect=2)

    def test_one_interrupt_ends_what_waits_for_input(self):
        for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
            picket = subprocess.Popen([BIN / "picket", "query", "$"], stdin=subprocess.PIPE)
            self.addCleanup(picket.stdin.close)
            wait_until(lambda: len(os.listdir(f"/proc/{picket.pid}/task")) > 1, "its signal watcher")
            os.kill(picket.pid, number)
            self.assertEqual(picket.wait(10), code)


class StoreTest(FleetCase):
    def refuse(self, store, *words):
        process = self.fleet.start("bad-coordinator", [
            BIN / "picket-coordinator", "--listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0", "--store", store])
        code = process.popen.wait(20)
        self.assertNotEqual(code, 0)
        for word in words:
            self.assertIn(word, process.text())

    def test_unwritable_path(self):
        self.refuse("sqlite:/no/such/folder/picket.db", "/no/such/folder/picket.db")

    def test_unknown_kind(self):
        self.refuse("mysql:x", "mysql")

    def test_not_a_database(self):
        path = self.fleet.write("junk.db", "this is no database " * 1000)
        self.refuse(f"sqlite:{path}", "junk.db")

    def test_newer_version_is_refused(self):
        self.fleet.start_coordinator().stop()
        path = self.fleet.directory / "picket.db"
        with sqlite3.connect(path) as db:
            tables = [r[0] for r in db.execute("select name from sqlite_master where type='table'")]
            versions = [t for t in tables if "migration" in t or "schema" in t]
            self.assertTrue(versions, tables)
            db.execute(f"update {versions[0]} set version = 999999 "
                       f"where version = (select max(version) from {versions[0]})")
        self.refuse(f"sqlite:{path}", "999999")

    def test_two_coordinators_on_one_file(self):
        self.fleet.start_coordinator()
        self.refuse(f"sqlite:{self.fleet.directory}/picket.db", "picket.db")

    def test_store_files_are_private(self):
        self.fleet.start_coordinator()
        mode = stat.S_IMODE(os.stat(self.fleet.directory / "picket.db").st_mode)
        self.assertEqual(mode, 0o600)


class LateTest(FleetCase):
    def test_a_run_waits_for_its_coordinator_to_come(self):
        address = f"127.0.0.1:{free_port()}"
        path = self.fleet.write("good.yaml", HEAD + TEST)
        picket = subprocess.Popen([BIN / "picket", "run", path, "--detach", "--coordinator", address],
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.assertIn("trying again for 10s", picket.stderr.readline())
        self.fleet.start_coordinator(listen=address)
        out, err = picket.communicate(timeout=60)
        self.assertEqual(picket.returncode, 0, err)
        self.assertRegex(out, r"^[a-z2-7]{16}\s*$")


class SilentTest(FleetCase):
    """Coordinators that are there and say nothing."""

    def silent(self):
        server = socket.create_server(("127.0.0.1", 0), backlog=100)
        self.addCleanup(server.close)
        return f"127.0.0.1:{server.getsockname()[1]}"

    def test_silent_coordinator_is_given_up_in_the_time_that_was_said(self):
        path = self.fleet.write("good.yaml", HEAD + TEST)
        for command in (("run", path), ("runs",), ("wait", "2aaaaaaaaaaaaaaa")):
            with self.subTest(command):
                address = self.silent()
                began = time.monotonic()
                result = self.fleet.picket(*command, "--coordinator", address, "--connect-timeout", "1s", timeout=60,
                                           expect=4)
                self.assertLess(time.monotonic() - began, 10)
                self.assertIn(address, result.err)

    def test_the_next_coordinator_is_asked_when_the_first_is_silent(self):
        self.fleet.start_coordinator()
        self.fleet.picket("runs", "--coordinator", f"{self.silent()},{self.fleet.grpc}", "--connect-timeout", "1s",
                          timeout=60, expect=0)


# Wall time as the file at $SHIFT_FILE shifts it, in seconds.
SHIFT = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
int clock_gettime(clockid_t id, struct timespec* ts) {
  int (*real)(clockid_t, struct timespec*) = (int (*)(clockid_t, struct timespec*))dlsym(RTLD_NEXT, "clock_gettime");
  int result = real(id, ts);
  long shift = 0;
  if (result != 0 || id != CLOCK_REALTIME) return result;
  FILE* file = fopen(getenv("SHIFT_FILE"), "r");
  if (file != NULL) {
    if (fscanf(file, "%ld", &shift) != 1) shift = 0;
    fclose(file);
  }
  ts->tv_sec += shift;
  return 0;
}
"""


class ClockTest(FleetCase):
    """Somebody sets the clock of the coordinator's machine while a run goes on."""

    def test_a_run_neither_expires_at_once_nor_waits_for_hours(self):
        library = self.fleet.directory / "shift.so"
        source = self.fleet.write("shift.c", SHIFT)
        subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
        target, access = self.fleet.start_nginx("location = /fails { return 500; }")
        suite = self.fleet.write("late.yaml", HEAD + TEST.replace("127.0.0.1:1/", f"{target}/fails")
                                 + "    retry: { attempts: 4, delay: 1s, where: same_location }\n")
        for jump in (7200, -7200):
            with self.subTest(jump):
                shift = self.fleet.write("shift", "0")
                access.write_text("")
                info = self.fleet.directory / f"shifted{jump}.json"
                self.fleet.coordinator = self.fleet.start(f"shifted{jump}", [
                    BIN / "picket-coordinator", "--listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0",
                    "--store", f"sqlite:{self.fleet.directory}/shifted{jump}.db", "--info-file", info], info,
                    env={"LD_PRELOAD": str(library), "SHIFT_FILE": str(shift)})
                self.fleet.start_agent()
                run = self.fleet.popen_picket("run", suite, "--coordinator", self.fleet.grpc)
                wait_until(lambda: access.read_text(), "a first attempt")
                shift.write_text(str(jump))
                out, _ = run.communicate(timeout=40)
                self.assertEqual(run.returncode, 1, out)
                self.assertEqual(access.read_text().count("/fails"), 4)
                self.assertIn("the machine's clock was set", self.fleet.coordinator.text())


class AgentTest(FleetCase):
    def refuse(self, *options):
        process = self.fleet.start("bad-agent", [
            BIN / "picket-agent", "--coordinator", "127.0.0.1:1", "--http-listen", "127.0.0.1:0", *options])
        self.assertEqual(process.popen.wait(20), 2)
        return process.text()

    def test_unusable_ca_file_is_refused_at_start(self):
        self.assertIn("/no/such/ca.pem", self.refuse("--ca-file", "/no/such/ca.pem"))
        junk = self.fleet.write("junk.pem", "this is no certificate\n")
        self.assertIn("junk.pem", self.refuse("--ca-file", junk))


class TargetTest(FleetCase):
    """Targets that misbehave fail the test by the right reason, in its own time."""

    def serve(self, behave):
        server = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(server.close)
        kept = []

        def loop():
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                kept.append(connection)
                try:
                    behave(connection)
                except OSError:
                    pass
        threading.Thread(target=loop, daemon=True).start()
        return f"127.0.0.1:{server.getsockname()[1]}"

    def reason(self, address, expected, timeout="1s"):
        suite = self.fleet.write("suite.yaml", f"""
version: 1
name: s
tests:
  - name: t
    timeout: {timeout}
    request: {{ url: "http://{address}/" }}
    expect: [ {{ status: 200 }} ]
""")
        result = self.fleet.picket("run", "--local", suite, expect=1, timeout=20)
        self.assertIn(expected, result.both)

    def test_refusing(self):
        self.reason("127.0.0.1:1", "connect_refused")

    def test_hanging(self):
        self.reason(self.serve(lambda c: c.recv(1000)), "timeout_first_byte")

    def test_hanging_in_the_body(self):
        self.reason(self.serve(lambda c: (c.recv(1000), c.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nab"))),
                    "timeout_transfer")

    def test_closing_early(self):
        self.reason(self.serve(lambda c: (c.recv(1000), c.close())), "connect_reset")

    def test_closing_in_the_body(self):
        self.reason(self.serve(lambda c: (c.recv(1000), c.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nab"), c.close())),
                    "protocol_error")

    def test_talking_nonsense(self):
        self.reason(self.serve(lambda c: (c.recv(1000), c.sendall(b"220 smtp ready\r\n"), c.close())), "protocol_error")


if __name__ == "__main__":
    main()
