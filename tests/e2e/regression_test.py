"""The latency gate with the real binaries: quiet runs learn, then pass; a slow build fails."""

import json
import re
import statistics
import subprocess
import unittest
import xml.etree.ElementTree as ElementTree

from fleet import BIN, FleetCase, main

SUITE = """
version: 1
name: shop
vars: {{ base: "http://127.0.0.1:{0}", delay: "20" }}
tests:
  - name: basket
    request: {{ url: "{{{{ base }}}}/{{{{ delay }}}}" }}
    expect:
      - status: 200
      - time: {{ phase: first_byte, regression: {{ at_most: 50%, over: 5 }} }}
"""

GATE_ALONE = """
version: 1
name: bare
vars: {{ base: "http://127.0.0.1:{0}", delay: "20" }}
tests:
  - name: gate
    request: {{ url: "{{{{ base }}}}/{{{{ delay }}}}" }}
    expect: [ {{ time: {{ phase: total, regression: {{ at_most: 50%, over: 5 }} }} }} ]
"""


class RegressionTest(FleetCase):
    def setUp(self):
        super().setUp()
        # Answers after as many milliseconds as the path says.
        self.server = subprocess.Popen([BIN / "truth_server", "0"], stdout=subprocess.PIPE, text=True)
        self.addCleanup(self.server.wait)
        self.addCleanup(self.server.kill)
        self.addCleanup(self.server.stdout.close)
        self.port = self.server.stdout.readline().split()[1]
        self.fleet.start_coordinator()
        self.fleet.start_agent()
        self.suite = self.fleet.write("shop.yaml", SUITE.format(self.port))

    def run_suite(self, *options, suite=None):
        return self.fleet.run(suite or self.suite, *options)

    def good_times(self):
        """first_byte of the attempts of r.json that count, milliseconds."""
        attempts = json.loads((self.fleet.directory / "r.json").read_text())["executions"][0]["attempts"]
        return [a["timings"]["first_byte_us"] / 1000 for a in attempts if not a.get("quality", {}).get("poor")]

    def learn(self, *options, suite=None):
        for _ in range(5):
            self.run_suite(*options, suite=suite)

    def test_quiet_runs_learn_then_pass_and_a_slow_build_fails(self):
        reports = ("--report-junit", "r.xml", "--report-json", "r.json", "--report-ctrf", "r.ctrf",
                   "--report-tap", "r.tap", "--report-markdown", "r.md", "--report-html", "r.html")
        firsts = []  # of each passing run the time that is kept, milliseconds
        for run in range(5):
            result = self.run_suite(*(reports if run == 3 else ("--report-json", "r.json")))
            self.assertEqual(result.code, 0, result.both)
            self.assertIn("(1 learning)", result.out)
            firsts.append(self.good_times()[0])
            if run == 3:
                (self.fleet.directory / "r.json").rename(self.fleet.directory / "r3.json")
        for name in ("r.xml", "r.tap"):
            text = (self.fleet.directory / name).read_text()
            self.assertIn("time first_byte regression: 3 passing runs so far, of 5", text, name)
        # Escaped there, so that it stays text.
        self.assertIn("3 passing runs so far, of 5", (self.fleet.directory / "r.md").read_text())
        self.assertEqual(json.loads((self.fleet.directory / "r.ctrf").read_text())
                         ["results"]["tests"][0]["extra"]["learning"],
                         "time first_byte regression: 3 passing runs so far, of 5")
        self.assertIn("(learning)", (self.fleet.directory / "r.html").read_text())
        report = json.loads((self.fleet.directory / "r3.json").read_text())
        self.assertEqual(report["ledger"]["learning"], 1)
        self.assertTrue(report["executions"][0]["learning"])

        quiet = self.run_suite("--report-json", "r.json")
        self.assertEqual(quiet.code, 0, quiet.both)
        self.assertNotIn("learning", quiet.out)
        firsts.append(self.good_times()[0])
        gate = json.loads((self.fleet.directory / "r.json").read_text())["executions"][0]
        self.assertIn("of 5 runs before", gate["attempts"][-1]["assertions"][-1]["actual"])

        slow = self.run_suite("-e", "delay=100", "--report-json", "r.json", "--report-junit", "r.xml")
        self.assertEqual(slow.code, 1, slow.both)
        said = re.search(r"time first_byte regression at most 50% slower than the last 5 passing runs, "
                         r"but it was (\d+(?:\.\d)?)ms, (\d+)% slower than (\d+(?:\.\d)?)ms "
                         r"\(median of 7 measurements now, of 5 runs before; p = 0\.00\d+\)", slow.out)
        self.assertIsNotNone(said, slow.out)
        now, percent, before = map(float, said.groups())
        # What it compared are the medians of what the reports hold, and the target's delays at least.
        for told, held in ((now, self.good_times()), (before, firsts[-5:])):
            self.assertAlmostEqual(told, statistics.median(held), delta=0.06 if told < 100 else 0.6)
        self.assertAlmostEqual(percent, 100 * (now / before - 1), delta=3)
        self.assertGreaterEqual(now, 100)
        self.assertGreaterEqual(before, 20)
        execution = json.loads((self.fleet.directory / "r.json").read_text())["executions"][0]
        self.assertEqual([a["outcome"] for a in execution["attempts"]], ["INCONCLUSIVE"] * 6 + ["FAILED"])
        self.assertEqual({a["reason"] for a in execution["attempts"][:-1]}, {"measuring"})
        self.assertFalse(execution["flaky"])
        self.assertIsNotNone(ElementTree.parse(self.fleet.directory / "r.xml").find(".//failure"))

        # The failed run is no history: slow stays slow, and quiet stays quiet.
        self.assertEqual(self.run_suite("-e", "delay=100").code, 1)
        self.assertEqual(self.run_suite().code, 0)

    def test_a_gate_alone_is_inconclusive_until_it_has_learnt(self):
        suite = self.fleet.write("bare.yaml", GATE_ALONE.format(self.port))
        for run in range(5):
            result = self.run_suite(suite=suite)
            self.assertEqual(result.code, 3, result.both)
            self.assertIn(f"learning: {run} passing run", result.out)
        self.assertEqual(self.run_suite(suite=suite).code, 0)
        self.assertEqual(self.run_suite("-e", "delay=100", suite=suite).code, 1)

    def test_baselines_and_names_keep_their_histories(self):
        self.learn("--baseline", "main")
        self.assertIn("(1 learning)", self.run_suite("--baseline", "release").out)
        self.assertIn("(1 learning)", self.run_suite().out)
        self.assertNotIn("learning", self.run_suite("--baseline", "main").out)
        renamed = SUITE.format(self.port).replace("name: basket", "name: cart")
        other = self.fleet.write("other.yaml", renamed)
        self.assertIn("(1 learning)", self.run_suite("--baseline", "main", suite=other).out)
        joined = self.fleet.write("joined.yaml", renamed.replace("name: cart", "name: cart\n    renamed_from: [basket]"))
        result = self.run_suite("--baseline", "main", suite=joined)
        self.assertEqual(result.code, 0, result.both)
        self.assertNotIn("learning", result.out)

    def test_history_survives_the_coordinator(self):
        self.learn()
        self.fleet.coordinator.kill()
        self.fleet.start_coordinator(None, self.fleet.grpc, "again")
        result = self.run_suite()
        self.assertEqual(result.code, 0, result.both)
        self.assertNotIn("learning", result.out)

    def test_rows_are_compared_with_themselves(self):
        suite = self.fleet.write("rows.yaml", SUITE.format(self.port).replace(
            "name: basket", "name: basket\n    for_each: { rows: [ { d: 5 }, { d: 40 } ] }").replace(
            "{{ delay }}", "{{ d }}"))
        self.learn(suite=suite)
        result = self.run_suite(suite=suite)
        self.assertEqual(result.code, 0, result.both)
        turned = self.fleet.write("turned.yaml", suite.read_text().replace(
            "{ d: 5 }, { d: 40 }", "{ d: 40 }, { d: 5 }"))
        result = self.run_suite(suite=turned)
        self.assertEqual(result.code, 0, result.both)
        self.assertNotIn("learning", result.out)

    def test_what_cannot_be_kept_is_refused_with_its_place(self):
        post = SUITE.format(self.port).replace('request: {', 'request: { method: POST,')
        result = self.run_suite(suite=self.fleet.write("post.yaml", post))
        self.assertEqual(result.code, 2)
        self.assertRegex(result.err, r"post\.yaml:\d+:\d+: .*repeatable: true")
        rows = ", ".join(f"{{ d: {i} }}" for i in range(41))
        many = SUITE.format(self.port).replace("name: basket", f"name: basket\n    for_each: {{ rows: [ {rows} ] }}")
        result = self.run_suite(suite=self.fleet.write("many.yaml", many))
        self.assertEqual(result.code, 2)
        self.assertIn("over 5 runs of 41 rows needs 205 measurements of a location; 200 are kept", result.err)

    def test_local_runs_say_that_they_learn(self):
        result = self.fleet.picket("run", "--local", self.suite)
        self.assertEqual(result.code, 0, result.both)
        self.assertIn("(1 learning)", result.out)


if __name__ == "__main__":
    main()
