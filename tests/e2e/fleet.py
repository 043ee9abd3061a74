"""Real binaries, real servers: what the e2e tests stand on.

A Fleet starts coordinators, agents and web servers on ports of the kernel's choice, learns
addresses from info files, and ends everything by pid. Nothing here sleeps to synchronise:
wait_until polls a condition with a deadline and says what it waited for.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(os.environ.get("PICKET_BIN", ROOT / "build/release/bin")).resolve()
_tick = threading.Event()


def wait_until(condition, what, timeout=30.0):
    """Returns the first truthy value of condition(); fails after timeout seconds."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout} s in vain for {what}")
        _tick.wait(0.02)


def read_info(path):
    try:
        return json.loads(Path(path).read_text())
    except (OSError, ValueError):
        return None


class Process:
    """One program; its output in a file; ended by pid."""

    def __init__(self, name, command, directory, env=None):
        self.name = name
        self.log_path = Path(directory) / f"{name}.log"
        self.log = open(self.log_path, "ab")
        self.popen = subprocess.Popen([str(c) for c in command], stdin=subprocess.DEVNULL,
                                      stdout=self.log, stderr=self.log, start_new_session=True,
                                      env={**os.environ, **(env or {})})
        self.info = None

    @property
    def pid(self):
        return self.popen.pid

    def text(self):
        return self.log_path.read_text(errors="replace")

    def alive(self):
        return self.popen.poll() is None

    def kill(self):
        """kill -9, and gone."""
        if self.alive():
            os.kill(self.pid, signal.SIGKILL)
        self.popen.wait()

    def stop(self, timeout=20):
        """SIGTERM, and its exit code."""
        if self.alive():
            os.kill(self.pid, signal.SIGTERM)
        try:
            return self.popen.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"{self.name} did not end on SIGTERM:\n{self.text()[-3000:]}")

    def close(self):
        if self.alive():
            # With all that it started: nginx's workers outlive a master that is killed.
            os.killpg(self.pid, signal.SIGKILL)
        self.kill()
        self.log.close()

    def peak_bytes(self):
        match = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{self.pid}/status").read_text())
        return int(match.group(1)) * 1024


class Result:
    """What one call of `picket` gave."""

    def __init__(self, done):
        self.code = done.returncode
        self.out = done.stdout
        self.err = done.stderr

    @property
    def both(self):
        return self.out + self.err

    def ledger(self):
        """The ledger of the verdict line, as a dict."""
        pairs = re.findall(r"(\d+) (passed|failed|inconclusive|skipped|cancelled|expired|unassigned|flaky)",
                           self.out.strip().split("\n")[-1])
        ledger = {name: int(count) for count, name in pairs}
        planned = re.search(r"planned (\d+)", self.out)
        if planned:
            ledger["planned"] = int(planned.group(1))
        return ledger


