"""Agents that are not like their coordinator: of another protocol, on machines whose clocks differ."""

import json
import subprocess
import time
import unittest
from datetime import datetime

from balancer import Balancer
from fleet import BIN, FleetCase, main, wait_until

HOUR = 3600
SPOKEN = bytes([5 << 3, 1, 6 << 3, 1])  # Hello.protocol_min and protocol_max on the wire: 1 and 1


class VersionSkewTest(FleetCase):
    """What an agent of another time says of itself is put into its Hello on the way."""

    def refused(self, least, most):
        said = []

        def rewrite(data):
            said.append(data.count(SPOKEN))
            return data.replace(SPOKEN, bytes([5 << 3, least, 6 << 3, most]))
        coordinator = self.fleet.start_coordinator()
        wire = Balancer([self.fleet.grpc], rewrite=rewrite)
        self.addCleanup(wire.close)
        agent = self.fleet.start("skewed", [BIN / "picket-agent", "--coordinator", wire.address, "--name", "skewed",
                                            "--http-listen", "127.0.0.1:0"])
        code = agent.popen.wait(20)
        self.assertEqual(sum(said), 1, "one Hello went over the wire")
        self.assertNotIn(code, (0, None))
        version = subprocess.run([BIN / "picket-agent", "--version"], capture_output=True, text=True).stdout.split()[-1]
        why = (f"agent 'skewed' (version {version}) speaks protocols {least} to {most}, "
               f"this coordinator (version {version}) 1 to 1; upgrade the older one")
        self.assertIn(f"the coordinator refused agent 'skewed' at 'default': {why}", agent.text())
        wait_until(lambda: why in coordinator.text(), "the refusal in the coordinator's log", 10)
        self.assertEqual(json.loads(self.fleet.http("/v1/agents")[1])["agents"], [])

    def test_newer_agent_is_refused_with_both_versions_on_both_sides(self):
        self.refused(7, 9)

    def test_older_agent_is_refused_with_both_versions_on_both_sides(self):
        self.refused(0, 0)

    def test_agent_that_speaks_more_than_its_coordinator_is_welcome(self):
        self.fleet.start_coordinator()
        wire = Balancer([self.fleet.grpc], rewrite=lambda d: d.replace(SPOKEN, bytes([5 << 3, 1, 6 << 3, 9])))
        self.addCleanup(wire.close)
        agent = self.fleet.start_agent(coordinator=wire.address)
        wait_until(lambda: self.fleet.http("/readyz", agent)[0] == 200, "a session", 20)


SUITE = """
version: 1
name: clocks
tests:
  - name: slow
    locations: [{locations}]
    timeout: 20s
    request: {{ url: "http://{target}/slow?at={{{{ timestamp() }}}}" }}
    expect: [ {{ status: 200 }} ]
"""


def time_namespaces():
    return subprocess.run(["unshare", "-T", "--fork", "--monotonic", "1000", "true"], capture_output=True).returncode == 0


class ClockSkewTest(FleetCase):
    def start_skewed(self, name, prefix=(), env=None):
        return self.fleet.start(name, [*prefix, BIN / "picket-agent", "--coordinator", self.fleet.grpc, "--name", name,
                                       "--location", name, "--http-listen", "127.0.0.1:0"], env=env)

    def start_shifted(self, name, seconds):
        self.assertTrue((BIN / "shifted_clock.so").exists(), "shifted_clock.so is built beside the binaries")
        return self.start_skewed(name, env={"LD_PRELOAD": str(BIN / "shifted_clock.so"),
                                            "PICKET_TEST_CLOCK_SHIFT": str(seconds)})

    def agents(self):
        listed = json.loads(self.fleet.http("/v1/agents")[1])["agents"]
        return {a["name"]: a for a in listed if a["state"] == "LIVE"}

    def test_wall_times_are_the_coordinators_and_durations_the_steady_clocks(self):
        self.fleet.write("body", "x" * 3000)
        target, access = self.fleet.start_nginx(f"location /slow {{ limit_rate 1000; alias {self.fleet.directory}/body; }}")
        self.fleet.start_coordinator()
        shifts = {"ahead": 30 * HOUR, "behind": -5 * HOUR, "right": 0}
        for name, shift in shifts.items():
            self.start_shifted(name, shift)
        if time_namespaces():
            shifts["booted"] = 0  # a machine that has been up ten days longer
            self.start_skewed("booted", ["unshare", "-T", "--fork", "--kill-child", "--monotonic", "864000",
                                         "--boottime", "864000"])
        wait_until(lambda: len(self.agents()) == len(shifts), "all agents", 20)
        for name, agent in self.agents().items():
            # By how much its clock is ahead.
            self.assertAlmostEqual(agent.get("clock_offset_ms", 0) / 1000, shifts[name], delta=2, msg=name)
        suite = self.fleet.write("clocks.yaml", SUITE.format(target=target, locations=", ".join(shifts)))
        begun, steady = time.time(), time.monotonic()
        self.fleet.run(suite, "--report-json", "report.json", expect=0)
        ended, took = time.time(), time.monotonic() - steady
        report = json.loads((self.fleet.directory / "report.json").read_text())
        self.assertEqual(sorted(e["location"] for e in report["executions"]), sorted(shifts))
        asked = [int(line.split("=")[1]) for line in access.read_text().split() if line.startswith("/slow")]
        self.assertEqual(len(asked), len(shifts))
        for at in asked:
            self.assertTrue(begun - 2 < at < ended + 1, f"a request was made at {at}, by its own time")
        for execution in report["executions"]:
            attempt = execution["attempts"][0]
            started = datetime.fromisoformat(attempt["start_time"].replace("Z", "+00:00")).timestamp()
            total = attempt["timings"]["total_us"] / 1e6
            with self.subTest(clock=execution["location"]):
                self.assertGreater(started, begun - 1)
                self.assertLess(started + total, ended + 1)
                # 3,000 bytes at 1,000 a second, of which nginx sends the first ones at once.
                self.assertGreater(total, 1)
                self.assertLess(total, took)


if __name__ == "__main__":
    main()
