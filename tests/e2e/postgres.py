"""A PostgreSQL server of our own, run as user postgres where we are root."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

from fleet import free_port, wait_until


def find_server():
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return found[-1].parent if found else None


class Postgres:
    def __init__(self, host="127.0.0.1", clients=()):
        """`clients`: networks beyond loopback that may connect."""
        self.bin = find_server()
        if self.bin is None:
            raise RuntimeError("no PostgreSQL server is installed (Debian: postgresql)")
        self.host, self.port = host, free_port()
        self.directory = Path(tempfile.mkdtemp(prefix="picket-pg-"))
        self.who = {}
        if os.getuid() == 0:
            user = pwd.getpwnam("postgres")
            os.chown(self.directory, user.pw_uid, user.pw_gid)
            self.who = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        self.server = None
        self.log = open(self.directory / "server.log", "ab")
        self._call("initdb", "-D", self.directory / "data", "-A", "trust", "-U", "postgres", "-E", "UTF8",
                   "--locale=C", "--no-sync")
        with open(self.directory / "data/pg_hba.conf", "a") as hba:
            hba.writelines(f"host all all {network} trust\n" for network in clients)
        self.start()

    def _call(self, program, *args):
        done = subprocess.run([str(self.bin / program), *map(str, args)], capture_output=True, text=True,
                              cwd=self.directory, **self.who)
        if done.returncode != 0:
            raise RuntimeError(f"{program}: {done.stderr}")
        return done.stdout

    @property
    def uri(self):
        return f"postgresql://postgres@{self.host}:{self.port}/postgres"

    def start(self):
        self.server = subprocess.Popen(
            [str(self.bin / "postgres"), "-D", str(self.directory / "data"), "-h", self.host, "-p", str(self.port),
             "-k", str(self.directory), "-c", "logging_collector=off"],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, cwd=self.directory, start_new_session=True,
            **self.who)
        wait_until(self.ready, "PostgreSQL", 60)

    def ready(self):
        if self.server.poll() is not None:
            raise AssertionError("PostgreSQL ended:\n" + (self.directory / "server.log").read_text()[-2000:])
        return subprocess.run([str(self.bin / "pg_isready"), "-q", "-h", str(self.directory), "-p", str(self.port)],
                              cwd=self.directory).returncode == 0

    def sql(self, text):
        return self._call("psql", "-h", self.directory, "-p", self.port, "-U", "postgres", "-At", "-c", text).strip()

    def stop(self, how=signal.SIGINT):
        """SIGINT ends sessions in order; SIGQUIT is a crash, after which it recovers."""
        if self.server.poll() is None:
            os.kill(self.server.pid, how)
        self.server.wait(60)

    def restart(self, how=signal.SIGQUIT):
        self.stop(how)
        self.start()

    def close(self):
        self.stop(signal.SIGQUIT)
        self.log.close()
        shutil.rmtree(self.directory, ignore_errors=True)
