"""Network namespaces of a test's own: a hub, where this process lives, and nodes with one cable to
it each. Cables are cut by nft rules in the hub; nothing leaves it, and all of it is gone with the
processes."""

import os
import subprocess
import sys

TARGET, RELAY, STORE = "10.77.0.2", "10.77.0.3", "10.77.0.4"  # addresses of the hub
NETWORK = "10.77.0.0/16"  # all of ours

RULES = """
table inet cables {
  set cut { type ipv4_addr . ipv4_addr; }
  chain incoming { type filter hook input priority 0; ip saddr . ip daddr @cut drop; }
  chain outgoing { type filter hook output priority 0; ip saddr . ip daddr @cut drop; }
}
"""


def call(*command, stdin=None):
    done = subprocess.run([str(c) for c in command], input=stdin, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, command))}: {done.stderr.strip()}")


def enter_hub():
    """Runs this program again in a namespace of its own; returns there, or False where that may
    not be done."""
    if os.environ.get("PICKET_HUB") == "yes":
        call("ip", "link", "set", "lo", "up")
        for address in (TARGET, RELAY, STORE):
            call("ip", "addr", "add", f"{address}/32", "dev", "lo")
        call("nft", "-f", "-", stdin=RULES)
        return True
    possible = subprocess.run(
        ["unshare", "-n", "sh", "-c", "ip link add cable0 type veth peer name cable1 && nft list ruleset"],
        capture_output=True)
    if possible.returncode != 0:
        return False
    sys.stdout.flush()
    os.execvpe("unshare", ["unshare", "-n", "--", sys.executable, *sys.argv], {**os.environ, "PICKET_HUB": "yes"})


class Node:
    """A machine at the far end of a cable."""
    count = 0

    def __init__(self):
        Node.count += 1
        n = Node.count
        self.near, self.far = f"10.77.{n}.1", f"10.77.{n}.2"
        self.holder = subprocess.Popen(["unshare", "-n", "sh", "-c", "echo up; exec sleep 86400"],
                                       stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, start_new_session=True)
        self.holder.stdout.readline()
        self.prefix = ["nsenter", "-t", str(self.holder.pid), "-n", "--"]
        call("ip", "link", "add", f"cable{n}", "type", "veth", "peer", "name", "eth0", "netns", self.holder.pid)
        call("ip", "addr", "add", f"{self.near}/30", "dev", f"cable{n}")
        call("ip", "link", "set", f"cable{n}", "up")
        for command in (("link", "set", "lo", "up"), ("addr", "add", f"{self.far}/30", "dev", "eth0"),
                        ("link", "set", "eth0", "up"), ("route", "add", "default", "via", self.near)):
            call(*self.prefix, "ip", *command)

    def close(self):
        self.holder.kill()
        self.holder.wait()


class Cut:
    """Packets from one address to another are dropped until mended."""

    def __init__(self, source, target):
        self.element = f"{{ {source} . {target} }}"
        call("nft", "add", "element", "inet", "cables", "cut", self.element)

    def mend(self):
        call("nft", "delete", "element", "inet", "cables", "cut", self.element)
