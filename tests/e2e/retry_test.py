"""Retries elsewhere and who is to blame, with real agents of which some cannot reach the target.

An agent is broken by a hosts file of its own, in a mount namespace: there the target's name
leads to an address of loopback where nobody listens.
"""

import json
import os
import unittest

from fleet import FleetCase, main, wait_until

SUITE = """
version: 1
name: shop
{head}
vars: {{ base: "http://shop.test:{port}" }}
tests:
  - name: answers
    for_each: {{ file: rows.csv }}
    request: {{ url: "{{{{ base }}}}/x?n={{{{ n }}}}" }}
    expect: [ {{ status: 200 }}, {{ body: {{ contains: hello }} }} ]
    retry: {retry}
"""

ROWS = 30


@unittest.skipUnless(os.geteuid() == 0, "needs root for mount namespaces")
class RetryTest(FleetCase):
    def setUp(self):
        super().setUp()
        target, self.access = self.fleet.start_nginx()
        self.port = target.rsplit(":", 1)[1]
        self.fleet.write("rows.csv", "n\n" + "".join(f"r{i}\n" for i in range(ROWS)))
        self.hosts = {
            True: self.fleet.write("hosts.sound", "127.0.0.1 localhost shop.test\n"),
            False: self.fleet.write("hosts.broken", "127.0.0.1 localhost\n127.0.0.9 shop.test\n"),
        }

    def agent(self, location, name, sound, *options):
        mount = f'mount --bind "{self.hosts[sound]}" /etc/hosts && exec "$0" "$@"'
        return self.fleet.start_agent(location, name, *options, prefix=("unshare", "-m", "sh", "-c", mount))

    def wait_for_agents(self, count):
        wait_until(lambda: sum(a["state"] == "LIVE" for a in
                               json.loads(self.fleet.http("/v1/agents")[1])["agents"]) == count,
                   f"{count} agents")

    def run_suite(self, retry, head="", expect=None):
        suite = self.fleet.write("shop.yaml", SUITE.format(port=self.port, retry=retry, head=head))
        report = self.fleet.directory / "report.json"
        reports = [f"--report-{f}={self.fleet.directory}/report.{f}" for f in ("junit", "tap", "markdown", "html", "ctrf")]
        result = self.fleet.run(suite, "--report-json", report, *reports, expect=expect)
        return result, json.loads(report.read_text())

    def report(self, name):
        return (self.fleet.directory / f"report.{name}").read_text()

    def test_another_agent_of_the_place_passes_and_the_broken_one_is_to_blame(self):
        self.fleet.start_coordinator()
        self.agent("eu", "broken", False, "--capacity", "4")
        self.agent("eu", "sound", True, "--capacity", "4")
        self.wait_for_agents(2)
        result, report = self.run_suite("{ attempts: 2, where: same_location, on: [network] }",
                                        "locations: [eu]", expect=0)
        self.assertEqual(report["verdict"], "PASSED")
        self.assertEqual(len(report["executions"]), ROWS)
        retried = [e for e in report["executions"] if len(e["attempts"]) > 1]
        self.assertGreater(len(retried), 0, "the broken agent was asked nothing")
        for e in report["executions"]:
            self.assertEqual(e["outcome"], "PASSED")
            agents = [a["agent"] for a in e["attempts"]]
            if e in retried:
                self.assertEqual(agents, ["broken", "sound"])
                self.assertEqual(e["attempts"][0]["reason"], "connect_refused")
                self.assertEqual((e["flaky"], e["blame"]), (True, "agent"))
            else:
                self.assertEqual((agents, e["flaky"], e["blame"]), (["sound"], False, "none"))
        self.assertEqual(result.ledger()["flaky"], len(retried))
        self.assertRegex(result.out, r"FLAKY  answers \[eu\] row \d+  "
                                     r"\(#1 broken: connect_refused; #2 sound: passed; blame: agent\)")
        for name in ("junit", "tap", "markdown", "html", "ctrf"):
            self.assertRegex(self.report(name), r'blame"?: ?"?agent', name)
        explained = self.fleet.picket("explain", report["run_id"], "--all", "--limit", "100",
                                      "--coordinator", self.fleet.grpc, expect=0)
        self.assertIn("(blame: agent)", explained.out)
        # Nothing ran twice at the target: the broken agent never reached it.
        seen = [line for line in self.access.read_text().split() if line.startswith("/x?")]
        self.assertEqual((len(seen), len(set(seen))), (ROWS, ROWS))

    def test_probe_elsewhere_tells_the_place_from_the_target(self):
        self.fleet.start_coordinator()
        self.agent("eu", "eu-1", False, "--capacity", "4")
        self.agent("us", "us-1", True, "--capacity", "4")
        self.wait_for_agents(2)
        result, report = self.run_suite("{ attempts: 2, where: anywhere }", "locations: [eu, us]", expect=1)
        at_eu = [e for e in report["executions"] if e["location"] == "eu"]
        self.assertEqual((len(at_eu), report["ledger"]["failed"], report["ledger"]["passed"]), (ROWS, ROWS, ROWS))
        for e in at_eu:
            self.assertEqual((e["outcome"], e["reason"], e["blame"]), ("FAILED", "connect_refused", "location"))
            self.assertEqual([(a["agent"], a["location"], a["probe"], a["outcome"]) for a in e["attempts"]],
                             [("eu-1", "eu", False, "FAILED"), ("us-1", "us", True, "PASSED")])
        self.assertIn("blame: location", result.out)
        self.assertIn("probe #2 us-1 [us]: passed", result.out)
        shown = self.fleet.picket("show", report["run_id"], "--coordinator", self.fleet.grpc, expect=0)
        self.assertIn("blame: location", shown.out)

    def test_target_that_answers_nobody_is_to_blame(self):
        self.fleet.start_coordinator()
        self.agent("eu", "eu-1", False)
        self.agent("eu", "eu-2", False)
        self.agent("us", "us-1", False)
        self.wait_for_agents(3)
        _, report = self.run_suite("{ attempts: 3, where: [same_location, anywhere] }", "locations: [eu, us]", expect=1)
        self.assertEqual({e["blame"] for e in report["executions"]}, {"target"})
        for e in report["executions"]:
            own = [a for a in e["attempts"] if not a["probe"]]
            probes = [a for a in e["attempts"] if a["probe"]]
            self.assertEqual((len(own), len(probes)), (2, 1))
            if e["location"] == "eu":
                self.assertEqual({a["agent"] for a in own}, {"eu-1", "eu-2"})

    def test_coordinator_that_is_killed_while_retries_wait_changes_nothing(self):
        coordinator = self.fleet.start_coordinator(None, "127.0.0.1:0", "coordinator", "--lease-time", "2s")
        address = coordinator.info["grpc"]
        self.agent("eu", "broken", False, "--capacity", "4")
        self.agent("eu", "sound", True, "--capacity", "4")
        self.wait_for_agents(2)
        suite = self.fleet.write("shop.yaml", SUITE.format(
            port=self.port, head="locations: [eu]",
            retry="{ attempts: 2, where: same_location, delay: 3s, on: [network] }"))
        run = self.fleet.popen_picket("run", suite, "--coordinator", address)
        wait_until(lambda: any(line.startswith("/x?") for line in self.access.read_text().split()),
                   "the first execution at the target")
        coordinator.kill()
        self.fleet.start_coordinator(None, address, "coordinator-again", "--lease-time", "2s")
        out, _ = run.communicate(timeout=90)
        self.assertEqual(run.returncode, 0, out)
        self.assertIn(f"{ROWS} passed", out)

    def test_failure_that_the_flaky_policy_makes_says_why(self):
        self.fleet.start_coordinator()
        self.agent("eu", "broken", False, "--capacity", "4")
        self.agent("eu", "sound", True, "--capacity", "4")
        self.wait_for_agents(2)
        result, report = self.run_suite("{ attempts: 2, where: same_location }",
                                        "locations: [eu]\npolicy: { flaky: fail }", expect=1)
        failed = [e for e in report["executions"] if e["outcome"] == "FAILED"]
        self.assertEqual({(e["reason"], e["blame"]) for e in failed}, {("connect_refused", "agent")})
        self.assertRegex(result.out, r"FAILED  answers \[eu\] row \d+  \(connect_refused, agent broken, "
                                     r"attempt 1 of 2, blame: agent\)")
        self.assertIn("flaky: fail counts that as failed", result.out)


class NothingToRunTest(FleetCase):
    def test_table_without_rows_is_named(self):
        self.fleet.start_coordinator()
        self.fleet.write("rows.csv", "n\n")
        suite = self.fleet.write("shop.yaml", SUITE.format(port=1, head="", retry="{ attempts: 1 }"))
        result = self.fleet.run(suite, expect=3)
        self.assertRegex(result.err, r"shop\.yaml:\d+: test 'answers'.*its for_each has no row")
        self.assertNotIn("no test is selected", result.err)


if __name__ == "__main__":
    main()
