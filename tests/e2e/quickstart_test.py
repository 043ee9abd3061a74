"""The README's main command, as a user types it, minus the build."""

import os
import re
import subprocess
import unittest

from fleet import BIN, ROOT, main


class QuickstartTest(unittest.TestCase):
    def quickstart(self, *options, env=None):
        return subprocess.run(["bash", str(ROOT / "deploy/quickstart.sh"), "--fast", *options], text=True, timeout=300,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              env={**os.environ, "PICKET_BIN": str(BIN), **(env or {})})

    def test_both_verdicts_come_out_right(self):
        done = self.quickstart()
        self.assertEqual(done.returncode, 0, done.stdout[-6000:])
        out = done.stdout
        self.assertRegex(out, r"(?m)^PASSED .*planned \d+")
        self.assertRegex(out, r"(?m)^FAILED .*planned \d+")
        self.assertIn("shop is healthy", out)
        self.assertIn("/metrics", out)
        self.assertIn("Both verdicts are right", out)
        for location in ("eu-west", "us-east", "private:office"):
            self.assertIn(location, out)

    def test_it_stops_what_it_started(self):
        done = self.quickstart()
        pattern = r"picket-quickstart\.\w+"
        left = subprocess.run(["pgrep", "-af", pattern], capture_output=True, text=True).stdout
        self.assertEqual(left, "", done.stdout[-2000:])
        links = subprocess.run(["ip", "-o", "link"], capture_output=True, text=True).stdout
        self.assertIsNone(re.search(r"\bpk\d+o\b", links), links)

    def test_shop_suite_runs_locally(self):
        done = subprocess.run(["bash", str(ROOT / "deploy/shop.sh"), "with", "--", str(BIN / "picket"), "run", "--local",
                               str(ROOT / "deploy/examples/shop.yaml")], text=True, timeout=120,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.assertEqual(done.returncode, 0, done.stdout[-4000:])
        self.assertRegex(done.stdout, r"(?m)^PASSED ")


if __name__ == "__main__":
    main()
