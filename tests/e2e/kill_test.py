"""kill -9 of agents and of the coordinator in mid-run costs nothing but time.

The target's own access log is the witness: every execution of the plan reached it.
"""

import json
import unittest
from collections import Counter

from fleet import FleetCase, main, wait_until

EXECUTIONS = 5000

SUITE = """
version: 1
name: many
vars: {{ base: "http://{target}" }}
tests:
  - name: row
    for_each: {{ file: rows.csv }}
    request: {{ url: "{{{{ base }}}}/x?n={{{{ n }}}}" }}
    expect: [ {{ status: 200 }}, {{ body: {{ contains: hello }} }} ]
"""


class KillTest(FleetCase):
    def setUp(self):
        super().setUp()
        self.target, self.access = self.fleet.start_nginx()
        self.fleet.write("rows.csv", "n\n" + "".join(f"r{i}\n" for i in range(EXECUTIONS)))
        self.suite = self.fleet.write("many.yaml", SUITE.format(target=self.target))

    def witnessed(self):
        return Counter(line for line in self.access.read_text().split() if line.startswith("/x?"))

    def check(self, run, out):
        self.assertEqual(run.returncode, 0, out[-3000:])
        self.assertIn(f"planned {EXECUTIONS}", out)
        self.assertIn(f"{EXECUTIONS} passed", out)
        self.assertTrue(out.strip().split("\n")[-1].startswith("PASSED"), out[-500:])
        seen = self.witnessed()
        self.assertEqual(len(seen), EXECUTIONS)
        # Nothing runs twice in the verdict; what was in flight at a kill may reach the target again.
        return sum(seen.values()) - EXECUTIONS

    def start_run(self):
        return self.fleet.popen_picket("run", self.suite, "--coordinator", self.fleet.grpc)

    def in_mid_run(self, run, at_least=500):
        def progress():
            self.assertIsNone(run.poll(), "the run ended before the kill")
            return len(self.witnessed()) >= at_least
        wait_until(progress, f"{at_least} executions at the target", 60)

    def test_killed_agent_costs_only_time(self):
        self.fleet.start_coordinator(None, "127.0.0.1:0", "coordinator", "--lease-time", "2s")
        victim = self.fleet.start_agent("default", "victim", "--capacity", "4")
        self.fleet.start_agent("default", "survivor", "--capacity", "4")
        run = self.start_run()
        self.in_mid_run(run)
        victim.kill()
        out, _ = run.communicate(timeout=120)
        repeated = self.check(run, out)
        print(f"agent killed: {EXECUTIONS} executions, {repeated} requests repeated at the target")

    def test_killed_only_agent_comes_back_with_its_spool(self):
        self.fleet.start_coordinator(None, "127.0.0.1:0", "coordinator", "--lease-time", "2s")
        victim = self.fleet.start_agent("default", "only", "--capacity", "4")
        run = self.start_run()
        self.in_mid_run(run)
        victim.kill()
        self.fleet.start_agent("default", "only", "--capacity", "4")
        out, _ = run.communicate(timeout=120)
        self.check(run, out)

    def test_killed_coordinator_goes_on_where_it_was(self):
        coordinator = self.fleet.start_coordinator(None, "127.0.0.1:0", "coordinator", "--lease-time", "3s")
        address = coordinator.info["grpc"]
        self.fleet.start_agent("default", "one", "--capacity", "4")
        self.fleet.start_agent("default", "two", "--capacity", "4")
        run = self.start_run()
        self.in_mid_run(run)
        coordinator.kill()
        self.fleet.start_coordinator(None, address, "coordinator-again", "--lease-time", "3s")
        out, _ = run.communicate(timeout=120)
        repeated = self.check(run, out)
        runs = json.loads(self.fleet.http("/v1/runs")[1])["runs"]
        self.assertEqual([r["verdict"] for r in runs], ["PASSED"])
        print(f"coordinator killed: {EXECUTIONS} executions, {repeated} requests repeated at the target")


if __name__ == "__main__":
    main()
