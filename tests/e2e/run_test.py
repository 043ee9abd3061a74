"""Runs, verdicts and exit codes with the real binaries against nginx."""

import json
import os
import signal
import subprocess
import unittest

from fleet import ROOT, FleetCase, main, wait_until

GOOD = """
version: 1
name: good
vars: {{ base: "http://{0}" }}
tests:
  - name: answers
    request: {{ url: "{{{{ base }}}}/" }}
    expect: [ {{ status: 200 }}, {{ body: {{ contains: hello }} }} ]
"""

SLOW = """
version: 1
name: slow
vars: {{ base: "http://{0}" }}
tests:
  - name: waits
    timeout: 60s
    request: {{ url: "{{{{ base }}}}/slow" }}
    expect: [ {{ status: 200 }} ]
"""

# One byte a second: nginx's way to hang.
SLOW_LOCATION = 'location /slow { limit_rate 1; default_type text/plain; return 200 "%s"; }' % ("x" * 600)


class RunTest(FleetCase):
    def setUp(self):
        super().setUp()
        self.target, self.access = self.fleet.start_nginx(SLOW_LOCATION)

    def suite(self, text=GOOD, name="suite.yaml"):
        return self.fleet.write(name, text.format(self.target))

    def fleet_of(self, *locations):
        self.fleet.start_coordinator()
        for location in locations or ("default",):
            self.fleet.start_agent(location)

    def test_passed_run_exits_0_with_its_ledger_last(self):
        self.fleet_of()
        result = self.fleet.run(self.suite(), expect=0)
        self.assertTrue(result.out.strip().split("\n")[-1].startswith("PASSED"), result.out)
        self.assertEqual(result.ledger()["passed"], 1)
        self.assertEqual(result.ledger()["planned"], 1)

    def test_failed_run_exits_1_and_says_what_was_expected(self):
        self.fleet_of()
        suite = self.suite(GOOD.replace("status: 200", "status: 204"))
        result = self.fleet.run(suite, expect=1)
        for word in ("answers", "default", "status", "204", "200"):
            self.assertIn(word, result.both)
        self.assertTrue(result.out.strip().split("\n")[-1].startswith("FAILED"), result.out)

    def test_refused_connection_is_the_targets_failure(self):
        self.fleet_of()
        suite = self.fleet.write("refused.yaml", GOOD.format("127.0.0.1:1"))
        result = self.fleet.run(suite, expect=1)
        self.assertIn("connect_refused", result.both)

    def test_several_locations_make_one_verdict(self):
        self.fleet_of("eu-west", "us-east", "us-east")
        suite = self.suite(GOOD.replace("name: good", "name: good\nlocations: [eu-west, us-east]"))
        result = self.fleet.run(suite, expect=0)
        self.assertEqual(result.ledger()["passed"], 2)

    def test_several_files_make_one_run(self):
        self.fleet_of()
        other = self.suite(GOOD.replace("name: good", "name: other"), "other.yaml")
        result = self.fleet.run(self.suite(), other, expect=0)
        self.assertEqual(result.ledger()["passed"], 2)
        runs = json.loads(self.fleet.http("/v1/runs")[1])["runs"]
        self.assertEqual(len(runs), 1)

    def test_one_invalid_file_creates_nothing(self):
        self.fleet_of()
        bad = self.fleet.write("bad.yaml", "version: 1\nname: bad\ntests: [ { nme: x } ]\n")
        result = self.fleet.run(self.suite(), bad, expect=2)
        self.assertRegex(result.err, r"bad\.yaml:3:\d+: ")
        self.assertEqual(json.loads(self.fleet.http("/v1/runs")[1])["runs"], [])

    def test_nothing_selected_exits_3(self):
        self.fleet_of()
        self.fleet.run(self.suite(), "-t", "no-such-tag", expect=3)

    def test_location_without_agents_ends_unassigned_at_the_deadline(self):
        self.fleet_of("eu-west")
        suite = self.suite(GOOD.replace("name: good", "name: good\nlocations: [nowhere]"))
        result = self.fleet.run(suite, "--deadline", "2s", expect=3)
        self.assertEqual(result.ledger()["unassigned"], 1)
        self.assertTrue(result.out.strip().split("\n")[-1].startswith("INCONCLUSIVE"), result.out)

    def test_location_without_agents_ends_after_the_grace(self):
        self.fleet.start_coordinator(None, "127.0.0.1:0", "coordinator", "--agent-grace", "2s")
        suite = self.suite(GOOD.replace("name: good", "name: good\nlocations: [nowhere]"))
        result = self.fleet.run(suite, "--deadline", "10m", expect=3, timeout=30)
        self.assertEqual(result.ledger()["unassigned"], 1)

    def test_agent_that_comes_within_the_grace_is_used(self):
        self.fleet.start_coordinator()
        run = self.fleet.popen_picket("run", self.suite(), "--coordinator", self.fleet.grpc)
        wait_until(lambda: json.loads(self.fleet.http("/v1/runs")[1])["runs"], "the run")
        self.fleet.start_agent()
        out, _ = run.communicate(timeout=60)
        self.assertEqual(run.returncode, 0, out)

    def test_unreachable_coordinator_exits_4_and_names_it(self):
        result = self.fleet.picket("run", self.suite(), "--coordinator", "127.0.0.1:1", expect=4, timeout=60)
        self.assertIn("127.0.0.1:1", result.err)

    def test_deadline_expires_what_hangs(self):
        self.fleet_of()
        result = self.fleet.run(self.suite(SLOW), "--deadline", "3s", expect=3, timeout=40)
        self.assertEqual(result.ledger()["expired"], 1)

    def test_interrupt_cancels_the_run(self):
        self.fleet_of()
        for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
            with self.subTest(number):
                before = len(json.loads(self.fleet.http("/v1/runs")[1])["runs"])
                run = self.fleet.popen_picket("run", self.suite(SLOW), "--coordinator", self.fleet.grpc)
                wait_until(lambda: [r for r in json.loads(self.fleet.http("/v1/runs")[1])["runs"]
                                    if r["state"] == "RUNNING"], "a running run")
                os.kill(run.pid, number)
                out, _ = run.communicate(timeout=30)
                self.assertEqual(run.returncode, code, out)
                runs = json.loads(self.fleet.http("/v1/runs")[1])["runs"]
                self.assertEqual(len(runs), before + 1)
                self.assertEqual(runs[0]["state"], "SEALED")
                self.assertEqual(runs[0]["end_cause"], "CANCELLED")
                self.assertEqual(runs[0]["ledger"]["cancelled"], 1)

    def test_detach_then_wait(self):
        self.fleet_of()
        detached = self.fleet.run(self.suite(), "--detach", expect=0)
        run_id = detached.out.strip().split("\n")[-1].split()[-1]
        self.assertRegex(run_id, "^[a-z2-7]{16}$")
        waited = self.fleet.picket("wait", run_id, "--coordinator", self.fleet.grpc, expect=0)
        self.assertIn("PASSED", waited.out)
        shown = self.fleet.picket("show", run_id, "--coordinator", self.fleet.grpc, expect=0)
        self.assertIn(run_id, shown.out)
        self.assertIn(run_id, self.fleet.picket("runs", "--coordinator", self.fleet.grpc, expect=0).out)

    def test_cancel_from_elsewhere(self):
        self.fleet_of()
        run_id = self.fleet.run(self.suite(SLOW), "--detach", expect=0).out.split()[-1]
        self.fleet.picket("cancel", run_id, "--coordinator", self.fleet.grpc, expect=0)
        self.fleet.picket("wait", run_id, "--coordinator", self.fleet.grpc, expect=3)

    def test_local_needs_nothing_running(self):
        suite = self.suite(GOOD.replace("name: good", "name: good\nlocations: [eu-west, us-east]"))
        report = self.fleet.directory / "r.json"
        result = self.fleet.picket("run", "--local", suite, "--report-json", report, expect=0)
        self.assertEqual(result.ledger()["passed"], 2)
        told = json.loads(report.read_text())
        self.assertTrue(told["local"])
        self.assertEqual({e["location"] for e in told["executions"]}, {"eu-west", "us-east"})
        self.assertIn("local", result.both.lower())

    def test_dry_run_and_list_create_nothing(self):
        self.fleet_of()
        self.assertIn("1", self.fleet.run(self.suite(), "--dry-run", expect=0).out)
        self.assertIn("answers", self.fleet.run(self.suite(), "--list", expect=0).out)
        self.assertEqual(json.loads(self.fleet.http("/v1/runs")[1])["runs"], [])

    def test_reports_hold_what_the_contract_says(self):
        self.fleet_of()
        failing = GOOD + GOOD.split("tests:\n")[1].replace("name: answers", "name: fails").replace("200", "500")
        report, junit = self.fleet.directory / "r.json", self.fleet.directory / "r.xml"
        self.fleet.run(self.suite(failing), "--report-json", report, "--report-junit", junit, expect=1)
        told = json.loads(report.read_text())
        self.assertEqual(told["verdict"], "FAILED")
        self.assertEqual(told["ledger"]["planned"], 2)
        self.assertEqual(told["ledger"]["failed"], 1)
        by_test = {e["test"]: e for e in told["executions"]}
        failed = by_test["fails"]
        self.assertEqual((failed["outcome"], failed["reason"], failed["location"]), ("FAILED", "assertion", "default"))
        attempt = failed["attempts"][0]
        self.assertEqual(attempt["agent"], "agent-1")
        self.assertGreater(attempt["timings"]["total_us"], 0)
        self.assertIn("first_byte_us", attempt["timings"])
        wrong = [a for a in attempt["assertions"] if not a["passed"]][0]
        self.assertEqual((wrong["subject"], wrong["operator"], wrong["expected"], wrong["actual"]),
                         ("status", "is", "500", "200"))
        done = subprocess.run(["xmllint", "--noout", str(junit)], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("<failure", junit.read_text())

    def test_unwritable_report_keeps_the_verdicts_exit_code(self):
        self.fleet_of()
        result = self.fleet.run(self.suite(), "--report-json", "/no/such/folder/r.json", expect=0)
        self.assertIn("/no/such/folder/r.json", result.err)

    def test_every_attempt_is_kept(self):
        self.fleet_of()
        suite = self.suite(GOOD.replace("status: 200", "status: 204") + "    retry: {{ attempts: 3, delay: 10ms }}\n")
        report = self.fleet.directory / "r.json"
        self.fleet.run(suite, "--report-json", report, expect=1)
        attempts = json.loads(report.read_text())["executions"][0]["attempts"]
        self.assertEqual([a["number"] for a in attempts], [1, 2, 3])

    def test_fail_fast_ends_the_run(self):
        self.fleet_of()
        tests = "".join(GOOD.split("tests:\n")[1].replace("name: answers", f"name: t{i}") for i in range(50))
        failing = GOOD.split("tests:\n")[0] + "tests:\n" + tests.replace("/\" }}", "/slow\" }}")
        failing += GOOD.split("tests:\n")[1].replace("name: answers", "name: fails\n    priority: 10").replace("200", "500")
        result = self.fleet.run(self.suite(failing), "--fail-fast", expect=1, timeout=60)
        ledger = result.ledger()
        self.assertEqual(ledger["planned"], 51)
        self.assertGreaterEqual(ledger["cancelled"], 1)
        self.assertEqual(sum(v for k, v in ledger.items() if k not in ("planned", "flaky")), 51)

    def test_drained_agent_goes_and_the_other_works(self):
        self.fleet_of("default", "default")
        self.fleet.picket("drain", "agent-1", "--coordinator", self.fleet.grpc, expect=0)
        self.fleet.run(self.suite(), expect=0)
        self.assertIn("agent-2", self.fleet.picket("agents", "--coordinator", self.fleet.grpc, expect=0).out)

    def test_agent_drains_on_sigterm(self):
        self.fleet_of()
        agent = self.fleet.processes[-1]
        self.assertEqual(agent.stop(), 0)

    def test_second_agent_of_one_name_is_refused_by_name(self):
        self.fleet_of()
        twin = self.fleet.start("twin", [
            os.path.join(os.environ.get("PICKET_BIN", str(ROOT / "build/release/bin")), "picket-agent"),
            "--coordinator", self.fleet.grpc, "--name", "agent-1", "--http-listen", "127.0.0.1:0",
            "--spool", self.fleet.directory / "spool-twin"])
        code = twin.popen.wait(30)
        self.assertNotEqual(code, 0)
        self.assertIn("agent-1", twin.text())


if __name__ == "__main__":
    main()