class Fleet:
    def __init__(self):
        self.directory = Path(tempfile.mkdtemp(prefix="picket-e2e-"))
        self.processes = []
        self.coordinator = None
        self.count = 0

    # -- programs

    def start(self, name, command, info=None, env=None, timeout=30):
        process = Process(name, command, self.directory, env)
        self.processes.append(process)
        if info is not None:
            def ready():
                if not process.alive():
                    raise AssertionError(f"{name} ended with {process.popen.returncode}:\n{process.text()[-3000:]}")
                found = read_info(info)
                return found if found and found.get("pid") == process.pid else None
            process.info = wait_until(ready, f"{info} of {name}", timeout)
        return process

    def start_coordinator(self, store=None, listen="127.0.0.1:0", name="coordinator", *options):
        info = self.directory / f"{name}.json"
        info.unlink(missing_ok=True)
        store = store or f"sqlite:{self.directory}/picket.db"
        self.coordinator = self.start(name, [
            BIN / "picket-coordinator", "--listen", listen, "--http-listen", "127.0.0.1:0",
            "--store", store, "--info-file", info, *options], info)
        return self.coordinator

    @property
    def grpc(self):
        return self.coordinator.info["grpc"]

    def start_agent(self, location="default", name=None, *options, coordinator=None, prefix=(), env=None):
        self.count += 1
        name = name or f"agent-{self.count}"
        info = self.directory / f"{name}-{self.count}.json"
        return self.start(name, [
            *prefix, BIN / "picket-agent", "--coordinator", coordinator or self.grpc,
            "--location", location, "--name", name, "--http-listen", "127.0.0.1:0",
            "--spool", self.directory / f"spool-{name}", "--info-file", info, *options], info, env)

    def picket(self, *args, timeout=120, env=None, stdin=None, expect=None):
        done = subprocess.run([str(BIN / "picket"), *[str(a) for a in args]], capture_output=True,
                              timeout=timeout, input=None if stdin is None else stdin.encode(),
                              stdin=subprocess.DEVNULL if stdin is None else None,
                              cwd=self.directory, env={**os.environ, **(env or {})})
        # Read as bytes, so that a carriage return stays one.
        done.stdout = done.stdout.decode(errors="replace")
        done.stderr = done.stderr.decode(errors="replace")
        result = Result(done)
        if expect is not None and result.code != expect:
            raise AssertionError(f"picket {' '.join(map(str, args))}: exit {result.code}, "
                                 f"expected {expect}\n--- stdout\n{result.out[-3000:]}\n--- stderr\n{result.err[-3000:]}")
        return result

    def run(self, *args, **kwargs):
        return self.picket("run", *args, "--coordinator", self.grpc, **kwargs)

    def popen_picket(self, *args):
        return subprocess.Popen([str(BIN / "picket"), *[str(a) for a in args]], text=True,
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                cwd=self.directory, start_new_session=True)

    # -- servers and files

    def start_nginx(self, locations="", log=True, name="nginx", host="127.0.0.1", http=""):
        """An nginx of our own on loopback. Returns (HOST:PORT, access log path)."""
        state = self.directory / name
        state.mkdir(exist_ok=True)
        access = state / "access.log"
        for _ in range(5):
            port = free_port()
            (state / "nginx.conf").write_text(f"""
daemon off; worker_processes 1; {"user root;" if os.getuid() == 0 else ""}
pid {state}/nginx.pid; error_log {state}/error.log warn;
events {{ worker_connections 8192; }}
http {{
  log_format uri '$request_uri';
  {http}
  access_log {f"{access} uri" if log else "off"};
  client_body_temp_path {state}/body; proxy_temp_path {state}/proxy; fastcgi_temp_path {state}/fastcgi;
  uwsgi_temp_path {state}/uwsgi; scgi_temp_path {state}/scgi;
  keepalive_requests 1000000;
  server {{
    listen {host}:{port};
    location / {{ default_type text/plain; return 200 "hello\\n"; }}
    {locations}
  }}
}}""")
            nginx = self.start(name, [shutil.which("nginx") or "/usr/sbin/nginx", "-e", state / "error.log",
                                      "-c", state / "nginx.conf"])
            try:
                wait_until(lambda: not nginx.alive() or http_get(f"http://{host}:{port}/"), "nginx", 10)
            except AssertionError:
                pass
            if nginx.alive():
                if log:
                    # The readiness probe is no witness.
                    access.write_text("")
                return f"{host}:{port}", access
        raise AssertionError("nginx did not start: " + nginx.text())

    def write(self, name, text):
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(text, bytes):
            path.write_bytes(text)
        else:
            path.write_text(text)
        return path

    def http(self, path, process=None):
        """GET from a process's HTTP address: (status, text)."""
        process = process or self.coordinator
        return http_request(f"http://{process.info['http']}{path}")

    def close(self):
        for process in reversed(self.processes):
            process.close()
        shutil.rmtree(self.directory, ignore_errors=True)


def free_port():
    import socket
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def http_request(url, data=None, headers=None, timeout=10):
    request = urllib.request.Request(url, data=data, headers=headers or {})
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            return answer.status, answer.read().decode(errors="replace")
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(errors="replace")


def http_get(url):
    try:
        return http_request(url)[1]
    except (OSError, urllib.error.URLError):
        return None


class FleetCase(unittest.TestCase):
    """A test with a fleet of its own; on failure the logs' tails are printed."""

    def setUp(self):
        self.fleet = Fleet()
        self.addCleanup(self.fleet.close)

    def tearDown(self):
        failed = any(error for _, error in getattr(self._outcome, "errors", []) or []) or (
            getattr(self._outcome, "result", None) is not None
            and any(t is self for t, _ in self._outcome.result.failures + self._outcome.result.errors))
        if failed:
            for process in self.fleet.processes:
                print(f"--- {process.name} (pid {process.pid})\n{process.text()[-2000:]}", file=sys.stderr)


def main():
    unittest.main(verbosity=2)
