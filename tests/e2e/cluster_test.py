"""Several coordinators over one PostgreSQL behind a TCP balancer: any of them may die."""

import json
import os
import signal
import unittest
from collections import Counter

from balancer import Balancer
from fleet import FleetCase, main, wait_until
from postgres import Postgres, find_server

EXECUTIONS = 2000

SUITE = """
version: 1
name: many
vars: {{ base: "http://{target}" }}
tests:
  - name: read
    for_each: {{ file: rows.csv }}
    request: {{ url: "{{{{ base }}}}/x?n={{{{ n }}}}" }}
    expect: [ {{ status: 200 }} ]
"""


@unittest.skipUnless(find_server(), "no PostgreSQL server is installed (Debian: postgresql)")
class ClusterTest(FleetCase):
    def setUp(self):
        super().setUp()
        self.target, self.access = self.fleet.start_nginx()
        self.postgres = Postgres()
        self.addCleanup(self.postgres.close)
        self.coordinators = [self.start_coordinator(i) for i in range(2)]
        self.balancer = Balancer([c.info["grpc"] for c in self.coordinators])
        self.addCleanup(self.balancer.close)
        self.agents = [self.fleet.start_agent("default", f"agent-{i}", "--capacity", "4",
                                              coordinator=self.balancer.address) for i in range(3)]
        self.fleet.write("rows.csv", "n\n" + "".join(f"r{i}\n" for i in range(EXECUTIONS)))
        self.suite = self.fleet.write("many.yaml", SUITE.format(target=self.target))

    def start_coordinator(self, index, listen="127.0.0.1:0"):
        return self.fleet.start_coordinator(self.postgres.uri, listen, f"coordinator-{index}", "--lease-time", "3s")

    def witnessed(self):
        return Counter(line for line in self.access.read_text().split() if line.startswith("/x?"))

    def start_run(self, *options):
        return self.fleet.popen_picket("run", self.suite, "--coordinator", self.balancer.address, *options)

    def in_mid_run(self, run, at_least=300):
        def progress():
            self.assertIsNone(run.poll(), "the run ended before anything befell it")
            return len(self.witnessed()) >= at_least
        wait_until(progress, f"{at_least} executions at the target", 60)

    def check(self, run):
        out, _ = run.communicate(timeout=180)
        self.assertEqual(run.returncode, 0, out[-3000:])
        last = out.strip().split("\n")[-1]
        self.assertTrue(last.startswith("PASSED"), last)
        self.assertIn(f"{EXECUTIONS} passed", last)
        self.assertEqual(len(self.witnessed()), EXECUTIONS)
        return out

    def runs(self, coordinator):
        return json.loads(self.fleet.http("/v1/runs", coordinator)[1])["runs"]

    def test_either_coordinator_may_be_killed_in_mid_run(self):
        for victim in (0, 1):
            with self.subTest(victim=victim):
                self.access.write_text("")
                run = self.start_run()
                self.in_mid_run(run)
                run_id = self.runs(self.coordinators[0])[0]["run_id"]
                watch = self.fleet.popen_picket("watch", run_id, "--coordinator", self.balancer.address)
                wait = self.fleet.popen_picket("wait", run_id, "--coordinator", self.balancer.address)
                address = self.coordinators[victim].info["grpc"]
                self.coordinators[victim].kill()
                self.check(run)
                for follower in (watch, wait):
                    out, _ = follower.communicate(timeout=60)
                    self.assertEqual(follower.returncode, 0, out[-2000:])
                    self.assertIn("PASSED", out)
                survivor = self.coordinators[1 - victim]
                self.assertEqual({r["run_id"]: r["verdict"] for r in self.runs(survivor)}[run_id], "PASSED")
                # The agents are those of before; whoever was connected to the dead one has gone over.
                for agent in self.agents:
                    self.assertTrue(agent.alive(), agent.text()[-1000:])
                def all_live():
                    agents = json.loads(self.fleet.http("/v1/agents", survivor)[1])["agents"]
                    return sum(a["state"] == "LIVE" for a in agents) == 3
                wait_until(all_live, "all agents at the survivor", 30)
                self.coordinators[victim] = self.start_coordinator(victim, address)

    def test_a_database_that_crashes_costs_only_time(self):
        run = self.start_run()
        self.in_mid_run(run)
        self.postgres.restart(signal.SIGQUIT)
        self.check(run)
        for coordinator in self.coordinators:
            wait_until(lambda: self.fleet.http("/readyz", coordinator)[0] == 200, "readiness", 30)
            # It complains once when the store goes, not with every try.
            self.assertLess(coordinator.text().count("cannot be read"), 20, coordinator.text()[-2000:])

    def test_a_coordinator_is_ready_again_after_a_crash_with_nobody_connected(self):
        for agent in self.agents:
            self.assertEqual(agent.stop(), 0)
        self.postgres.restart(signal.SIGQUIT)
        for coordinator in self.coordinators:
            wait_until(lambda: self.fleet.http("/readyz", coordinator)[0] == 200, "readiness", 30)
        result = self.fleet.picket("run", self.suite, "--coordinator", self.balancer.address, "--detach", expect=0)
        self.assertRegex(result.out.strip(), "^[a-z2-7]{16}$")

    def test_a_run_is_admitted_once_though_its_coordinator_dies_while_it_is_asked(self):
        os.kill(self.coordinators[0].pid, signal.SIGSTOP)
        try:
            runs = [self.start_run("--connect-timeout", "40s") for _ in range(2)]
            wait_until(lambda: len(self.witnessed()) > 10, "executions at the target", 60)
        finally:
            self.coordinators[0].kill()
        for run in runs:
            out, _ = run.communicate(timeout=180)
            self.assertEqual(run.returncode, 0, out[-3000:])
        self.assertEqual(len(self.runs(self.coordinators[1])), 2)


if __name__ == "__main__":
    main()
