"""How agents come and go: draining, taking over, a spool that outlives its process."""

import json
import os
import signal
import unittest
from collections import Counter
from pathlib import Path

from fleet import BIN, FleetCase, main, wait_until

EXECUTIONS = 1500

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


class AgentTest(FleetCase):
    def setUp(self):
        super().setUp()
        self.target, self.access = self.fleet.start_nginx()
        self.fleet.write("rows.csv", "n\n" + "".join(f"r{i}\n" for i in range(EXECUTIONS)))
        self.suite = self.fleet.write("many.yaml", SUITE.format(target=self.target))
        self.fleet.start_coordinator(None, "127.0.0.1:0", "coordinator", "--lease-time", "3s")

    def witnessed(self):
        return Counter(line for line in self.access.read_text().split() if line.startswith("/x?"))

    def start_run(self):
        run = self.fleet.popen_picket("run", self.suite, "--coordinator", self.fleet.grpc)
        wait_until(lambda: len(self.witnessed()) > 200 or run.poll() is not None, "executions at the target", 60)
        return run

    def check(self, run, repeated=0):
        out, _ = run.communicate(timeout=120)
        self.assertEqual(run.returncode, 0, out[-3000:])
        self.assertIn(f"{EXECUTIONS} passed", out.strip().split("\n")[-1])
        seen = self.witnessed()
        self.assertEqual(len(seen), EXECUTIONS)
        self.assertLessEqual(sum(seen.values()) - EXECUTIONS, repeated)

    def agents(self):
        return {a["instance"]: a for a in json.loads(self.fleet.http("/v1/agents")[1])["agents"]}

    def test_the_loops_alone_interrupt_others(self):
        agent = self.fleet.start_agent("default", "one", "--loops", "2")
        policies = {}
        for task in Path(f"/proc/{agent.pid}/task").iterdir():
            name = (task / "comm").read_text().strip()
            policies.setdefault(name, set()).add(os.sched_getscheduler(int(task.name)))
        self.assertEqual(policies.pop("picket-loop"), {os.SCHED_OTHER}, policies)
        self.assertEqual(set().union(*policies.values()), {os.SCHED_BATCH}, policies)

    def test_sigterm_in_mid_run_repeats_nothing(self):
        leaver = self.fleet.start_agent("default", "leaver", "--capacity", "4")
        self.fleet.start_agent("default", "stayer", "--capacity", "4")
        run = self.start_run()
        self.assertEqual(leaver.stop(), 0)
        self.check(run)

    def test_take_over_in_mid_run_drains_the_old_one(self):
        old = self.fleet.start_agent("default", "one", "--capacity", "4")
        run = self.start_run()
        new = self.fleet.start("new", [BIN / "picket-agent", "--coordinator", self.fleet.grpc, "--name", "one",
                                       "--http-listen", "127.0.0.1:0", "--spool", self.fleet.directory / "spool-new",
                                       "--take-over"])
        self.assertEqual(old.popen.wait(30), 0, old.text())
        self.check(run)
        self.assertTrue(new.alive(), new.text())

    def test_spool_of_a_killed_agent_is_delivered_by_the_next(self):
        agent = self.fleet.start_agent("default", "one", "--capacity", "4")
        run = self.start_run()
        address = self.fleet.grpc
        self.fleet.coordinator.kill()
        # What it holds it finishes without a coordinator.
        def idle():
            text = self.fleet.http("/metrics", agent)[1]
            flying = [line for line in text.split("\n") if line.startswith("picket_agent_in_flight")]
            return flying and float(flying[0].split()[-1]) == 0
        wait_until(idle, "the agent to finish what it holds", 60)
        agent.kill()
        self.fleet.start_coordinator(None, address, "coordinator-again", "--lease-time", "3s")
        self.fleet.start_agent("default", "one", "--capacity", "4")
        # Nothing that was finished is asked of the target again.
        self.check(run)

    def test_one_spool_serves_one_process(self):
        self.fleet.start_agent("default", "one")
        other = self.fleet.start("other", [BIN / "picket-agent", "--coordinator", self.fleet.grpc, "--name", "two",
                                           "--http-listen", "127.0.0.1:0", "--spool", self.fleet.directory / "spool-one"])
        self.assertNotEqual(other.popen.wait(30), 0)
        self.assertIn("spool-one", other.text())

    def test_frozen_agent_is_replaced_and_its_late_results_change_nothing(self):
        frozen = self.fleet.start_agent("default", "frozen", "--capacity", "4")
        self.fleet.start_agent("default", "awake", "--capacity", "4")
        run = self.start_run()
        os.kill(frozen.pid, signal.SIGSTOP)
        try:
            self.check(run, repeated=EXECUTIONS)
        finally:
            os.kill(frozen.pid, signal.SIGCONT)
        self.assertEqual(frozen.stop(), 0)


