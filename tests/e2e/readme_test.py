"""Every command of the README is run, in order, as a reader would type it.

The two set-up commands have tests of their own (e2e.quickstart, and the run that this test
is part of). The rest runs in one shell, in a copy of the folder layout, with the example shop up. As
root the shell gets a network namespace of its own, so that the README's fixed ports are free.
"""

import os
import re
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

from fleet import BIN, ROOT, main

COVERED_ELSEWHERE = {"bash deploy/quickstart.sh", "bash tests/run.sh"}


def shell_blocks():
    return re.findall(r"```sh\n(.*?)```", (ROOT / "README.md").read_text(), re.S)


class ReadmeTest(unittest.TestCase):
    def test_commands_work_in_order(self):
        blocks = [b for b in shell_blocks() if b.strip() not in COVERED_ELSEWHERE]
        self.assertGreaterEqual(len(blocks), 5)
        directory = Path(tempfile.mkdtemp(prefix="picket-readme-"))
        self.addCleanup(shutil.rmtree, directory, True)
        (directory / "build/release").mkdir(parents=True)
        (directory / "build/release/bin").symlink_to(BIN)
        script = ["set -euo pipefail", "trap 'kill $(jobs -p) 2>/dev/null; wait' EXIT", f"cd {directory}"]
        for number, block in enumerate(blocks):
            script += [f"echo '=== block {number}'", block.rstrip()]
        (directory / "readme.sh").write_text("\n".join(script) + "\n")
        command = ["bash", str(ROOT / "deploy/shop.sh"), "with", "--", "bash", str(directory / "readme.sh")]
        if os.getuid() == 0 and subprocess.run(["unshare", "-n", "true"], capture_output=True).returncode == 0:
            command = ["unshare", "-n", "bash", "-c", 'ip link set lo up && exec "$@"', "-"] + command
        done = subprocess.run(command, text=True, timeout=180, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.assertEqual(done.returncode, 0, done.stdout[-5000:])
        self.assertIn(f"=== block {len(blocks) - 1}", done.stdout)
        self.assertGreaterEqual(len(re.findall(r"(?m)^PASSED ", done.stdout)), 2, done.stdout[-5000:])

    def test_suite_in_the_tour_is_valid(self):
        suites = re.findall(r"```yaml\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
        self.assertEqual(len(suites), 1)
        with tempfile.TemporaryDirectory() as directory:
            path = Path(directory) / "tour.yaml"
            path.write_text(suites[0])
            done = subprocess.run([str(BIN / "picket"), "validate", str(path)], capture_output=True, text=True)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_exit_codes_are_those_of_the_help(self):
        readme = (ROOT / "README.md").read_text()
        for code in ("| 0 | PASSED", "| 1 | FAILED", "| 2 | ", "| 3 | INCONCLUSIVE", "| 4 | ", "| 130 / 143 |"):
            self.assertIn(code, readme)


if __name__ == "__main__":
    main()