class PlanTest(FleetCase):
    """What is said of a run before it has begun; what is kept of it afterwards."""

    def setUp(self):
        super().setUp()
        self.target, _ = self.fleet.start_nginx()
        self.fleet.write("rows.csv", "n\n" + "".join(f"r{i}\n" for i in range(400)))
        self.suite = self.fleet.write("many.yaml", SUITE.format(target=self.target))

    def test_estimate_from_history_with_the_plan(self):
        self.fleet.start_coordinator()
        self.fleet.start_agent("default", "one", "--capacity", "1")
        first = self.fleet.run(self.suite, expect=0)
        self.assertIn("1 agent; how long it takes is not known before it has run once", first.out)
        self.assertRegex(self.fleet.run(self.suite, expect=0).out, r"\n1 agent, (about [0-9.]+ ?m?s|less than 100ms of checks)")
        dry = self.fleet.run(self.suite, "--dry-run", expect=0)
        self.assertRegex(dry.out, r"\n1 agent, (about [0-9.]+ ?m?s|less than 100ms of checks)")
        tight = self.fleet.run(self.suite, "--dry-run", "--deadline", "10ms", expect=0)
        self.assertRegex(tight.out, r"1 agent, .*; the 10ms deadline needs \d+")
        more = self.fleet.run(self.suite, "--dry-run", "--expect-agents", "6", expect=0)
        self.assertRegex(more.out, r"\n6 agents, (about|less than) ")
        self.assertEqual(len(json.loads(self.fleet.http("/v1/runs")[1])["runs"]), 2)

    def test_dry_run_without_a_coordinator_prints_the_plan(self):
        result = self.fleet.picket("run", self.suite, "--dry-run", "--coordinator", "127.0.0.1:1", expect=0)
        self.assertIn("plan: 400 executions", result.out)
        self.assertIn("no estimate: cannot reach the coordinator at 127.0.0.1:1", result.out)

    def test_only_the_newest_runs_are_kept(self):
        self.fleet.start_coordinator()
        self.fleet.start_agent()
        ids = [self.fleet.run(self.suite, "--detach", expect=0).out.strip() for _ in range(3)]
        for run in ids:
            self.fleet.picket("wait", run, "--coordinator", self.fleet.grpc, expect=0)
        self.fleet.coordinator.stop()
        self.fleet.start_coordinator(None, "127.0.0.1:0", "coordinator", "--keep-runs", "1")
        wait_until(lambda: len(json.loads(self.fleet.http("/v1/runs")[1])["runs"]) == 1, "old runs to go", 40)
        self.assertEqual(json.loads(self.fleet.http("/v1/runs")[1])["runs"][0]["run_id"], ids[-1])

    def test_results_are_kept_as_long_as_was_said(self):
        self.fleet.start_coordinator()
        self.fleet.start_agent()
        self.fleet.run(self.suite, expect=0)
        self.fleet.coordinator.stop()
        self.fleet.start_coordinator(None, "127.0.0.1:0", "coordinator", "--keep-results", "1s")
        run = json.loads(self.fleet.http("/v1/runs")[1])["runs"][0]
        def attempts():
            page = json.loads(self.fleet.http(f"/v1/runs/{run['run_id']}/executions?view=FULL")[1])
            return sum(len(e.get("attempts", [])) for e in page["executions"])
        wait_until(lambda: attempts() == 0, "old results to go", 40)
        # The verdict stays.
        self.assertEqual(json.loads(self.fleet.http(f"/v1/runs/{run['run_id']}")[1])["verdict"], "PASSED")


if __name__ == "__main__":
    main()
